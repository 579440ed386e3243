"""Joules per unit of work out of the books: by hand, with a block bootstrap for oracle, and absent where little is known."""

from collections.abc import Sequence
from math import exp, log
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.accounting.made_reports import books
from tests.ledger.made import NOON_S, energy, key

from wattledger.accounting.assets.efficiency import Efficiency, Month, Trend, Unit, efficiency, monthly, ratio, trend
from wattledger.core.facts import EnergyFact, Key, WorkFact
from wattledger.ledger import query_efficiency as query
from wattledger.ledger.books import Books
from wattledger.ledger.query_efficiency import Stay

DAY_S, MONTH_S, J = 86_400, 30 * 86_400, 1_000_000
CARD = "GPU-00000000"


def used(joules: float, *, day: int = 0, **more: Any) -> EnergyFact:
    return energy(of=key(**more), start_s=NOON_S + day * DAY_S, uj=round(joules * J))


def done(tokens: int, *, day: int = 0, **more: Any) -> WorkFact:
    of = Key(**{"meter": "agent:gpu-7", "host": "gpu-7", "zone": "DE", "run": "run-0", "job": "job-0", "model": "m", **more})
    return WorkFact(of, NOON_S + day * DAY_S, 60, tokens // 2, 5, tokens - tokens // 2, 2)


def measured(folder: Path, facts: Sequence[Any], *stays: Stay, unit: Unit = "token") -> Efficiency:
    with Books([books(folder, facts)]) as opened:
        return efficiency(opened.connection, stays or [Stay("", CARD)], unit)


# --- by hand ----------------------------------------------------------------------------------------------------------------


def test_joules_are_divided_by_tokens_computed_and_generated(tmp_path: Path) -> None:
    found = measured(tmp_path, [used(100), used(20, use="held"), done(60)])
    assert found.joules_per_unit is not None
    assert found.joules_per_unit.value == pytest.approx(2.0)
    assert found.joules_per_unit.high == pytest.approx(2.2)  # an uncalibrated datacentre card, 1.10
    assert found.units_per_day is not None
    assert found.units_per_day.value == 60
    assert [(m.group, m.active_j, m.held_j, m.units) for m in found.months] == [("m", 100, 20, 60)]


def test_requests_and_hours_of_use_are_units_too(tmp_path: Path) -> None:
    facts = [used(100), used(20, use="held"), done(60), used(5, job="(idle)", model="", use="active", day=1)]
    by_request = measured(tmp_path, facts, unit="request").joules_per_unit
    assert by_request is not None
    assert by_request.value == pytest.approx(60)
    by_hour = measured(tmp_path, facts, unit="hour")
    assert (by_hour.joules_per_unit and by_hour.joules_per_unit.value) == pytest.approx(120 * 60)  # a minute; an idle day is none
    assert by_hour.why["trend"].startswith("an hour of use is no fixed work")


def test_work_on_several_devices_is_theirs_by_count(tmp_path: Path) -> None:
    """Of two cards that did the same work, the one that took more is the less efficient."""
    facts = [used(60), used(40, device="GPU-b"), used(500, device="cpu-0", component="cpu", device_model="x"), done(100)]
    for stay, joules in ((Stay("", CARD), 60 / 50), (Stay("", "GPU-b"), 40 / 50), (Stay("gpu-7"), 6.0)):
        found = measured(tmp_path, facts, stay)
        assert (found.joules_per_unit and found.joules_per_unit.value) == pytest.approx(joules)


def test_a_job_on_several_hosts_is_left_out_and_that_is_said(tmp_path: Path) -> None:
    facts = [used(60), used(60, host="gpu-8", meter="agent:gpu-8", device="GPU-b"), done(100)]
    found = measured(tmp_path, facts)
    assert found.joules_per_unit is None
    assert found.why["joules_per_unit"] == "the books hold no tokens beside its energy; 1 job on several hosts is left out"


def test_what_is_idle_or_of_nobody_is_no_work(tmp_path: Path) -> None:
    facts = [used(60), used(60, job="(idle)", model=""), used(9, job="(unattributed)", model=""), done(60)]
    found = measured(tmp_path, facts)
    assert (found.joules_per_unit and found.joules_per_unit.value) == pytest.approx(1.0)


def test_an_asset_that_moved_is_followed(tmp_path: Path) -> None:
    """A host's processors count only while they were there."""
    facts = [used(60), done(60), used(300, day=2), done(60, day=2)]
    early = Stay("gpu-7", "", "gpu", None, NOON_S + DAY_S)
    found = measured(tmp_path, facts, early)
    assert (found.joules_per_unit and found.joules_per_unit.value) == pytest.approx(1.0)


def test_no_work_is_no_zero(tmp_path: Path) -> None:
    for facts in ([used(60)], [used(60), done(0)], [used(60), done(60, model="another")]):
        found = measured(tmp_path, facts)
        assert (found.joules_per_unit, found.units_per_day, found.trend, found.months) == (None, None, None, ())
        assert found.why["joules_per_unit"] == "the books hold no tokens beside its energy"


def test_what_it_takes_now_is_of_the_last_three_months(tmp_path: Path) -> None:
    facts = [fact for n, joules in enumerate((900, 100, 100, 100)) for fact in (used(joules, day=31 * n), done(100, day=31 * n))]
    found = measured(tmp_path, facts)
    assert (found.joules_per_unit and found.joules_per_unit.value) == pytest.approx(1.0)


def test_work_a_day_counts_the_days_without(tmp_path: Path) -> None:
    found = measured(tmp_path, [used(10), done(100), used(10, day=4), done(100, day=4)])
    assert (found.units_per_day and found.units_per_day.value) == pytest.approx(40)


def test_devices_are_found_by_model_and_names_are_listed(tmp_path: Path) -> None:
    with Books([books(tmp_path, [used(60), used(40, device="GPU-b", device_model="NVIDIA L4"), done(100)])]) as opened:
        assert query.stays_of_model(opened.connection, "nvidia l4") == [Stay("gpu-7", "GPU-b", "gpu")]
        assert query.names(opened.connection) == [CARD, "GPU-b", "NVIDIA H100 80GB HBM3", "NVIDIA L4", "gpu-7"]
        assert query.zones(opened.connection, [Stay("gpu-7")]) == ["DE"]


# --- as it ages -------------------------------------------------------------------------------------------------------------


def months_of(levels: Sequence[float], group: str = "m", first: int = 0) -> list[Month]:
    names = [f"{2025 + (first + n) // 12}-{(first + n) % 12 + 1:02d}" for n in range(len(levels))]
    return [Month(name, group, level * 1000, 0.0, 1000.0) for name, level in zip(names, levels, strict=True)]


def trend_of(months: Sequence[Month]) -> Trend:
    found = trend(sorted(months))
    assert isinstance(found, Trend), found
    return found


def test_a_loss_of_5_percent_a_year_is_found_exactly() -> None:
    found = trend_of(months_of([1.05 ** (n / 12) for n in range(12)]))
    assert found.per_year == pytest.approx((0.05, 0.05, 0.05), abs=1e-9)
    assert found.months == 12


def test_another_model_is_no_older_machine() -> None:
    """A small model for half a year and a large one after it: nothing aged."""
    found = trend_of([*months_of([1.0] * 6), *months_of([9.0] * 6, "large", 6)])
    assert found.per_year == pytest.approx((0, 0, 0), abs=1e-9)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_months_are_no_trend_and_that_is_said(count: int) -> None:
    found = trend(months_of([1.0, 1.1, 1.2][:count]))
    assert isinstance(found, str)
    assert found.endswith("a trend needs 4")


def test_four_months_are_a_wide_trend() -> None:
    found = trend_of(months_of([1.0, 1.1, 0.95, 1.05]))
    assert found.per_year.low < -0.5
    assert found.per_year.high > 1.0


def noisy(seed: int, *, months: int, year: float = 0.04, sd: float = 0.03) -> list[Month]:
    random = Random(seed)
    return months_of([exp(log(1 + year) * n / 12 + random.gauss(0, sd)) for n in range(months)])


def slope(months: Sequence[tuple[float, float]]) -> float:
    at, level = (sum(column) / len(months) for column in zip(*months, strict=True))
    return float(sum((x - at) * (y - level) for x, y in months) / sum((x - at) ** 2 for x, _ in months))


def bootstrap(months: Sequence[Month], seed: int, *, block: int = 3, draws: int = 1000) -> float:
    """Half of the 95 % interval of the slope, by moving blocks of residuals: another way to the same."""
    points = [(n / 12, log(month.active_j / month.units)) for n, month in enumerate(months)]
    b = slope(points)
    a = sum(y - b * x for x, y in points) / len(points)
    left = [y - a - b * x for x, y in points]
    random, slopes = Random(seed), []
    for _ in range(draws):
        starts = [random.randrange(len(left) - block + 1) for _ in range(-(-len(left) // block))]
        again = [e for start in starts for e in left[start : start + block]][: len(left)]
        slopes.append(slope([(x, a + b * x + e) for (x, _), e in zip(points, again, strict=True)]))
    slopes.sort()
    return (slopes[round(0.975 * draws)] - slopes[round(0.025 * draws)]) / 2


def test_the_interval_is_as_wide_as_a_block_bootstrap_says() -> None:
    """In the mean over ten histories: at least as wide, and no more than half as wide again (few months deserve t, not 1.96)."""
    ratios = []
    for seed in range(10):
        months = noisy(seed, months=24)
        found = trend_of(months).per_year
        ratios.append((log(1 + found.high) - log(1 + found.low)) / 2 / bootstrap(months, seed))
    assert 1.0 <= sum(ratios) / len(ratios) <= 1.5


def test_19_of_20_intervals_hold_the_truth() -> None:
    held = [trend_of(noisy(seed, months=18)).per_year for seed in range(200)]
    assert 0.92 <= sum(q.low <= 0.04 <= q.high for q in held) / len(held) <= 1.0


def test_days_are_put_together_by_month_and_group() -> None:
    days = [Month("2026-11-01", "m", 10, 1, 5), Month("2026-11-22", "m", 20, 2, 5), Month("2026-11-22", "n", 7, 0, 1)]
    assert monthly(days) == (Month("2026-11", "m", 30, 3, 10), Month("2026-11", "n", 7, 0, 1))


# --- two machines -----------------------------------------------------------------------------------------------------------


def test_two_machines_are_compared_on_what_both_served(tmp_path: Path) -> None:
    shared: Any = {"host": "gpu-8", "meter": "agent:gpu-8", "run": "run-8"}
    facts = [
        used(100), done(100), used(900, model="large", job="l"), done(10, model="large", job="l"),
        used(50, device="GPU-b", **shared), done(100, **shared),
    ]  # fmt: skip
    old, new = measured(tmp_path, facts), measured(tmp_path, facts, Stay("", "GPU-b"))
    found = ratio(old, new)
    assert not isinstance(found, str)
    assert found.value == pytest.approx(2.0)
    assert found.low < 2 / 1.1 < 2 * 1.1 < found.high  # both sensors' gains


def test_machines_that_did_not_do_the_same_work_are_not_compared(tmp_path: Path) -> None:
    facts = [used(100), done(100), used(50, device="GPU-b", job="b", model="n"), done(100, job="b", model="n")]
    found = ratio(measured(tmp_path, facts), measured(tmp_path, facts, Stay("", "GPU-b")))
    assert found == "no model or job has run on both: they did not do the same work"
