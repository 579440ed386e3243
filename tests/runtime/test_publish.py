"""What is shown after each tick: whole, frozen, and new series at zero before they grow."""

from wattledger.core.model import Activity, Batch, Claim, Device, EnergyCounter, Instant, Workload
from wattledger.core.pipeline import Pipeline
from wattledger.core.series import Series
from wattledger.core.totals import Health, Sent, State
from wattledger.runtime.node.publish import Publisher

GPU = Device("GPU-0", "gpu", "card", None, 1)
NS = 1_000_000_000


def at(second: int) -> Instant:
    return Instant(second * NS, second * NS)


def tick(pipeline: Pipeline, second: int, *whos: str) -> None:
    samples = [EnergyCounter(GPU, at(second), second * 100_000_000, None)]
    claims = [Claim(who, at(second), Workload(who), "cgroup") for who in whos]
    use = [Activity("GPU-0", who, at(second), second * NS, "sm_ns") for who in whos]
    pipeline.step(Batch(at(second), True, (*samples, *claims, *use)))


def test_every_snapshot_closes_and_a_new_series_is_seen_at_zero_first() -> None:
    pipeline = Pipeline(Series(10, 900 * NS))
    publisher = Publisher((), lambda: {"otlp": Sent(1, 0)})
    seen: dict[str, list[int]] = {"a": [], "b": []}
    for second in range(8):
        tick(pipeline, second, "a", *(["b"] if second > 3 else []))
        publisher.publish(pipeline, State(health={"nvml": Health(True, 0.001, 0)}, late_s=0.0), at(second))
        shown = publisher.shown
        assert shown is not None
        assert sum(shown.energy_uj.values()) == sum(shown.device_energy_uj.values())
        with_power = publisher.powered()
        assert with_power is not None
        assert with_power.energy_uj == shown.energy_uj, "other exporters' names are led in, too"
        for job, values in seen.items():
            values += [uj for (workload, *_), uj in shown.energy_uj.items() if workload.job == job]
    assert seen["a"] == sorted(seen["a"])
    assert seen["b"][0] == 0
    assert seen["b"][1] > 0
    assert publisher.final is not None
    assert sum(publisher.final.energy_uj.values()) == 700_000_000
    assert publisher.at == at(7)


def test_what_is_shown_does_not_change_under_its_reader() -> None:
    pipeline, publisher = Pipeline(Series(10, 900 * NS)), Publisher((), dict)
    tick(pipeline, 0, "a")
    tick(pipeline, 1, "a")
    publisher.publish(pipeline, State(), at(1))
    shown = publisher.shown
    assert shown is not None
    before = dict(shown.energy_uj)
    tick(pipeline, 2, "a")
    publisher.publish(pipeline, State(), at(2))
    assert shown.energy_uj == before
    assert publisher.shown is not shown


def test_power_of_what_comes_by_the_ten_seconds_is_spread_over_them() -> None:
    """A BMC's joules come at once: over one tick they are ten times its power, and in the next nine nothing."""
    bmc, pipeline = Device("BMC", "rest", "board", None, 1), Pipeline(Series(10, 900 * NS))
    publisher, found = Publisher((), dict), list[tuple[int, int]]()
    for second in range(41):
        samples = [EnergyCounter(GPU, at(second), second * 100_000_000, None)]
        samples += [EnergyCounter(bmc, at(second), second * 300_000_000, None)] if second % 10 == 0 else []
        use = [Activity(device, "a", at(second), second * NS, "sm_ns") for device in ("GPU-0", "BMC")]
        pipeline.step(Batch(at(second), True, (*samples, Claim("a", at(second), Workload("a"), "cgroup"), *use)))
        publisher.publish(pipeline, State(), at(second))
        seen = publisher.powered()
        if second > 1 and seen is not None:
            watts = {name: sum(uw for (_, of, _), uw in seen.share_uw.items() if of == name) for name in ("GPU-0", "BMC")}
            found.append((watts["GPU-0"], watts["BMC"]))
    assert {gpu for gpu, _ in found} == {100_000_000}
    rest = [uw for _, uw in found]
    assert set(rest) == {0, 300_000_000}
    assert rest == sorted(rest), "once it is known it stays"
    assert rest.count(0) < 20


def test_a_device_that_is_not_read_any_more_draws_nobody_knows_what() -> None:
    pipeline, publisher = Pipeline(Series(10, 900 * NS)), Publisher((), dict)
    for second in range(4):
        tick(pipeline, second, "a")
        publisher.publish(pipeline, State(), at(second))
    seen = publisher.powered()
    assert seen is not None
    assert sum(seen.share_uw.values()) == 100_000_000
    for second in range(4, 20):
        pipeline.step(Batch(at(second), True, ()))
        publisher.publish(pipeline, State(), at(second))
    after = publisher.powered()
    assert after is not None
    assert after.share_uw == {}
