"""The web server: its pages, its forms, its errors in one line, and that it starts and stops cleanly."""

import gzip
import socket
import threading
from email.message import Message

import pytest
from tests.golden.scenario import snapshot
from tests.runtime.web_clients import WAIT_S, all_of, ask, raw, served

from wattledger.core.model import Instant
from wattledger.core.totals import Snapshot
from wattledger.runtime.config import ConfigError
from wattledger.runtime.web import pages
from wattledger.runtime.web.handler import accepts_gzip
from wattledger.runtime.web.listen import address
from wattledger.runtime.web.pages import Page, text
from wattledger.runtime.web.server import Web
from wattledger_exporters.prometheus import OPENMETRICS, TEXT, Prometheus

S = 1_000_000_000
METRICS = pages.metrics(snapshot, Prometheus())


def test_a_scrape_is_the_exporters_own_words_in_the_form_that_was_asked_for() -> None:
    with served({"/metrics": METRICS}) as web:
        plain, open_metrics = ask(web), ask(web, Accept="application/openmetrics-text; version=1.0.0")
    assert (plain.status, plain.headers["Content-Type"]) == (200, TEXT)
    assert plain.body == Prometheus().render(snapshot())
    assert open_metrics.headers["Content-Type"] == OPENMETRICS
    assert open_metrics.body == Prometheus().render(snapshot(), OPENMETRICS)


def test_a_large_body_is_packed_for_who_accepts_it_and_a_small_one_is_not() -> None:
    with served({"/metrics": METRICS}) as web:
        large, small = ask(web, Accept_Encoding="gzip"), ask(web, "/healthz", Accept_Encoding="gzip")
    assert large.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(large.body) == Prometheus().render(snapshot())
    assert len(large.body) == int(large.headers["Content-Length"])
    assert "Content-Encoding" not in small.headers
    assert small.body == b"ok\n"


@pytest.mark.parametrize(
    ("accepted", "packs"),
    [("gzip", True), ("deflate, GZIP;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.0", False), ("", False), ("gzipped", False)],
)
def test_gzip_goes_to_who_names_it(accepted: str, packs: bool) -> None:
    assert accepts_gzip(accepted) is packs


def test_before_the_first_tick_there_are_no_figures_rather_than_empty_ones() -> None:
    latest: list[Snapshot] = []
    with served({"/metrics": pages.metrics(lambda: latest[0] if latest else None, Prometheus())}) as web:
        assert ask(web).status == 503
        latest.append(snapshot())
        assert ask(web).status == 200


def test_ready_means_a_snapshot_and_a_late_tick_is_not_ready() -> None:
    published: list[Instant | None] = [None]
    now = [Instant(10 * S, 0)]
    serve = pages.ready(lambda: published[0], 2.0, lambda: now[0])
    assert serve(Message()).status == 503
    published[0] = Instant(10 * S, 0)
    assert serve(Message()).status == 200
    now[0] = Instant(16 * S - 1, 0)
    assert serve(Message()).status == 200
    now[0] = Instant(16 * S, 0)
    assert serve(Message()) == text("not ready: the last tick was 6.0 s ago, one is due each 2 s", 503)


def test_alive_and_index_are_there_without_being_asked_for() -> None:
    with served({"/metrics": METRICS}) as web:
        assert ask(web, "/healthz").body == b"ok\n"
        front = ask(web, "/")
    assert front.status == 200
    assert b'href="/metrics"' in front.body


def test_head_says_how_long_the_answer_would_be_and_sends_none() -> None:
    with served({"/metrics": METRICS}) as web:
        reply = ask(web, method="HEAD")
    assert reply.body == b""
    assert int(reply.headers["Content-Length"]) == len(Prometheus().render(snapshot()))


def test_a_query_does_not_change_the_page_and_another_path_is_none() -> None:
    with served({"/metrics": METRICS}) as web:
        assert ask(web, "/metrics?debug=1").status == 200
        missing = ask(web, "/metric")
    assert missing.status == 404
    assert b"/metrics" in missing.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"])
def test_only_reading_is_served(method: str) -> None:
    with served({"/metrics": METRICS}) as web:
        reply = ask(web, method=method)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")


GARBAGE = [b"\x00\x01\x02\x03\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x00\xa5\n"]


@pytest.mark.parametrize("said", GARBAGE)
def test_garbage_gets_a_refusal_or_nothing_and_the_next_is_served(said: bytes) -> None:
    with served({"/metrics": METRICS}) as web:
        with raw(web, said) as connection:
            connection.shutdown(socket.SHUT_WR)
            answer = all_of(connection)
        assert b" 200 " not in answer.split(b"\r\n")[0]
        assert ask(web).status == 200


def test_a_page_that_fails_is_told_to_the_scraper_and_the_next_one_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    turns: list[int] = []

    def serve(_: Message) -> Page:
        turns.append(1)
        if len(turns) == 1:
            raise ZeroDivisionError("our mistake")
        return text("mended")

    with served({"/fails-once": serve}) as web:
        first = ask(web, "/fails-once")
        assert (first.status, b"our mistake" in first.body) == (500, False)
        assert ask(web, "/fails-once").body == b"mended\n"
    assert "our mistake" in capsys.readouterr().err


def test_no_version_of_python_is_told() -> None:
    with served({}) as web:
        assert ask(web, "/healthz").headers["Server"] == "wattledger"


@pytest.mark.parametrize(
    ("listen", "place"),
    [
        ("127.0.0.1:9909", ("127.0.0.1", 9909)),
        ("[::1]:9909", ("::1", 9909)),
        (":9909", ("", 9909)),
        ("gpu-7.lan:80", ("gpu-7.lan", 80)),
    ],
)
def test_an_address_is_host_and_port(listen: str, place: tuple[str, int]) -> None:
    assert address(listen) == place


NO_ADDRESSES = ["", "9909", "localhost", "::1:9909", "localhost:http", "localhost:65536", "localhost:-1", "[::1]", "1.2.3.4:\u0663"]


@pytest.mark.parametrize("listen", NO_ADDRESSES)
def test_an_address_that_is_none_is_one_line_with_the_right_form(listen: str) -> None:
    with pytest.raises(ConfigError, match="expected HOST:PORT") as wrong:
        address(listen)
    assert "\n" not in str(wrong.value)


def test_a_port_in_use_is_one_line_that_says_so() -> None:
    with served({}) as web, pytest.raises(ConfigError, match=f"port {web.port} is in use"):
        Web(f"127.0.0.1:{web.port}", {}).start()


def test_an_address_of_another_machine_is_one_line_that_says_so() -> None:
    with pytest.raises(ConfigError, match="no interface of this machine"):
        Web("192.0.2.1:0", {}).start()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize("listen", ["[::1]:0", ":0"])
def test_ipv6_is_listened_on(listen: str) -> None:
    web = Web(listen, {})
    web.start()
    try:
        for host in ("::1", "127.0.0.1") if listen == ":0" else ("::1",):
            with socket.create_connection((host, web.port), timeout=WAIT_S) as connection:
                connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                assert all_of(connection).endswith(b"ok\n")
    finally:
        web.stop()


def test_stopping_leaves_no_thread_and_no_port() -> None:
    before = threading.active_count()
    web = Web("127.0.0.1:0", {"/metrics": METRICS})
    web.start()
    port = web.port
    assert ask(web).status == 200
    web.stop()
    web.stop()
    assert threading.active_count() == before
    socket.create_server(("127.0.0.1", port)).close()
