"""``report … --plot``: the power over time of what is reported on; what lies under the curve is what the report says."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.accounting.made_reports import KWH, H, add, asked, books, said, used
from tests.architecture.test_rooms import PATH
from tests.cli.front import Front, is_one_line, own_place
from tests.ledger.made import NOON_S, key

from wattledger.accounting.report_ask import Ask, Rules
from wattledger.cli import report_plot
from wattledger.cli.report_html_figures import power_said
from wattledger.cli.report_power import MOST_STEPS, Curve, Layer, curve, cut, scope_of
from wattledger.core.facts import EnergyFact, GapFact, RunFact
from wattledger.ledger.books import Books

matplotlib = pytest.importorskip("matplotlib", reason="plots need Matplotlib (the extra plots)")
SVG = "{http://www.w3.org/2000/svg}"
DAY_S = 86_400


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def minute(n: int, joules: float, *, seen_s: float = 60, **more: Any) -> EnergyFact:
    """So many joules of job-0 in the n-th minute after noon."""
    of = key(pue_milli=1200)._replace(**more)
    return EnergyFact(of, NOON_S + 60 * n, 60, round(seen_s * 1000), round(joules * 1e6), round(joules * 1e4))


def drawn(place: Path, ask: Ask, run: str | None = None) -> Curve:
    with Books([place]) as opened:
        return curve(opened, ask, Rules(), run)


def some(tmp_path: Path) -> Path:
    """Two hours of a job on two hosts and components, of which one is modelled; another job; two prices."""
    parts: list[Any] = [minute(n, 6000 + n) for n in range(120)]
    parts += [minute(n, 600, component="cpu", device="cpu", method="estimated") for n in range(0, 120, 2)]
    parts += [minute(n, 900, host="gpu-8", meter="agent:gpu-8", zone="FR", run="run-b") for n in range(30, 50)]
    parts += [minute(n, 3000, job="other", run="run-c", device="GPU-other") for n in range(10)]
    return books(tmp_path, [*parts, said(0, 100), said(1, 300)])


ASKED = {
    "a job": Ask("job", "job-0"),
    "all jobs": Ask("job"),
    "a host": Ask("host", "gpu-8"),
    "a device": Ask("device", "GPU-other"),
    "a model": Ask("model", "m"),
    "a day": Ask("day", "2026-09-21"),
    "a part of the time, cut through minutes": Ask("job", "job-0", NOON_S + 90, NOON_S + H + 10),
}


@pytest.mark.parametrize("name", list(ASKED))
def test_what_lies_under_the_curve_is_what_the_report_says(tmp_path: Path, name: str) -> None:
    place = some(tmp_path)
    found = asked(place, ASKED[name])["rows" if ASKED[name].name else "total"]
    found = found[0] if isinstance(found, list) else found
    got = drawn(place, ASKED[name])
    assert got.energy_j.to_dict() == found["energy_j"]
    assert got.location_g is not None
    assert got.location_g.to_dict() == found["emissions_g"]["location_based"]
    assert sum(step.total_w * step.metered_s for step in got.steps) == pytest.approx(found["energy_j"]["value"])
    assert sum(step.emitted_g or 0 for step in got.steps) == pytest.approx(found["emissions_g"]["location_based"]["value"])


@pytest.mark.parametrize("step_s", [60, 90, 3600, 86_400])
def test_pieces_of_any_length_add_up_to_the_whole_exactly(tmp_path: Path, step_s: int) -> None:
    place, ask = some(tmp_path), Ask("job", "job-0", NOON_S + 30)
    whole = asked(place, ask)["total"]["energy_uj"]
    with Books([place]) as opened:
        sums = cut(opened, scope_of(ask), ask, Rules(), step_s=step_s).sums
    assert round(sum(each.energy_uj() for each in sums.values())) == whole
    assert all(at_s % step_s == 0 for at_s in sums)


def test_a_run_is_drawn_alone(tmp_path: Path) -> None:
    place = some(tmp_path)
    got = drawn(place, Ask("job"), "run-b")
    assert got.energy_j.value == pytest.approx(20 * 900)
    assert [grid.zone for grid in got.grid] == ["FR"]
    assert (got.steps[0].start_s, got.steps[-1].end_s) == (NOON_S + 30 * 60, NOON_S + 50 * 60)
    assert got.who == "run run-b"


def test_measured_and_modelled_power_are_layers_of_their_own(tmp_path: Path) -> None:
    got = drawn(some(tmp_path), Ask("job", "job-0"))
    assert report_plot.layers(got.steps) == [Layer("gpu", False), Layer("cpu", True)]
    assert got.steps[0].power_w == pytest.approx({Layer("gpu", False): 100.0, Layer("cpu", True): 10.0})
    svg = report_plot.power(got, power_said(got), "svg").decode()
    for words in ("gpu, measured", "cpu, estimated (a model)", "power, W", "gCO2e/kWh", "gCO2e/h", "time, UTC", "2026-09-21"):
        assert words in svg


def test_a_time_of_which_nothing_is_booked_is_a_hole_and_no_zero(tmp_path: Path) -> None:
    gap = GapFact("agent:gpu-7", "gpu-7", "GPU-00000000", (NOON_S + 60) * 1000, (NOON_S + 90) * 1000, "reset")
    elsewhere = gap._replace(host="gpu-9")
    place = books(tmp_path, [*(minute(n, 600) for n in (0, 1, 2, 10, 11)), gap, elsewhere])
    got = drawn(place, Ask("job", "job-0"))
    assert got.holes == ((NOON_S + 180, NOON_S + 600),)
    assert got.unseen == ((NOON_S + 60, NOON_S + 90),)
    assert {step.total_w for step in got.steps} == {10.0}
    svg, words = report_plot.power(got, power_said(got), "svg").decode(), power_said(got).summary
    assert "nothing booked" in svg
    assert "a device not seen" in svg
    assert "In 1 gap, 7 min together, nothing is booked." in words


def test_a_minute_that_was_metered_in_part_is_drawn_as_long_as_that(tmp_path: Path) -> None:
    place = books(tmp_path, [minute(0, 200, seen_s=20), minute(1, 600), minute(2, 100, seen_s=10)])
    first, _, last = drawn(place, Ask("job", "job-0")).steps
    assert (first.start_s, first.end_s, first.total_w) == (NOON_S + 40, NOON_S + 60, 10)
    assert (last.start_s, last.end_s, last.total_w) == (NOON_S + 120, NOON_S + 130, 10)


def test_a_short_run_is_drawn_up_to_its_end(tmp_path: Path) -> None:
    ended = RunFact("ended", "agent:gpu-7", "gpu-7", (NOON_S + 45) * 1000, run="run-0", job="job-0")
    [step] = drawn(books(tmp_path, [minute(0, 250, seen_s=25), ended]), Ask("job", "job-0")).steps
    assert (step.start_s, step.end_s, step.total_w) == (NOON_S + 20, NOON_S + 45, 10)


def test_a_long_time_is_drawn_in_few_steps_and_short_facts_in_none_finer(tmp_path: Path) -> None:
    days = drawn(books(tmp_path, [minute(n * 60, 600) for n in range(24 * 40)]), Ask("job", "job-0"))
    assert len(days.steps) <= MOST_STEPS
    hours = drawn(books(tmp_path, [used(1, hour=n, length_s=H) for n in range(5)]), Ask("job", "job-0"))
    assert (hours.step_s, len(hours.steps)) == (H, 5)
    assert {step.total_w for step in hours.steps} == {1000.0}


def test_the_grid_is_under_the_curve_by_zone_with_its_quality(tmp_path: Path) -> None:
    got = drawn(some(tmp_path), Ask("job", "job-0"))
    assert [(grid.zone, grid.quality) for grid in got.grid] == [("DE", "live"), ("FR", "zone-annual")]
    assert [value for _, _, value in got.grid[0].steps] == [100, 300]
    first = got.steps[0]
    assert first.g_per_h == pytest.approx(first.total_w / 1000 * 100 * 1.2)


@pytest.mark.parametrize("name", ["p.svg", "p.png"])
def test_the_same_facts_give_the_same_picture_whatever_the_users_settings(
    front: Front, tmp_path: Path, name: str
) -> None:  # fmt: skip
    place, made = some(tmp_path), []
    for settings in ({}, {"axes.facecolor": "red", "svg.hashsalt": "mine", "font.size": 30}):
        with matplotlib.rc_context(settings):
            got = front("report", "job", "job-0", "--ledger", str(place), "--plot", name)
        assert (got.status, got.err) == (0, "")
        made.append(Path(name).read_bytes())
    assert made[0] == made[1]
    assert got.out == front("report", "job", "job-0", "--ledger", str(place)).out


def test_a_name_is_text_in_the_picture_and_nothing_else(front: Front, tmp_path: Path) -> None:
    evil = "</text><script>&$\\frac{x$#16211d"
    place = books(tmp_path, [used(1, job=evil)])
    assert front("report", "job", evil, "--ledger", str(place), "--plot", "p.svg").status == 0
    root = ElementTree.parse("p.svg").getroot()
    assert not list(root.iter(f"{SVG}script"))
    title, desc = (root.find(f"{SVG}{tag}") for tag in ("title", "desc"))
    assert title is not None
    assert desc is not None
    assert str(title.text).startswith("Power of job </text><script>")
    assert "From 2026-09-21 12:00:00 UTC" in str(desc.text)
    assert any("<script>" in (text.text or "") for text in root.iter(f"{SVG}text"))


def test_no_window_is_opened_and_pyplots_state_is_left_alone(tmp_path: Path) -> None:
    place = some(tmp_path)
    words = ["report", "job", "--ledger", str(place), "--plot", str(tmp_path / "p.png")]
    code = f"import sys\nfrom wattledger.cli import main\nmain({words!r})\nprint('matplotlib.pyplot' in sys.modules)"
    environ = {"PYTHONPATH": PATH, "HOME": str(tmp_path), "PATH": "", "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout.splitlines()[-1]) == (0, "", "False")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


WRONG = {
    ("job", "job-0", "--plot", "p.pdf"): "the name must end in .svg or .png",
    ("job", "job-0", "--run", "run-0"): "name a file, too",
    ("job", "job-0", "--run", "run-1", "--plot", "p.svg"): "--run 'run-1': no such run in the books; did you mean 'run-0'?",
    ("job", "job-0", "--plot", "none/p.svg"): "--plot none/p.svg: cannot be written",
    ("job", "--from", "2027-01-01", "--plot", "p.svg"): "nothing is booked for all jobs: there is no power to plot",
}


@pytest.mark.parametrize("words", list(WRONG))
def test_what_cannot_be_drawn_is_one_line_and_no_file(front: Front, tmp_path: Path, words: tuple[str, ...]) -> None:
    place = books(tmp_path, [used(1)])
    before = {*tmp_path.iterdir(), tmp_path / ".cache"}  # Matplotlib's, for its fonts, where the home is new
    got = front("report", *words, "--ledger", str(place))
    assert (got.status, got.out) == (2, "")
    assert is_one_line(got.err)
    assert WRONG[words] in got.err
    assert set(tmp_path.iterdir()) <= before


def test_energy_of_no_known_zone_stands_under_the_worlds_average(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1, zone="")])
    got = drawn(place, Ask("job", "job-0"))
    assert [(grid.zone, grid.quality) for grid in got.grid] == [("world average", "world")]
    add(place, [used(1, hour=2)], NOON_S + 40 * DAY_S)
    assert drawn(place, Ask("job", "job-0")).energy_j.value == pytest.approx(2 * KWH / 1e6)
