"""A serving engine in discrete steps, with the true energy of every request: physics that the estimator does not know.

Continuous batching as in vLLM: a queue, a step that gives each running sequence one token and spends what is left of its token
budget on prompts, chunk by chunk.  Joules are built from what a step moves and computes: weights once a step, the keys and values
of every sequence's context again at every token, attention quadratic in the prompt.  Whose joule is whose: a sequence's own prompt,
tokens and context are its own; what a step costs however full it is, is shared equally by those in it (their Shapley value).
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import accumulate
from typing import NamedTuple


class Card(NamedTuple):
    """A model on a card; the defaults are an 8B model (32 layers, 8 of 32 heads kept) in 16 bits on an H100.

    16 GB of weights and 131,072 bytes of keys and values a token at 2.4 TB/s; 100 pJ a byte from memory to multiplier (1.6 J
    of the 2.7 J a step; the rest is clocks and launches); 16 GFLOP a prompt token at 400 TFLOP/s and 1.25 pJ each; attention of a
    prompt token to each before it 524,288 FLOP at half that efficiency.  A token's 67 mJ and a step's 2.7 J: science.md 4.1, 4.4.
    """

    idle_w: float = 75.0
    cap_w: float = 700.0
    step_j: float = 2.7
    token_j: float = 0.067
    context_j: float = 13.1e-6  # a generated token, of each token of its context
    prompt_j: float = 0.020
    attention_j: float = 1.3e-6  # a prompt token, of each one before it
    launch_s: float = 0.002
    weights_s: float = 0.0067
    context_s: float = 5.5e-8
    prompt_s: float = 40e-6
    token_s: float = 100e-6


class Rules(NamedTuple):
    """How the engine batches.  ``counts_chunks``: prompts are counted as they are computed; else, as vLLM does, once their first
    token is there, and a step without any token is not counted."""

    most_running: int = 256
    step_tokens: int = 8192
    kept_tokens: int = 400_000  # keys and values that fit beside the weights
    counts_chunks: bool = False


class Arrival(NamedTuple):
    """A request as it comes in.  ``computed``: prompt tokens that are not in the prefix cache already."""

    at_s: float
    computed: int
    cached: int
    generated: int


class Done(NamedTuple):
    """A request that has been answered, and its true energy above idle: its prompt, its tokens, its part of the steps."""

    arrival: Arrival
    scheduled_s: float
    first_s: float
    end_s: float
    prompt_j: float
    tokens_j: float
    steps_j: float

    @property
    def energy_j(self) -> float:
        return self.prompt_j + self.tokens_j + self.steps_j


class Counts(NamedTuple):
    """What the engine says of itself, as of the end of a step."""

    prompt: int = 0
    cached: int = 0
    generated: int = 0
    requests: int = 0
    steps: int = 0
    running: int = 0


class Played(NamedTuple):
    """A run: requests in the order in which they ended, and each step's start, end, joules above idle and counts after it."""

    card: Card
    done: list[Done]
    starts_s: list[float]
    ends_s: list[float]
    steps_j: list[float]
    counts: list[Counts]

    def counts_at(self, at_s: float) -> Counts:
        """As of the last step's end."""
        n = bisect_right(self.ends_s, at_s)
        return self.counts[n - 1] if n else Counts()

    def energies_j(self, times_s: Iterable[float]) -> list[float]:
        """Joules of the card, idle included, from 0 to each of these times; evenly drawn within a step."""
        sums = [0.0, *accumulate(self.steps_j)]
        return [self.card.idle_w * at_s + self._until(at_s, sums, self.steps_j) for at_s in times_s]

    def busy_s(self, times_s: Iterable[float]) -> list[float]:
        """Time in which a kernel ran, from 0 to each of these times: a step is busy from its start to its end."""
        took_s = list(map(float.__sub__, self.ends_s, self.starts_s))
        sums = [0.0, *accumulate(took_s)]
        return [self._until(at_s, sums, took_s) for at_s in times_s]

    def _until(self, at_s: float, sums: list[float], parts: list[float]) -> float:
        n = bisect_right(self.starts_s, at_s)
        if not n:
            return 0.0
        start_s, end_s = self.starts_s[n - 1], self.ends_s[n - 1]
        return sums[n - 1] + parts[n - 1] * min(1.0, (at_s - start_s) / (end_s - start_s))


class _Sequence:
    """State of one request inside the engine."""

    __slots__ = ("arrival", "before_j", "first_s", "left", "prompt_j", "scheduled_s")

    def __init__(self, arrival: Arrival, scheduled_s: float, before_j: float) -> None:
        self.arrival = arrival
        self.scheduled_s = scheduled_s
        self.before_j = before_j  # what one sequence had got of steps before this one came
        self.left = max(1, arrival.computed)  # the last prompt token is computed even when all of them are cached
        self.prompt_j = 0.0
        self.first_s = 0.0


class Engine:
    """State: the queue, who is in the batch, the sums of what one sequence gets of each step."""

    def __init__(self, card: Card | None = None, rules: Rules | None = None) -> None:
        self.card = card or Card()
        self.rules = rules or Rules()
        self._prefilling: deque[_Sequence] = deque()
        self._ends: list[tuple[int, int, _Sequence]] = []  # by the step in which the last token comes: one a step, never paused
        self._contexts = 0  # tokens that all decoding sequences look back on
        self._kept = 0
        self._each_j = 0.0
        self._step = self._begun = 0
        self._counts = Counts()
        self._played = Played(self.card, [], [], [], [], [])

    def play(self, arrivals: Iterable[Arrival]) -> Played:
        """Until all are answered; arrivals in order of time.  A request larger than the memory is an error."""
        waiting, now_s = deque(arrivals), 0.0
        while waiting or self._prefilling or self._ends:
            if not self._prefilling and not self._ends:
                now_s = max(now_s, waiting[0].at_s)
            now_s = self._take_step(waiting, now_s)
        return self._played

    def _take_step(self, waiting: deque[Arrival], now_s: float) -> float:
        """One step; when it ended."""
        decoding, card = len(self._ends), self.card
        chunks = self._schedule(waiting, now_s)
        part_j = card.step_j / (decoding + len(chunks))
        prompts_j = [self._compute(sequence, size) for sequence, size in chunks]
        energy_j = card.step_j + sum(prompts_j) + card.token_j * decoding + card.context_j * self._contexts
        end_s = now_s + self._duration_s(sum(size for _, size in chunks), decoding, energy_j)
        self._each_j += part_j
        self._step += 1
        self._contexts += decoding
        self._played.starts_s.append(now_s)
        self._played.ends_s.append(end_s)
        self._played.steps_j.append(energy_j)
        begun = self._begin([sequence for sequence, _ in chunks if not sequence.left], end_s)
        ended = self._end(end_s)
        self._count(begun, decoding, ended, sum(size for _, size in chunks))
        return end_s

    def _schedule(self, waiting: deque[Arrival], now_s: float) -> list[tuple[_Sequence, int]]:
        """Who of the prompts is computed in this step, and how many tokens of each."""
        budget = self.rules.step_tokens - len(self._ends)
        chunks: list[tuple[_Sequence, int]] = []
        for sequence in self._prefilling:
            if budget > 0:
                chunks.append((sequence, min(budget, sequence.left)))
                budget -= chunks[-1][1]
        while waiting and waiting[0].at_s <= now_s and budget > 0 and self._fits(waiting[0]):
            arrival = waiting.popleft()
            self._kept += _size(arrival)
            sequence = _Sequence(arrival, now_s, self._each_j)
            self._prefilling.append(sequence)
            chunks.append((sequence, min(budget, sequence.left)))
            budget -= chunks[-1][1]
        return chunks

    def _fits(self, arrival: Arrival) -> bool:
        assert _size(arrival) <= self.rules.kept_tokens, arrival
        running = len(self._ends) + len(self._prefilling)
        return running < self.rules.most_running and self._kept + _size(arrival) <= self.rules.kept_tokens

    def _compute(self, sequence: _Sequence, size: int) -> float:
        """A chunk of a prompt: its joules.  What is before it is read once a chunk, and attended to by each of its tokens."""
        card, arrival = self.card, sequence.arrival
        before = arrival.cached + max(1, arrival.computed) - sequence.left
        energy_j = size * (card.prompt_j + card.attention_j * (before + size / 2)) + card.context_j * before
        sequence.left -= size
        sequence.prompt_j += energy_j
        return energy_j

    def _duration_s(self, prompt_tokens: int, decoding: int, energy_j: float) -> float:
        """The longer of reading and computing (roofline), what each sequence takes beside, and never above the power cap."""
        card = self.card
        reading_s = card.weights_s + card.context_s * self._contexts
        took_s = card.launch_s + max(reading_s, card.prompt_s * prompt_tokens) + card.token_s * decoding
        return max(took_s, energy_j / (card.cap_w - card.idle_w))

    def _begin(self, ready: list[_Sequence], at_s: float) -> list[_Sequence]:
        """Their prompts are computed, and that gave each its first token."""
        for sequence in ready:
            self._prefilling.remove(sequence)
            sequence.first_s = at_s
            arrival = sequence.arrival
            self._contexts += arrival.cached + max(1, arrival.computed) + 1
            self._begun += 1
            heappush(self._ends, (self._step + arrival.generated - 1, self._begun, sequence))
        return ready

    def _end(self, at_s: float) -> int:
        ended = 0
        while self._ends and self._ends[0][0] <= self._step:
            sequence = heappop(self._ends)[2]
            arrival, before = sequence.arrival, sequence.arrival.cached + max(1, sequence.arrival.computed)
            later = arrival.generated - 1  # the first token came with the prompt
            self._contexts -= before + arrival.generated
            self._kept -= _size(arrival)
            contexts = later * before + later * (later + 1) // 2
            tokens_j = later * self.card.token_j + self.card.context_j * contexts
            times = sequence.scheduled_s, sequence.first_s, at_s
            self._played.done.append(Done(arrival, *times, sequence.prompt_j, tokens_j, self._each_j - sequence.before_j))
            ended += 1
        return ended

    def _count(self, begun: list[_Sequence], decoding: int, ended: int, computed: int) -> None:
        was, tokens = self._counts, decoding + len(begun)
        whole = self.rules.counts_chunks
        prompt = computed if whole else sum(max(1, s.arrival.computed) for s in begun)
        self._counts = Counts(
            was.prompt + prompt,
            was.cached + sum(s.arrival.cached for s in begun),
            was.generated + tokens,
            was.requests + ended,
            was.steps + (1 if whole or tokens else 0),
            len(self._ends) + len(self._prefilling),
        )
        self._played.counts.append(self._counts)


def _size(arrival: Arrival) -> int:
    return arrival.computed + arrival.cached + arrival.generated + 1
