"""What a source and an exporter must be: written from the page alone, they fit."""

from collections.abc import Iterable, Sequence

import pytest
from tests.core.made import GPU, at, counter, full, run

from wattledger.core.model import Device, EnergyCounter, Instant, Sample
from wattledger.core.pipeline import Pipeline
from wattledger.core.ports import BadStatus, Host, Now, Open, Pusher, Renderer, Request, Source, SourceFailed, SourceGone
from wattledger.core.totals import Sent, Snapshot, State, Totals


class OneCard:
    """State: joules, counted up at each read."""

    name = "one card"
    edge = True
    period_ns: int | None = None

    def __init__(self, host: Host) -> None:
        self.joules = float(str(host.options["start_j"]))

    def devices(self) -> Sequence[Device]:
        return [GPU]

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        self.joules += 100
        yield EnergyCounter(GPU, now(), round(self.joules * 1e6), None)

    def close(self) -> None:
        self.joules = 0.0


class Line:
    name = "line"

    def __init__(self) -> None:
        self.pushed: list[Snapshot] = []

    def render(self, snapshot: Snapshot, accept: str = "") -> bytes:
        return f"{accept} {sum(snapshot.device_energy_uj.values())}".encode()

    def push(self, snapshot: Snapshot) -> None:
        self.pushed.append(snapshot)

    def sent(self) -> Sent:
        return Sent(len(self.pushed), 0)

    def close(self, timeout_s: float) -> None:
        self.pushed.clear()


def test_a_source_written_from_the_page_is_metered() -> None:
    make: Open = OneCard
    source: Source = make(Host("/sys", "/proc", {}, (), True, {"start_j": 5}))
    pipeline = Pipeline()
    for second in range(3):

        def now(second: int = second) -> Instant:
            return at(second)

        pipeline.step(full(second, *source.read(now, True)))
    source.close()
    assert [device.id for device in source.devices()] == [GPU.id]
    assert pipeline.totals.device_energy_uj == {(GPU.id, "counter"): 200_000_000}


def test_an_exporter_written_from_the_page_gets_a_snapshot() -> None:
    pipeline, _ = run(full(0, counter(GPU, 0, 0)), full(1, counter(GPU, 1, 7)))
    snapshot = pipeline.totals.snapshot(State())
    exporter = Line()
    renderer: Renderer = exporter
    pusher: Pusher = exporter
    pusher.push(snapshot)
    assert renderer.render(snapshot, "text/plain") == b"text/plain 7000000"
    assert renderer.render(Totals().snapshot(State())) == b" 0"
    assert exporter.pushed == [snapshot]
    assert pusher.sent() == Sent(1, 0)


def test_a_read_that_failed_is_not_a_sensor_that_is_gone() -> None:
    with pytest.raises(SourceFailed, match="try again"):
        raise SourceFailed("try again")
    assert not issubclass(SourceFailed, SourceGone)
    assert not issubclass(SourceGone, SourceFailed)


def test_a_session_that_has_no_business_on_a_network_fetches_nothing() -> None:
    with pytest.raises(SourceFailed, match="nothing is fetched here"):
        Host("/sys", "/proc", {}, (), True, {}).fetch(Request("http://127.0.0.1/x"))


def test_a_bad_status_is_a_failure_that_says_what_the_server_said() -> None:
    refused = BadStatus("the grid: HTTP 429 Too Many Requests", 429, 30.0)
    assert isinstance(refused, SourceFailed)
    assert (str(refused), refused.status, refused.retry_after_s) == ("the grid: HTTP 429 Too Many Requests", 429, 30.0)
