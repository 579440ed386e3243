"""The background client of the agent's HTTP: it never blocks its caller, and what it says of its agent is current or nothing."""

import math
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integrations.fake_server import Agent, said, serving
from tests.runtime.programs import blind, python

from wattledger import Quantity
from wattledger.integrations import _agent
from wattledger.integrations._records import Price, Told, place, price, prices_of, unix_nano
from wattledger.integrations._usage import Counts

NOW = datetime(2026, 11, 23, 10, 0, 0, 123456, UTC)


def told(**more: Any) -> Told:
    words: dict[str, Any] = {"operation": "chat", "model": "tiny", "host": "127.0.0.1", "port": 8000}
    words |= {"began": NOW, "first": None, "ended": NOW + timedelta(seconds=1), "counts": Counts(7, 5, 4)}
    return Told(**{**words, **more})


@pytest.fixture
def served() -> Iterator[Agent]:
    with serving(Agent()) as app:
        yield app


@pytest.fixture
def client(served: Agent) -> Iterator[_agent.Agent]:
    found = _agent.Agent("127.0.0.1", served.port, named=True)
    yield found
    found.stop()


def test_the_first_question_does_not_wait_and_a_later_one_knows(served: Agent, client: _agent.Agent) -> None:
    served.knows("127.0.0.1:8000")
    assert client.prices(datetime.now(UTC)) == {}
    client.record(told())
    served.wait_for(spans=1)
    known = price(client.prices(datetime.now(UTC)), told())
    assert known == Price(Quantity(0.5, 0.4, 0.6), Quantity(2.0, 1.5, 3.0), 1e-4)


def test_a_price_that_is_old_is_no_price(served: Agent, client: _agent.Agent) -> None:
    served.knows("127.0.0.1:8000")
    client.record(told())
    served.wait_for(spans=1)
    assert client.prices(datetime.now(UTC) + timedelta(seconds=30)) != {}
    assert client.prices(datetime.now(UTC) + timedelta(hours=1)) == {}


def test_records_of_a_second_are_one_post_and_prices_are_asked_for_once(served: Agent, client: _agent.Agent) -> None:
    for n in range(50):
        client.record(told(response_id=f"r{n}"))
    served.wait_for(spans=50)
    assert [said(span)["gen_ai.response.id"] for span in served.spans] == [f"r{n}" for n in range(50)]
    assert served.asked == 1


def test_what_an_agent_that_was_there_cannot_take_now_is_sent_again(served: Agent, client: _agent.Agent) -> None:
    client.record(told(response_id="a"))
    served.wait_for(spans=1)
    served.status = 503
    client.record(told(response_id="b"))
    served.wait_for(posts=2)
    served.status = 200
    served.wait_for(spans=2)
    assert [said(span)["gen_ai.response.id"] for span in served.spans] == ["a", "b"]
    assert client.dropped == 0


def test_what_the_agent_refuses_is_dropped_and_counted(served: Agent, client: _agent.Agent) -> None:
    served.status = 400
    client.record(told())
    client.record(told())
    served.wait_for(posts=1)
    client.stop()
    assert client.dropped == 2


def test_the_queue_is_bounded_and_what_is_too_much_is_counted() -> None:
    hanging = socket.create_server(("127.0.0.1", 0))  # accepts nothing: the client's thread waits for it
    client = _agent.Agent("127.0.0.1", hanging.getsockname()[1], named=False)
    try:
        for _ in range(_agent.MOST_QUEUED + 25):
            client.record(told())
        assert client.dropped == 25
    finally:
        hanging.close()
        client.stop()


def test_a_stop_sends_what_waits(served: Agent, client: _agent.Agent) -> None:
    client.record(told())
    served.wait_for(asked=1)
    client.stop()
    assert len(served.spans) == 1


def test_an_empty_address_is_no_agent_and_no_thread() -> None:
    before = threading.active_count()
    assert _agent.agent({"WATTLEDGER_AGENT_LISTEN": ""}) is None
    assert threading.active_count() == before


@pytest.mark.parametrize("listen", ["nowhere", "host:", "host:70000", "host:-1"])
def test_an_address_that_is_none_is_one_line_and_no_agent(listen: str) -> None:
    assert _agent.agent({"WATTLEDGER_AGENT_LISTEN": listen}) is None


@pytest.mark.parametrize(
    ("listen", "host"),
    [(":9909", "127.0.0.1"), ("0.0.0.0:9909", "127.0.0.1"), ("[::1]:9909", "::1"), ("gpu-7:9", "gpu-7")],
)
def test_what_listens_everywhere_is_asked_on_the_loopback(listen: str, host: str) -> None:
    found = _agent.agent({"WATTLEDGER_AGENT_LISTEN": listen})
    assert found is not None
    assert found.host == host


PROGRAM = """
import atexit
ended = []
atexit.register(lambda: out(time.monotonic() - ended[0]))  # the first to be registered runs last
from wattledger.integrations import _agent
from wattledger.integrations._calls import now
from wattledger.integrations._records import Told
from wattledger.integrations._usage import Counts
def tell(name):
    _agent.agent().record(Told("chat", name, "127.0.0.1", 8000, now(), None, now(), Counts(1, 0, 1)))
"""


def test_a_program_ends_within_a_second_where_the_agent_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        listen = f"127.0.0.1:{hanging.getsockname()[1]}"
        done = python(PROGRAM + "tell('a'); ended.append(time.monotonic())", blind(tmp_path, WATTLEDGER_AGENT_LISTEN=listen))
    assert done.value < 1.5
    assert done.err.count("wattledger:") <= 1


def test_a_program_that_ends_at_once_has_told_its_last_request(tmp_path: Path, served: Agent) -> None:
    done = python(PROGRAM + "tell('last'); ended.append(time.monotonic())", blind(tmp_path, WATTLEDGER_AGENT_LISTEN=served.listen))
    assert (done.err, done.value < 1.5) == ("", True)
    assert [said(span)["gen_ai.request.model"] for span in served.spans] == ["last"]


def test_a_forked_child_tells_its_own_requests_and_none_twice(tmp_path: Path, served: Agent) -> None:
    done = python(PROGRAM + """
tell("parent")
child = os.fork()
if child == 0:
    tell("child")
    _agent.agent().stop()
    os._exit(0)
os.waitpid(child, 0)
ended.append(time.monotonic())
""", blind(tmp_path, WATTLEDGER_AGENT_LISTEN=served.listen))
    assert (done.status, done.err) == (0, "")
    assert sorted(said(span)["gen_ai.request.model"] for span in served.spans) == ["child", "parent"]


def test_where_nobody_named_an_agent_none_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = _agent.Agent("127.0.0.1", port, named=False)
    client.record(told())
    client.stop()
    assert (client.dropped, capsys.readouterr().err) == (1, "")


def test_an_agent_that_was_named_and_is_not_there_is_missed_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        listen = f"127.0.0.1:{closed.getsockname()[1]}"
    done = python(PROGRAM + "tell('a'); tell('b'); ended.append(0)", blind(tmp_path, WATTLEDGER_AGENT_LISTEN=listen))
    assert done.err.startswith(f"wattledger: requests are not told to the agent at {listen}")
    assert done.err.count("wattledger:") == 1


# --- the forms of both ------------------------------------------------------------------------------------------------------


def test_every_loopback_name_is_one_place() -> None:
    names = ("localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0", "LOCALHOST")
    assert {place(name, 80) for name in names} == {("127.0.0.1", 80)}
    assert place("GPU-7", 80) == ("gpu-7", 80)


def test_a_loopback_address_is_on_the_agents_host() -> None:
    """An agent on another host says 127.0.0.1 of itself."""
    answer = {"schema": "wattledger.tokens/1", "models": [{"model": "m", "addresses": ["127.0.0.1:8000"], "prompt_j": one(1.0)}]}
    found = prices_of(answer, "gpu-7")
    assert found is not None
    assert list(found) == [("gpu-7", 8000)]


def one(value: float) -> dict[str, float]:
    return {"value": value, "low": value, "high": value}


ANOTHER = {"schema": "wattledger.tokens/2", "models": []}


@pytest.mark.parametrize("answer", [None, [], {}, ANOTHER, {"schema": "wattledger.tokens/1"}])
def test_what_is_not_the_document_is_no_prices(answer: Any) -> None:
    assert prices_of(answer, "127.0.0.1") is None


@pytest.mark.parametrize("odd", [None, 3, {"value": -1, "low": 0, "high": 1}, one(math.inf), {"value": "1"}, {"value": True}])
def test_a_price_that_cannot_be_is_left_out(odd: Any) -> None:
    entry = {"model": "m", "addresses": ["127.0.0.1:8000", "nowhere", 3], "prompt_j": odd, "grams_per_joule": odd}
    answer = {"schema": "wattledger.tokens/1", "models": [entry, None, {"model": "n"}]}
    expected = Price(None, None, 3 if odd == 3 else None)
    assert prices_of(answer, "127.0.0.1") == {("127.0.0.1", 8000): {"m": expected}}


def test_of_several_models_only_the_named_one_has_a_price() -> None:
    big, small = (Price(Quantity(j, j, j), None, None) for j in (2.0, 1.0))
    both = {("127.0.0.1", 8000): {"big": big, "small": small}}
    assert price(both, told(model="alias", response_model="small")) == small
    assert price(both, told(model="big")) == big
    assert price(both, told(model="unheard-of")) is None
    assert price({("127.0.0.1", 8000): {"big": big}}, told(model="unheard-of")) == big  # it serves no other
    assert price(both, told(host="api.example.org", port=443, model="big")) is None


def test_times_are_exact_to_the_microsecond() -> None:
    assert unix_nano(NOW) == 1795428000123456000
