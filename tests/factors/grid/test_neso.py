"""NESO: half-hours, forecasts in place of what is not measured yet, ranges in pieces."""

import pytest
from tests.factors.grid.providers import neso_row
from tests.factors.grid.served import DAY, Asked, Reply, at, failed, said, standing

from wattledger.factors.grid import neso

NOW = at("2026-03-02T00:00")
SLOT = 1_800


def test_what_is_not_measured_yet_is_its_forecast_and_later_revised() -> None:
    first, later = neso_row(NOW - SLOT, None, 266), neso_row(NOW - SLOT, 263, 266)
    with standing({"/intensity": {"data": [first]}}) as service:
        provider = neso.open(service.place())
        (guess,) = provider.read("GB", NOW - SLOT, NOW, NOW)
        service.replies["/intensity"] = {"data": [later]}
        (known,) = provider.read("GB", NOW - SLOT, NOW, NOW)
    assert (guess.ug_per_kwh, guess.estimated, guess.forecast) == (266_000_000, True, True)
    assert (known.ug_per_kwh, known.estimated, known.forecast) == (263_000_000, False, False)
    assert guess.version != known.version


def test_neither_measured_nor_forecast_is_absent() -> None:
    with standing({"/intensity": {"data": [neso_row(NOW - SLOT, None, None)]}}) as service:
        assert list(neso.open(service.place()).read("GB", NOW - SLOT, NOW, NOW)) == []


def test_an_actual_of_nothing_is_nothing_and_not_unknown() -> None:
    with standing({"/intensity": {"data": [neso_row(NOW - SLOT, 0)]}}) as service:
        (fact,) = neso.open(service.place()).read("GB", NOW - SLOT, NOW, NOW)
    assert (fact.ug_per_kwh, fact.forecast) == (0, False)


def test_a_long_past_is_asked_for_in_pieces_of_fourteen_days() -> None:
    def some(asked: Asked) -> Reply:
        start_s, end_s = (at(text.removesuffix("Z")) for text in asked.path.split("/")[2:])
        assert 0 < end_s - start_s <= 14 * DAY
        # The half-hour that ends where the range begins is part of the answer.
        return {"data": [neso_row(at_s, 100) for at_s in range(start_s - SLOT, end_s, SLOT)]}

    with standing({"/intensity": some}) as service:
        facts = neso.open(service.place()).read("GB", NOW - 30 * DAY, NOW, NOW)
    assert [fact.start_s for fact in facts] == list(range(NOW - 30 * DAY, NOW, SLOT))
    assert service.paths()[0] == "/intensity/2026-01-31T00:00Z/2026-02-14T00:00Z"
    assert len(service.asked) == 3
    assert service.asked[0].words == {}


def test_a_forecast_starts_with_this_half_hour() -> None:
    rows = [neso_row(NOW + i * SLOT, 200 if i < 0 else None) for i in range(-1, 96)]
    with standing({"/intensity": {"data": rows}}) as service:
        facts = neso.open(service.place()).forecast("GB", NOW + 60)
    assert service.paths() == ["/intensity/2026-03-02T00:00Z/fw48h"]
    assert [fact.start_s for fact in facts] == [NOW + i * SLOT for i in range(96)]
    assert all(fact.forecast and fact.estimated and fact.ug_per_kwh == 266_000_000 for fact in facts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": said(NOW + SLOT, "%Y-%m-%dT%H:%MZ")},
        {"intensity": None},
        {"intensity": {"index": "low"}},
        {"from": "2026-03-01T23:30"},
    ],
)
def test_a_row_that_is_no_half_hour_is_dropped(wrong: dict[str, object]) -> None:
    with standing({"/intensity": {"data": [neso_row(NOW - 2 * SLOT, 5), {**neso_row(NOW - SLOT, 9), **wrong}]}}) as service:
        facts = neso.open(service.place()).read("GB", NOW - 2 * SLOT, NOW, NOW)
        assert [fact.ug_per_kwh for fact in facts] == [5_000_000]
        failed(lambda: neso.open(service.place()).read("FR", NOW - SLOT, NOW, NOW), Exception)
