"""Pools of energy of one model's prompt and generated tokens → the requests that were told, exactly.

A stretch is settled when all requests that overlap it can be expected to have been told, and a request when all its stretches are
(science.md section 4.3 (5) and (6)).  All instants are taken by their ``mono_ns``.
"""

from collections import deque
from math import sqrt
from typing import NamedTuple

from wattledger.core.model import Instant, Request
from wattledger.core.served.nonnegative import quadratic
from wattledger.core.served.purse import Coverage, Purse, Recent
from wattledger.core.served.sweep import CONTEXT, Flight, Landed, Phase, Prices, Sweep
from wattledger.core.tokens import Z95, Covariance, Done, ModelPrices
from wattledger.core.units import NS_PER_S, UJ_PER_J, joules, seconds

SOONEST_NS, LATEST_NS, HOUR_NS = 15 * NS_PER_S, 600 * NS_PER_S, 3600 * NS_PER_S
LONGEST_NS = 24 * HOUR_NS
MOST_TOKENS = 10_000_000
LATE_S = 0.1  # joules land in a GPU's register up to so late (science.md section 1.4): a stretch may lack its last ones
DEARER = 0.6  # one sigma, in parts, of what attention makes a long prompt's tokens dearer by: models differ (``ATTENTION``)
# One sigma of what no price explains: e_step/B + e_tok fits dense models to 2 to 7 % (science.md section 4.1), and a prompt's
# share of its batch is told no better.  By both, nine stated intervals in ten hold the truth of recorded code completions, whose
# bursts are the worst that was tried.
MISFIT = 0.09

# After a quiet moment minutes of stretches may be due at once: a tick settles so many, and fewer once they have settled so many
# requests, so that the sampler never waits for it.  A tick brings one stretch, so two catch up.
FEWEST, MOST, ENOUGH = 2, 8, 50


class OpenStretch(NamedTuple):
    """One model's pools between two readings of its engines, all lanes together.

    ``prices``: joules, multiplied by each lane's scale and summed over lanes (``Division.prices``); ``spread``: their covariance,
    rows idle power, step, prompt, generated (``Fit.spread``, summed over lanes; empty: not known).  ``idle``: no request was
    running at its end.
    """

    start: Instant
    end: Instant
    done: Done
    prompt_uj: int
    generated_uj: int
    prices: ModelPrices
    spread: Covariance
    weak: bool
    idle: bool


class SettledRequest(NamedTuple):
    """A request's energy for good; ``None``: the tokens that no record explains.  ``spread_uj``: its 95 % half-width."""

    request: Request | None
    prompt_uj: int
    generated_uj: int
    spread_uj: int
    weak: bool
    prompt_tokens: int
    generated_tokens: int


class RequestBook:
    """The requests of one workload's model.

    State: stretches that are open, the sweep over those that are settled, both purses, how long requests have been lately, and
    the latest prices.  Not thread-safe; ``settle`` is told the time.
    """

    def __init__(self) -> None:
        self._open: deque[OpenStretch] = deque()
        self._sweep = Sweep(5)
        self._prompt, self._generated = Purse(), Purse()
        self._prompts_told, self._generated_told = Coverage(), Coverage()
        self._lengths: deque[tuple[int, int]] = deque()  # (end, duration), ever shorter ones
        self._told: dict[str, int] = {}
        self._missed: list[Request] = []
        self._lately = (Recent(), Recent())
        self._span_s = 1.0
        self._weak = self._pending = self._seq = self._last_ns = 0

    @property
    def pending(self) -> int:
        """Requests that were heard and are not settled."""
        return self._pending + len(self._missed)

    @property
    def pending_uj(self) -> tuple[int, int]:
        """Prompt and generated energy that is not settled; with all that was settled it is all that was added, exactly."""
        return (
            sum(stretch.prompt_uj for stretch in self._open) + self._prompt.pending_uj,
            sum(stretch.generated_uj for stretch in self._open) + self._generated.pending_uj,
        )

    def add(self, stretch: OpenStretch) -> None:
        """The next stretch in time."""
        self._open.append(stretch)
        self._last_ns = max(self._last_ns, stretch.end.mono_ns)
        self._lately[0].add(stretch.prompt_uj, stretch.done.prompt, stretch.end.mono_ns)
        self._lately[1].add(stretch.generated_uj, stretch.done.generated, stretch.end.mono_ns)

    def hear(self, request: Request) -> str:
        """Take a record; returns why it is refused, or nothing."""
        start_ns, end_ns = request.scheduled.mono_ns, request.end.mono_ns
        refusal = self._refusal(request)
        if refusal:
            return refusal
        if request.id:
            self._told[request.id] = end_ns
        self._note_length(end_ns, end_ns - start_ns)
        first = min(max(request.first_token, request.scheduled), request.end)
        if end_ns <= self._sweep.swept_ns:
            self._missed.append(request)
            return ""
        self._seq += 1
        self._pending += 1
        self._sweep.add(Flight(request._replace(first_token=first), self._sweep.swept_ns, self._seq))
        return ""

    def _refusal(self, request: Request) -> str:
        start_ns, end_ns = request.scheduled.mono_ns, request.end.mono_ns
        if end_ns < start_ns:
            return "it ends before it begins"
        if end_ns - start_ns > LONGEST_NS:
            return "it lasts longer than a day"
        if self._last_ns and start_ns > self._last_ns + LATEST_NS:
            return "it begins more than 10 minutes from now: the clocks differ"
        if not all(0 <= tokens <= MOST_TOKENS for tokens in (request.computed, request.cached, request.generated)):
            return "its tokens are negative or more than 10 million"
        if request.id in self._told:
            return "it was told before"
        return ""

    def _note_length(self, end_ns: int, length_ns: int) -> None:
        while self._lengths and self._lengths[-1][1] <= length_ns:
            self._lengths.pop()
        self._lengths.append((end_ns, length_ns))

    def settle(self, now_ns: int) -> list[SettledRequest]:
        """What can be expected to be complete by now, or as much of it as a tick has time for: to be asked again and again.

        What no record explains comes once, at the end, if there is any.
        """
        while self._lengths and self._lengths[0][0] < now_ns - HOUR_NS:
            self._lengths.popleft()
        longest_ns = self._lengths[0][1] if self._lengths else 0
        wait_ns = min(LATEST_NS, max(SOONEST_NS, 2 * longest_ns + 10 * NS_PER_S))
        # Whatever ran before a quiet moment has ended by then.
        quiet = [stretch.end.mono_ns for stretch in self._open if stretch.idle and now_ns - stretch.end.mono_ns >= SOONEST_NS]
        until_ns = max([now_ns - wait_ns, *quiet])
        settled = self._late() + self._take_due(until_ns)
        while self._told and self._told[oldest := next(iter(self._told))] < now_ns - HOUR_NS:
            del self._told[oldest]
        return settled + self._unrecorded()

    def drain(self) -> list[SettledRequest]:
        """The engine is gone: everybody gets what there is, and what is left is nobody's; a tick's part of it, as ``settle``."""
        settled = self._late() + self._take_due(self._last_ns)
        if not self._open:
            settled += [self._paid(landed, (), (0.0,) * 5, cut=True) for landed in self._sweep.leave(ENOUGH)]
        if not self._open and self._sweep.empty:
            for purse in (self._prompt, self._generated):
                purse.close()
        return settled + self._unrecorded()

    def flush(self) -> list[SettledRequest]:
        """Nothing follows: all of that at once."""
        settled = self.drain()
        while self._open or not self._sweep.empty:
            settled += self.drain()
        return settled

    def provisional(self, request: Request) -> tuple[float, float] | None:
        """Prompt and generated joules by what such tokens cost when last there were any; ``None`` before there were any."""
        kinds = ((request.computed, self._lately[0].price_uj), (request.generated, self._lately[1].price_uj))
        if any(tokens and price_uj is None for tokens, price_uj in kinds):
            return None
        prompt_j, generated_j = (tokens * (price_uj or 0.0) / UJ_PER_J for tokens, price_uj in kinds)
        return prompt_j, generated_j

    def _take_due(self, until_ns: int) -> list[SettledRequest]:
        """The next stretches that end by then."""
        settled: list[SettledRequest] = []
        for taken in range(MOST):
            enough = taken >= FEWEST and len(settled) >= ENOUGH
            if enough or not self._open or self._open[0].end.mono_ns > until_ns:
                break
            settled += self._take(self._open.popleft())
        return settled

    def _take(self, stretch: OpenStretch) -> list[SettledRequest]:
        """Settle one stretch: formula (5) of science.md section 4.3."""
        start_ns = max(stretch.start.mono_ns, self._sweep.swept_ns)
        end_ns = max(stretch.end.mono_ns, start_ns)
        done, span_ns = stretch.done, end_ns - start_ns
        seen = self._sweep.weigh(start_ns, end_ns)
        step_j, _, token_j = stretch.prices
        # Where nobody generates nobody tells the pace: then at the stretch's mean, over as long as it was that.
        told_s = seconds(span_ns)
        untold = done.steps * min(1.0, seen.untold_s / told_s) if told_s else 0.0
        pace = max(0.0, done.steps - untold) / seen.steps if seen.steps else 0.0
        steps = done.steps if pace or seen.untold_s else 0.0
        untold_per_s = (steps - pace * seen.steps) / seen.untold_s if seen.untold_s else 0.0
        # Of a token's price, what it costs to read all before it: that differs between requests.
        context_j = min(CONTEXT * step_j, token_j * seen.generated / seen.context) if seen.context else 0.0
        token_j -= context_j * seen.context / seen.generated if seen.context else 0.0
        # Prices of nothing tell no request from another: then by tokens alone.
        token_j = token_j if token_j * seen.generated + context_j * seen.context + step_j * steps > 0 else 1.0
        whole = token_j * seen.generated + context_j * seen.context + step_j * steps
        told = self._prompts_told.part(seen.prompt, done.prompt, span_ns)
        prompt_uj = self._prompt.fill(stretch.prompt_uj, done.prompt, told, weighed=seen.prompt > 0, end_ns=end_ns)
        told = self._generated_told.part(seen.generated, done.generated, span_ns, leeway=seen.unfinished / 2)
        generated_uj = self._generated.fill(stretch.generated_uj, done.generated, told, weighed=whole > 0, end_ns=end_ns)
        each_uj = generated_uj / whole if whole else 0.0
        prompt_each_uj = prompt_uj / seen.dear if prompt_uj else 0.0
        prices = Prices(prompt_each_uj, token_j * each_uj, context_j * each_uj, step_j * each_uj, pace, untold_per_s)
        dynamic_j = joules(stretch.prompt_uj + stretch.generated_uj)
        span_s = seconds(span_ns)
        per_s = tuple(count / span_s if span_s else 0.0 for count in (span_s, *done, dynamic_j))
        before, self._weak = self._weak, self._weak + stretch.weak
        landed = self._sweep.walk(start_ns, end_ns, prices, per_s, before)
        self._span_s = span_s or self._span_s
        settled = [self._paid(one, stretch.spread, per_s) for one in landed]
        if not self._sweep.active:
            self._prompt.rest()
            self._generated.rest()
        return settled

    def _paid(self, landed: Landed, spread: Covariance, per_s: tuple[float, ...], *, cut: bool = False) -> SettledRequest:
        """``cut``: the engine went before the request was through."""
        flight, request = landed.flight, landed.flight.request
        prompt_uj, generated_uj = self._prompt.pay(landed.prompt_uj), self._generated.pay(landed.generated_uj)
        energy_j = joules(prompt_uj + generated_uj)
        gradient = [0.0, 0.0, float(request.computed), float(request.generated)]
        for phase in landed.phases:
            gradient[1] += phase.steps
            _subtract(gradient, phase, per_s)
        # It was in d + 1 steps or so, and with how many others is known only by the stretch's mean.
        coarse_j = joules(1) * landed.steps_uj
        late = LATE_S / max(self._span_s, seconds(request.end.mono_ns - request.scheduled.mono_ns))
        dearer_j = DEARER * (flight.dear - 1) * joules(prompt_uj)
        variance = (MISFIT**2 + late**2 / 6) * energy_j**2 + dearer_j**2 + coarse_j**2 / (1 + request.generated)
        variance += quadratic(spread, gradient) if spread else 0.0
        weak = cut or flight.late or self._weak > flight.weak
        self._pending -= 1
        half_uj = round(Z95 * sqrt(variance) * UJ_PER_J)
        return SettledRequest(request, prompt_uj, generated_uj, half_uj, weak, request.computed, request.generated)

    def _late(self) -> list[SettledRequest]:
        """Told when all their stretches had been settled: nothing is left for them, and that is said."""
        missed, self._missed = self._missed, []
        return [SettledRequest(request, 0, 0, 0, True, request.computed, request.generated) for request in missed]

    def _unrecorded(self) -> list[SettledRequest]:
        (prompt_uj, prompts), (generated_uj, generated) = self._prompt.empty(), self._generated.empty()
        if not (prompt_uj or prompts or generated_uj or generated):
            return []
        half_uj = round(Z95 * MISFIT * (prompt_uj + generated_uj))
        return [SettledRequest(None, prompt_uj, generated_uj, half_uj, False, prompts, generated)]


def _subtract(gradient: list[float], phase: Phase, per_s: tuple[float, ...]) -> None:
    """E_r = sum of D_k w_rk/W_k, so its gradient in a price is x_r - sum of E_rk X_k/D_k; X/D is the phase's mean (a moment's: the
    stretch's)."""
    counted = phase.counted if phase.counted[4] > 0 else per_s
    if counted[4] > 0:
        for i in range(4):
            gradient[i] -= phase.energy_uj / UJ_PER_J * counted[i] / counted[4]
