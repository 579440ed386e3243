"""Each provider's replies in its documented form, made of (start, grams per kWh): the same faults are tried on all."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import ModuleType
from typing import NamedTuple

import pytest
from tests.factors.grid.served import DAY, HOUR, Asked, Reply, Service, at, failed, said, standing

from wattledger.core.facts import IntensityFact
from wattledger.core.ports import GridProvider
from wattledger.factors.grid import eco2mix, electricitymaps, energidataservice, neso, watttime

Values = Sequence[tuple[int, object]]  # (start of the slot, what is said of it in the provider's own unit)


class Case(NamedTuple):
    """``replies(values)`` by path; ``path`` is asked for the past; its ``rows`` and their value's ``field`` by name."""

    module: ModuleType
    zone: str
    step_s: int
    path: str
    options: Mapping[str, object]
    replies: Callable[[Values], dict[str, Reply]]
    rows: str
    field: str
    unit_g: float = 1.0

    @property
    def name(self) -> str:
        return str(self.module.NAME)


def em_row(start_s: int, value: object, **more: object) -> dict[str, object]:
    """An hour of Electricity Maps, measured and last updated two hours after it began."""
    row = {"zone": "DE", "carbonIntensity": value, "datetime": said(start_s), "updatedAt": said(start_s + 2 * HOUR)}
    row |= {"createdAt": said(start_s - 72 * HOUR), "emissionFactorType": "direct", "isEstimated": False, "estimationMethod": None}
    return {**row, **more}


def _electricitymaps(values: Values) -> dict[str, Reply]:
    rows = [em_row(*value) for value in values]
    history = {"zone": "DE", "history": rows}
    return {"/carbon-intensity/history": history, "/carbon-intensity/latest": rows[-1], "/carbon-intensity/past-range": history}


def wt_reply(values: Values, **meta: object) -> dict[str, object]:
    known = {"data_point_period_seconds": 300, "region": "CAISO_NORTH", "signal_type": "co2_moer", "units": "lbs_co2_per_mwh"}
    more = {"warnings": [], "model": {"date": "2023-03-01"}, "generated_at": "2026-03-01T00:00:00+00:00"}
    rows = [{"point_time": said(start_s, "%Y-%m-%dT%H:%M:%S+00:00"), "value": value} for start_s, value in values]
    return {"data": rows, "meta": {**known, **more, **meta}}


def _watttime(values: Values) -> dict[str, Reply]:
    return {"/login": {"token": "t0ken"}, "/v3/historical": wt_reply(values)}


def neso_row(start_s: int, actual: object, forecast: object = 266) -> dict[str, object]:
    form = "%Y-%m-%dT%H:%MZ"
    intensity = {"forecast": forecast, "actual": actual, "index": "moderate"}
    return {"from": said(start_s, form), "to": said(start_s + 1_800, form), "intensity": intensity}


def _neso(values: Values) -> dict[str, Reply]:
    return {"/intensity": {"data": [neso_row(*value) for value in values]}}


def dk_row(start_s: int, value: object, area: str = "DK1") -> dict[str, object]:
    form = "%Y-%m-%dT%H:%M:%S"
    utc, danish = said(start_s, form), said(start_s + HOUR, form)
    return {"Minutes5UTC": utc, "Minutes5DK": danish, "PriceArea": area, "CO2Emission": value}


def _energidataservice(values: Values) -> dict[str, Reply]:
    records = [dk_row(*value) for value in values]
    return {"/dataset/CO2Emis": {"total": len(records), "limit": 0, "dataset": "CO2Emis", "records": records}}


def fr_row(start_s: int, value: object, offset_h: int = 0) -> dict[str, object]:
    when = said(start_s + offset_h * HOUR, f"%Y-%m-%dT%H:%M:%S+{offset_h:02}:00")
    return {"perimetre": "France", "nature": "Données temps réel", "date_heure": when, "taux_co2": value}


def _eco2mix(values: Values) -> dict[str, Reply]:
    return {eco2mix.PATH: fr_pages([fr_row(*value) for value in values])}


def fr_pages(rows: Sequence[Mapping[str, object]]) -> Callable[[Asked], object]:
    """Answers as the Explore API pages: what lies within the ``where``, at most ``limit`` rows from ``offset``."""

    def page(asked: Asked) -> object:
        offset, limit = int(asked.words["offset"]), int(asked.words["limit"])
        assert 0 < limit <= 100
        start, end = (datetime.fromisoformat(text) for text in re.findall("date'(.*?)'", asked.words["where"]))
        found = [row for row in rows if start <= datetime.fromisoformat(str(row["date_heure"])) < end]
        return {"total_count": len(found), "results": found[offset : offset + limit]}

    return page


CASES = (
    Case(electricitymaps, "DE", 3_600, "/carbon-intensity/history", {}, _electricitymaps, "history", "carbonIntensity"),
    Case(watttime, "US-CAMX", 300, "/v3/historical", {"user": "ann"}, _watttime, "data", "value", 0.45359237),
    Case(neso, "GB", 1_800, "/intensity", {}, _neso, "data", "actual"),
    Case(energidataservice, "DK-DK1", 300, "/dataset/CO2Emis", {}, _energidataservice, "records", "CO2Emission"),
    Case(eco2mix, "FR", 900, eco2mix.PATH, {}, _eco2mix, "results", "taux_co2"),
)

START = at("2026-03-01T00:00")
KEYED = ("electricitymaps", "watttime")
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def day(case: Case, start_s: int = START, length_s: int = DAY) -> list[tuple[int, object]]:
    """A value for each slot, no two neighbours alike."""
    return [(start_s + i * case.step_s, 100 + i % 7) for i in range(length_s // case.step_s)]


def provider(case: Case, service: Service, **how: object) -> GridProvider:
    found = case.module.open(service.place(**{**case.options, **how}))  # type: ignore[arg-type]
    assert isinstance(found.name, str)
    return found  # type: ignore[no-any-return]


def read(case: Case, values: Values, length_s: int = DAY) -> list[IntensityFact]:
    with standing(case.replies(values)) as service:
        return list(provider(case, service).read(case.zone, START, START + length_s, START + length_s))


def ug(case: Case, said: object) -> int:
    return round(float(str(said)) * case.unit_g * 1e6)


def asking(case: Case, replies: dict[str, Reply], **how: object) -> str:
    """The line that a reading of that day fails with."""
    with standing(replies) as service:
        asked = provider(case, service, **how)
        return failed(lambda: asked.read(case.zone, START, START + DAY, START + DAY))
