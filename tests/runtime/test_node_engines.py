"""Engines' processes: units of their own while they live, by the name of what they serve."""

from tests.core.made import at

from wattledger.core.model import Claim, Sample, Served, Workload
from wattledger.runtime.node.engines import UNTOLD, Engines
from wattledger.runtime.node.membership import Look
from wattledger.sources.cgroup.clients import Spoken


def told(pid: int, model: str = "llama") -> Served:
    return Served(f"vllm :{pid}", model, f"127.0.0.1:{pid}", f"pid:{pid}", at(1), 0, 0, 0, 0)


class Machine:
    """Processes by id, each with its start; the programs that the agent knows."""

    def __init__(self, **started: int) -> None:
        self.started = {int(pid.removeprefix("p")): start for pid, start in started.items()}
        self.clients: dict[int, Spoken] = {}
        self.engines = Engines(Look(self.stat, lambda pid: None), self.clients)

    def stat(self, pid: int) -> tuple[int, int] | None:
        return (1, self.started[pid]) if pid in self.started else None

    def name(self, *samples: Sample) -> list[Sample]:
        return list(self.engines.name(samples, at(1)))


def test_an_engine_becomes_a_unit_and_gets_its_model_s_name_once() -> None:
    machine = Machine(p7=100)
    assert machine.name(told(7)) == [Claim("pid:7", at(1), Workload("", "llama"), "program")]
    assert machine.clients == {7: UNTOLD}
    assert machine.name(told(7)) == []


def test_one_that_serves_several_models_has_the_name_of_none() -> None:
    machine = Machine(p7=100)
    machine.name(told(7))
    assert machine.name(told(7), told(7, "mistral")) == [Claim("pid:7", at(1), Workload("", None), "program")]


def test_one_that_has_ended_is_let_go() -> None:
    machine = Machine(p7=100)
    machine.name(told(7))
    del machine.started[7]
    assert machine.name() == [Claim("pid:7", at(1), None, "program")]
    assert machine.clients == {}


def test_its_number_that_came_back_is_another_s() -> None:
    machine = Machine(p7=100)
    machine.name(told(7))
    machine.started[7] = 200
    assert machine.name() == [Claim("pid:7", at(1), None, "program")]
    assert machine.name(told(7, "mistral")) == [Claim("pid:7", at(1), Workload("", "mistral"), "program")]


def test_one_that_speaks_to_the_agent_itself_stays_its_client() -> None:
    machine = Machine(p7=100)
    machine.clients[7] = Spoken(5)
    machine.name(told(7))
    del machine.started[7]
    machine.name()
    assert machine.clients == {7: Spoken(5)}


def test_an_engine_elsewhere_or_gone_already_is_nobody_s_unit() -> None:
    machine = Machine(p7=100)
    assert machine.name(told(8), told(7)._replace(who="")) == []
    assert machine.clients == {}
