"""The Pushgateway's exporter against a real HTTP server: one PUT with the whole snapshot, one warning where it cannot be."""

import base64
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.golden.scenario import snapshot as golden

from wattledger.core.model import Instant
from wattledger.core.totals import Sent
from wattledger.runtime import clock
from wattledger_exporters.prometheus import TEXT, Prometheus
from wattledger_exporters.pushgateway import Pushgateway

AT = Instant(1, 1)


class Put(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Gateway(NamedTuple):
    """A server that answers each PUT with ``status``, or never."""

    url: str
    got: list[Put]


@contextlib.contextmanager
def serving(status: int | None) -> Iterator[Gateway]:
    got: list[Put] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(Put(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if status is None:
                over.wait(30)
                return
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(b"what is\nwrong")

        def do_GET(self) -> None:
            got.append(Put(self.path, {}, b""))

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Gateway(f"http://127.0.0.1:{server.server_port}", got)
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def gateway_of(url: str, **options: object) -> Pushgateway:
    return Pushgateway({"url": url, "job": "train", "host": "gpu-7", **options}, now=lambda: AT, started=AT)


def test_the_end_puts_the_newest_snapshot_once_and_whole() -> None:
    with serving(200) as there:
        pusher = gateway_of(there.url)
        pusher.push(golden()._replace(late_s=9.0))
        pusher.push(golden())
        assert there.got == []
        pusher.close(5.0)
        pusher.close(5.0)
    assert [put.body for put in there.got] == [Prometheus().render(golden())]
    assert there.got[0].headers["content-type"] == TEXT
    assert pusher.sent() == Sent(1, 0)


def test_nothing_pushed_is_nothing_sent() -> None:
    with serving(200) as there:
        gateway_of(there.url).close(5.0)
    assert there.got == []


@pytest.mark.parametrize("job", ["train", "a/b c", "größe", "x" * 300])
def test_the_group_is_the_program_and_the_host_and_not_the_run(job: str) -> None:
    with serving(202) as there:
        pusher = gateway_of(there.url + "/prefix/", job=job)
        pusher.push(golden())
        pusher.close(5.0)
    words = there.got[0].path.split("/")[1:]
    assert words[:4] == ["prefix", "metrics", "job", "wattledger"]
    values = [base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode() for word in words[5::2]]
    assert dict(zip(words[4::2], values, strict=True)) == {"program@base64": job, "instance@base64": "gpu-7"}


# --- failures ---------------------------------------------------------------------------------------------------------------


def failing(url: str, caplog: pytest.LogCaptureFixture, timeout_s: float = 5.0) -> str:
    """The one warning; the counts say the same."""
    pusher = gateway_of(url)
    pusher.push(golden())
    pusher.close(timeout_s)
    [record] = [record for record in caplog.records if record.name.startswith("wattledger")]
    assert record.levelname == "WARNING"
    line = record.getMessage()
    assert line == f"wattledger: Pushgateway: not delivered: {pusher.sent().last_error}"
    assert pusher.sent()[:2] == (0, 1)
    assert "\n" not in line
    return line


def test_a_refusal_is_one_warning_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with serving(400) as there:
        assert failing(there.url, caplog) == f"wattledger: Pushgateway: not delivered: {there.url}: 400 Bad Request what is wrong"


def test_a_redirect_is_not_followed_and_no_delivery(caplog: pytest.LogCaptureFixture) -> None:
    with serving(302) as there:
        assert "302" in failing(there.url, caplog)
    assert len(there.got) == 1


def test_nobody_there_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with serving(200) as there:
        pass
    assert failing(there.url, caplog).endswith(f"{there.url}: Connection refused")


def test_one_that_never_answers_is_left_in_time(caplog: pytest.LogCaptureFixture) -> None:
    with serving(None) as there:
        before = clock.elapsed_ns()
        assert failing(there.url, caplog, 0.3).endswith("no answer within 0.3 s")
        assert (clock.elapsed_ns() - before) / 1e9 < 2.0


# --- passwords --------------------------------------------------------------------------------------------------------------


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_the_password_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3crét\n", encoding="utf-8")
    with serving(200) as there:
        pusher = gateway_of(there.url, user="me", password_file=str(tmp_path / "password"))
        pusher.push(golden())
        pusher.close(5.0)
    assert there.got[0].headers["authorization"] == basic("me", "s3crét")


def test_a_password_in_the_url_is_used_and_never_said(caplog: pytest.LogCaptureFixture) -> None:
    with serving(401) as there:
        line = failing(there.url.replace("http://", "http://me:s3c%2Fret@"), caplog)
    assert there.got[0].headers["authorization"] == basic("me", "s3c/ret")
    assert "s3c" not in line


def test_a_password_for_the_host_in_netrc_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login them password theirs\n", encoding="ascii")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(200) as there:
        pusher = gateway_of(there.url)
        pusher.push(golden())
        pusher.close(5.0)
    assert "authorization" not in there.got[0].headers


# --- wrong words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"url": "gateway:9091"}, "exporters.pushgateway.url: expected http://HOST:PORT or https://…, not 'gateway:9091'"),
        ({"url": "ftp://me:s3/cret@gw/x"}, "exporters.pushgateway.url: expected http://HOST:PORT or https://…, not 'ftp://gw'"),
        ({"user": "me"}, "exporters.pushgateway: user and password_file go together"),
        ({"password_file": "p"}, "exporters.pushgateway: user and password_file go together"),
        (
            {"user": "me", "password_file": "no/such/file"},
            "exporters.pushgateway.password_file: cannot read no/such/file: No such file or directory",
        ),
    ],
)
def test_wrong_words_are_said_in_a_line(options: dict[str, str], line: str) -> None:
    with pytest.raises(ValueError, match="exporters") as caught:
        gateway_of(**{"url": "http://gw:9091", **options})
    assert str(caught.value) == line
