"""TLS: whose certificates are believed, and what is said of those that are not."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.runtime.answers import Script, Server, answering, failure, serving, told, trickle

from wattledger.core.ports import Request, SourceFailed
from wattledger.runtime.fetch import make_fetch


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    home = tmp_path_factory.mktemp("tls")
    key, cert = home / "key.pem", home / "cert.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=bmc", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@contextmanager
def serving_tls(certificate: tuple[Path, Path], script: Script) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    with serving(script, context) as server:
        yield server


def test_a_certificate_is_checked_by_the_file_of_its_authority(certificate: tuple[Path, Path]) -> None:
    with serving_tls(certificate, answering(told(b"hello"))) as server:
        assert make_fetch()(Request(server.url(), verify=str(certificate[0]))) == b"hello"


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: tuple[Path, Path]) -> None:
    with serving_tls(certificate, answering(told(b"hello"))) as server:
        said = failure(Request(server.url("/x"), auth=("ann", "s3cret")))
    assert said.startswith(f"https://127.0.0.1:{server.port}/x: its certificate is not trusted: self")
    assert server.requests == []


def test_a_certificate_for_another_name_is_refused(certificate: tuple[Path, Path]) -> None:
    with serving_tls(certificate, answering(told(b"hello"))) as server:
        said = failure(Request(server.url().replace("127.0.0.1", "localhost"), verify=str(certificate[0])))
    assert "its certificate is not trusted" in said
    assert server.requests == []


def test_a_certificate_is_unchecked_on_demand_with_one_note(
    certificate: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving_tls(certificate, answering(told(b"hello"))) as server:
        fetch = make_fetch()
        url = server.url()
        assert [fetch(Request(url, verify=False)) for _ in range(2)] == [b"hello", b"hello"]
        assert make_fetch()(Request(url, verify=False)) == b"hello"
    said = f"wattledger: the certificate of 127.0.0.1:{server.port} is not checked (verify = false)\n"
    assert capsys.readouterr().err == said


def test_trust_in_one_request_is_not_trust_in_the_next(certificate: tuple[Path, Path]) -> None:
    with serving_tls(certificate, answering(told(b"hello"))) as server:
        fetch = make_fetch()
        assert fetch(Request(server.url(), verify=False)) == b"hello"
        with pytest.raises(SourceFailed, match="not trusted"):
            fetch(Request(server.url()))


def test_the_time_holds_under_tls_too(certificate: tuple[Path, Path]) -> None:
    with serving_tls(certificate, trickle(b"HTTP/1.1 200", b" ")) as server:
        said = failure(Request(server.url(), verify=str(certificate[0]), timeout_s=0.5))
    assert said.endswith("no answer within 0.5 s")


def test_plain_http_where_tls_was_expected_is_said() -> None:
    def answer() -> None:
        peer, _ = listener.accept()
        with peer, suppress(OSError):
            peer.sendall(told(b"hello"))
            while peer.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        said = failure(Request(f"https://127.0.0.1:{listener.getsockname()[1]}/", verify=False))
        thread.join()
    assert ": TLS failed: " in said


def test_a_file_of_authorities_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "ca.pem")
    assert failure(Request("https://127.0.0.1:9/", verify=missing)) == f"{missing}: no such file of certificates"
