"""Sums of energy times price, exact, and never of two boundaries without saying so."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, Protocol, TypeVar

from wattledger.accounting.price import Price

UJ_PER_KWH = 3_600_000_000_000


class MixedBoundaries(ValueError):
    """A sum would stand on several boundaries (direct, lifecycle, …).  The message is one line and says which."""


class Part(NamedTuple):
    """What part of a sum stands on one boundary: its energy, and its exact micrograms (round them once, at the end)."""

    energy_uj: int
    emitted_ug: Fraction


class Timed(Protocol):
    """Anything that holds in a window."""

    @property
    def start_s(self) -> int: ...

    @property
    def length_s(self) -> int: ...


T = TypeVar("T", bound=Timed)


def overlaps(items: Sequence[T], start_s: int, length_s: int) -> Iterator[tuple[T, int, int]]:
    """Those of sorted, disjoint windows that touch ``[start_s, start_s + length_s)``, with the start and end of the common part."""
    end_s = start_s + length_s
    at = max(0, bisect_right(items, start_s, key=lambda item: item.start_s) - 1)
    while at < len(items) and items[at].start_s < end_s:
        begin_s = max(start_s, items[at].start_s)
        stop_s = min(end_s, items[at].start_s + items[at].length_s)
        if begin_s < stop_s:
            yield items[at], begin_s, stop_s
        at += 1


def by_boundary(prices: Sequence[Price], windows: Iterable[tuple[int, int, int]]) -> dict[str, Part]:
    """What part of a sum stands on which boundary; windows are ``(start_s, length_s, energy_uj)`` of the prices' zone.

    Energy is held to be even within its window.  What has no price stands under ``""`` with no grams.  The energies add up to the
    windows' exactly.
    """
    energy_uj: dict[str, int] = {}
    # The numerators by denominator: sums of ints, and one fraction per length of window at the end.
    products: dict[str, dict[int, int]] = {}
    for start_s, said_s, window_uj in windows:
        length_s = max(1, said_s)  # what was posted at one instant is of that second
        given_uj, so_far_s = 0, 0
        for price, begin_s, stop_s in overlaps(prices, start_s, length_s):
            so_far_s += stop_s - begin_s
            part_uj = window_uj * so_far_s // length_s - given_uj
            given_uj += part_uj
            energy_uj[price.boundary] = energy_uj.get(price.boundary, 0) + part_uj
            of = products.setdefault(price.boundary, {})
            of[length_s] = of.get(length_s, 0) + window_uj * (stop_s - begin_s) * price.ug_per_kwh
        if given_uj != window_uj:
            energy_uj[""] = energy_uj.get("", 0) + window_uj - given_uj
    return {name: Part(energy_uj[name], _emitted(products.get(name, {}))) for name in sorted(energy_uj)}


def one_boundary(parts: Mapping[str, Part]) -> str:
    """The boundary that a sum stands on.  Raises MixedBoundaries where there are several, or a part without a price."""
    if len(parts) != 1 or "" in parts:
        said = ", ".join(f"{part.energy_uj / UJ_PER_KWH:.6g} kWh {name or 'without a price'}" for name, part in parts.items())
        raise MixedBoundaries(f"one sum would stand on several boundaries: {said or 'nothing'}; report them apart")
    return next(iter(parts))


def true_up(inventoried: Mapping[str, Part], operated: Mapping[str, Part]) -> Fraction:
    """Inventory less operational in micrograms: the line at a year's end.  Raises MixedBoundaries where they do not compare."""
    one, other = one_boundary(inventoried), one_boundary(operated)
    if one != other:
        raise MixedBoundaries(f"the inventory is {one}, what was operated on is {other}: their difference is not a true-up")
    return inventoried[one].emitted_ug - operated[other].emitted_ug


def _emitted(products: Mapping[int, int]) -> Fraction:
    return sum((Fraction(product, length_s) for length_s, product in products.items()), Fraction(0)) / UJ_PER_KWH
