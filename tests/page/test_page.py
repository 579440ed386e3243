"""The front page: well-formed, says the snapshot's figures, escapes whatever a user chose, and stays small."""

import gzip
import re
from email.message import Message
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from tests.page.boards import GRID, Element, J, at, board, snapshot, tree, workload

from wattledger.core.model import Workload
from wattledger.core.totals import EnergyKey, Health
from wattledger.runtime.html import render
from wattledger.runtime.page import words
from wattledger.runtime.page.board import Board
from wattledger.runtime.page.books import Place
from wattledger.runtime.page.priced import Rules
from wattledger.runtime.page.routes import Site
from wattledger.runtime.web.pages import Page

NONE = "\N{EN DASH}"
HOSTILE = "<script>alert(1)</script>'\"&{{7*7}}</td>\N{RIGHT-TO-LEFT OVERRIDE}\x00"
LABELS = ("k8s_namespace_name", "k8s_pod_name", "team", "run_id")
EVIL = Workload(HOSTILE, HOSTILE, tuple((name, HOSTILE) for name in LABELS))


def site(of: Board, place: Place | None = None) -> Site:
    return Site(of, lambda: place, Rules, others=("/metrics",))


def page(of: Board, **query: str) -> Page:
    return site(of).front(Message(), query)


def front(of: Board, **query: str) -> Element:
    body = page(of, **query).body
    assert isinstance(body, bytes)
    return tree(body)


def two_jobs() -> Board:
    a, b = workload(1), workload(2)
    first = snapshot({(a, 0): 0, (b, 1): 0}, power_w=(400.0, 100.0))
    return board((0, first), (6, snapshot({(a, 0): 7_200 * J, (b, 1): 360 * J}, power_w=(412.0, 98.0))))


def rows(of: Element, body: str) -> list[list[str]]:
    return [[cell.text for cell in row.inside] for row in of.one("tbody", id=body).inside]


def test_it_has_landmarks_one_heading_tables_with_captions_and_a_skip_link() -> None:
    found = front(two_jobs())
    assert [found.one(tag).tag for tag in ("header", "main", "footer", "h1")] == ["header", "main", "footer", "h1"]
    assert found.one("html").attributes["lang"] == "en"
    first = next(found.one("body").all("a"))
    assert (first.text, first.attributes["href"]) == ("Skip to the figures", "#main")
    assert found.one("main").attributes["id"] == "main"
    tables = list(found.all("table"))
    assert len(tables) == 4
    for table in tables:
        assert table.one("caption").text
        assert all(cell.attributes["scope"] == "col" for cell in table.one("thead").all("th"))
        assert all(cell.attributes["scope"] == "row" for body in table.all("tbody") for cell in body.all("th"))
    assert all(section.attributes["aria-labelledby"] for section in found.all("section"))
    assert found.one("label").attributes["for"] == found.one("input", type="search").attributes["id"]
    assert [e.attributes["id"] for e in found.all() if "role" in e.attributes and e.attributes["role"] == "status"] == ["status"]
    ids = [e.attributes["id"] for e in found.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))


def test_what_it_shows_are_the_snapshots_figures() -> None:
    found = front(two_jobs())
    tiles = {tile.one("dt").text: tile for tile in found.one("dl", id="tiles").inside}
    assert tiles["Power now"].one(class_="value").text == "510 W"
    assert tiles["Energy today"].one(class_="value").text == "9.56 kJ"  # two thousand joules idle, and the jobs'
    assert tiles["Energy today"].one(class_="interval").text == "8.69 kJ to 10.5 kJ (95 %)"  # one model of card: 10 % in common
    assert tiles["CO2e today"].one(class_="value").text == "797 mg"
    assert tiles["Measured"].one(class_="value").text == "100 %"
    assert tiles["Residual"].one(class_="value").text == "0 J"
    assert [row[:4] for row in rows(found, "jobs")] == [
        ["job-001", "412 W", "7.2 kJ", "600 mg"],
        ["job-002", "98 W", "360 J", "30 mg"],
    ]
    assert rows(found, "jobs")[0][4:6] == ["model-1", "team/pod-1"]
    assert [row[:3] for row in rows(found, "rest")] == [["nobody: idle devices that nobody holds", "0 W", "2 kJ"]]
    assert [row[2] for row in rows(found, "devices")] == ["412 W", "98 W"]
    assert rows(found, "sources") == [["nvml", "✓ read", "100 %", "4 ms", "0", NONE]]
    grid = found.one("dl", id="grid").one(class_="tile")
    assert grid.one(class_="value").text == "300 g/kWh"
    assert grid.one(class_="note").text == "zone DE; direct, zone-annual; no live figure; EEA 2023"


def test_what_is_not_known_is_said_and_not_shown_as_zero() -> None:
    found = front(board((0, snapshot({(workload(1), 0): J}, grid=None, method="estimated"))))
    tiles = {tile.one("dt").text: tile.one(class_="value").text for tile in found.one("dl", id="tiles").inside}
    assert tiles["Power now"] == "not known"
    assert "CO2e today" not in tiles
    assert tiles["Measured"] == "0 %"
    assert rows(found, "jobs")[0][1:4] == ["not known", "1 J", "not known"]
    assert found.one("dl", id="grid").one(class_="value").text == "not known"
    assert rows(found, "runs") == [["Not known: no books are kept here ([ledger] enabled)"]]


def test_the_jobs_that_draw_most_come_first_and_the_rest_on_request() -> None:
    many = {(workload(n), n % 8): (n + 1) * J for n in range(200)}
    of = board((0, snapshot(dict.fromkeys(many, 0), gpus=8)), (5, snapshot(many, gpus=8, power_w=(300.0,))))
    found = front(of)
    assert len(rows(found, "jobs")) == 30
    watts = [float(row[1].split()[0]) for row in rows(found, "jobs")]
    assert watts == sorted(watts, reverse=True)
    assert found.one("a", id="all").attributes["href"] == "/?jobs=all"
    assert rows(front(of, sort="energy"), "jobs")[0][0] == "job-199"
    assert "30 of 200 jobs" in found.one("p", id="count").text
    assert len(rows(front(of, jobs="all"), "jobs")) == 200
    assert [row[0] for row in rows(front(of, sort="name"), "jobs")[:2]] == ["job-000", "job-001"]
    assert [row[0] for row in rows(front(of, q="pod-19", sort="energy"), "jobs")] == [
        *(f"job-{n}" for n in range(199, 189, -1)), "job-019",
    ]  # fmt: skip
    assert rows(front(of, q="nobody has this"), "jobs") == [["No job has that in its names."]]
    assert front(of, sort="name").one("th", aria_sort="ascending").text == "Job ▲"


def test_what_nobody_works_for_is_held_by_nobody() -> None:
    of = snapshot({(workload(1), 0): 5 * J})
    held: dict[EnergyKey, int] = {(who, device, how, "held"): uj for (who, device, how, _), uj in of.energy_uj.items()}
    found = front(board((0, of._replace(energy_uj=held))))
    assert rows(found, "jobs")[0][6] == "5 J"
    assert rows(found, "rest")[0][2:7:4] == ["2 kJ", NONE]


@pytest.mark.parametrize(
    ("seconds", "said", "interval"),
    [
        (0, "live; of 11:45 to 12:01 UTC", "273 g/kWh to 330 g/kWh (95 %)"),
        (75, "last-known; of 11:45 to 12:01 UTC, 15 s ago", "239 g/kWh to 376 g/kWh (95 %)"),
    ],
)
def test_the_grid_is_as_sure_as_the_books_say_when_its_slot_is_over(seconds: float, said: str, interval: str) -> None:
    live = GRID._replace(origin="demo", version="", quality="live", g95=1.1)
    live = live._replace(valid_from="2026-11-22T11:45:00Z", valid_to="2026-11-22T12:01:00Z")
    shown = snapshot({(workload(1), 0): J}, grid=live)._replace(marginal=live)
    for tile in front(board((seconds, shown))).one("dl", id="grid").all(class_="tile"):
        assert tile.one(class_="note").text == f"zone DE; direct, {said}; demo"
        assert tile.one(class_="interval").text == interval


def test_every_word_of_a_user_is_shown_as_text_and_does_nothing() -> None:
    looks = [snapshot({(EVIL, 0): uj}, label_names=("team",)) for uj in (0, 9 * J)]
    grid = GRID._replace(zone=HOSTILE, origin=HOSTILE)
    shown = looks[1]._replace(health={HOSTILE: Health(False, 0.1, 3, HOSTILE)}, grid=grid, cost={(EVIL, HOSTILE): 1.5})
    of = board((0, looks[0]), (5, shown), host=HOSTILE)
    for query in ({}, {"part": "live"}, {"q": HOSTILE}, {"q": "script", "sort": HOSTILE, "jobs": HOSTILE, "live": HOSTILE}):
        body = page(of, **query).body
        assert isinstance(body, bytes)
        found = tree(body)
        assert b"<script>alert" not in body
        assert b"49" not in re.sub(rb'(id|href|datetime)="[^"]*"', b"", body).replace(b"08:49", b"")
        assert "\x00" not in body.decode()
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in body.decode()
        assert [e.attributes.get("src", "/static/")[:8] for e in found.all("script")] in ([], ["/static/"])
        assert not [name for e in found.all() for name in e.attributes if name.startswith("on") or name == "style"]
        links = [e.attributes["href"] for e in found.all("a") if "href" in e.attributes]
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in links)
        assert all(link.isascii() and '"' not in link and " " not in link and "<" not in link for link in links)
    assert "<script>alert(1)</script>" in rows(front(of), "jobs")[0][0]


def test_a_runs_page_escapes_too_and_so_does_the_page_of_none() -> None:
    of = board((0, snapshot({(EVIL, 0): 0})), (5, snapshot({(EVIL, 0): 9 * J})))
    for name, status in ((HOSTILE, 200), (f"job:{HOSTILE}", 200), (HOSTILE + "x", 404), ("", 404), ("x" * 5000, 404)):
        answer = site(of).run(Message(), {}, name)
        assert isinstance(answer.body, bytes)
        assert answer.status == status
        tree(answer.body)
        assert b"<script" not in answer.body
        assert len(answer.body) < 20_000


def test_figures_that_are_too_old_are_not_shown_as_of_now_without_a_word() -> None:
    """A tick that hangs: the page is served, and goes on to be polled."""
    of = two_jobs()
    mark = front(of).one("div", id="poll").attributes["hx-get"].rpartition("=")[2]
    of.about = of.about._replace(overdue=lambda seen: seen == at(6))
    assert front(of).one("p", id="status").text.startswith("No new figures since 12:00:06 UTC")
    assert front(of, part="live", said=mark).one("p", id="status").text.startswith("No new figures")
    of.about = of.about._replace(overdue=lambda seen: False)
    assert front(of).one("p", id="status").text == "All sources are read."


def test_the_status_is_sent_again_only_when_it_says_something_else() -> None:
    well, ill = (snapshot({(workload(1), 0): J}, health={"nvml": Health(up, 0.1, 0, "gone")}) for up in (True, False))
    mark = front(board((0, well))).one("div", id="poll").attributes["hx-get"].rpartition("=")[2]
    again = front(board((0, well)), part="live", said=mark)
    assert not list(again.all(id="status"))
    assert list(again.all("tbody", id="jobs"))
    told = front(board((0, ill)), part="live", said=mark)
    assert told.one("p", id="status").text == "Not read: nvml."
    assert told.one("div", id="poll").attributes["hx-get"] != f"/?part=live&said={mark}"


def test_without_the_script_it_is_whole_and_paused_it_asks_nothing() -> None:
    of = two_jobs()
    assert rows(front(of, live="off"), "jobs") == rows(front(of), "jobs")
    paused = front(of, live="off", q="job-001")
    assert not list(paused.all("script"))
    assert not [e for e in paused.all() if "hx-get" in e.attributes]
    assert paused.one("a", id="resume").attributes["href"] == "/?q=job-001"
    assert paused.one("a", id="refresh").attributes["href"] == "/?q=job-001&live=off"


def test_it_is_rendered_once_a_tick_however_many_look() -> None:
    of = two_jobs()
    pages = site(of)
    one, other = (pages.front(Message(), {}).body for _ in range(2))
    assert one is other
    latest = of.latest
    assert latest is not None
    of.post(latest.shown, latest.final, at(8))
    assert pages.front(Message(), {}).body is not one
    for n in range(200):
        pages.front(Message(), {"q": f"{n}"})
    assert len(pages._rendered) <= 32


def test_eight_cards_and_two_hundred_jobs_fit_in_150_kilobytes_with_all_that_they_load() -> None:
    labels = {(workload(n), n % 8): (n + 1) * 1_234_567 for n in range(200)}
    of = board((0, snapshot(dict.fromkeys(labels, 0), gpus=8)), (5, snapshot(labels, gpus=8, power_w=(312.5,))))
    files = sum(len(render.static(name)) for name in render.STATIC)
    first, whole = (page(of, **query).body for query in ({}, {"jobs": "all"}))
    assert isinstance(first, bytes)
    assert isinstance(whole, bytes)
    assert files + len(first) < 100_000
    assert files + len(whole) < 150_000  # and packed, as browsers ask for it:
    packed = sum(len(gzip.compress(body, 1)) for body in (whole, *(render.static(name) for name in render.STATIC)))
    assert packed < 50_000


def test_an_address_can_be_read_back() -> None:
    of = board((0, snapshot({(EVIL, 0): J})), (5, snapshot({(EVIL, 0): 2 * J})))
    link = next(front(of).one("tbody", id="jobs").all("a")).attributes["href"]
    assert link == "/runs/" + quote(HOSTILE, safe="")
    assert front(of, q=HOSTILE).one("a", id="refresh").attributes["href"] == "/?" + urlencode({"q": words.plain(HOSTILE)})


def test_before_the_first_tick_there_is_no_page() -> None:
    assert page(board()).status == 503


@pytest.mark.parametrize("name", sorted(render.STATIC))
def test_a_files_address_says_its_version(name: str) -> None:
    assert f"/static/{name}?v={render.version_of(name)}".encode() in bytes(page(two_jobs()).body)  # type: ignore[arg-type]


def test_the_script_is_the_published_one() -> None:
    import hashlib

    folder = Path(render.__file__).parent / "static"
    # htmx.org 2.0.11, dist/htmx.min.js, as its authors packed it.
    assert hashlib.sha256((folder / "htmx.min.js").read_bytes()).hexdigest() == (
        "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
    )
    assert (folder / "htmx.LICENSE").read_text(encoding="utf-8").startswith("Zero-Clause BSD")


def test_a_snapshot_without_anything_has_a_page() -> None:
    found = front(board((0, snapshot({}, gpus=0, grid=None, health={}))))
    assert rows(found, "jobs") == [["No job has been seen yet."]]
    assert rows(found, "devices") == [["No device is read: wattledger doctor says why."]]


def test_what_ended_is_a_line_so_that_the_column_adds_up() -> None:
    of = snapshot({(workload(1), 0): 5 * J})._replace(retired_uj={"GPU-0": 700 * J})
    lines = rows(front(board((0, of))), "rest")
    assert [line[2] for line in lines] == ["2 kJ", "700 J"]
    assert lines[1][0] == "work that ended and is not listed any more"
    assert lines[1][-1] == NONE
