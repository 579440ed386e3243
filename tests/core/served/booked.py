"""Records and stretches by hand, and a book of requests that is asked until it has no more to say."""

from collections.abc import Iterable

from tests.core.served.batching import at
from tests.core.served.stretches import J

from wattledger.core.model import Request
from wattledger.core.served.requests import FEWEST, OpenStretch, RequestBook, SettledRequest
from wattledger.core.tokens import Done, ModelPrices

PRICES = ModelPrices(2.0, 0.01, 0.5)


def request(name: str, scheduled: float, first: float, end: float, *, computed: int = 0, generated: int = 0) -> Request:
    return Request(name, "m", at(scheduled), at(first), at(end), computed, 0, generated)


def stretch(
    k: int, prompt_j: float, generated_j: float, done: Done, *, prices: ModelPrices = PRICES, idle: bool = False, span_s: int = 1
) -> OpenStretch:
    """The k-th stretch of a second (or more)."""
    return OpenStretch(at(k), at(k + span_s), done, round(prompt_j * J), round(generated_j * J), prices, (), False, idle)


def told(*requests: Request) -> RequestBook:
    book = RequestBook()
    for one in requests:
        assert book.hear(one) == ""
    return book


def settled(book: RequestBook, now_ns: int) -> list[SettledRequest]:
    """All that is due by then, tick after tick."""
    found: list[SettledRequest] = []
    for _ in range(1 + len(book._open) // FEWEST):
        found += book.settle(now_ns)
    return found


def of(found: Iterable[SettledRequest]) -> dict[str, tuple[float, float]]:
    """(Prompt, generated) joules by id."""
    sums: dict[str, tuple[float, float]] = {}
    for one in found:
        name = one.request.id if one.request else ""
        prompt_j, generated_j = sums.get(name, (0.0, 0.0))
        sums[name] = prompt_j + one.prompt_uj / J, generated_j + one.generated_uj / J
    return sums
