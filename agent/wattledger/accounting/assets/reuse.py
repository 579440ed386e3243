"""A thing with two lives: whose is the carbon of its production, and of its end (ISO 14044 4.3.4.3; reference carbon.md 3.6).

Whatever the method, the two lives sum to production + refurbishment + end of life, exactly: so giver and taker must use the same.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple, get_args

from wattledger.accounting.assets.life import Reuse

METHODS: Final = frozenset(get_args(Reuse))
# What a method must be told.
INPUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("years_1", "years_2"), "economic": ("price_ratio",), "mass": ("mass_ratio",),
}  # fmt: skip
RATIOS: Final = ("price_ratio", "mass_ratio")


class Terms(NamedTuple):
    """A method and its inputs: ``price_ratio`` is the price at resale over that when new, ``mass_ratio`` the part of the mass
    (better: of the carbon of its parts) that is used again, ``years_1`` and ``years_2`` the lengths of the two lives."""

    method: Reuse = "cut-off"
    inputs: Mapping[str, Decimal] = {}

    def wrong(self) -> str:
        """What these terms lack or say that cannot be, or empty."""
        lacking = [name for name in INPUTS.get(self.method, ()) if name not in self.inputs]
        if lacking:
            return f"method {self.method} needs {' and '.join(lacking)}"
        if any(self.inputs.get(name, 0) < 0 for name in ("years_1", "years_2", *RATIOS)):
            return "a part of a life is not negative"
        over = [name for name in RATIOS if self.inputs.get(name, 0) > 1]
        if over:
            return f"{over[0]} is a share, and over 1"
        if self.method == "time" and self.inputs["years_1"] + self.inputs["years_2"] <= 0:
            return "the two lives together last no time"
        return ""


class Shares(NamedTuple):
    """What the first life bears, and what the second."""

    first_ug: int
    second_ug: int


def terms_of(words: Mapping[str, str], numbers: Mapping[str, Decimal]) -> Terms | None:
    """The terms that an event says, cut-off where it says none; ``None``: it names a method that there is not."""
    said = words.get("method", "cut-off")
    for method in get_args(Reuse):
        if method == said:
            return Terms(method, numbers)
    return None


def second_part(terms: Terms) -> Fraction:
    """Of production, what the second life bears, between 0 and 1."""
    match terms.method:
        case "cut-off":
            return Fraction(0)
        case "50/50":
            return Fraction(1, 2)
        case "time":
            first, second = Fraction(terms.inputs["years_1"]), Fraction(terms.inputs["years_2"])
            return second / (first + second)
        case "economic":
            return Fraction(terms.inputs["price_ratio"])
        case "mass":
            return Fraction(terms.inputs["mass_ratio"])


def production(made_ug: int, terms: Terms) -> Shares:
    """Production alone, shared; to the microgram."""
    second_ug = int(made_ug * second_part(terms))
    return Shares(made_ug - second_ug, second_ug)


def shares(made_ug: int, refurbished_ug: int, ended_ug: int, terms: Terms) -> Shares:
    """Production, refurbishment and end of life shared between two lives.  Refurbishment is always the second's, and so is the end,
    but for 50/50, which halves it too."""
    made = production(made_ug, terms)
    first_end_ug = ended_ug // 2 if terms.method == "50/50" else 0
    return Shares(made.first_ug + first_end_ug, made.second_ug + refurbished_ug + ended_ug - first_end_ug)
