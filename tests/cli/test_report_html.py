"""``report … --html``: one page that needs nothing else, says what ``--json`` says, and does nothing whatever a name says."""

import json
import re
import sys
from collections import Counter
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_reports import H, add, books, said, used
from tests.cli.front import Front, is_one_line, own_place
from tests.ledger.made import NOON_S, divided, work

pytest.importorskip("matplotlib", reason="plots need Matplotlib (the extra plots)")
EVIL = "</title></style><script>alert('1')</script>{{7*7}}\"&<img src=x onerror=y>"
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Tags with their attributes, what is open must be closed, and the text by the tag it stands in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_data(" ")  # what stands in another cell is another word
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def all(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]

    def count(self, tag: str) -> int:
        return sum(1 for each, _ in self.tags if each == tag)


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two jobs in three hours, one of them modelled and one with idle energy, with a price; and tokens."""
    facts = [used(2), used(1, hour=1), used(0.5, hour=2, use="held"), used(0.5, job=EVIL, method="estimated"), said(0, 100)]
    return books(tmp_path, [*facts, work(), divided(prompt=3, generated=4)])


def page(front: Front, place: Path, *words: str) -> Page:
    got = front("report", *words, "--ledger", str(place), "--html", "r.html")
    assert (got.status, got.err) == (0, "")
    return Page(Path("r.html").read_text())


KINDS = ("job", "model", "device", "host", "day")


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_says_the_sums_of_the_answer_and_its_hash(front: Front, place: Path, kind: str) -> None:
    found = page(front, place, kind)
    answer = front("report", kind, "--ledger", str(place), "--json").out
    assert sha256(answer.encode()).hexdigest() in found.texts["code"]
    text = " ".join(found.texts["body"][0].split())
    assert "4 kWh" in text
    for name, why in json.loads(answer)["not_known"].items():
        assert why in text, name
    for note in json.loads(answer)["notes"]:
        assert note in text
    for words in ("Measured by sensors", "87.5 %", "zone-annual", "Intervals are 95 %"):
        assert words in text
    assert "wattledger.report/1; of books whose last fact is of 2026-" in text


def test_a_line_for_every_row_and_one_for_all(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [used(1, job=f"job-{n:03}") for n in range(60)])
    found = page(front, place, "job")
    names = [text for text in found.texts["th"] if re.fullmatch(r"job-\d{3}", text)]
    assert sorted(names[-60:]) == [f"job-{n:03}" for n in range(60)]  # the tables of the figures stand before
    assert "the other 40" in found.texts["th"]
    assert found.texts["tfoot"][0].split()[:3] == ["all", "60", "kWh"]


@pytest.mark.parametrize("words", [("job",), ("job", EVIL), ("model", "m", "--by", "tenant"), ("day",), ("job", "--by", "hour")])
def test_whatever_a_name_says_it_is_text(front: Front, place: Path, words: tuple[str, ...]) -> None:
    found = page(front, place, *words)
    assert found.count("script") == found.count("img") == 0
    assert found.count("title") == 1 + found.count("svg")
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    if "model" not in words and "day" not in words:
        assert EVIL in found.texts["body"][0]
    assert "49" not in found.texts["h1"][0]


@pytest.mark.parametrize("words", [("job",), ("job", "job-0"), ("day",)])
def test_the_page_needs_nothing_from_elsewhere(front: Front, place: Path, words: tuple[str, ...]) -> None:
    found = page(front, place, *words)
    policy = [a["content"] for tag, a in found.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert {tag for tag, _ in found.tags} & {"script", "link", "img", "iframe", "object", "embed", "base", "form"} == set()
    assert found.all("src") == []
    assert all(each.startswith("#") for each in (*found.all("href"), *found.all("xlink:href")))
    styles = " ".join([*found.texts["style"], *found.all("style"), *found.all("clip-path"), *found.all("fill")])
    assert "@import" not in styles
    assert all(each.startswith("#") for each in re.findall(r"url\(\s*['\"]?([^)]*)", styles))


@pytest.mark.parametrize("words", [("job",), ("job", "job-0"), ("day",)])
def test_every_figure_has_words_and_a_table_and_ids_are_unique(front: Front, place: Path, words: tuple[str, ...]) -> None:
    found = page(front, place, *words)
    assert found.count("figure") == found.count("svg") == found.count("figcaption") == found.count("details") >= 2
    assert found.count("table") == found.count("caption") > found.count("figure")
    assert all(attributes.get("role") == "img" for tag, attributes in found.tags if tag == "svg")
    assert found.count("desc") == found.count("svg")
    ids = Counter(found.all("id"))
    assert [name for name, times in ids.items() if times > 1] == []
    used_ids = {each.lstrip("#") for each in (*found.all("aria-labelledby"), *found.all("xlink:href"))}
    used_ids |= set(re.findall(r"url\(#([^)]+)\)", Path("r.html").read_text()))
    assert used_ids <= set(ids)
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(a.get("scope") in ("col", "row") for tag, a in found.tags if tag == "th")


def test_the_same_facts_give_the_same_bytes(front: Front, place: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        assert front("report", "job", "--ledger", str(place), "--html", name).status == 0
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.html*")) == ["a.html", "b.html"]
    assert list(tmp_path.glob(".*html*")) == []


def test_the_answer_stays_where_it_is_and_as_it_is(front: Front, place: Path) -> None:
    for words in ((), ("--json",), ("--csv",)):
        plain = front("report", "job", *words, "--ledger", str(place)).out
        assert front("report", "job", *words, "--ledger", str(place), "--html", "r.html").out == plain


def test_hours_are_drawn_for_days_and_days_for_months(front: Front, tmp_path: Path) -> None:
    hours = books(tmp_path, [used(1, hour=n) for n in range(30)])
    days = books(tmp_path, [used(1, hour=24 * n) for n in range(20)])
    assert "Energy and CO2e by hour" in page(front, hours, "job").texts["h3"]
    assert "Energy and CO2e by day" in page(front, hours, "job", "--by", "day").texts["h3"]
    assert "Energy and CO2e by day" in page(front, days, "job").texts["h3"]
    one = page(front, books(tmp_path, [used(1)]), "job").texts["h3"]
    assert not [title for title in one if title.startswith("Energy and CO2e by")]


def test_an_interval_is_never_left_out_and_the_unknown_is_never_zero(front: Front, tmp_path: Path) -> None:
    found = page(front, books(tmp_path, [used(1), work(7)]), "job")
    text = " ".join(found.texts["body"][0].split())
    assert re.search(r"Energy 1 kWh 0\.\d+ to 1\.\d+ kWh", text)
    assert "market-based no contracts, no residual mix" in text
    rows = [text.split() for text in found.texts["tr"] if text.split()[:1] == ["job-7"]]
    assert set(rows[-1][1:]) == {"?"}


def test_books_without_energy_are_a_page_that_says_so(front: Front, tmp_path: Path) -> None:
    add(tmp_path / "empty", [], NOON_S)
    found = page(front, tmp_path / "empty", "job")
    assert "Nothing is booked for it." in found.texts["body"][0]
    assert found.count("svg") == 0


def test_the_question_is_told(front: Front, place: Path) -> None:
    words = ("--from", "2026-09-21", "--to", "2026-09-22", "--as-of", "2026-12-01", "--by", "hour", "--zone", "FR")
    text = " ".join(page(front, place, "job", "job-0", *words).texts["dl"][0].split())
    for told in ("job job-0", "2026-09-21T00:00:00Z", "2026-09-22T00:00:00Z", "2026-12-01T00:00:00Z", "Cut by hour", "FR"):
        assert told in text


@pytest.mark.parametrize("option", ["--html", "--plot"])
def test_without_matplotlib_one_line_says_what_to_install(
    front: Front, place: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    got = front("report", "job", "--ledger", str(place), option, "r.svg")
    assert (got.status, got.out) == (2, "")
    assert got.err == f"wattledger: report: {option} needs matplotlib: pip install 'wattledger[plots]'\n"
    assert not Path("r.svg").exists()


def test_a_page_that_cannot_be_written_is_one_line_and_leaves_what_was_there(front: Front, place: Path) -> None:
    got = front("report", "job", "--ledger", str(place), "--html", "none/r.html")
    assert (got.status, got.out) == (2, "")
    assert is_one_line(got.err)
    Path("r.html").write_text("before")
    assert front("report", "job", "nobody", "--ledger", str(place), "--html", "r.html").status == 2
    assert Path("r.html").read_text() == "before"


def test_a_year_of_hours_is_no_figure_of_hours(front: Front, tmp_path: Path) -> None:
    facts: list[Any] = [used(1), used(1, hour=24 * 40)]
    found = page(front, books(tmp_path, facts, NOON_S + 50 * 24 * H), "job", "--by", "hour")
    assert not [title for title in found.texts["h3"] if title.startswith("Energy and CO2e by")]
