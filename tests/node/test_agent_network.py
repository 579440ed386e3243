"""A network that is slow, dead or wrong around a running agent: ticks go on, and each cause is one line."""

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.node.agents import Agent, agent, total
from tests.node.checks import DEVICE, LATE, UP, closes, machine, nothing_twice, said, until
from tests.rig.rig import Gpu, load_constant

from wattledger.runtime.web.server import Web

pytestmark = [pytest.mark.slow, pytest.mark.soak]
EXPORTS = "wattledger_exports_total"


def closed_port() -> int:
    """Where nobody listens: it was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def idlers(running: Agent, n: int, request: bytes) -> Iterator[list[socket.socket]]:
    """Clients that say this and then read nothing."""
    host, _, port = running.url.removeprefix("http://").partition(":")
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(n):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.settimeout(5)
            client.connect((host, int(port)))
            client.sendall(request)
            found.append(client)
        yield found


def measured(running: Agent) -> Decimal:
    return total(running.scrape(), DEVICE)


def test_who_scrapes_slowly_or_not_at_all_delays_no_tick(tmp_path: Path) -> None:
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig", Gpu(load_constant(100)))) as running:
        assert until(lambda: measured(running))
        time.sleep(1.2)
        log = running.log
        with idlers(running, 12, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), idlers(running, 20, b"GET /met"):
            for _ in range(3):
                before = measured(running)
                time.sleep(2.2)
                rows = running.scrape()
                assert total(rows, DEVICE) > before
                assert total(rows, LATE) < Decimal("0.5")
                assert running.get("/readyz") == "ready\n"
                closes(rows)
        assert running.log == log
        assert running.stop() == 0


def test_a_dead_collector_is_counted_said_once_and_slows_nobody(tmp_path: Path) -> None:
    env = {
        "WATTLEDGER_EXPORTERS_OTLP_ENABLED": "true", "OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed_port()}", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret",
    }  # fmt: skip
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig"), env=env) as running:
        assert until(lambda: total(running.scrape(), EXPORTS, exporter="otlp", outcome="failed") >= 2, 30)
        before = measured(running)
        time.sleep(2.2)
        rows = running.scrape()
        assert total(rows, DEVICE) > before
        assert total(rows, LATE) < Decimal("0.5")
        assert total(rows, EXPORTS, outcome="delivered") == 0
        closes(rows)
        assert len(said(running, "connection refused")) == 1
        begun = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - begun < 10
        assert "s3cret" not in running.log
        nothing_twice(running)


def test_what_was_asked_for_and_is_not_there_is_down_and_said_once(tmp_path: Path) -> None:
    password, kubelet = tmp_path / "password", tmp_path / "kubelet.sock"
    password.write_text("s3cret\n")
    kubelet.write_text("no socket at all")
    config = (
        f'[sources.redfish]\nurl = "https://127.0.0.1:{closed_port()}"\nuser = "meter"\npassword_file = "{password}"\n'
        f'[sources.kubernetes]\npodresources = "{kubelet}"\n[sources.slurm]\ngpu_jobs = "{tmp_path}/none"\n'
    )
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig"), config=config) as running:
        assert until(lambda: said(running, "connection refused") and said(running, str(kubelet)))
        assert until(lambda: measured(running))
        time.sleep(3)
        rows = running.scrape()
        up = {labels["source"]: value for name, labels, value in rows if name == UP}
        assert [up[source] for source in ("redfish", "kubernetes", "rapl")] == [Decimal(0), Decimal(0), Decimal(1)]
        assert len(said(running, "redfish/v1")) == 1, running.log
        assert len(said(running, str(kubelet))) == 1, running.log
        assert "s3cret" not in running.log + running.get("/metrics")
        closes(rows)
        nothing_twice(running)


def certificate(folder: Path) -> None:
    """A key and a certificate of its own, by openssl."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(folder / "key.pem"), "-out",
            str(folder / "cert.pem"), "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]  # fmt: skip
    try:
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no openssl here to make a certificate")


WRONG = {
    "no such file": ("cert_file: none.pem\n  key_file: none.pem", "none.pem"),
    "no certificate": ("cert_file: rubbish.pem\n  key_file: rubbish.pem", "no PEM"),
    "a wrong word": ("cert_fil: cert.pem\n  key_file: key.pem", "did you mean"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_bad_web_configuration_at_the_start_is_one_line(tmp_path: Path, case: str) -> None:
    words, expected = WRONG[case]
    (tmp_path / "rubbish.pem").write_text("rubbish")
    (tmp_path / "web.yml").write_text(f"tls_server_config:\n  {words}\n")
    env = {"WATTLEDGER_AGENT_WEB_CONFIG": str(tmp_path / "web.yml")}
    with pytest.raises(RuntimeError, match=r"ended with 2:\nwattledger: agent\.web_config") as ended, \
            agent(tmp_path / "a", env=env):  # fmt: skip
        pytest.fail("it has started")
    assert expected in str(ended.value)
    assert str(ended.value).count("\n") == 2
    assert not (tmp_path / "a" / "agent.sock").exists()


def answers(port: int, trusting: ssl.SSLContext) -> bool:
    """Whether it speaks TLS there, with the certificate we know."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as plain, \
                trusting.wrap_socket(plain, server_hostname="127.0.0.1") as client:  # fmt: skip
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return client.recv(4096).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def test_a_bad_web_configuration_at_a_reload_leaves_tls_as_it_was(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    certificate(tmp_path)
    web = tmp_path / "web.yml"
    good, env = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n", {"WATTLEDGER_AGENT_WEB_CONFIG": str(web)}
    web.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with agent(tmp_path / "agent", env=env) as running:
        port = int(running.url.rpartition(":")[2])
        assert not answers(port, trusting)
        web.write_text(good)
        running.hang_up()
        assert until(lambda: answers(port, trusting))
        for wrong in ("tls_server_config: {cert_file: none.pem, key_file: key.pem}\n", "tls_server_config: {}\n"):
            web.write_text(wrong)
            running.hang_up()
            assert until(lambda wrong=wrong: said(running, "none.pem" if "none" in wrong else "are gone", "stays in force"))  # type: ignore[misc]
            assert answers(port, trusting)
            assert answers(port, trusting)
        assert len(said(running, "stays in force")) == 2
        web.write_text(good)
        assert answers(port, trusting)
        assert running.stop() == 0


def test_where_it_answers_is_said_with_the_right_scheme(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    certificate(tmp_path)
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
    for file, scheme in ((str(tmp_path / "web.yml"), "https"), ("", "http")):
        web = Web("127.0.0.1:0", {}, file)
        web.start()
        assert web.scheme == scheme
        web.stop()
