"""TLS and basic auth by a Prometheus web configuration file: read, refused in one line, read again when it has changed."""

import base64
import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import bcrypt
import pytest
from tests.runtime.web_clients import WAIT_S, Certificates, all_of, ask, needs_openssl, raw, served

from wattledger.runtime.config import ConfigError
from wattledger.runtime.web.access import load
from wattledger.runtime.web.door import Door
from wattledger.runtime.web.server import Web

TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
PASSWORD = "correct horse"


def hashed(password: str = PASSWORD, prefix: bytes = b"2b") -> str:
    """Of the least cost, because tests have no secrets."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).replace(b"$2b$", b"$" + prefix + b"$").decode()


USERS = f"basic_auth_users:\n  alice: {hashed()}\n"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def written(folder: Path, content: str) -> str:
    """As an editor does it: a new file in the old one's place."""
    file = folder / "web.yml"
    (folder / "new").write_text(content, encoding="utf-8")
    os.replace(folder / "new", file)
    return str(file)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.make("server")
    made.make("client")
    return made


@pytest.fixture
def folder(certificates: Certificates, tmp_path: Path) -> Path:
    """A folder with certificates of one's own."""
    return Path(shutil.copytree(certificates.folder, tmp_path / "web"))


def statuses(web: Web, *pairs: tuple[str, str]) -> list[int]:
    return [ask(web, "/healthz", Authorization=basic(*pair)).status for pair in pairs]


def test_only_the_right_user_with_the_right_password_is_served(tmp_path: Path) -> None:
    with served({}, written(tmp_path, USERS)) as web:
        nobody = ask(web, "/healthz")
        assert (nobody.status, nobody.headers["WWW-Authenticate"]) == (401, 'Basic realm="wattledger"')
        wrong = [("alice", "wrong"), ("alice", ""), ("bob", PASSWORD), ("", ""), ("alice", PASSWORD + "\0"), ("alice", "x" * 100)]
        assert statuses(web, *wrong) == [401] * len(wrong)
        assert statuses(web, ("alice", PASSWORD), ("alice", PASSWORD), ("alice", "wrong")) == [200, 200, 401]


@pytest.mark.parametrize("said", ["Basic", "Basic !!!", "Basic YWxpY2U=", "Bearer x", "Basic /////w==", "basic"])
def test_words_that_are_no_basic_auth_are_refused(said: str, tmp_path: Path) -> None:
    with served({}, written(tmp_path, USERS)) as web:
        assert ask(web, "/healthz", Authorization=said).status == 401


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
def test_hashes_of_every_maker_are_understood(prefix: bytes, tmp_path: Path) -> None:
    """htpasswd writes 2y, Go 2a, Python 2b."""
    with served({}, written(tmp_path, f"basic_auth_users: {{alice: '{hashed(prefix=prefix)}'}}\n")) as web:
        assert statuses(web, ("alice", PASSWORD), ("alice", "wrong")) == [200, 401]


def test_nobody_learns_what_is_served_before_the_password(tmp_path: Path) -> None:
    with served({}, written(tmp_path, USERS)) as web:
        assert ask(web, "/nothing").status == 401
        assert ask(web, "/nothing", "POST").status == 401


@needs_openssl
def test_tls_is_spoken_and_plain_words_are_not_answered(folder: Path, certificates: Certificates) -> None:
    with served({}, written(folder, TLS)) as web:
        assert ask(web, "/healthz", tls=certificates.client()).body == b"ok\n"
        with raw(web, b"GET /healthz HTTP/1.1\r\n\r\n") as plain:
            assert b"ok" not in all_of(plain)


@needs_openssl
def test_an_older_tls_than_asked_for_is_refused(folder: Path, certificates: Certificates) -> None:
    old = certificates.client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with served({}, written(folder, TLS + "  min_version: TLS13\n")) as web:
        with pytest.raises(OSError):  # noqa: PT011  # the alert, or the end of the connection
            ask(web, "/healthz", tls=old)
        assert ask(web, "/healthz", tls=certificates.client()).status == 200


@needs_openssl
def test_a_client_without_a_certificate_stays_outside_where_one_is_asked_for(folder: Path, certificates: Certificates) -> None:
    asked = TLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
    with served({}, written(folder, asked)) as web:
        with pytest.raises(OSError):  # noqa: PT011
            ask(web, "/healthz", tls=certificates.client())
        assert ask(web, "/healthz", tls=certificates.client("client")).status == 200


@needs_openssl
def test_who_never_ends_his_handshake_keeps_nobody_waiting(folder: Path, certificates: Certificates) -> None:
    with served({}, written(folder, TLS)) as web, socket.create_connection(("127.0.0.1", web.port), timeout=WAIT_S):
        assert ask(web, "/healthz", tls=certificates.client()).status == 200


def test_headers_of_the_file_come_with_every_answer(tmp_path: Path) -> None:
    headers = "http_server_config: {http2: false, headers: {X-Frame-Options: deny, X-Content-Type-Options: nosniff}}\n"
    with served({}, written(tmp_path, headers)) as web:
        assert {ask(web, path).headers["X-Frame-Options"] for path in ("/healthz", "/nothing")} == {"deny"}


BAD = {
    "tls_config: {}": "tls_config: unknown; did you mean 'tls_server_config'?",
    "tls_server_config: {cert_fil: a}": "tls_server_config.cert_fil: unknown; did you mean 'tls_server_config.cert_file'?",
    "tls_server_config: {cert_file: a}": "key_file: missing",
    "tls_server_config: {cert_file: no.pem, key_file: no.key}": "No such file",
    "tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}": "'TLS10' is not supported; did you mean 'TLS1",
    "tls_server_config: {cert_file: a, key_file: b, client_auth_type: Require}": "not supported",
    "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}": "need each other",
    "tls_server_config: {cert_file: a, key_file: b, cipher_suites: [x]}": "cipher_suites: is not supported here; leave it out",
    "tls_server_config: 3": "expected names and values",
    "http_server_config: {headers: {X-Frame: deny}}": "X-Frame: unknown; did you mean 'X-Frame-Options'?",
    "http_server_config: {headers: {X-Frame-Options: \"a\\r\\nb\"}}": "expected one line of text",
    "http_server_config: {headers: 3}": "expected names and values",
    "basic_auth_users: {alice: hunter2}": "expected a bcrypt hash",
    "basic_auth_users: {alice: 12345}": "expected a bcrypt hash",
    f"basic_auth_users: {{alice: '$2b$31${'x' * 53}'}}": "of cost 4 to 16",
    "basic_auth_users: [": "line 1: not YAML",
    "just words": "the whole file",
}  # fmt: skip


@pytest.mark.parametrize("content", BAD)
def test_a_wrong_file_is_one_line_that_says_what_and_where(content: str, tmp_path: Path) -> None:
    file = written(tmp_path, content)
    with pytest.raises(ConfigError) as wrong:
        load(Path(file))
    said = str(wrong.value)
    assert BAD[content] in said
    assert file in said
    assert "\n" not in said
    assert "hunter2" not in said
    assert "$31$" not in said


def test_a_file_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*No such file"):
        Web("127.0.0.1:0", {}, str(tmp_path / "web.yml")).start()


@needs_openssl
def test_a_key_of_another_certificate_is_said_so(folder: Path) -> None:
    shutil.copy(folder / "client.key", folder / "server.key")
    with pytest.raises(ConfigError, match="the key is not this certificate's"):
        load(Path(written(folder, TLS)))


@needs_openssl
def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(folder: Path) -> None:
    command = ["openssl", "ec", "-in", "server.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with pytest.raises(ConfigError, match=r"locked\.key: not usable"):
        load(Path(written(folder, TLS.replace("server.key", "locked.key"))))


def test_a_changed_file_is_in_force_at_the_next_request(tmp_path: Path) -> None:
    with served({}, written(tmp_path, USERS)) as web:
        assert statuses(web, ("alice", PASSWORD)) == [200]
        written(tmp_path, f"basic_auth_users:\n  alice: {hashed('new')}\n  bob: {hashed('bobs')}\n")
        assert statuses(web, ("alice", PASSWORD), ("alice", "new"), ("bob", "bobs")) == [401, 200, 200]


def test_a_broken_change_is_said_once_and_the_one_before_stays(tmp_path: Path) -> None:
    lines: list[str] = []
    with served({}, written(tmp_path, USERS), lines=lines) as web:
        written(tmp_path, "basic_auth_user: {}\n")
        assert statuses(web, ("alice", PASSWORD), ("alice", "wrong"), ("alice", PASSWORD)) == [200, 401, 200]
        web.reload()
        [line] = lines
        assert "did you mean 'basic_auth_users'?" in line
        assert "stays in force" in line
        written(tmp_path, USERS.replace("alice", "carol"))
        assert statuses(web, ("alice", PASSWORD), ("carol", PASSWORD)) == [401, 200]
        written(tmp_path, "basic_auth_user: {}\n")
        assert statuses(web, ("carol", PASSWORD)) == [200]
    assert len(lines) == 2


@pytest.mark.parametrize("content", ["", "# written half\n", "http_server_config: {}\n"])
def test_half_a_file_opens_no_door(content: str, tmp_path: Path) -> None:
    lines: list[str] = []
    with served({}, written(tmp_path, USERS), lines=lines) as web:
        written(tmp_path, content)
        assert [ask(web, "/healthz").status, *statuses(web, ("alice", PASSWORD))] == [401, 200]
    assert len(lines) == 1


@needs_openssl
def test_a_renewed_certificate_is_shown_without_a_restart(folder: Path, certificates: Certificates) -> None:
    def shown(web: Web) -> str:
        plain = socket.create_connection(("127.0.0.1", web.port), timeout=WAIT_S)
        with certificates.client().wrap_socket(plain, server_hostname="localhost") as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"")

    with served({}, written(folder, TLS)) as web:
        before = shown(web)
        for kind in ("key", "pem"):
            os.replace(folder / f"client.{kind}", folder / f"server.{kind}")
        assert shown(web) != before


def test_no_hash_and_no_password_is_ever_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    door = Door(written(tmp_path, USERS), lines.append)
    assert door.admits(door.current(), basic("alice", PASSWORD))
    written(tmp_path, f"basic_auth_users:\n  alice: {hashed()}\n  bob: {PASSWORD}\n: {hashed()}\n\t")
    door.current()
    said = "".join(lines) + "".join(capsys.readouterr()) + repr(door) + repr(vars(door)["_right"])
    assert lines
    assert PASSWORD not in said
    assert "$2b$" not in said
