"""What a server or a span says of its tokens → counts: the three kinds disjoint, what is wrong left out with one note.

Names, old and new: OpenAI's two interfaces, and OpenTelemetry's GenAI conventions before and after their renaming (vLLM 0.33 still
writes the old ones).  Input tokens INCLUDE cached ones in all of them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

# More than any context or batch of 2026 by two orders; beyond it a count is an overflow or a mistake, not a request.
MOST_TOKENS = 100_000_000

INPUT = ("prompt_tokens", "input_tokens")
OUTPUT = ("completion_tokens", "output_tokens")
DETAILS = ("prompt_tokens_details", "input_tokens_details")
SPAN_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
SPAN_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
SPAN_CACHED = "gen_ai.usage.cache_read.input_tokens"


class Counts(NamedTuple):
    """Tokens of one call; ``None``: not told, or not to be believed, and then ``note`` says so.  ``prompt``: without cache hits."""

    prompt: int | None = None
    cached: int | None = None
    generated: int | None = None
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether prompt and generated tokens are both told: only then has the call a price."""
        return self.prompt is not None and self.generated is not None


NO_USAGE = Counts(note="the server told no usage")


def of_usage(usage: Any, *, generates: bool = True) -> Counts:
    """Counts of a response's ``usage`` (an object or a mapping); an embedding generates nothing (``generates=False``)."""
    if usage is None:
        return NO_USAGE
    ask = usage.get if isinstance(usage, Mapping) else lambda name: getattr(usage, name, None)
    details = _first(ask, DETAILS)
    if isinstance(details, Mapping):
        cached = details.get("cached_tokens")
    else:
        cached = None if details is None else getattr(details, "cached_tokens", None)
    found = counted(_first(ask, INPUT), cached, _first(ask, OUTPUT) if generates else 0)
    # Nobody answers nothing with nothing: some libraries write zeros where they were not told.
    return NO_USAGE if (found.prompt, found.cached or 0, found.generated) == (0, 0, 0) else found


def of_span(attributes: Mapping[str, Any], *, generates: bool = True) -> Counts:
    """Counts of a span's ``gen_ai.usage.*`` attributes."""
    given, made = _first(attributes.get, SPAN_INPUT), _first(attributes.get, SPAN_OUTPUT)
    if given is None and made is None:
        return Counts(note="the span tells no usage")
    return counted(given, attributes.get(SPAN_CACHED), made if generates else 0)


def counted(given: Any, cached: Any, made: Any) -> Counts:
    """Input (with cache hits), cached and output tokens as they were told → disjoint counts."""
    wrong: list[str] = []
    whole, hits, generated = _whole(given, "input", wrong), _whole(cached, "cached", wrong), _whole(made, "output", wrong)
    if whole is not None and hits is not None and hits > whole:
        wrong.append(f"{hits} cached of {whole} input tokens: taken as none cached")
        hits = 0
    prompt = None if whole is None else whole - (hits or 0)
    note = "; ".join(wrong) or ("" if prompt is not None and generated is not None else "only a part of the usage was told")
    return Counts(prompt, hits, generated, note)


def _first(ask: Callable[[str], Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if (found := ask(name)) is not None:
            return found
    return None


def _whole(told: Any, name: str, wrong: list[str]) -> int | None:
    """A count that can be one; a float that is whole is one (JSON from JavaScript has no other numbers)."""
    if told is None:
        return None
    if isinstance(told, float) and told.is_integer():
        told = int(told)
    if isinstance(told, bool) or not isinstance(told, int) or not 0 <= told <= MOST_TOKENS:
        # The digits of a monstrous int are refused by the interpreter itself.
        said = "a huge number" if isinstance(told, int) and abs(told) > MOST_TOKENS else f"{str(told)[:40]!r}"
        wrong.append(f"{name} tokens = {said}: left out")
        return None
    return told
