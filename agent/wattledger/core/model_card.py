"""A footprint → the section of a model's card: Markdown for people, and the metadata that the Hugging Face hub reads."""

from collections.abc import Iterator, Mapping, Sequence
from math import floor, log10

from wattledger.core.emissions_row import models, times, zone_of
from wattledger.core.figures import digits, gram, joule, litre, span_of
from wattledger.core.footprint import DeviceFootprint, Footprint
from wattledger.core.model import Factor
from wattledger.core.uncertainty import Quantity
from wattledger.core.units import kwh
from wattledger.core.version import __version__

HEADING = "## Energy and carbon"
BASES = {
    "location_based": "Emissions (location-based)",
    "upstream": "Emissions (upstream of the plants)",
    "market_based": "Emissions (market-based)",
    "embodied": "Emissions (embodied in the hardware)",
}
FACTORS = {"grid": "Grid", "upstream": "Grid, upstream", "pue": "PUE", "embodied": "Making of the hardware"}
WATER = {"onsite": "Water (on site)", "offsite": "Water (power plants)"}
TOKENS = {"prompt_tokens": "prompt", "cached_tokens": "cached", "generated_tokens": "generated"}


def card(footprint: Footprint, training_type: str = "", *, front_matter: bool = False) -> str:
    """The section, with the hub's front matter before it where asked for; what is not known has no line."""
    who = footprint.identity
    said = f"Measured with wattledger {__version__}: run `{who.run_id}`, job {shown(who.job)}"
    said += f", model {shown(who.model)}" if who.model else ""
    lines = [HEADING, "", said + ".", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {shown(value)} |" for name, value in _rows(footprint)]
    if footprint.devices:
        lines += ["", "| Part | Model | Energy | How it was got |", "|---|---|---|---|"]
        lines += ["| " + " | ".join(shown(cell) for cell in row) + " |" for row in _parts(footprint.devices)]
    if footprint.notes:
        lines += ["", *(f"- {shown(note)}" for note in footprint.notes)]
    before = yaml(metadata(footprint, training_type)) if front_matter else ""
    return before + "\n".join(lines) + "\n"


def metadata(footprint: Footprint, training_type: str = "") -> dict[str, dict[str, str | float]]:
    """``co2_eq_emissions`` as the hub's model cards have it (huggingface.co/docs/hub/model-cards-co2): grams, source, kind of
    training, place, hardware.  Empty where the grams are not known."""
    grams = footprint.emissions_g.get("location_based")
    if grams is None:
        return {}
    share = footprint.measured_fraction
    got = "" if share is None else f", {digits(100 * share)} % of the energy measured by sensors"
    found: dict[str, str | float] = {
        "emissions": float(plain(grams.value)),
        "source": f"wattledger {__version__}, location-based, 95 % interval {plain(grams.low)} to {plain(grams.high)} g{got}",
    }
    words = {"training_type": training_type, "geographical_location": zone_of(footprint), "hardware_used": _hardware(footprint)}
    return {"co2_eq_emissions": found | {key: value for key, value in words.items() if value}}


def yaml(blocks: Mapping[str, Mapping[str, str | float]]) -> str:
    """The front matter of a card; numbers without an exponent, because the hub's own search reads no exponents."""
    if not blocks:
        return ""
    lines = ["---"]
    for name, block in blocks.items():
        lines.append(f"{name}:")
        lines += [f"  {key}: {_quoted(value) if isinstance(value, str) else plain(value)}" for key, value in block.items()]
    return "\n".join([*lines, "---", "", ""])


def plain(value: float) -> str:
    """Three digits and no exponent: ``0.00000896``."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, 2 - floor(log10(abs(value))))}f}"


def shown(text: str) -> str:
    """Text that ends no cell, no line and begins no tag."""
    text = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    """A double-quoted YAML scalar on one line."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _rows(footprint: Footprint) -> Iterator[tuple[str, str]]:
    energy, share, tokens = footprint.energy_j, footprint.measured_fraction, footprint.work
    if energy is not None:
        yield "Energy", f"{span_of(energy, joule)}, {plain(kwh(energy.value))} kWh"
    if share is not None:
        yield "Measured by sensors", f"{digits(100 * share)} %"
    for basis, name in BASES.items():
        if basis in footprint.emissions_g:
            yield name, f"{span_of(footprint.emissions_g[basis], gram)} CO2e"
    for source, name in WATER.items():
        if source in footprint.water_l:
            yield name, span_of(footprint.water_l[source], litre)
    for kind, name in FACTORS.items():
        if used := list(dict.fromkeys(_factor(f) for f in footprint.factors if f.kind == kind)):
            yield name, "; ".join(used)
    if hardware := _hardware(footprint):
        yield "Hardware", hardware
    if zone := zone_of(footprint):
        yield "Region", zone
    yield "Duration", _length(footprint.duration_s)
    if counts := [f"{tokens[kind]:,} {name}" for kind, name in TOKENS.items() if tokens.get(kind)]:
        yield "Tokens", ", ".join(counts)
    # Cached tokens were not computed: their energy was spent by whoever computed them.
    done = tokens.get("prompt_tokens", 0) + tokens.get("generated_tokens", 0)
    if energy is not None and done:
        yield "Energy per 1,000 tokens", span_of(Quantity(*(1000 * end / done for end in energy)), joule)
    if footprint.cost is not None:
        yield "Cost", f"{footprint.cost.value:.2g} {footprint.cost.currency}"


def _factor(factor: Factor) -> str:
    amount = digits(factor.value) + ("" if factor.unit in ("", "1") else f" {factor.unit}")
    where = [factor.zone, amount, factor.boundary if factor.kind != "pue" else "", factor.origin, factor.version, factor.quality]
    return ", ".join(word for word in where if word)


def _parts(devices: Sequence[DeviceFootprint]) -> list[tuple[str, str, str, str]]:
    """Devices of one kind, model and method on one line, the largest first.  Their errors come from one gain: they add linearly."""
    found: dict[tuple[str, str, str], list[Quantity]] = {}
    for d in devices:
        found.setdefault((d.kind, d.model, d.method), []).append(d.energy_j)
    sums = {key: Quantity(*(sum(ends) for ends in zip(*some, strict=True))) for key, some in found.items()}
    order = sorted(sums, key=lambda key: -sums[key].value)
    return [(key[0], times(len(found[key]), key[1]), span_of(sums[key], joule), key[2]) for key in order]


def _hardware(footprint: Footprint) -> str:
    """``8 x NVIDIA H100 80GB HBM3, 2 x AMD EPYC 9654``: what computes, not its memory and fans."""
    return models([d for d in footprint.devices if d.kind in ("gpu", "accelerator", "cpu")])


def _length(length_s: float) -> str:
    if length_s < 120:
        return f"{digits(length_s)} s"
    minutes = round(length_s / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
