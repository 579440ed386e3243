def _shared(here: Here, of: Machine) -> tuple[ask.Shared, list[str]]:
    """What all options stand on: by flag, else measured, else as configured; and what must be said of it."""
    given, unit = here.given, here.unit
    joules = _said(given, "joules", "--joules-per-unit", of, "joules_per_unit")
    work = _said(given, "work", "--work-per-day", of, "units_per_day")
    prices = _prices(here, of)
    grid = prices.factors["grid"]
    where = ", ".join(word for word in (grid.zone, f"{grid.origin} {grid.version}".strip(), grid.boundary, grid.quality) if word)
    at = Quantity(grid.value, grid.value / grid.g95, grid.value * (grid.g95_high or grid.g95))
    intensity = ask.intensity(at, where)
    if given["intensity"] is not None:
        flagged = ask.number(given["intensity"], "--intensity", positive=True)
        intensity = ask.given(intensity.name, flagged, unit=intensity.unit, g95=GRID_G95)
    notes = [note for note in prices.notes if note.startswith(("grid ", "NO GRID"))] if given["intensity"] is None else []
    decline = None if given["decline"] is None else ask.number(given["decline"].rstrip("% "), "--decline")
    upkeep = None
    if given["maintenance"] is not None:
        said = ask.number(given["maintenance"], "--maintenance")
        upkeep = ask.given(ask.MAINTENANCE, said, unit="kg CO2e a year", g95=UPKEEP_G95)
    shared = ask.Shared(
        unit,
        ask.given(WORK, work[0], unit=f"{unit}s a day", g95=WORK_G95, source=work[1]),
        ask.given(ask.JOULES, joules[0], unit=f"J per {unit}", g95=JOULES_G95, source=joules[1]),
        _pue(given, prices),
        intensity,
        ask.kept(decline),
        upkeep,
    )
    return shared, notes


def _said(given: Mapping[str, Any], name: str, flag: str, of: Machine, measure: str) -> tuple[Quantity, str]:
    """A number by its flag, else as measured.  Raises WrongWords where there is neither."""
    if given[name] is not None:
        return ask.number(given[name], flag, positive=True), ask.FLAG
    found: Quantity | None = None if of.measured is None else getattr(of.measured, measure)
    if of.measured is None or found is None:
        why = "it has no meter of its own" if of.measured is None else of.measured.why["joules_per_unit"]
        raise ask.WrongWords(f"{of.told}: {why}: say {flag}")
    months = sorted({month.month for month in of.measured.months})[-3:]
    return found, f"measured, {months[0]} to {months[-1]}"


def _prices(here: Here, of: Machine) -> PriceList:
    if here.given["zone"] is None and of.zone:
        try:
            return price_list(here.config, os.environ, of.zone)
        except ConfigError:  # a zone that only its provider knows: as if nothing was metered
            pass
    return price_list(here.config, os.environ, here.given["zone"])


def _pue(given: Mapping[str, Any], prices: PriceList) -> Assumption:
    if given["pue"] is not None:
        return ask.pue(ask.number(given["pue"], "--pue"), ask.FLAG, g95=CONFIGURED_PUE_G95)
    factor = prices.factors.get("pue")
    if factor is None:
        return ask.pue(None, "not known and not applied")
    return ask.pue(Quantity(factor.value, factor.value, factor.value), f"{factor.origin} {factor.version}".strip(), g95=factor.g95)
