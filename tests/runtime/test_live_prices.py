"""Prices while a session lasts: the grid's as its provider says it, money by the hour; nothing that fails stops it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.factors.grid.served import HOUR, KEY, Asked, Service, said, standing
from tests.runtime.books.read import BOOKS, by_job, energies, intensities, uj
from tests.runtime.programs import PRELUDE, python, rigged

from wattledger.core.facts import IntensityFact
from wattledger.core.model import Factor, Sample
from wattledger.runtime import clock
from wattledger.runtime.config import Config, ConfigError, Value
from wattledger.runtime.live_prices import LivePrices

PATIENCE_S = 20


class Grid:
    """An Electricity Maps service: what each zone's present hour is held to be, and how often it was asked."""

    def __init__(self) -> None:
        self.grams: dict[str, float] = {"DE": 100.0, "FR": 40.0, "GB": 150.0}
        self.boundary = "direct"
        self.holding = threading.Event()
        self.holding.set()
        self.version = 0

    def history(self, asked: Asked) -> object:
        self.version += 1
        self.holding.wait(PATIENCE_S)
        zone, hour_s = asked.words["zone"], clock.now().wall_ns // 1_000_000_000 // HOUR * HOUR
        rows = [self._row(zone, hour_s - n * HOUR) for n in range(24)]
        return {"zone": zone, "history": rows, "temporalGranularity": "hourly"}

    def _row(self, zone: str, start_s: int) -> dict[str, object]:
        return {"zone": zone, "carbonIntensity": self.grams[zone], "datetime": said(start_s), "updatedAt": said(start_s + 60),
                "createdAt": said(start_s), "emissionFactorType": self.boundary, "isEstimated": True,
                "estimationMethod": "TIME_SLICER_AVERAGE", "temporalGranularity": "hourly"}  # fmt: skip


@pytest.fixture
def grid() -> Grid:
    return Grid()


@pytest.fixture
def service(grid: Grid) -> Iterator[Service]:
    replies = {"/carbon-intensity/history": grid.history}
    with standing(replies) as found:
        yield found


def words(service: Service | None, **more: object) -> Config:
    url = "http://127.0.0.1:9/api" if service is None or service.server is None else service.server.url("/api")
    usual = {"grid.zone": "DE", "grid.provider": "electricitymaps", "grid.electricitymaps.url": url, "grid.period_s": 1.0}
    return Config({name: Value(value, "a test") for name, value in {**usual, **more}.items()})


class Session:
    """Prices as a session has them.  State: what was put to the sampler, learnt and said."""

    def __init__(self, config: Config, environ: dict[str, str] | None = None, known: Sequence[IntensityFact] = ()) -> None:
        self.put: list[Sample] = []
        self.learnt: list[IntensityFact] = []
        self.lines: list[str] = []
        self.live = LivePrices(config, {"ELECTRICITYMAPS_API_KEY": KEY} if environ is None else environ, None, self._put)
        self.live.follow(lambda: known, self._learn, self.lines.append)

    def _put(self, samples: Iterable[Sample]) -> None:
        self.put += samples

    def _learn(self, facts: Sequence[IntensityFact]) -> None:
        self.learnt += facts

    @property
    def grid(self) -> Factor:
        return self.live.now().factors["grid"]

    def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline, (self.put, self.lines)
            time.sleep(0.02)


@pytest.fixture
def open_session() -> Iterator[Callable[..., Session]]:
    opened: list[Session] = []

    def make(*given: Any, **more: Any) -> Session:
        opened.append(Session(*given, **more))
        return opened[-1]

    yield make
    for each in opened:
        each.live.stop()


def test_the_providers_word_takes_the_tables_place_and_is_learnt(
    grid: Grid, service: Service, open_session: Callable[..., Session]
) -> None:
    session = open_session(words(service))
    session.until(lambda: session.grid.origin == "electricitymaps")
    assert (session.grid.value, session.grid.zone, session.grid.quality) == (100.0, "DE", "live-estimated")
    session.until(lambda: session.learnt)
    assert {fact.ug_per_kwh for fact in session.learnt} == {100_000_000}
    assert session.live.grid_age_s() == 0.0
    assert all(asked.words["shouldUseFallbackCallerLookup"] == "false" for asked in service.asked)
    grid.grams["DE"] = 107.0
    session.until(lambda: session.grid.value == 107.0)
    assert [factor.value for factor in session.put if isinstance(factor, Factor) and factor.kind == "grid"][-2:] == [100.0, 107.0]


def test_a_lifecycle_figure_holds_its_upstream_part_and_none_stands_beside_it(
    grid: Grid, service: Service, open_session: Callable[..., Session]
) -> None:
    grid.boundary = "lifecycle"
    session = open_session(words(service, **{"grid.zone": "GB", "grid.electricitymaps.factors": "lifecycle"}))
    session.until(lambda: session.grid.origin == "electricitymaps")
    assert "upstream" not in session.live.now().factors
    upstream = [factor.quality for factor in session.put if isinstance(factor, Factor) and factor.kind == "upstream"]
    assert upstream[-1] == "unknown"
    assert "unknown" not in upstream[:-1]


def test_a_direct_figure_has_the_tables_upstream_part_beside_it(service: Service, open_session: Callable[..., Session]) -> None:
    session = open_session(words(service, **{"grid.zone": "GB"}))
    session.until(lambda: session.grid.origin == "electricitymaps")
    assert session.live.now().factors["upstream"].quality != "unknown"


def test_another_zone_at_a_reload_and_the_word_of_the_old_one_comes_too_late(
    grid: Grid, service: Service, open_session: Callable[..., Session]
) -> None:
    session = open_session(words(service))
    session.until(lambda: session.grid.value == 100.0)
    grid.holding.clear()  # a question about DE is under way while the words change
    asked = len(service.asked)
    session.until(lambda: len(service.asked) > asked)
    grid.grams["DE"] = 666.0
    session.live.renew(words(service, **{"grid.zone": "FR"}))
    assert session.grid.zone == "FR"
    grid.holding.set()
    session.until(lambda: session.grid.value == 40.0)
    time.sleep(0.3)
    assert (session.grid.zone, session.grid.value) == ("FR", 40.0)
    assert 666.0 not in [factor.value for factor in session.put if isinstance(factor, Factor)]


@pytest.mark.parametrize("wrong", [{"grid.zone": "Atlantis"}, {"tariff.hours": "25-26:1"}, {"tariff.file": "/no/such/file.csv"},
                                   {"facility.pue": 0.2}])  # fmt: skip
def test_wrong_words_are_one_line_and_all_that_was_in_force_stays(
    service: Service, open_session: Callable[..., Session], wrong: dict[str, object]
) -> None:
    session = open_session(words(service, **{"tariff.per_kwh": 0.3}))
    session.until(lambda: session.grid.value == 100.0)
    before = session.live.now()
    with pytest.raises(ConfigError) as caught:
        session.live.renew(words(service, **wrong))
    assert "\n" not in str(caught.value)
    assert session.live.now() == before
    asked = len(service.asked)
    session.until(lambda: len(service.asked) > asked)


def test_offline_it_begins_with_what_the_books_hold_or_the_table(open_session: Callable[..., Session]) -> None:
    now_s = clock.now().wall_ns // 1_000_000_000
    known = IntensityFact("DE", now_s - now_s % HOUR, HOUR, 123_000_000, "electricitymaps")
    session = open_session(words(None), known=[known])
    assert (session.grid.value, session.grid.quality) == (123.0, "live")
    bare = open_session(words(None))
    bare.until(lambda: bare.lines)
    assert bare.grid.quality in ("country-annual", "annual-average")
    [line, *more] = bare.lines
    assert line.startswith("grid electricitymaps:")
    assert all("annual average stands in" in each for each in more)


def test_without_a_key_the_table_stands_and_one_line_says_what_to_set(open_session: Callable[..., Session]) -> None:
    session = open_session(words(None), {})
    [line] = session.lines
    assert "ELECTRICITYMAPS_API_KEY" in line
    assert session.grid.origin != "electricitymaps"
    assert session.live.grid_age_s() is None


def test_a_tariff_that_is_taken_out_leaves_the_price_unknown_not_as_it_was(open_session: Callable[..., Session]) -> None:
    session = open_session(Config({"tariff.per_kwh": Value(0.3, "a test")}))
    assert session.live.now().factors["tariff"].value == 0.3
    found = session.live.renew(Config({})).factors["tariff"]
    assert (found.value, found.quality) == (0.0, "unknown")


def test_an_hour_without_a_price_has_no_cost(open_session: Callable[..., Session]) -> None:
    hour = time.gmtime(clock.now().wall_ns / 1e9).tm_hour
    later = f"{(hour + 2) % 24}-{(hour + 3) % 24}:0.5"
    tariff = open_session(Config({"tariff.hours": Value(later, "a test")})).live.now().factors["tariff"]
    assert tariff.quality == "unknown"


RUN = """
with track(job="priced") as run:
    burn(0.3)
    print("go", flush=True)
    sys.stdin.readline()
    burn(0.3)
time.sleep(0.3)
out(final(run).to_dict())
"""


def test_a_run_over_which_the_grid_changes_is_priced_at_each_figure(tmp_path: Path, grid: Grid, service: Service) -> None:
    assert service.server is not None
    env = rigged(tmp_path, ELECTRICITYMAPS_API_KEY=KEY, WATTLEDGER_GRID_PROVIDER="electricitymaps", WATTLEDGER_GRID_ZONE="DE",
                 WATTLEDGER_GRID_ELECTRICITYMAPS_URL=service.server.url("/api"), WATTLEDGER_GRID_PERIOD_S="1",
                 WATTLEDGER_TARIFF_HOURS="0-24:0.25", WATTLEDGER_TARIFF_CURRENCY="EUR")  # fmt: skip
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PRELUDE + RUN], env=env, text=True, **pipes) as program:  # type: ignore[call-overload]
        assert program.stdout.readline() == "go\n"
        time.sleep(1)
        grid.grams["DE"] = 300.0
        asked = grid.version
        deadline = time.monotonic() + PATIENCE_S
        while grid.version < asked + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        out, err = program.communicate("\n", timeout=PATIENCE_S)
    assert program.returncode == 0, err
    assert KEY not in err
    found = json.loads(out.splitlines()[-1])
    live = [factor["value"] for factor in found["factors"] if factor["kind"] == "grid" and factor["origin"] == "electricitymaps"]
    assert live == [100.0, 300.0]
    grams, kwh = found["emissions_g"]["location_based"]["value"], found["energy_j"]["value"] / 3.6e6
    assert 100.0 * kwh < grams < 300.0 * kwh
    assert found["cost"] == {"value": pytest.approx(0.25 * kwh), "currency": "EUR"}
    folder = tmp_path / "XDG_STATE_HOME" / BOOKS
    assert by_job(energies(folder)) == {"priced": uj(found["energy_j"]["value"])}
    now = max(fact.start_s for fact in intensities(folder))
    assert [fact.ug_per_kwh for fact in intensities(folder) if fact.start_s == now] == [100_000_000, 300_000_000]
    assert {fact.key.zone for fact in energies(folder)} == {"DE"}


def test_what_the_books_hold_of_the_grid_is_not_asked_for_again(tmp_path: Path, service: Service) -> None:
    assert service.server is not None
    env = rigged(tmp_path, ELECTRICITYMAPS_API_KEY=KEY, WATTLEDGER_GRID_PROVIDER="electricitymaps", WATTLEDGER_GRID_ZONE="DE",
                 WATTLEDGER_GRID_ELECTRICITYMAPS_URL=service.server.url("/api"))  # fmt: skip
    code = """
with track(job="one") as run:
    for _ in range(150):
        time.sleep(0.1)
        if any(factor.origin == "electricitymaps" for factor in run.footprint.factors):
            break
out([factor.origin for factor in final(run).factors if factor.kind == "grid"])
"""
    assert "electricitymaps" in python(code, env).value
    asked = len(service.asked)
    assert python(code, env).value == ["electricitymaps"]
    assert len(service.asked) == asked


def test_an_hour_of_another_rate_costs_what_it_costs(tmp_path: Path) -> None:
    """A file's rates change while the run goes on; the seconds are the file's own, so nobody waits for an hour."""
    now_s = clock.now().wall_ns // 1_000_000_000
    edges = [now_s - HOUR, now_s + 4, now_s + HOUR]
    rows = [f"{said(a)},{said(b)},{price}" for a, b, price in zip(edges, edges[1:], (0.1, 0.5), strict=False)]
    (tmp_path / "tariff.csv").write_text("\n".join(["start,end,price_per_kwh", *rows]))
    found = python("""
with track(job="one") as run:
    while time.time() < float(sys.argv[1]):
        burn(0.05)
time.sleep(0.2)
out(final(run).to_dict())
""".replace("sys.argv[1]", str(now_s + 8)), rigged(tmp_path, WATTLEDGER_TARIFF_FILE=str(tmp_path / "tariff.csv"))).value
    kwh = found["energy_j"]["value"] / 3.6e6
    assert [factor["value"] for factor in found["factors"] if factor["kind"] == "tariff"] == [0.1, 0.5]
    assert 0.1 * kwh < found["cost"]["value"] < 0.5 * kwh
