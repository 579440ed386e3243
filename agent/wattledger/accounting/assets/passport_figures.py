"""What a passport says that a thing emitted to make: declared, by a supplier's product footprint, or estimated and marked so."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from wattledger.accounting.assets import pact
from wattledger.accounting.assets.passport_fields import G_PER_KG, BadPassport, Problem, values
from wattledger.accounting.assets.passport_words import ACCELERATORS, FOOTPRINT, details
from wattledger.factors.hardware.figure import Embodied

# Half-widths of 95 % intervals that nobody stated, by how the figure was got (carbon.md 8.3: a vendor's ISO 14067 footprint 1.5).
G95 = {"pcf": Decimal("1.5"), "class": Decimal(3), "nearest": Decimal(3)}
G95_ELSE = Decimal(2)
# Kilograms CO2e between which the making of one thing lies; outside, the unit is probably wrong, and a warning says so.
LIKELY_KG: Mapping[str, tuple[float, float]] = {
    "server": (100, 50_000), "gpu": (10, 5_000), "accelerator": (10, 5_000), "cpu": (3, 500), "dram": (1, 2_000), "ssd": (1, 3_000),
    "hdd": (3, 200), "nic": (0.5, 500), "psu": (3, 500), "board": (5, 10_000), "chassis": (5, 2_000), "rack": (30, 20_000),
    "network": (10, 50_000), "storage": (10, 500_000),
}  # fmt: skip
CARDS = ("gpu", "accelerator")
HEAVIEST_KG: Mapping[str, float] = {
    "server": 3_000, "gpu": 100, "accelerator": 100, "cpu": 5, "dram": 1, "ssd": 5, "hdd": 5, "nic": 10, "psu": 50, "board": 200,
}  # fmt: skip


class Thing(NamedTuple):
    """What a figure is of, as far as estimating it needs to know.  ``parts``: kinds of the parts that are assets of their own.

    ``bought_s``: the day of its purchase, else of its making.
    """

    kind: str
    vendor: str = ""
    model: str = ""
    mass_g: int | None = None
    cores: Decimal | None = None
    capacity_gb: Decimal | None = None
    parts: tuple[str, ...] = ()
    bought_s: int | None = None


# What estimates a thing; the second are the ``inputs`` of a footprint table.  ``None``: cannot be; ValueError says why in one line.
Estimate = Callable[[Thing, Mapping[str, Any]], Embodied | None]


class Reading(NamedTuple):
    """How a passport's figures are found: ``opened(path)`` gives the text of a file that it names (``None``: none are read, else
    OSError or ValueError), ``boavizta`` answers ``estimate = "boavizta"``, ``guess`` what has no footprint at all."""

    boavizta: Estimate
    guess: Estimate
    opened: Callable[[str], str] | None = None


class Told(NamedTuple):
    """State: what was found wrong, and what must be said, while a passport is read."""

    problems: list[Problem]
    warnings: list[Problem]


class Figure(NamedTuple):
    """Grams and their interval; ``words``: the details that go with them.  ``includes``: the parts' are in it."""

    g: int
    low_g: int | None
    high_g: int | None
    words: Mapping[str, Any]
    evidence: str = ""
    includes: bool = False

    @property
    def details(self) -> dict[str, Any]:
        """All that a ``make`` fact says of it."""
        return {**self.words, "low_g": self.low_g, "high_g": self.high_g}


def figure(said: Mapping[str, Any] | None, thing: Thing, reading: Reading, *, path: str, told: Told) -> Figure | None:
    """The figure of a thing; what is wrong goes to ``told``, and then there may be none."""
    before = len(told.problems)
    found = values(FOOTPRINT, said, path, told.problems) if said is not None else {}
    if len(told.problems) > before:
        return None
    ways = [way for way in ("kg", "pact", "estimate") if way in found]
    if len(ways) > 1:
        told.problems.append(Problem(f"{path}.{ways[1]}", f"a footprint has one of {' and '.join(ways)}, not both"))
        return None
    try:
        match ways:
            case ["kg"]:
                got = _declared(found)
            case ["pact"]:
                got = _pact(found["pact"], thing, reading, path=path, told=told)
            case _:
                got = _estimated(found, thing, reading, path=path, told=told)
    except BadPassport as wrong:
        told.problems.extend(Problem(f"{path}.pact", line) for line in wrong.lines)
        return None
    except ValueError as wrong:
        told.problems.append(Problem(path, str(wrong)))
        return None
    if "includes" in found and thing.kind in CARDS:
        told.problems.append(Problem(f"{path}.includes", f"a {thing.kind} is itself what would be included"))
    within = {"includes": found["includes"]} if "includes" in found else {}
    # Of a whole machine whose parts are named, but no card among them: the cards are in what is its own.
    if not within and found.get("includes_parts") and thing.kind == "server" and not set(thing.parts) & set(CARDS):
        within = {"includes": ACCELERATORS}
    got = got._replace(includes=bool(found.get("includes_parts", False)), words={**got.words, **within})
    _weigh(got.g, thing.kind, f"{path}.kg" if "kg" in found else path, told)
    return got


def of_embodied(embodied: Embodied, *, evidence: str = "") -> Figure:
    """A figure of the tables and formulas."""
    words = {"boundary": embodied.boundary, "method": embodied.method, "source": embodied.source, "year": embodied.year,
             "licence": embodied.licence, "note": embodied.note}  # fmt: skip
    g, low_g, high_g = (round(kg * G_PER_KG) for kg in (embodied.kg, embodied.low_kg, embodied.high_kg))
    return Figure(g, low_g, high_g, {key: " ".join(str(value).split()) for key, value in words.items() if value}, evidence)


def _declared(found: Mapping[str, Any]) -> Figure:
    g, low_g, high_g = found["kg"], found.get("low_kg"), found.get("high_kg")
    if not (low_g if low_g is not None else g) <= g <= (high_g if high_g is not None else g):
        raise ValueError("the figure must lie in its interval: low_kg <= kg <= high_kg")
    if "whole_kg" in found and found["whole_kg"] < g:
        raise ValueError("whole_kg is the footprint that kg is the rest of: it cannot be less than kg")
    method = found.get("method", "declared")
    words = {key: value for key, value in found.items() if key not in ("kg", "low_kg", "high_kg", "interval", "includes_parts")}
    words = {**details(words), "method": method}
    if low_g is None or high_g is None or found.get("interval") == "by-method":
        g95 = G95.get(method, G95_ELSE)
        low_g = round(g / g95) if low_g is None else low_g
        high_g = round(g * g95) if high_g is None else high_g
        words["interval"] = "by-method"
    return Figure(g, low_g, high_g, words)


def _pact(said: object, thing: Thing, reading: Reading, *, path: str, told: Told) -> Figure:
    of = pact.Thing(None if thing.mass_g is None else Decimal(thing.mass_g) / G_PER_KG, thing.bought_s, thing.kind)
    if isinstance(said, str):
        if reading.opened is None:
            raise ValueError("files are not read here: write the footprint itself, as a table")
        try:
            text = reading.opened(said)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
            raise ValueError(f"pact: cannot read {said[:200]!a}: {why}") from None
        found = pact.read(text, said, of)
    else:
        found = pact.of(said, "pact", of)
    told.warnings.extend(Problem(f"{path}.pact", line) for line in found.warnings)
    return of_embodied(found.embodied, evidence=found.evidence)._replace(g=round(found.kg * G_PER_KG))


def _estimated(found: Mapping[str, Any], thing: Thing, reading: Reading, *, path: str, told: Told) -> Figure:
    inputs = found.get("inputs", {})
    if "estimate" not in found:
        odd = sorted(found.keys() - {"includes_parts", "includes", "note"})
        if odd:
            raise ValueError(f"{odd[0]!r} says nothing without 'kg' (or 'pact', or estimate = \"boavizta\")")
        got = reading.guess(thing, inputs)
    else:
        got = reading.boavizta(thing, inputs)
    if got is not None and "estimate" not in found and "is not in the table" in got.note:
        told.warnings.append(Problem(path, f"no footprint, and {got.note}: between {got.low_kg:.0f} and {got.high_kg:.0f} kg"))
    if got is None:
        raise ValueError(f"there is no figure to estimate a {thing.kind} by: say footprint.kg, with its source")
    return of_embodied(got)


def _weigh(g: int, kind: str, path: str, told: Told) -> None:
    """A warning where kilograms look like grams or tonnes."""
    low, high = LIKELY_KG.get(kind, (0.0, float("inf")))
    kg = g / G_PER_KG
    if kg > high:
        hint = f"; are these grams ({kg / 1000:.10g} kg)?" if low <= kg / 1000 <= high else ""
        told.warnings.append(Problem(path, f"{kg:.10g} kg CO2e for a {kind} is far more than is likely (at most {high:g}){hint}"))
    elif 0 < kg < low:
        hint = f"; are these tonnes ({kg * 1000:.10g} kg)?" if low <= kg * 1000 <= high else ""
        told.warnings.append(Problem(path, f"{kg:.10g} kg CO2e for a {kind} is far less than is likely (at least {low:g}){hint}"))


def heavy(mass_g: int, kind: str, path: str, told: Told) -> None:
    """A warning where a mass looks like grams."""
    most = HEAVIEST_KG.get(kind, float("inf"))
    if mass_g / G_PER_KG > most:
        said = f"a {kind} of {mass_g / G_PER_KG:.10g} kg is heavier than is likely (at most {most:g}); are these grams?"
        told.warnings.append(Problem(path, said))
