"""JSON lines: every row of the catalog, with every digit."""

import json
from decimal import Decimal

from tests.golden.scenario import snapshot

from wattledger.core.catalog import CATALOG
from wattledger.core.model import Device
from wattledger.core.totals import State, Totals
from wattledger_exporters.jsonl import Jsonl


def test_each_row_of_the_catalog_is_one_object_with_its_exact_value() -> None:
    found = snapshot()
    lines = [json.loads(line, parse_float=Decimal) for line in Jsonl().render(found).decode().splitlines()]
    expected = [(m, labels, value) for m in CATALOG for labels, value in m.rows(found)]
    assert len(lines) == len(expected)
    for line, (metric, labels, value) in zip(lines, expected, strict=True):
        assert line["name"] == metric.name
        assert line["kind"] == metric.kind
        assert line.get("unit", "") == metric.unit
        assert line["labels"] == {k: v for k, v in zip(metric.labels, labels, strict=True) if v}
        assert float(line["value"]) == float(value)


def test_energy_keeps_its_microjoules_where_a_float_would_lose_them() -> None:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    found.device_energy_uj["gpu", "counter"] = 98_765_432_109_876_543_210
    rows = [json.loads(line, parse_float=Decimal) for line in Jsonl().render(found.snapshot(State())).decode().splitlines()]
    [row] = [row for row in rows if row["name"] == "wattledger_device_energy_joules_total"]
    assert row["value"] == Decimal("98765432109876.54321")


def test_two_renders_without_a_tick_are_identical() -> None:
    found = snapshot()
    assert Jsonl().render(found) == Jsonl().render(found)
