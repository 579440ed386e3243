"""Serving engines, whatever they say: what their energy went into is their energy, at every cell."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from math import isfinite

from hypothesis import given, settings
from tests.laws.engines import Servers, servers
from tests.laws.histories import drive

from wattledger.core.model import Batch, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.posted import Minute
from wattledger.core.series import Series
from wattledger.core.totals import TOKEN_KINDS, State, Tokens


class Watch:
    """Looks after every cell.  State: what each workload had when it was first served, and the sums of the cell before."""

    def __init__(self) -> None:
        self.had_uj: dict[Workload, int] = {}
        self.last: Counter[Workload] = Counter()
        self.before = Tokens()

    def energies(self, pipeline: Pipeline) -> tuple[Counter[Workload], Tokens]:
        energy_uj: Counter[Workload] = Counter()
        for (workload, *_), uj in pipeline.totals.energy_uj.items():
            energy_uj[workload] += uj
        tokens = pipeline.totals.tokens or Tokens()
        for workload in tokens.token_pending_uj:
            self.had_uj.setdefault(workload, self.last[workload])
        self.last, self.before = energy_uj, tokens
        return energy_uj, tokens


@settings(max_examples=80)
@given(servers)
def test_kinds_and_what_is_pending_are_the_energy_at_every_cell(world: Servers) -> None:
    watch = Watch()

    def check(pipeline: Pipeline, batch: Batch) -> None:
        assert batch.full
        energy_uj, tokens = watch.energies(pipeline)
        left: defaultdict[str, int] = defaultdict(int)  # by job: a workload's models have names of their own
        for workload, uj in tokens.token_pending_uj.items():
            assert uj >= 0
            left[workload.job] += energy_uj[workload] - watch.had_uj[workload] - uj
        for (workload, _, _, _), uj in tokens.token_uj.items():
            left[workload.job] -= uj
        assert set(left.values()) <= {0}
        assert set(pipeline.totals.residual_uj().values()) <= {0}

    drive(world.batches, check)
    assert watch.had_uj


@settings(max_examples=40)
@given(servers)
def test_requests_and_what_is_open_are_what_tokens_got(world: Servers) -> None:
    def check(pipeline: Pipeline, _: Batch) -> None:
        tokens, book = pipeline.totals.tokens, pipeline._posting.tokens
        assert tokens is not None
        assert book is not None
        kinds_uj = sum(uj for (*_, kind), uj in tokens.token_uj.items() if kind in TOKEN_KINDS[:2])
        open_uj = sum(sum(requests.pending_uj) for serving in book.serving.values() for requests in serving.requests.values())
        assert sum(tokens.request_uj.values()) + open_uj == kinds_uj

    drive(world.batches, check)


@settings(max_examples=40)
@given(servers)
def test_sums_only_grow_and_prices_lie_in_their_intervals(world: Servers) -> None:
    before = Tokens()

    def check(pipeline: Pipeline, batch: Batch) -> None:
        nonlocal before
        assert batch.full
        now = pipeline.totals.tokens or Tokens()
        for name in ("token_uj", "token_g", "request_uj", "request_tokens"):
            old, new = getattr(before, name), getattr(now, name)
            assert all(new[key] >= value >= 0 for key, value in old.items()), name
        for (workload, kind, _), price in now.token_price.items():
            assert price >= 0
            assert isfinite(price)
            low, value, high = (now.token_price[workload, kind, bound] for bound in ("low", "value", "high"))
            assert low <= value * (1 + 1e-9)
            assert value <= high * (1 + 1e-9)
        before = now

    drive(world.batches, check)


@settings(max_examples=25)
@given(servers)
def test_a_request_is_settled_once_and_gets_nothing_negative(world: Servers) -> None:
    pipeline, ids = Pipeline(), list[str]()
    for batch in world.batches:
        for _, settled in pipeline.step(batch).requests:
            assert min(settled.prompt_uj, settled.generated_uj, settled.spread_uj) >= 0
            ids += [settled.request.id] if settled.request is not None else []
    assert len(ids) == len(set(ids))


@settings(max_examples=25)
@given(servers)
def test_what_is_kept_of_tokens_is_what_is_shown_however_few_have_a_series(world: Servers) -> None:
    """The ledger keeps full names, and limits change names and no sum."""
    everybody, few = Pipeline(), Pipeline(Series(1, 60_000_000_000))
    steps = [(everybody.step(batch), few.step(batch)) for batch in world.batches]
    kept, kept_of_few = (by_division(both[i] for both in steps) for i in (0, 1))
    shown: Counter[tuple[Workload, str, str, str]] = Counter()
    for (workload, component, method), energies_uj in kept.items():
        shown.update({(workload, component, method, kind): uj for kind, uj in zip(TOKEN_KINDS, energies_uj, strict=True)})
    assert everybody.totals.tokens is not None
    assert +shown == +Counter(everybody.totals.tokens.token_uj)
    assert kept.keys() >= kept_of_few.keys()
    assert set(few.totals.residual_uj().values()) <= {0}


def by_division(steps: Iterable[Step]) -> dict[tuple[Workload, str, str], list[int]]:
    whole = Minute()
    for step in steps:
        for minutes in step.kept:
            for minute in minutes.values():
                whole.add(minute)
    return whole.tokens


@settings(max_examples=15)
@given(servers)
def test_the_same_history_gives_the_same_tokens(world: Servers) -> None:
    first, second = (drive(world.batches).pipeline.totals.snapshot(State()) for _ in range(2))
    assert first == second
