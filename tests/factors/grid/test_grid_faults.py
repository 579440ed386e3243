"""What every grid provider must withstand: one clear line or the slots that can be read, nothing lost, doubled or made up."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.factors.grid.providers import CASES, START, Case, asking, day, each, provider, read, ug
from tests.factors.grid.served import DAY, HOUR, Asked, Reply, at, standing
from tests.runtime.answers import told


@each
def test_a_good_day_is_read_slot_by_slot(case: Case) -> None:
    values = day(case)
    with standing(case.replies(values)) as service:
        asked = provider(case, service)
        facts = list(asked.read(case.zone, START, START + DAY, START + DAY))
    assert [(fact.start_s, fact.ug_per_kwh) for fact in facts] == [(start_s, ug(case, value)) for start_s, value in values]
    assert {fact[0:1] + fact[2:3] for fact in facts} == {(case.zone, case.step_s)}
    assert {(fact.provider, fact.signal, fact.boundary) for fact in facts} == {(asked.name, asked.signal, asked.boundary)}
    assert not any(fact.estimated or fact.forecast for fact in facts)
    assert asked.step_s == case.step_s
    assert asked.licence


@each
def test_a_day_of_23_and_of_25_hours_is_one_of_its_own_length(case: Case) -> None:
    for first, hours in (("2026-03-28T23:00", 23), ("2026-10-24T22:00", 25)):
        start_s = at(first)
        end_s = start_s + hours * HOUR
        values = day(case, start_s, hours * HOUR)
        replies = case.replies(values)
        replies |= {"/carbon-intensity/past-range": told_as_past(replies)} if case.name == "electricitymaps" else {}
        with standing(replies) as service:
            facts = provider(case, service).read(case.zone, start_s, end_s, end_s)
        assert [fact.start_s for fact in facts] == list(range(start_s, end_s, case.step_s))


def told_as_past(replies: dict[str, Reply]) -> Reply:
    history = replies["/carbon-intensity/history"]
    assert isinstance(history, dict)
    return {"zone": history["zone"], "data": history["history"]}


@each
def test_the_range_is_cut_to_whole_slots(case: Case) -> None:
    with standing(case.replies(day(case))) as service:
        facts = provider(case, service).read(case.zone, START + 2 * HOUR + 1, START + 4 * HOUR, START + DAY)
    assert [fact.start_s for fact in facts] == list(range(START + 2 * HOUR, START + 4 * HOUR, case.step_s))


@each
def test_what_is_said_of_a_time_to_come_is_not_the_past(case: Case) -> None:
    noon_s = START + DAY // 2
    with standing(case.replies(day(case))) as service:
        facts = provider(case, service).read(case.zone, START, START + DAY, noon_s)
    assert [fact.start_s for fact in facts] == list(range(START, noon_s, case.step_s))


@each
def test_an_hour_that_is_missing_stays_missing(case: Case) -> None:
    values = [value for value in day(case) if not START + 5 * HOUR <= value[0] < START + 6 * HOUR]
    assert [fact.start_s for fact in read(case, values)] == [start_s for start_s, _ in values]


@each
def test_an_hour_twice_counts_once(case: Case) -> None:
    values = day(case)
    twice = values[: 6 * HOUR // case.step_s] + values[5 * HOUR // case.step_s :]
    assert read(case, twice) == read(case, values)


@each
def test_the_order_of_the_answer_does_not_matter(case: Case) -> None:
    assert read(case, day(case)[::-1]) == read(case, day(case))


@each
def test_what_is_no_number_is_dropped_and_counted(case: Case) -> None:
    wrong: list[object] = [float("nan"), float("inf"), float("-inf"), "NaN", "1_000", "١٢", -1, 50_000, 10**400, True, {}, []]
    values = day(case)
    for i, value in enumerate(wrong, start=2):
        values[i] = (values[i][0], value)
    with standing(case.replies(values)) as service:
        asked = provider(case, service)
        facts = asked.read(case.zone, START, START + DAY, START + DAY)
    good = [start_s for i, (start_s, _) in enumerate(values) if not 2 <= i < 2 + len(wrong)]
    assert [fact.start_s for fact in facts] == good
    assert asked.dropped == len(wrong)  # type: ignore[attr-defined]


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "neso"], ids=lambda case: case.name)
def test_what_is_not_said_is_absent_and_not_zero(case: Case) -> None:
    # At NESO a forecast stands in for it: test_neso.py.
    values = day(case)
    values[3] = (values[3][0], None)
    assert [fact.start_s for fact in read(case, values)] == [start_s for start_s, value in values if value is not None]


@each
def test_a_number_in_quotes_is_a_number(case: Case) -> None:
    values = [(start_s, f"{value}.5") for start_s, value in day(case)]
    assert [fact.ug_per_kwh for fact in read(case, values)] == [ug(case, value) for _, value in values]


@each
def test_a_day_of_no_numbers_fails(case: Case) -> None:
    line = asking(case, case.replies([(start_s, float("nan")) for start_s, _ in day(case)]))
    assert line.startswith(f"{case.name}: none of the ")


@each
def test_a_slot_off_the_grid_is_dropped(case: Case) -> None:
    values = day(case)
    values[4] = (values[4][0] + 60, 1)
    assert [fact.start_s for fact in read(case, values)] == [start_s for start_s, value in values if value != 1]


def renamed(reply: Reply, name: str) -> Callable[[Asked], bytes]:
    def answer(asked: Asked) -> bytes:
        text = json.dumps(reply(asked) if callable(reply) else reply)
        assert f'"{name}"' in text or "token" in text
        return told(text.replace(f'"{name}"', '"another"').encode())

    return answer


@each
def test_a_field_that_is_renamed_is_said(case: Case) -> None:
    replies = case.replies(day(case))
    line = asking(case, {**replies, case.path: renamed(replies[case.path], case.field)})
    assert line.startswith(f"{case.name}: none of the ")
    assert line.endswith(f"('{case.field}' is missing)")


@each
def test_a_list_that_is_renamed_is_said(case: Case) -> None:
    replies = case.replies(day(case))
    line = asking(case, {**replies, case.path: renamed(replies[case.path], case.rows)})
    assert line == f"{case.name}: the answer has no {case.rows}: its form has changed"


def rewritten(reply: Reply, names: str, change: Callable[[Any], object]) -> Callable[[Asked], Reply]:
    """The reply with its list of rows changed."""

    def answer(asked: Asked) -> Reply:
        body: Any = reply(asked) if callable(reply) else reply
        return {**body, names: change(body[names])}

    return answer


@each
def test_rows_that_are_none_are_dropped_and_a_list_that_is_none_is_said(case: Case) -> None:
    replies = case.replies(day(case))
    mixed = rewritten(replies[case.path], case.rows, lambda rows: [*rows, None, 7, "x", [], {}])
    with standing({**replies, case.path: mixed}) as service:
        asked = provider(case, service)
        assert len(asked.read(case.zone, START, START + DAY, START + DAY)) == DAY // case.step_s
    none = rewritten(replies[case.path], case.rows, lambda rows: {"rows": rows})
    assert asking(case, {**replies, case.path: none}) == f"{case.name}: {case.rows} is no list: its form has changed"


@each
@pytest.mark.parametrize(
    "body", [b"<!doctype html><p>Sign in", b"", b"\xff\xfe", b"[" * 5_000, b"null", b"[]", b'"DE"', b"12", b"{}"]
)
def test_what_is_no_such_answer_is_one_line(case: Case, body: bytes) -> None:
    line = asking(case, {**case.replies(day(case)), case.path: told(body)})
    assert line.startswith(f"{case.name}: the answer ")
    assert ("is a web page: " in line) == body.startswith(b"<")
