"""What ``wattledger top`` draws: one line a job, no wider and no more than the terminal has, and what is left out is said."""

import unicodedata

import pytest

from wattledger.cli.top_screen import lines
from wattledger.cli.top_view import Job, Part, View
from wattledger.core.model import IDLE, RETIRED

LONG = "wattledger-nightly-finetune-llama-3.1-405b-instruct-run-0042"
SIZES = [(80, 24), (50, 14), (200, 60), (120, 0), (30, 12), (80, 12)]


def job(name: str, power_w: float | None = 1.0, **labels: str) -> Job:
    who = tuple(sorted({"job_name": name, "model_name": "llama-3.1-8b", **labels}.items()))
    draws = power_w is None or power_w > 0.0
    return Job(who, power_w, 0.5, 1e4, 2.5, 100.0, draws)


def view(jobs: list[Job], devices: int = 9) -> View:
    return View(tuple(jobs), tuple(Part(f"GPU-{n}", "gpu", "NVIDIA H100 80GB HBM3", "counter", 500.0, 1e5) for n in range(devices)))


def drawn(found: View, width: int = 80, height: int = 24, *, show_all: bool = False) -> list[str]:
    return [line.text for line in lines(found, width, height, show_all=show_all)]


BUSY = view([*(job(f"{LONG}-{n:03}", 100.0 - n, pod="p" * 60) for n in range(60)), job(IDLE.job, 50.0)], 9)
CROWD = view([job(f"job-{n}") for n in range(60)], 72)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("found", [BUSY, CROWD, view([]), view([job("a")], 0)])
def test_nothing_is_wider_or_higher_than_the_terminal(found: View, width: int, height: int) -> None:
    said = drawn(found, width, height)
    assert max(map(len, said)) <= width
    assert not height or len(said) <= height


def test_a_name_is_cut_in_its_middle_and_a_job_is_one_line() -> None:
    said = drawn(view([job(LONG, 300.0), job("serve")], 1))
    [cut] = [text for text in said if "300 W" in text]
    name = cut.split()[0]
    head, tail = name.split("…")
    assert len(name) >= 20
    assert (LONG.startswith(head), LONG.endswith(tail)) == (True, True)
    assert len([text for text in said if "10 kJ" in text]) == 2


def test_every_device_is_there_on_a_terminal_of_80_by_24() -> None:
    said = "\n".join(drawn(BUSY))
    assert [f"GPU-{n} " in said for n in range(9)] == [True] * 9


def test_jobs_that_do_not_fit_are_counted_and_the_agents_own_kinds_stay_below() -> None:
    said = drawn(BUSY)
    at = next(n for n, text in enumerate(said) if text.startswith("+ "))
    shown = sum(LONG[:6] in text for text in said[3:])
    assert said[at] == f"+ {60 - shown} more for a higher terminal"
    assert shown >= 8
    assert said[at - 1].startswith("(idle)")
    assert "100 W" in said[3]


def test_more_devices_than_fit_are_counted_and_leave_room_for_jobs() -> None:
    said = drawn(CROWD)
    cards = sum(text.startswith("GPU-") for text in said)
    assert said[-1] == f"+ {72 - cards} more; a higher terminal shows them"
    assert sum(text.startswith("job-") for text in said) >= 3
    assert cards >= 3


def test_what_draws_nothing_is_left_out_and_said_until_it_is_asked_for() -> None:
    found = view([job("train", 5.0), job("untold", None), job("ended", 0.0), job("old", 0.0), job(RETIRED.job, 0.0)], 2)
    said = drawn(found)
    assert "+ 3 that draw nothing; --all shows them" in said
    assert not any("ended" in text for text in said)
    assert any("untold" in text for text in said)
    assert "+ 1 that draws nothing; --all shows it" in drawn(view([job("train"), job("ended", 0.0)]))
    asked = drawn(found, show_all=True)
    assert all(any(text.startswith(name) for text in asked) for name in ("train", "ended", "old", "(retired)"))
    assert not any("draw nothing" in text for text in asked)


def test_columns_go_before_a_name_or_its_watts_do() -> None:
    found = view([job("train-on-everything", 1500.0, pod="train-0")], 1)
    wide, narrow = drawn(found, 160), drawn(found, 34)
    assert wide[2].split() == ["job", "model", "power", "held", "CO2e/h", "energy", "CO2e", "labels"]
    assert narrow[2].split()[:2] == ["job", "power"]
    assert "1500 W" in narrow[3]
    assert "train-on-everything" in narrow[3]


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2Jcleared", "tab\tbed", "\u202eright to left"])
def test_a_name_cannot_break_the_screen(name: str) -> None:
    said = drawn(view([job(name)], 1))
    assert all(text.isprintable() for text in said)
    assert len(said) == 7


def test_wide_letters_take_two_cells() -> None:
    def cells(text: str) -> int:
        return sum(1 + (unicodedata.east_asian_width(char) == "W") for char in text)

    said = drawn(view([job("訓練" * 30, 300.0), job("serve", 200.0)], 1))
    assert max(map(cells, said)) <= 80
    upper, lower = (next(text for text in said if watts in text) for watts in ("300 W", "200 W"))
    assert cells(upper[: upper.index("300 W")]) == cells(lower[: lower.index("200 W")])
