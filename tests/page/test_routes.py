"""The pages on the real server: their addresses, headers and limits, and the same door as the metrics."""

import os
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Mapping
from email.message import Message
from pathlib import Path

import pytest
from tests.page.boards import J, board, snapshot, tree, workload
from tests.runtime.web_clients import ask, served

from wattledger.runtime.html import render
from wattledger.runtime.page.priced import Rules
from wattledger.runtime.page.routes import MOST_ASKED, READING, SEATS, Site
from wattledger.runtime.web.handler import words_of
from wattledger.runtime.web.pages import Below, Page, Reads, Route, text

POLICY = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
    "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
}  # fmt: skip


def pages() -> dict[str, Route]:
    looks = [(0.0, snapshot({(workload(1), 0): 0})), (5.0, snapshot({(workload(1), 0): 9 * J}, power_w=(50.0,)))]
    return Site(board(*looks), lambda: None, Rules, others=("/metrics",)).pages()


PATHS = ("/", "/?part=live", "/runs/job%3Ajob-001", "/runs/none", "/static/page.css", "/static/htmx.min.js")


@pytest.mark.parametrize("path", PATHS)
def test_each_answer_may_load_from_here_only(path: str) -> None:
    with served(pages()) as web:
        reply = ask(web, path)
    assert {*reply.headers["Content-Security-Policy"].split("; ")} == POLICY
    assert (reply.headers["X-Content-Type-Options"], reply.headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert reply.status == (404 if path == "/runs/none" else 200)


def test_a_page_is_never_kept_and_a_file_for_ever() -> None:
    with served(pages()) as web:
        front, style = ask(web, "/"), ask(web, f"/static/page.css?v={render.version_of('page.css')}")
        head = ask(web, "/", "HEAD")
    assert front.headers["Cache-Control"] == "no-store"
    assert front.headers["Content-Type"] == "text/html; charset=utf-8"
    assert style.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"
    assert style.body == render.static("page.css")
    assert (head.body, head.headers["Content-Length"]) == (b"", str(len(front.body)))


def test_only_the_files_that_are_named_are_served() -> None:
    with served(pages()) as web:
        for path in ("/static/", "/static/htmx.LICENSE", "/static/../render.py", "/static/%2e%2e/render.py", "/static/page.css/"):
            assert ask(web, path).status == 404


def test_a_runs_name_is_one_part_of_the_path_unquoted() -> None:
    heard: list[tuple[str, Mapping[str, str]]] = []

    def serve(headers: Message, query: Mapping[str, str], name: str) -> Page:
        heard.append((name, query))
        return text("here")

    with served({"/runs/": Below(serve)}) as web:
        for path in ("/runs/a%2Fb%3F%00?x=1&x=2", "/runs/%ff", "/runs/"):
            assert ask(web, path).status == 200
        assert ask(web, "/runs/a/b").status == 404
        assert ask(web, "/runs").status == 404
        assert ask(web, "/runs/a", "POST", body=b"").status == 405
    assert heard == [("a/b?\x00", {"x": "2"}), ("\N{REPLACEMENT CHARACTER}", {}), ("", {})]


def test_while_the_books_have_not_answered_nobody_says_that_there_is_no_such_run() -> None:
    there = threading.Event()

    def place() -> None:
        there.wait(60)

    site = Site(board((0.0, snapshot({(workload(1), 0): J}))), place, Rules, others=())
    try:
        with served(site.pages()) as web:
            first, again = ask(web, "/runs/none"), ask(web, "/runs/none")
            kept = site._booked["none"]
            others = [ask(web, f"/runs/none-{n}") for n in range(MOST_ASKED)]
            known = ask(web, "/runs/job%3Ajob-001")
            there.set()
            assert kept.get(20.0) is not None
            after = ask(web, "/runs/none")
    finally:
        there.set()
    assert (first.status, again.status, first.headers["Retry-After"]) == (503, 503, "1")
    assert READING in tree(first.body).one("main").text
    assert [reply.status for reply in others] == [503] * MOST_ASKED
    assert (others[-2].body == others[-1].body, b"too many runs" in others[-1].body) == (False, True), "each would be a thread"
    assert known.status == 200, "what it is now is known without the books"
    assert READING in tree(known.body).one("section", aria_labelledby="h-explain").text
    assert after.status == 404
    assert "no books are kept here" in tree(after.body).one("main").text


def test_many_viewers_leave_places_for_scrapers() -> None:
    at_work, leave = threading.Semaphore(0), threading.Event()

    def slow(headers: Message, query: Mapping[str, str]) -> Page:
        at_work.release()
        leave.wait(60)
        return text("a page")

    seated = Site(board(), lambda: None, Rules, others=())._seated(slow)
    found: list[int] = []
    with served({"/": Reads(seated), "/metrics": lambda headers: text("figures")}) as web:
        viewers = [threading.Thread(target=lambda: found.append(ask(web, "/").status)) for _ in range(SEATS)]
        try:
            for viewer in viewers:
                viewer.start()
            assert all(at_work.acquire(timeout=20) for _ in viewers)
            more = [ask(web, "/") for _ in range(5)]
            scraped = ask(web, "/metrics")
        finally:
            leave.set()
            for viewer in viewers:
                viewer.join(20)
        assert [(reply.status, reply.headers["Retry-After"]) for reply in more] == [(503, "1")] * 5
        assert (scraped.status, scraped.body) == (200, b"figures\n")
        assert found == [200] * SEATS
        assert ask(web, "/").status == 200, "a seat that is left is free"


def test_a_query_is_heard_and_one_of_too_many_words_is_none() -> None:
    assert words_of("q=a+b%3C&q=last&live=off") == {"q": "last", "live": "off"}
    assert words_of("&".join(f"w{n}=1" for n in range(40))) == {}
    assert words_of("%ff=%fe") == {"\N{REPLACEMENT CHARACTER}": "\N{REPLACEMENT CHARACTER}"}
    with served({"/": Reads(lambda headers, query: text(str(sorted(query))))}) as web:
        assert ask(web, "/?b=1&a=2").body == b"['a', 'b']\n"


def test_the_pages_take_the_place_of_the_index_and_are_not_listed_in_it() -> None:
    with served(pages()) as web:
        assert tree(ask(web, "/").body).one("h1").text == "gpu-7: power, energy and carbon"
    with served({"/metrics": lambda headers: text("m"), "/runs/": Below(lambda h, q, name: text(name))}) as web:
        assert ask(web, "/").body.count(b"<li>") == 2  # /healthz and /metrics


@pytest.mark.parametrize("path", ["/", "/runs/x", "/static/page.css", "/?part=live"])
def test_who_may_not_read_the_metrics_may_not_read_the_pages(path: str, tmp_path: Path) -> None:
    bcrypt = pytest.importorskip("bcrypt", reason="basic auth needs bcrypt")
    hashed = bcrypt.hashpw(b"pass", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{reader: '{hashed}'}}\n")
    with served(pages(), str(tmp_path / "web.yml")) as web:
        refused = ask(web, path)
        allowed = ask(web, path, Authorization="Basic " + b64encode(b"reader:pass").decode())
    assert refused.status == 401
    assert b"job" not in refused.body
    assert allowed.status in (200, 404)


def test_without_jinja2_there_is_a_sentence_and_no_failure() -> None:
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from email.message import Message\n"
        "from tests.page.test_routes import pages\n"
        "page = pages()['/'].serve(Message(), {})\n"
        "print(page.status, page.body.decode())"
    )

    root = Path(__file__).parents[2]
    environ = {"PYTHONPATH": os.pathsep.join([str(root), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, env=environ)
    assert done.stdout.startswith("503 the agent's page needs Jinja2"), done.stderr
