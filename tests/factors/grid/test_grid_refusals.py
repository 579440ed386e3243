"""What every grid provider makes of a server that is slow, refuses, breaks or is not the one it says it is; and of missing keys."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from tests.factors.grid.providers import CASES, KEYED, START, Case, asking, day, each, provider
from tests.factors.grid.served import DAY, KEY, failed, refusal, standing
from tests.runtime.answers import serving, trickle

from wattledger.core.ports import BadStatus, SourceFailed, SourceGone


@each
def test_a_slow_answer_is_one_line(case: Case) -> None:
    with standing({}) as service, serving(trickle(b"HTTP/1.1 200 OK\r\nX: ", b"x")) as slow:
        asked = provider(case, service, url=slow.url("/api"), timeout_s=0.2)
        line = failed(lambda: asked.read(case.zone, START, START + DAY, START + DAY))
    assert line.endswith(": no answer within 0.2 s")


def refused(case: Case, reply: bytes) -> tuple[BaseException, str]:
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            asked.read(case.zone, START, START + DAY, START + DAY)
        except (SourceFailed, SourceGone) as error:
            caught.append(error)
            raise

    with standing({**case.replies(day(case)), case.path: reply}) as service:
        asked = provider(case, service)
        line = failed(ask, Exception)
    return caught[0], line


@each
def test_too_many_questions_say_when_to_ask_again(case: Case) -> None:
    error, line = refused(case, refusal("429 Too Many Requests", "Retry-After: 7"))
    assert isinstance(error, BadStatus)
    assert (error.status, error.retry_after_s) == (429, 7)
    assert line.endswith(": HTTP 429 Too Many Requests")


@each
def test_a_broken_server_is_asked_again_later(case: Case) -> None:
    error, line = refused(case, refusal("500 Internal Server Error"))
    assert isinstance(error, BadStatus)
    assert (error.status, error.retry_after_s) == (500, None)
    assert line.endswith(": HTTP 500 Internal Server Error")


@each
def test_a_refused_key_is_of_no_use_asking_again(case: Case) -> None:
    error, line = refused(case, refusal("401 Unauthorized"))
    if case.name in KEYED:
        assert isinstance(error, SourceGone)
        assert line.startswith(f"{case.name}: ")
    else:
        assert isinstance(error, BadStatus)
        assert error.status == 401


@each
def test_a_certificate_that_nobody_vouches_for_ends_it(case: Case, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command to make a certificate with")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=grid", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with standing(case.replies(day(case)), context) as service:
        asked = provider(case, service)
        line = failed(lambda: asked.read(case.zone, START, START + DAY, START + DAY))
    assert "its certificate is not trusted" in line
    assert service.asked == []


@each
def test_a_zone_of_somebody_else_is_not_asked_for(case: Case) -> None:
    with standing(case.replies(day(case))) as service:
        asked = provider(case, service)
        assert asked.covers(case.zone)
        assert not asked.covers("US-SRVC")
        failed(lambda: asked.read("US-SRVC", START, START + DAY, START + DAY), SourceGone)
        failed(lambda: asked.forecast("US-SRVC", START), SourceGone)
        assert service.asked == []


@each
def test_the_future_is_not_read(case: Case) -> None:
    with standing(case.replies(day(case))) as service:
        assert list(provider(case, service).read(case.zone, START + DAY, START + 2 * DAY, START)) == []
        assert service.asked == []


@each
@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1", f"https://ann:{KEY}@x", f"https://x/?key={KEY}"])
def test_a_url_that_is_none_or_holds_a_key_is_refused(case: Case, url: str) -> None:
    with standing({}) as service:
        line = failed(lambda: provider(case, service, url=url), SourceGone)
    assert line.startswith(f"{case.name}: its url ")


@pytest.mark.parametrize("case", [case for case in CASES if case.name in KEYED], ids=lambda case: case.name)
@pytest.mark.parametrize("key", [None, "", " \n"])
def test_without_a_key_it_says_where_to_put_one(case: Case, key: str | None) -> None:
    with standing({}) as service:
        line = failed(lambda: provider(case, service, key=key), SourceGone)
    assert case.module.VARIABLE in line
    assert "_file" in line
    assert service.asked == []


@pytest.mark.parametrize("key", [f"{KEY}\r\nX: {KEY}", f"\u2603{KEY}"])
def test_a_key_that_cannot_travel_in_a_header_is_not_shown(key: str) -> None:
    (case,) = (case for case in CASES if case.name == "electricitymaps")
    assert "cannot be fetched" in asking(case, case.replies(day(case)), key=key)
