"""A BoaviztAPI that the user runs, asked over HTTP: a real server on this machine that answers in its form."""

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from wattledger.accounting.assets import passport
from wattledger.accounting.assets.passport_figures import Thing
from wattledger.core.ports import no_fetch
from wattledger.factors.hardware.figure import Embodied
from wattledger.runtime.assets.boaviztapi import LIMIT_BYTES, asker
from wattledger.runtime.fetch import make_fetch

ANSWER: dict[str, Any] = {
    "impacts": {"gwp": {"embedded": {"value": 575.1, "min": 400.0, "max": 800.0, "warnings": ["End of life is in"]}}}
}


class Service(ThreadingHTTPServer):
    """State: what it is to answer, and what it was asked."""

    answer: bytes = json.dumps(ANSWER).encode()
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.asked.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(service: Service, thing: Thing, **inputs: Any) -> Embodied | None:
    return asker(service.url, make_fetch())(thing, inputs)


def failure(service: Service, thing: Thing = Thing("gpu", model="X"), **inputs: Any) -> str:  # noqa: B008 - frozen
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is what is asserted
        ask(service, thing, **inputs)
    return str(caught.value)


def test_a_card_is_asked_for_and_its_answer_is_a_figure(service: Service) -> None:
    found = ask(service, Thing("gpu", "NVIDIA", "H100 SXM"))
    assert found is not None
    assert found[:5] == ("NVIDIA H100 SXM", "gpu", 575.1, 400.0, 800.0)
    assert (found.method, found.note) == ("boavizta", "End of life is in")
    [(path, body)] = service.asked
    assert path == "/v1/component/gpu?verbose=false&criteria=gwp"
    assert body == {"units": 1, "name": "H100 SXM"}


def test_inputs_go_to_the_service_as_they_are(service: Service) -> None:
    configuration = {"cpu": {"units": 2, "core_units": 24}, "ram": [{"units": 12, "capacity": Decimal(32)}]}
    ask(service, Thing("server", "Dell", "R740"), configuration=configuration, archetype="dellR740")
    [(path, body)] = service.asked
    assert path == "/v1/server/?verbose=false&criteria=gwp&archetype=dellR740"
    assert body == {"model": {"manufacturer": "Dell", "name": "R740"},
                    "configuration": {"cpu": {"units": 2, "core_units": 24}, "ram": [{"units": 12, "capacity": 32.0}]}}  # fmt: skip


@pytest.mark.parametrize(
    ("thing", "path", "body"),
    [
        (Thing("cpu", "Intel", "Xeon", cores=Decimal(24)), "/v1/component/cpu",
         {"units": 1, "name": "Xeon", "core_units": 24, "manufacturer": "Intel"}),
        (Thing("dram", capacity_gb=Decimal(32)), "/v1/component/ram", {"units": 1, "capacity": 32.0}),
        (Thing("ssd", capacity_gb=Decimal(400)), "/v1/component/ssd", {"units": 1, "capacity": 400.0}),
        (Thing("psu", mass_g=2990), "/v1/component/power_supply", {"units": 1, "unit_weight": 2.99}),
    ],
)  # fmt: skip
def test_what_the_passport_knows_is_told(service: Service, thing: Thing, path: str, body: dict[str, Any]) -> None:
    ask(service, thing)
    assert service.asked == [(f"{path}?verbose=false&criteria=gwp", body)]


def test_what_it_has_no_path_for_is_not_asked(service: Service) -> None:
    assert ask(service, Thing("building")) is None
    assert service.asked == []


def test_an_answer_without_interval_gets_that_of_a_bottom_up_figure(service: Service) -> None:
    service.answer = b'{"impacts": {"gwp": {"embedded": {"value": 100}}}}'
    found = ask(service, Thing("gpu", model="X"))
    assert found is not None
    assert (found.kg, found.low_kg, found.high_kg) == (100.0, 50.0, 200.0)


def test_a_passport_takes_the_services_answer(service: Service) -> None:
    text = ('schema = "wattledger.passport/1"\n[asset]\nid = "a"\nkind = "gpu"\nmodel = "H100"\nmade = 2025-01-01\n'
            '[asset.footprint]\nestimate = "boavizta"\n')  # fmt: skip
    [fact] = passport.read(text, "toml", "a.toml", boavizta=asker(service.url, make_fetch())).facts
    assert fact.emitted_g == 575_100
    assert dict(fact.details)["method"] == "boavizta"
    service.status = 500
    with pytest.raises(passport.BadPassport, match=r"a\.toml:7: boavizta: .*HTTP 500"):
        passport.read(text, "toml", "a.toml", boavizta=asker(service.url, make_fetch()))


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"<html>", "the answer is not JSON"),
        (b"[" * 100_000, "the answer is not JSON"),
        (b"{}", "no impacts.gwp.embedded.value"),
        (b'{"impacts": []}', "no impacts.gwp.embedded.value"),
        (b'{"impacts": {"gwp": {"embedded": "not implemented"}}}', "no impacts.gwp.embedded.value"),
        (b'{"impacts": {"gwp": {"embedded": {"value": NaN}}}}', "no impacts.gwp.embedded.value"),
        (b'{"impacts": {"gwp": {"embedded": {"value": -3}}}}', "no impacts.gwp.embedded.value"),
        (b'{"impacts": {"gwp": {"embedded": {"value": 0}}}}', "no impacts.gwp.embedded.value"),
        (b" " * (LIMIT_BYTES + 1), f"longer than {LIMIT_BYTES} bytes"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_one_line(service: Service, answer: bytes, what: str) -> None:
    service.answer = answer
    said = failure(service)
    assert said.startswith("boavizta: ")
    assert what in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("status", "what"), [(422, "does not know these inputs (colour, name, units)"), (404, "HTTP 404"), (503, "HTTP 503")]
)
def test_a_refusal_is_one_line(service: Service, status: int, what: str) -> None:
    service.status = status
    assert what in failure(service, colour="red")


def test_a_service_that_is_not_there_is_one_line() -> None:
    with Service() as gone:
        url = gone.url
    with pytest.raises(ValueError, match=r"^boavizta: http://127.0.0.1:\d+/v1/component/gpu: connection refused$"):
        asker(url, make_fetch())(Thing("gpu"), {})


@pytest.mark.parametrize("url", ["", "127.0.0.1:5000", "ftp://x", "http://user:s3cret@x/", "http://x/?token=s3cret", "http://["])
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"\[embodied\] boavizta_url is no address") as caught:
        asker(url, no_fetch)
    assert "s3cret" not in str(caught.value)
