"""The simulator is held to its own physics, so that what is measured against it is measured against something."""

from itertools import pairwise

import pytest
from tests.serving.engine_model import Arrival, Card, Counts, Engine, Played, Rules
from tests.serving.samples import Eyes, Registers
from tests.serving.workloads import conversation

RULES = {
    "as vLLM": Rules(),
    "small chunks": Rules(step_tokens=512, counts_chunks=True),
    "few at a time": Rules(most_running=8, step_tokens=2048),
    "little memory": Rules(kept_tokens=12_000),
}


@pytest.fixture(scope="module", params=RULES)
def played(request: pytest.FixtureRequest) -> Played:
    return Engine(rules=RULES[request.param]).play(conversation(1, 60))


def steady(batch: int, tokens: int, *, prompt: int = 1) -> Played:
    """So many requests at once, all of the same length."""
    return Engine().play([Arrival(0.0, prompt, 0, tokens)] * batch)


def test_true_energies_of_requests_sum_to_what_the_steps_drew(played: Played) -> None:
    assert sum(d.energy_j for d in played.done) == pytest.approx(sum(played.steps_j), rel=1e-12)


def test_every_request_is_answered_in_order_of_its_times(played: Played) -> None:
    arrivals = conversation(1, 60)
    assert sorted(d.arrival for d in played.done) == sorted(arrivals)
    assert all(d.arrival.at_s <= d.scheduled_s < d.first_s <= d.end_s for d in played.done)
    last = played.counts[-1]
    assert last[:4] == (sum(a.computed for a in arrivals), 0, sum(a.generated for a in arrivals), len(arrivals))
    assert last.running == 0


def test_counts_only_grow_and_the_batch_keeps_its_limit(played: Played) -> None:
    for before, now in pairwise(played.counts):
        assert all(a <= b for a, b in zip(before[:5], now[:5], strict=True))
    assert 0 < max(c.running for c in played.counts) <= 256


def test_power_stays_between_idle_and_the_cap(played: Played) -> None:
    times_s = [n / 10 for n in range(int(played.ends_s[-1] * 10) + 2)]
    sums_j = played.energies_j(times_s)
    powers_w = [(after - before) / 0.1 for before, after in pairwise(sums_j)]
    assert min(powers_w) >= Card().idle_w - 1e-6
    assert 300 < max(powers_w) <= Card().cap_w + 1e-6
    assert sums_j[-1] == pytest.approx(Card().idle_w * times_s[-1] + sum(played.steps_j))


def test_the_same_arrivals_give_the_same_run() -> None:
    assert Engine().play(conversation(7, 30)) == Engine().play(conversation(7, 30))
    assert conversation(7, 30) != conversation(8, 30)


@pytest.mark.parametrize("batch", [1, 8, 64, 256])
def test_energy_of_a_token_is_its_part_of_the_step_its_own_and_its_context(batch: int) -> None:
    card, tokens = Card(), 400
    run = steady(batch, tokens)
    in_decode_j = sum(run.steps_j[1:]) / (batch * (tokens - 1))
    mean_context = 1 + tokens / 2  # the first of them looks back on two, the last on as many as there are
    assert in_decode_j == pytest.approx(card.step_j / batch + card.token_j + card.context_j * mean_context, rel=1e-9)


def test_long_contexts_make_tokens_dearer_by_a_tenth_and_prompts_by_their_square() -> None:
    after_short, after_long = steady(16, 200, prompt=50), steady(16, 200, prompt=1500)
    ratio = sum(d.tokens_j + d.steps_j for d in after_long.done) / sum(d.tokens_j + d.steps_j for d in after_short.done)
    assert 1.05 < ratio < 1.20
    short_j, long_j = (steady(1, 1, prompt=n).done[0].prompt_j / n for n in (1000, 8000))
    assert long_j - short_j == pytest.approx(Card().attention_j * 3500)


def test_a_step_at_moderate_batch_takes_twenty_to_thirty_milliseconds() -> None:
    run = steady(100, 200, prompt=800)
    spans_s = sorted(end - start for start, end in zip(run.starts_s, run.ends_s, strict=True))
    assert 0.020 < spans_s[len(spans_s) // 2] < 0.030


def test_a_step_is_shared_equally_by_those_in_it() -> None:
    """One alone for 100 tokens, then beside another: the fixed part of a step of two is halved."""
    alone = Engine().play([Arrival(0.0, 10, 0, 100)])
    two = Engine().play([Arrival(0.0, 10, 0, 100)] * 2)
    assert alone.done[0].steps_j == pytest.approx(Card().step_j * 100)
    assert [d.steps_j for d in two.done] == pytest.approx([Card().step_j * 50] * 2)


def test_what_is_in_the_prefix_cache_costs_its_context_and_no_more() -> None:
    cold, warm = Engine().play([Arrival(0.0, 2000, 0, 10)]), Engine().play([Arrival(0.0, 1, 1999, 10)])
    assert warm.done[0].prompt_j < 0.03 * cold.done[0].prompt_j
    assert warm.done[0].tokens_j == pytest.approx(cold.done[0].tokens_j)
    assert warm.counts[-1] == Counts(1, 1999, 10, 1, 10, 0)


def test_a_count_of_prompts_comes_with_the_first_token_or_with_each_chunk() -> None:
    """A prompt of 20,000 tokens takes three steps; vLLM's figures move at the end of the third."""
    late = Engine().play([Arrival(0.0, 20_000, 0, 1)])
    live = Engine(rules=Rules(counts_chunks=True)).play([Arrival(0.0, 20_000, 0, 1)])
    assert [(c.prompt, c.steps) for c in late.counts] == [(0, 0), (0, 0), (20_000, 1)]
    assert [(c.prompt, c.steps) for c in live.counts] == [(8192, 1), (16_384, 2), (20_000, 3)]


def test_the_register_lags_by_at_most_a_refresh_and_errs_as_much_as_was_said() -> None:
    run = Engine().play(conversation(1, 60))
    still = Registers(run, Eyes(noise=0.0), 60.0)
    for tenths in range(10, 600, 7):
        at_s = tenths / 10 + 0.033
        [before_j, now_j] = run.energies_j([at_s - 0.1, at_s])
        shown_j = (still.count_uj(at_s) - still.count_uj(0)) / 1e6
        assert before_j - 75 * 0.1 - 0.01 <= shown_j <= now_j + 0.01  # its zero is its first refresh
    noisy = Registers(run, Eyes(noise=0.03), 60.0)
    parts = [
        (noisy.count_uj(n / 1.0) - noisy.count_uj(n - 1.0)) / (still.count_uj(n / 1.0) - still.count_uj(n - 1.0)) - 1
        for n in range(2, 60)
    ]
    assert 0.01 < (sum(p * p for p in parts) / len(parts)) ** 0.5 < 0.05
