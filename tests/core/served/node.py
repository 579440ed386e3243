"""A node with one GPU and a serving engine on it, second by second through the pipeline."""

from collections.abc import Iterable, Sequence

from tests.core.made import GPU, at, claim, counter, factor, holding, used

from wattledger.core.model import Batch, Fault, Request, Sample, Served, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.series import Series
from wattledger.core.totals import State

SERVE = Workload("serve", "llama")
ENGINE, ADDRESS = "vllm 127.0.0.1:8000", "127.0.0.1:8000"


def told(time_s: float, prompt: int, generated: int, *, steps: int | None = None, running: int | None = None, model: str = "llama",
         engine: str = ENGINE, who: str = "pid:7", setup: str = "") -> Served:  # fmt: skip
    address = engine.partition(" ")[2]
    return Served(engine, model, address, who, at(time_s), prompt, 0, generated, generated // 10, steps, running, setup)


def request(name: str, start_s: float, end_s: float, prompt: int, generated: int, *, model: str = "llama", address: str = ADDRESS,
            tenant: str = "") -> Request:  # fmt: skip
    return Request(name, model, at(start_s), at(start_s + 0.1), at(end_s), prompt, 0, generated, address, tenant)


class Node:
    """A GPU that one engine's process holds and uses: 100 W idle, and what each second's tokens cost."""

    def __init__(self, series: Series | None = None) -> None:
        self.pipeline = Pipeline(series)
        self.steps: list[Step] = []
        self.now_s, self.energy_j, self.used_s = 0.0, 0.0, 0.0
        self.prompt = self.generated = self.engine_steps = 0
        self.run([claim("pid:7", SERVE), holding(GPU.id, "pid:7", 1.0), factor("grid", 360.0), self.reading()])

    def reading(self, **words: object) -> Served:
        return told(self.now_s, self.prompt, self.generated, steps=self.engine_steps, **words)  # type: ignore[arg-type]

    def run(self, samples: Iterable[Sample]) -> Step:
        batch = [counter(GPU, self.now_s, self.energy_j), used(GPU.id, "pid:7", self.now_s, self.used_s), *samples]
        step = self.pipeline.step(Batch(at(self.now_s), True, tuple(batch)))
        self.steps.append(step)
        return step

    def second(self, prompt: int = 0, generated: int = 0, *, more: Sequence[Sample] = (), tells: bool = True) -> Step:
        """One second passes: 0.02 J a prompt token, 0.1 J a generated one, 2 J a step of eight."""
        steps = generated // 8
        self.now_s += 1
        self.prompt, self.generated, self.engine_steps = self.prompt + prompt, self.generated + generated, self.engine_steps + steps
        self.energy_j += 100 + 0.02 * prompt + 0.1 * generated + 2 * steps
        self.used_s += 0.5
        return self.run([*([self.reading()] if tells else []), *more])

    def doubts(self) -> list[Fault]:
        """What was not believed, so far."""
        return [doubt for step in self.steps for doubt in step.doubts]

    def kinds_uj(self, workload: Workload = SERVE) -> dict[str, int]:
        shown = self.pipeline.totals.snapshot(State()).tokens.token_uj
        found: dict[str, int] = {}
        for (whose, _, _, kind), uj in shown.items():
            if whose == workload:
                found[kind] = found.get(kind, 0) + uj
        return found

    def energy_uj(self, workload: Workload = SERVE) -> int:
        return sum(uj for (whose, *_), uj in self.pipeline.totals.energy_uj.items() if whose == workload)

    def pending_uj(self, workload: Workload = SERVE) -> int:
        return self.pipeline.totals.snapshot(State()).tokens.token_pending_uj.get(workload, 0)


def busy(node: Node, seconds: int) -> None:
    for i in range(seconds):
        node.second(0 if i % 5 == 4 else 100 + 37 * (i % 7), 0 if i % 5 == 4 else 80 + 16 * (i % 3))
