"""Whose time machines were for: nanoseconds that sum to what was metered, by each method, however windows are cut."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledger.made import NOON_S, energy, key, work
from tests.ledger.test_query import FOREIGN

from wattledger.core.facts import EnergyFact
from wattledger.core.model import IDLE, Workload
from wattledger.core.reserved import paying
from wattledger.ledger import query_embodied as query
from wattledger.ledger import query_embodied_sql as sql
from wattledger.ledger.books import Books
from wattledger.ledger.query_embodied import Binding, Paid, Segment
from wattledger.ledger.store import Store

NS = 1_000_000_000
HOST = Binding("gpu-7")
GPU = Binding("gpu-7", "GPU-00000000")
PRICES = {"a": 1_000_000, "b": 250_000}


@contextmanager
def opened(folder: Path, facts: Sequence[Any]) -> Iterator[Books]:
    store = Store.open(folder)
    store.append(facts, NOON_S + 9999)
    store.close()
    with Books([folder]) as books:
        yield books


def drew(job: str, joules: float, minute: int = 0, *, length_s: int = 60, **more: Any) -> EnergyFact:
    made = energy(of=key(job=job, **more), start_s=NOON_S + 60 * minute, uj=round(joules * 1_000_000))
    return made._replace(length_s=length_s, seen_ms=length_s * 1000)


def hour(binding: Binding = GPU) -> Segment:
    return Segment(binding, NOON_S, NOON_S + 3600)


def by_job(books: Books, segments: Sequence[Segment], method: sql.Method = "reserved", **more: Any) -> dict[str, int]:
    query.gather(books, segments, "job", more.pop("paid", ()))
    sums: dict[str, int] = {}
    for row in query.times(books, "job", method, prices=PRICES, **more):
        assert row.group == (row.job,)
        sums[row.job] = sums.get(row.job, 0) + row.ns
    return sums


def test_time_goes_as_it_goes_live(tmp_path: Path) -> None:
    held, active = {"a": 3_000_000, "b": 1_234_567, "(idle)": 2_000_001}, {"a": 6_000_000, "c": 77_777, "(unattributed)": 5}
    facts = [drew(job, uj / 1e6, use="held") for job, uj in held.items()] + [drew(job, uj / 1e6) for job, uj in active.items()]
    with opened(tmp_path, facts) as books:
        found = by_job(books, [hour()])
    named = {job: IDLE if job == "(idle)" else Workload(job) for job in (*held, *active)}
    live = paying(*({named[job]: uj for job, uj in amounts.items()} for amounts in (active, held)))
    whole = sum(live.values())
    assert found == {job: pytest.approx(60 * NS * live[workload] // whole, abs=2) for job, workload in named.items()}


@pytest.mark.parametrize(
    ("facts", "parts"),
    [
        ([("a", 3, "active"), ("b", 1, "active")], {"a": 0.75, "b": 0.25}),
        ([("a", 3, "active"), ("b", 1, "held")], {"a": 0.0, "b": 1.0}),  # no idle draw but what b holds: the device is b's
        ([("(idle)", 3, "held")], {"(idle)": 1.0}),
        ([("a", 5, "active"), ("(idle)", 5, "held")], {"a": 0.5, "(idle)": 0.5}),
    ],
)
def test_the_edges_of_what_is_reserved(tmp_path: Path, facts: list[Any], parts: dict[str, float]) -> None:
    with opened(tmp_path, [drew(job, joules, use=use) for job, joules, use in facts]) as books:
        assert by_job(books, [hour()]) == {job: round(60 * NS * part) for job, part in parts.items()}


def test_a_window_is_cut_where_a_segment_ends_and_a_segment_sees_only_its_own_time(tmp_path: Path) -> None:
    cut = [Segment(GPU, NOON_S, NOON_S + 45), Segment(GPU, NOON_S + 45, NOON_S + 70), Segment(GPU, NOON_S + 70, NOON_S + 71)]
    with opened(tmp_path, [drew("a", 1), drew("a", 1, 1)]) as books:
        query.gather(books, cut, "job")
        assert [(row.segment, row.ns) for row in query.times(books, "job", "reserved")] == [(0, 45 * NS), (1, 25 * NS), (2, NS)]
        assert query.seen(books) == {(0, None): 45 * NS, (1, None): 25 * NS, (2, None): NS}


def test_buckets_cut_a_rolled_up_day(tmp_path: Path) -> None:
    midnight_s = NOON_S - 43_200
    with opened(tmp_path, [drew("a", 24, length_s=86_400)._replace(start_s=midnight_s)]) as books:
        query.gather(books, [Segment(GPU, midnight_s + 1800, NOON_S + 60)], "job")
        found = [(row.bucket_s, row.ns) for row in query.times(books, "job", "reserved", bucket_s=3600)]
        assert query.seen(books, bucket_s=3600) == {(0, bucket): ns for bucket, ns in found}
    hours = [(midnight_s + 3600 * n, 3600 * NS) for n in range(1, 12)]
    assert found == [(midnight_s, 1800 * NS), *hours, (NOON_S, 60 * NS)]


def test_bindings_are_a_device_a_component_or_all_of_the_host(tmp_path: Path) -> None:
    facts = [drew("a", 1), drew("b", 2, device="GPU-1"), drew("c", 3, device="cpu-0", component="cpu"), drew("d", 4, host="other")]
    with opened(tmp_path, facts) as books:
        assert by_job(books, [hour()]) == {"a": 60 * NS}
        assert by_job(books, [hour(Binding("gpu-7", "", "gpu"))]) == {"a": 20 * NS, "b": 40 * NS}
        assert by_job(books, [hour(HOST)]) == {"a": 10 * NS, "b": 20 * NS, "c": 30 * NS}
        assert by_job(books, [hour(Binding("nowhere"))]) == {}


def test_the_same_time_under_each_kind_of_report(tmp_path: Path) -> None:
    facts = [drew("a", 1, model="m1"), drew("a", 2, model="m2", device="GPU-1"), drew("b", 3, model="m1", device="GPU-1")]
    with opened(tmp_path, facts) as books:
        for kind, names in {"model": {("m1",), ("m2",)}, "host": {("gpu-7",)}, "day": {()}}.items():
            query.gather(books, [hour(HOST)], kind)
            found = query.times(books, kind, "reserved")
            assert {row.group for row in found} == names
            assert sum(row.ns for row in found) == 60 * NS
        query.gather(books, [hour(HOST)], "device")
        assert {row.group[1]: row.ns for row in query.times(books, "device", "physical") if row.job == "a"} == {
            "GPU-00000000": 10 * NS, "GPU-1": 20 * NS,
        }  # fmt: skip


def test_no_weight_overflows(tmp_path: Path) -> None:
    # 9 TJ in a day for each of three, near the end of 64 bits; its products are not.
    facts = [drew(job, 9.2e12, length_s=86_400, use=use) for job, use in (("a", "held"), ("b", "active"), ("(idle)", "held"))]
    with opened(tmp_path, [fact._replace(start_s=NOON_S - 43_200) for fact in facts]) as books:
        for method in sql.METHODS:
            found = by_job(books, [Segment(GPU, NOON_S - 43_200, NOON_S + 43_200)], method)
            assert sum(found.values()) == pytest.approx(86_400 * NS, abs=3)


def test_the_time_of_a_program_is_what_it_reserved(tmp_path: Path) -> None:
    facts = [drew("a", 5, minute, meter="track:x", run="r") for minute in range(10)]
    with opened(tmp_path, facts) as books:
        assert by_job(books, [hour()]) == {"a": 0}
        assert query.unsaid(books) == 1
        paid = [Paid("track:x", "r", GPU.device, 150 * NS), Paid("track:x", "r", "host", 300 * NS)]
        assert by_job(books, [hour()], paid=paid) == {"a": 150 * NS}
        assert query.unsaid(books) == 0
        assert by_job(books, [hour(HOST)], paid=paid) == {"a": 300 * NS}
        # More than was metered is never paid; and books that begin in the middle of a run know how much went before.
        assert by_job(books, [hour()], paid=[paid[0]._replace(ns=10**15)]) == {"a": 600 * NS}
        assert by_job(books, [hour()], paid=[paid[0]._replace(before_ns=600 * NS, cut_s=NOON_S)]) == {"a": 75 * NS}
        assert by_job(books, [hour()], paid=[paid[0]._replace(before_ns=600 * NS, cut_s=NOON_S + 1)]) == {"a": 150 * NS}


def test_what_is_asked_of_devices_and_work(tmp_path: Path) -> None:
    with opened(tmp_path, [drew("a", 1), drew("a", 1, 1), drew("a", 0, 9), work(3)]) as books:
        [one] = query.metered(books.connection, None, None)
        assert (one.device, one.first_s, one.last_s) == ("GPU-00000000", NOON_S, NOON_S + 120)
        assert query.metered(books.connection, NOON_S + 120, None) == []
        assert query.hosts_of(books.connection, "job", "a") == ["gpu-7"]
        assert query.rows_on(books, ["gpu-7", "x"], NOON_S, NOON_S + 60) == 1
        [done] = query.worked(books.connection, "job", NOON_S, NOON_S + 1)
        assert (done.host, done.job, done.group, done.tokens, done.requests) == ("gpu-7", "job-3", ("job-3",), 876, 1)


JOBS = ["a", "b", "", "(idle)", "(agent)"]


@given(data=st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_ran_the_time_is_what_was_metered(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    facts = []
    for _ in range(data.draw(st.integers(1, 15))):
        use, device = data.draw(st.sampled_from(["active", "held"])), data.draw(st.sampled_from(["GPU-00000000", "GPU-1"]))
        length_s = data.draw(st.sampled_from([1, 60, 3600]))
        job, joules, minute = data.draw(st.sampled_from(JOBS)), data.draw(st.integers(1, 10**9)) / 1e6, data.draw(st.integers(0, 5))
        made = drew(job, joules, minute, use=use, device=device)
        facts.append(made._replace(length_s=length_s, seen_ms=data.draw(st.integers(0, length_s * 1000))))
    edges = sorted({NOON_S - 10, NOON_S + 7200, *(NOON_S + data.draw(st.integers(0, 4000)) for _ in range(2))})
    segments = [Segment(binding, *ends) for binding in (GPU, HOST) for ends in pairwise(edges)]
    with opened(tmp_path_factory.mktemp("books"), facts) as books:
        query.gather(books, segments, "job")
        for bucket_s in (None, 3600):
            metered = query.seen(books, bucket_s=bucket_s)
            for method in sql.METHODS:
                sums: dict[tuple[int, int | None], int] = {}
                for row in query.times(books, "job", method, bucket_s=bucket_s, prices=PRICES):
                    assert row.ns >= 0
                    sums[row.segment, row.bucket_s] = sums.get((row.segment, row.bucket_s), 0) + row.ns
                # What rounding loses: at most a nanosecond for each division of each row.
                assert sums == {at: pytest.approx(ns, abs=4 * len(facts)) for at, ns in metered.items()}


@pytest.mark.parametrize("module", ["query_embodied.py", "query_embodied_sql.py"])
def test_the_questions_are_in_standard_sql(module: str) -> None:
    source = (Path(query.__file__).parent / module).read_text()
    strings = re.findall(r'"""[\s\S]*?"""|"[^"\n]*"', source)
    assert [text for text in strings if "SELECT" in text and re.search(FOREIGN, text)] == []
    assert any("SELECT" in text for text in strings)
