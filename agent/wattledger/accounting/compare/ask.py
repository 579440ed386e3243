"""A question out of people's words: ``kg=150..164..575,years=4,efficiency=2`` as an option and what it stands on.

A number may be said with its 95 % interval, LOW..VALUE..HIGH; alone, it gets the interval that its kind deserves (carbon.md 8.3).
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import isfinite
from typing import NamedTuple

from wattledger.accounting.compare.assumption import Assumption, exact, spread
from wattledger.accounting.compare.option import GRID, KEPT, PUE, WORK, Counting, Option, Question
from wattledger.core.uncertainty import Quantity
from wattledger.factors.hardware.figure import Embodied

FLAG = "given"
H_PER_Y = 8760
S_PER_DAY, S_PER_H = 86_400, 3600
LIFE_G95 = 1.4  # carbon.md 8.3: a life of 3 to 6 years around 4
WHEN_NEW_Y = 4.0  # carbon.md 3.1: the default life of an accelerator

# word → (unit, g95 where no interval is said).  Carbon as a vendor's product footprint; what a unit of work takes as where model,
# card and batch are known; watts as an uncalibrated board sensor's.
WORDS: Mapping[str, tuple[str, float]] = {
    "kg": ("kg CO2e", 1.5),
    "years": ("years", LIFE_G95),
    "efficiency": ("times the work per joule", 1.15),
    "joules_per_unit": ("J", 1.15),
    "power_w": ("W", 1.10),
    "maintenance": ("kg CO2e a year", 1.5),
    "eol": ("kg CO2e", 1.5),
}
POSITIVE = ("years", "efficiency", "joules_per_unit", "power_w")
TAKES = ("efficiency", "joules_per_unit", "power_w")  # what a unit of work takes is said in one of these ways
JOULES, MAINTENANCE = "joules per unit", "maintenance"


class WrongWords(ValueError):
    """A question that cannot be asked; one line: what, where, what to do."""


class Words(NamedTuple):
    """One option as it was said: ``kind`` (repair, upgrade or replace), the ``model`` where one is named, and its numbers."""

    kind: str
    model: str
    numbers: Mapping[str, Quantity]


class Shared(NamedTuple):
    """What all options share.  ``unit``: token, request or hour; ``joules``: of one, as it is now."""

    unit: str
    work: Assumption
    joules: Assumption
    pue: Assumption
    grid: Assumption
    kept: Assumption
    maintenance: Assumption | None = None


class Model(NamedTuple):
    """What is known of a model by its name: what it emitted to make it, and (measured) how much more work a joule does on it."""

    made: Embodied | None
    efficiency: Quantity | None
    measured_on: str = ""


def number(text: str, where: str, *, positive: bool = False) -> Quantity:
    """``VALUE`` (low and high are the same), or ``LOW..VALUE..HIGH``.  Raises WrongWords."""
    pieces = text.split("..")
    try:
        values = [float(piece) for piece in pieces]
    except ValueError:
        values = []
    low, value, high = (values * 3)[:3] if len(values) == 1 else values if len(values) == 3 else (1.0, 0.0, 0.0)
    if not (all(map(isfinite, values)) and low <= value <= high):
        raise WrongWords(f"{where} {text!r}: expected a number, or LOW..VALUE..HIGH with its 95 % interval")
    if low < 0 or (positive and low <= 0):
        raise WrongWords(f"{where} {text!r}: {'must be above zero' if positive else 'is not negative'}")
    return Quantity(value, low, high)


def words(kind: str, text: str) -> Words:
    """``kg=12,years=2`` or, of a replacement, ``NVIDIA H100,efficiency=3``.  Raises WrongWords."""
    model, found = "", {}
    for n, piece in enumerate(text.split(",")):
        name, equals, value = (part.strip() for part in piece.partition("="))
        if not equals and n == 0 and kind == "replace" and name:
            model = name
            continue
        if not equals or name not in WORDS:
            near = get_close_matches(name, WORDS, n=1)
            right = f"did you mean {near[0]}=?" if near else f"known are {', '.join(f'{word}=' for word in WORDS)}"
            raise WrongWords(f"--{kind}: unknown word {piece.strip()!r}; {right}")
        if name in found:
            raise WrongWords(f"--{kind}: {name}= is said twice")
        found[name] = number(value, f"--{kind} {name}", positive=name in POSITIVE)
    if sum(name in found for name in TAKES) > 1:
        raise WrongWords(f"--{kind}: say what a unit of work takes in one way: {', '.join(f'{name}=' for name in TAKES)}")
    if "kg" not in found and not model:
        raise WrongWords(f"--{kind} {text!r}: say what it emits to make it, as in --{kind} kg=150" + (
            ", or name a model, as in --replace 'NVIDIA H100'" if kind == "replace" else ""))  # fmt: skip
    return Words(kind, model, found)


def given(name: str, said: Quantity, *, unit: str, g95: float, source: str = FLAG) -> Assumption:
    """A number by somebody's word; without an interval of its own it gets ``g95``."""
    if said.low == said.value == said.high:
        return spread(name, said.value, g95=g95, unit=unit, source=source)
    return Assumption(name, said.value, said.low, said.high, unit, source)


def keep(shared: Shared) -> Option:
    """It goes on as it is."""
    return Option("keep", ((JOULES, 1),), maintenance=MAINTENANCE if shared.maintenance else "", kind="keep")


def option(said: Words, shared: Shared, *, model: Model | None, name: str) -> tuple[Option, list[Assumption]]:
    """The option of this name, with what it stands on beside what all share.  Raises WrongWords."""
    labels = {word: f"{word} of {name}" for word in WORDS}
    stands = [given(labels[word], value, unit=_unit(word, shared.unit), g95=WORDS[word][1]) for word, value in said.numbers.items()]
    if "kg" not in said.numbers:
        stands.append(_made(said, model, labels["kg"]))
    if "years" not in said.numbers and said.kind == "replace":
        made = model.made if model is not None else None
        years = made.life_h / H_PER_Y if made else WHEN_NEW_Y
        stands.append(spread(labels["years"], years, g95=LIFE_G95, unit="years", source="assumed service life"))
    energy, more = _energy(said, shared, model, labels)
    named = {one.name for one in [*stands, *more]}
    own = {word: labels[word] if labels[word] in named else "" for word in ("kg", "years", "maintenance", "eol")}
    upkeep = own["maintenance"] or (MAINTENANCE if shared.maintenance else "")
    return Option(name, energy, own["kg"], own["years"], upkeep, own["eol"], said.kind), [*stands, *more]


def question(
    options: Sequence[tuple[Option, Sequence[Assumption]]],
    shared: Shared,
    *,
    horizon_y: float | None,
    start_s: int,
    counting: Counting,
) -> Question:
    """All together.  Without a horizon: the life of the first replacement, else of what is done first, else four years."""
    stands = [one for one in shared[1:] if isinstance(one, Assumption)]
    found = {one.name: one for one in [*stands, *(one for _, own in options for one in own)]}
    replaced = [each for each, _ in options if each.life and each.kind == "replace"]
    lives = [found[each.life].value for each in [*replaced, *(each for each, _ in options if each.life)]]
    return Question(tuple(each for each, _ in options), found, horizon_y or (lives or [WHEN_NEW_Y])[0], start_s, counting)


def kept(decline: Quantity | None) -> Assumption:
    """What the grid keeps of its intensity each year, of its decline in percent.  Raises WrongWords."""
    if decline is None:
        return exact(KEPT, 1.0, unit="of the year before", source="held as it is today (--decline)")
    if decline.high >= 100:
        raise WrongWords("--decline: percent that the grid's intensity falls each year, 0 to under 100")
    low, value, high = (1 - percent / 100 for percent in (decline.high, decline.value, decline.low))
    return Assumption(KEPT, value, low, high, "of the year before", FLAG)


def _unit(word: str, unit: str) -> str:
    return f"J per {unit}" if word == "joules_per_unit" else WORDS[word][0]


def _made(said: Words, model: Model | None, label: str) -> Assumption:
    made = model.made if model is not None else None
    if made is None:
        raise WrongWords(f"--{said.kind}: no figure of {said.model!r}: say what it emits to make it, as in {said.model},kg=150")
    source = ", ".join(part for part in (made.method, f"{made.source} {made.year}".strip(), made.boundary, made.note) if part)
    return Assumption(label, made.kg, made.low_kg, made.high_kg, "kg CO2e", source)


def _energy(
    said: Words, shared: Shared, model: Model | None, labels: Mapping[str, str]
) -> tuple[tuple[tuple[str, int], ...], list[Assumption]]:
    """What a unit takes by this option: the product of assumptions, and those that are new."""
    if "joules_per_unit" in said.numbers:
        return ((labels["joules_per_unit"], 1),), []
    if "power_w" in said.numbers:
        # Watts while it works: of an hour of use 3,600 s; of any other unit, of a day in which the day's work is done.
        if shared.unit == "hour":
            return ((labels["power_w"], 1), ("seconds", 1)), [exact("seconds", S_PER_H, unit="s", source="of an hour")]
        return ((labels["power_w"], 1), ("seconds", 1), (WORK, -1)), [exact("seconds", S_PER_DAY, unit="s", source="of a day")]
    if "efficiency" in said.numbers:
        return ((JOULES, 1), (labels["efficiency"], -1)), []
    if model is not None and model.efficiency is not None:
        unit, source = WORDS["efficiency"][0], f"measured: {model.measured_on}"
        measured = given(labels["efficiency"], model.efficiency, unit=unit, g95=1.0, source=source)
        return ((JOULES, 1), (labels["efficiency"], -1)), [measured]
    if said.kind == "replace":
        raise WrongWords(
            f"--replace {said.model or 'kg=…'}: how much of this work it does with a joule is not measured in the books: say"
            " efficiency= (2: half the joules), joules_per_unit= or power_w="
        )
    return ((JOULES, 1),), []


def intensity(value: Quantity, source: str) -> Assumption:
    """The grid's."""
    return Assumption(GRID, value.value, value.low, value.high, "gCO2e/kWh", source)


def per_day(value: Quantity, unit: str, source: str) -> Assumption:
    """The work rate."""
    return Assumption(WORK, value.value, value.low, value.high, f"{unit}s a day", source)


def pue(value: Quantity | None, source: str, *, g95: float = 1.0) -> Assumption:
    """The building's; not known, it is not applied.  Raises WrongWords."""
    if value is None:
        return exact(PUE, 1.0, unit="", source=source)
    if value.low < 1:
        raise WrongWords(f"--pue {value.value:g}: a PUE is facility energy over IT energy, 1 or a little more")
    found = given(PUE, value, unit="", g95=g95, source=source)
    return found._replace(low=max(1.0, found.low))
