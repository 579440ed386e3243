"""OTLP: a real receiver, over gRPC and HTTP, gets the snapshot's totals, each once; a bad one costs nothing but its count."""

import itertools
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from tests.golden.scenario import snapshot as golden
from tests.servers.otlp_receiver import Protocol, Receiver, receiver

from wattledger.core.catalog import CATALOG
from wattledger.core.model import Device, Instant, Workload
from wattledger.core.totals import Sent, Snapshot, State, Totals
from wattledger.runtime import clock
from wattledger_exporters.otlp import Otlp

STARTED = Instant(1, 1_795_341_600_000_000_000)
GPU = Device("GPU-0", "gpu", "card")
NEVER_MS, OFTEN_MS = "3600000", "20"
Make = Callable[..., Otlp]


@pytest.fixture(params=["grpc", "http/protobuf"])
def there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver, and the environment that leads to it; nothing is sent before the end unless the test says otherwise."""
    protocol: Protocol = request.param
    with receiver(protocol) as found:
        lead_to(found.endpoint, protocol, monkeypatch)
        yield found


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes exporters, and sees to their end."""
    made: list[Otlp] = []

    def new(**options: object) -> Otlp:
        made.append(Otlp({"host": "gpu-7", **options}, now=ticking().__next__, started=STARTED))
        return made[-1]

    yield new
    for otlp in made:
        otlp.close(1.0)


def ticking() -> Iterator[Instant]:
    """A second later each time it is asked."""
    return (Instant(s * 10**9, STARTED.wall_ns + s * 10**9) for s in itertools.count(1))


def lead_to(endpoint: str, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", NEVER_MS)


def energy(joules: dict[str, int], *, retired: int = 0) -> Snapshot:
    """Jobs and what each has used of one GPU."""
    found = Totals()
    found.devices[GPU.id] = GPU
    found.device_energy_uj[GPU.id, "counter"] = (sum(joules.values()) + retired) * 1_000_000
    for job, j in joules.items():
        found.add((Workload(job), GPU.id, "counter", "active"), j * 1_000_000)
    return found.snapshot(State())


def of_jobs(there: Receiver, *, since: int = 0) -> list[tuple[str, float]]:
    points = there.points(since=since)
    return [(p.attributes["wattledger.job.name"], p.value) for p in points if p.metric == "wattledger.energy"]


def of(there: Receiver, metric: str) -> list[float]:
    return [point.value for point in there.points() if point.metric == metric]


def nowhere() -> str:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


# --- totals -----------------------------------------------------------------------------------------------------------------


def test_what_arrives_is_the_snapshot_each_total_once(there: Receiver, make: Make) -> None:
    otlp, found = make(), golden()
    otlp.push(found)
    otlp.close(5.0)
    assert otlp.sent() == Sent(1, 0)
    points = there.points()
    assert len(points) == len({(p.metric, *sorted(p.attributes.items())) for p in points})
    expected = sorted((m.otlp_name, float(value)) for m in CATALOG if m.otlp_name for _, value in m.rows(found))
    got = sorted((p.metric, float(p.value)) for p in points if not p.metric.startswith("hw.host."))
    assert got == expected


def test_the_sum_of_each_device_is_the_snapshots(there: Receiver, make: Make) -> None:
    otlp, found = make(), golden()
    otlp.push(found)
    otlp.close(5.0)
    handed_out = {device: Decimal(0) for device, _ in found.device_energy_uj}
    measured = dict(handed_out)
    for p in there.points():
        if p.metric == "wattledger.energy":
            handed_out[p.attributes["hw.id"]] += Decimal(repr(p.value))
        if p.metric == "hw.energy" and "hw.parent" not in p.attributes:
            measured[p.attributes["hw.id"]] += Decimal(repr(p.value))
    assert handed_out == measured
    assert sum(measured.values()) == Decimal(sum(found.device_energy_uj.values())).scaleb(-6)
    assert of(there, "hw.host.energy") == [float(sum(measured.values()))]


def test_totals_are_cumulative_since_the_meter_began(there: Receiver, make: Make) -> None:
    otlp = make()
    otlp.push(energy({"train": 5}))
    otlp.close(5.0)
    counters = [p for p in there.points() if p.kind == "counter"]
    assert {(p.delta, p.start_ns, p.at_ns) for p in counters} == {(False, STARTED.wall_ns, STARTED.wall_ns + 10**9)}


def test_joules_are_doubles_and_tokens_whole_numbers(there: Receiver, make: Make) -> None:
    otlp = make()
    otlp.push(golden())
    otlp.close(5.0)
    assert {type(value) for value in of(there, "wattledger.tokens")} == {int}
    assert {type(value) for value in of(there, "hw.energy")} == {float}


def test_the_newest_snapshot_is_sent_at_each_interval(
    there: Receiver, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", OFTEN_MS)
    otlp = make()
    otlp.push(energy({"train": 5}))
    there.wait_for(1)
    otlp.push(energy({"train": 7}))
    there.wait_for(2)
    otlp.close(5.0)
    assert of_jobs(there) == [("train", 5.0), ("train", 7.0)]


def test_what_has_arrived_is_not_sent_again_at_the_end(there: Receiver, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", OFTEN_MS)
    otlp = make()
    otlp.push(energy({"train": 5}))
    there.wait_for(1)
    otlp.close(5.0)
    otlp.close(5.0)
    assert of_jobs(there) == [("train", 5.0)]
    assert otlp.sent() == Sent(1, 0)


def test_a_workload_that_is_gone_is_not_said_any_more(there: Receiver, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", OFTEN_MS)
    otlp = make()
    otlp.push(energy({"train": 5, "gone": 1}))
    there.wait_for(1)
    otlp.push(energy({"train": 7}, retired=1))
    otlp.close(5.0)
    assert of_jobs(there, since=1) == [("train", 7.0)]


def test_nothing_is_sent_where_nothing_was_pushed(there: Receiver, make: Make) -> None:
    otlp = make()
    otlp.close(5.0)
    assert (there.asked, otlp.sent()) == (0, Sent(0, 0))


def test_five_thousand_series_all_keep_their_names(there: Receiver, make: Make) -> None:
    jobs = {f"job-{i:04}": i for i in range(1, 5001)}
    otlp = make()
    otlp.push(energy(jobs))
    otlp.close(10.0)
    assert otlp.sent() == Sent(1, 0)
    assert dict(of_jobs(there)) == {job: float(j) for job, j in jobs.items()}
    assert not [p for p in there.points() if "otel.metric.overflow" in p.attributes]


def test_no_request_is_longer_than_a_receiver_takes(there: Receiver, make: Make) -> None:
    """4 MB, as gRPC servers have it."""
    otlp = make()
    otlp.push(energy({f"{i:04}-{'long' * 200}": 1 for i in range(5000)}))
    otlp.close(10.0)
    assert otlp.sent() == Sent(1, 0)
    assert len(there.requests) > 1
    assert max(request.ByteSize() for request in there.requests) < 4_000_000


# --- deltas -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def _deltas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")


@pytest.mark.usefixtures("_deltas")
def test_deltas_add_up_to_the_totals(there: Receiver, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", OFTEN_MS)
    otlp = make()
    for n, totals in enumerate(({"train": 5}, {"train": 5, "serve": 2}, {"train": 12, "serve": 3}), 1):
        otlp.push(energy(totals))
        there.wait_for(n)
    otlp.close(5.0)
    assert of_jobs(there) == [("train", 5.0), ("serve", 2.0), ("train", 0.0), ("serve", 1.0), ("train", 7.0)]
    assert sum(of(there, "hw.energy")) == 15.0
    ends = [(p.delta, p.start_ns, p.at_ns) for p in there.points() if p.metric == "hw.energy"]
    seconds = [STARTED.wall_ns + s * 10**9 for s in range(4)]
    assert ends == [(True, seconds[n], seconds[n + 1]) for n in range(3)]


@pytest.mark.usefixtures("_deltas")
def test_a_delta_that_did_not_arrive_is_in_the_next(there: Receiver, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", OFTEN_MS)
    otlp = make()
    otlp.push(energy({"train": 5}))
    there.wait_for(1)
    there.mood = "refuse"
    otlp.push(energy({"train": 8}))
    there.wait_for(1, asked=2)
    there.mood = "take"
    otlp.push(energy({"train": 12}))
    otlp.close(5.0)
    assert sum(j for _, j in of_jobs(there)) == 12.0


# --- receivers that are not well --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_nobody_listening_is_a_counted_failure_and_the_end_is_in_time(
    protocol: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(nowhere(), protocol, monkeypatch)
    otlp = make()
    otlp.push(energy({"train": 5}))
    before = clock.elapsed_ns()
    otlp.close(0.5)
    assert (clock.elapsed_ns() - before) / 1e9 < 2.0
    assert otlp.sent()[:2] == (0, 1)
    assert otlp.sent().last_error


def test_a_receiver_that_hangs_holds_up_neither_push_nor_the_end(
    there: Receiver, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", OFTEN_MS)
    there.mood = "hang"
    otlp = make()
    otlp.push(energy({"train": 5}))
    there.wait_for(0, asked=1)
    before = clock.elapsed_ns()
    for joules in range(1000):
        otlp.push(energy({"train": joules}))
    otlp.close(0.2)
    assert (clock.elapsed_ns() - before) / 1e9 < 2.0
    assert otlp.sent() == Sent(0, 1, "not taken within the 0.2 s there were at the end")
    there.release()


def test_one_line_when_it_begins_to_fail_and_one_when_it_delivers_again(
    there: Receiver, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", OFTEN_MS)
    there.mood = "refuse"
    otlp = make()
    for n in range(1, 4):
        otlp.push(energy({"train": n}))
        there.wait_for(0, asked=n)
    there.mood = "take"
    there.wait_for(1)
    otlp.close(5.0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith(f"wattledger: otlp: {there.endpoint}: ")
    assert lines[1].startswith("wattledger: otlp: delivering again, after ")
    assert otlp.sent().delivered == 1
    assert otlp.sent().failed >= 3


def test_at_exit_a_receiver_that_hangs_is_left_in_time(there: Receiver, make: Make) -> None:
    there.mood = "hang"
    otlp = make(at_exit_s=0.5)
    otlp.push(energy({"train": 5}))
    before = clock.elapsed_ns()
    otlp.close(0.5)
    assert (clock.elapsed_ns() - before) / 1e9 < 2.5
    assert otlp.sent()[:2] == (0, 1)
    there.release()
