"""A footprint as people read it in a terminal."""

from collections.abc import Iterator, Sequence

from wattledger.core.figures import digits, gram, joule, litre, span_of
from wattledger.core.footprint import DeviceFootprint, Footprint
from wattledger.core.model import Factor

MADE_SHOWN = 3
HOW = {"counter": "measured (energy counter)", "integrated": "measured (power, integrated)", "estimated": "estimated (a model)"}


def footprint_lines(found: Footprint) -> list[str]:
    """Total, one line a device, carbon with its factors, what is not known."""
    return list(_lines(found))


def _lines(found: Footprint) -> Iterator[str]:
    who = found.identity
    yield f"wattledger: {who.job}" + (f" ({who.model})" if who.model else "")
    if found.energy_j is None:
        yield "  energy   unknown: no sensor and no model answered in this time (`wattledger doctor`)"
    else:
        watts = f", mean {digits(found.energy_j.value / found.duration_s)} W" if found.duration_s else ""
        if found.energy_j.value <= 0 < found.energy_j.high:
            yield f"  energy   under {joule(found.energy_j.high)} in {digits(found.duration_s)} s: too little to tell from nothing"
        else:
            yield f"  energy   {span_of(found.energy_j, joule)} in {digits(found.duration_s)} s{watts}"
        for device in sorted(found.devices, key=lambda d: -d.energy_j.value):
            if not device.energy_j.value and device.kind != "cpu":
                continue  # a GPU that it did not touch: the JSON has it
            yield f"    {device.kind:<6} {joule(device.energy_j.value):>9}  {HOW[device.method]}: {_model(device)}"
        if found.measured_fraction is not None and 0.0 < found.measured_fraction < 1.0:
            yield f"  measured {found.measured_fraction:.0%} of it; the rest is a model's answer"
    for basis, grams in found.emissions_g.items():
        factors = [f for f in found.factors if f.kind == {"location_based": "grid"}.get(basis, basis)]
        said = _made(factors) if basis == "embodied" else _factors(factors)
        yield f"  carbon   {span_of(grams, gram)} CO2e, {basis.replace('_', '-')}: {said}"
    for source, litres in found.water_l.items():
        rates = [f for f in found.factors if f.kind == f"water_{source}"]
        said = ", ".join(dict.fromkeys(map(_water, rates)))
        yield f"  water    {span_of(litres, litre)}, {source}: {said}"
    if found.cost is not None:
        yield f"  cost     {found.cost.value:.3g} {found.cost.currency}"
    for factor in found.factors:
        if factor.kind == "pue":
            yield f"  PUE      {factor.value:g} ({f'{factor.origin} {factor.version}'.strip()})"
    for note in found.notes:
        yield f"  note     {note}"


def _model(device: DeviceFootprint) -> str:
    return device.model if device.held_j <= 0 else f"{device.model}, {joule(device.held_j)} of it idle that it held"


def _factors(factors: Sequence[Factor]) -> str:
    """The last of them, and between which values they lay, where the grid changed meanwhile."""
    low, high = (digits(end(f.value for f in factors)) for end in (min, max))
    return _factor(factors[-1]) + (f" (between {low} and {high} meanwhile)" if low != high else "")


def _made(rates: Sequence[Factor]) -> str:
    """What it took to make each device that was used, the largest first."""
    named = [f"{digits(rate.value)} g/h {rate.zone} ({rate.quality})" for rate in sorted(rates, key=lambda rate: -rate.value)]
    return ", ".join(named[:MADE_SHOWN]) + (f" and {len(named) - MADE_SHOWN} more" if len(named) > MADE_SHOWN else "")


def _water(factor: Factor) -> str:
    return f"{factor.zone} {digits(factor.value)} {factor.unit} {factor.version}".strip() + f", {factor.quality}"


def _factor(factor: Factor) -> str:
    words = [f"{factor.zone} {digits(factor.value)} {factor.unit}", factor.boundary, f"{factor.origin} {factor.version}".strip()]
    return ", ".join([*words, factor.quality] if factor.quality else words)
