"""Facts that people write: read in three forms, whole or not at all, each mistake with its line."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wattledger.core.facts import CRITERIA, ContractFact, IntensityFact, PurchaseFact, Verdict
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.written import read

ZONES = {"DE", "FR", "US", "US-CAMX", "NL"}
TOML = """
# contracts of 2026
[[contract]]
contract = "GO-2026-17"
instrument = "eac"
zones = ["DE"]
start = 2026-01-01
end = 2026-12-31
volume_mwh = 4000.000001
g_per_kwh = 0
technology = "wind"
registry = "HKNR"
serials = "1-4000"
[contract.criteria]
tracked_and_retired = { verdict = "pass", evidence = "statement.pdf" }
sole_claim = "unknown"

[[contract]]
contract = "tariff"
instrument = "supplier"
zones = "DE, FR"
start = "2026"
end = "2026-06"
g_per_kwh = 187.5
"""


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def wrong(folder: Path, name: str, text: str) -> list[str]:
    """The complaint's lines, without the folder."""
    with pytest.raises(LedgerError) as caught:
        read(file(folder, name, text), zones=ZONES)
    return [line.replace(f"{folder}/", "") for line in str(caught.value).split("\n")]


def test_contracts_are_read_from_toml(tmp_path: Path) -> None:
    first, second = read(file(tmp_path, "c.toml", TOML), zones=ZONES)
    retired: tuple[str, Verdict, str] = ("tracked_and_retired", "pass", "statement.pdf")
    criteria: tuple[tuple[str, Verdict, str], ...] = (("sole_claim", "unknown", ""), retired)
    assert first == ContractFact(
        "GO-2026-17", "eac", ("DE",), at(2026, 1, 1), at(2027, 1, 1), 4_000_000_001, 0, criteria, "wind", "HKNR", "1-4000"
    )
    assert second == ContractFact("tariff", "supplier", ("DE", "FR"), at(2026, 1, 1), at(2026, 7, 1), None, 187_500_000)


def test_the_three_forms_say_the_same(tmp_path: Path) -> None:
    toml = read(file(tmp_path, "c.toml", """[[contract]]
contract = "A"
instrument = "ppa"
zones = ["DE", "FR"]
start = 2026-03-01T00:00:00+01:00
end = 2026-03-31
volume_mwh = 1.5
g_per_kwh = 12.25
sole_claim = "pass"
sole_claim_evidence = "letter"
"""), zones=ZONES)  # fmt: skip
    said: dict[str, object] = {"fact": "contract", "contract": "A", "instrument": "ppa", "zones": ["DE", "FR"]}
    said |= {"start": "2026-03-01T00:00:00+01:00", "end": "2026-03-31", "volume_mwh": 1.5, "g_per_kwh": 12.25}
    said["criteria"] = {"sole_claim": {"verdict": "pass", "evidence": "letter"}}
    lines = read(file(tmp_path, "c.jsonl", json.dumps(said) + "\n"), zones=ZONES)
    columns = "contract,instrument,zones,start,end,volume_mwh,g_per_kwh,sole_claim,sole_claim_evidence,serials"
    row = "A,ppa,DE;FR,2026-03-01T00:00:00+01:00,2026-03-31,1.5,12.25,pass,letter,"
    table = read(file(tmp_path, "c.csv", f"{columns}\n{row}\n"), zones=ZONES)
    assert toml == lines == table
    assert toml[0].start_s == at(2026, 3, 1) - 3600  # type: ignore[union-attr]


def test_a_residual_mix_is_of_a_whole_year_in_either_unit(tmp_path: Path) -> None:
    metric = read(file(tmp_path, "r.csv", "zone,year,g_per_kwh,source\nDE,2025,701.47,AIB 2025\nFR,2024,17.11,\n"), zones=ZONES)
    assert metric == [
        IntensityFact("DE", at(2025, 1, 1), 365 * 86400, 701_470_000, "written", boundary="residual", version="AIB 2025"),
        IntensityFact("FR", at(2024, 1, 1), 366 * 86400, 17_110_000, "written", boundary="residual"),
    ]
    [pounds] = read(file(tmp_path, "r.csv", "zone,year,lb_per_mwh\nUS-CAMX,2023,434.22\n"), zones=ZONES)
    assert isinstance(pounds, IntensityFact)
    assert pounds.ug_per_kwh == round(434.22 * 453_592.37) == 196_958_879


def test_purchases_are_read(tmp_path: Path) -> None:
    columns = "supplier,service,start,end,prompt_tokens,generated_tokens,cost,currency"
    text = f"{columns}\nacme,chat,2026-10,2026-10,1000,250,12.345678,EUR\n"
    assert read(file(tmp_path, "p.csv", text), zones=ZONES) == [
        PurchaseFact("acme", "chat", at(2026, 10, 1), 31 * 86400, prompt_tokens=1000, generated_tokens=250, cost_micro=12_345_678,
                     currency="EUR")
    ]  # fmt: skip


def test_one_table_may_hold_several_kinds(tmp_path: Path) -> None:
    columns = "fact,zone,year,g_per_kwh,supplier,service,start,end,requests"
    text = f"{columns}\nresidual,DE,2025,700,,,,,\npurchase,,,,acme,chat,2026,2026,7\n"
    assert [type(fact) for fact in read(file(tmp_path, "m.csv", text), zones=ZONES)] == [IntensityFact, PurchaseFact]


def test_a_fact_that_stands_there_twice_is_one(tmp_path: Path) -> None:
    assert len(read(file(tmp_path, "r.csv", "zone,year,g_per_kwh\nDE,2025,1\nDE,2025,1\n\n# end\n"), zones=ZONES)) == 1


def test_every_mistake_is_a_line_with_its_place_and_the_nearest_right_word(tmp_path: Path) -> None:
    text = TOML.replace('"eac"', '"eca"').replace("serials", "serial").replace('"2026-06"', '"June"')
    text = text.replace('"DE, FR"', '"ED, FR"').replace("sole_claim", "sol_claim")
    lines = wrong(tmp_path, "c.toml", text)
    assert lines == [
        "c.toml:5: instrument = eca: expected eac, ppa or supplier; did you mean 'eac'?",
        "c.toml:13: a contract has no 'serial'; did you mean 'serials'?",
        "c.toml:14: criteria: no quality criterion 'sol_claim'; did you mean 'sole_claim'?",
        "c.toml:23: end = June: expected an ISO date: 2026, 2026-03, 2026-03-31, or a time with its zone",
    ]  # fmt: skip
    assert wrong(tmp_path, "c.toml", TOML.replace('"2026-06"', '"2025"').replace('"DE"', '"DEE"')) == [
        "c.toml:3: no zone 'DEE'; did you mean 'DE'? (`wattledger grid zones` lists them)",
        "c.toml:18: the 'end' is not after the 'start'",
    ]


ROWS = {
    "zone,year,g_per_kwh\nDE,2025,-1\n": "r.csv:2: g_per_kwh = -1: expected a number of 0 or more",
    "zone,year,g_per_kwh\nDE,2025,NaN\n": "r.csv:2: g_per_kwh = NaN: expected a number of 0 or more",
    "zone,year,g_per_kwh\nDE,2025,1e400\n": "r.csv:2: g_per_kwh = 1e400: more than 3000 is not likely: is the unit right?",
    "zone,year,g_per_kwh\nDE,2025,701470\n": "r.csv:2: g_per_kwh = 701470: more than 3000 is not likely: is the unit right?",
    "zone,year,g_per_kwh\nDE,25,7\n": "r.csv:2: year = 25: expected a year",
    "zone,year,g_per_kwh\nDE,2025\n": "r.csv:2: 2 values for 3 columns",
    "# mine\n\nzone,year,g_per_kwh\nDE,,7\n": "r.csv:4: a residual needs 'year'",
    "zone,year,g_per_kwh\nNL,2025,\n": (
        "r.csv:2: a residual mix needs either 'g_per_kwh' or 'lb_per_mwh' (a zone without one is left out: none is not zero)"
    ),
    "zone,year,g_per_kWh\nNL,2025,3\n": "r.csv:2: a residual has no 'g_per_kWh'; did you mean 'g_per_kwh'?",
    "supplier,service,start,end\nacme,chat,2026,2026\n": "r.csv:2: a purchase needs tokens, requests or a 'cost'",
    "supplier,service,start,end,cost\nacme,chat,2026,2026,1\n": (
        "r.csv:2: a 'cost' needs its 'currency', and a 'currency' its 'cost'"
    ),
    "supplier,service,start,end,requests\na,b,2026-01-01T00:00,2026,1\n": (
        "r.csv:2: start = 2026-01-01T00:00: a time of day needs its zone, e.g. 2026-01-01T00:00:00+01:00"
    ),
    "supplier,service,start,end,requests\na,b,2026,2026,1.5\n": "r.csv:2: requests = 1.5: expected a whole number",
    "a,b\n1,2\n": "r.csv:1: these are no columns of contract, residual, purchase: the first line must name them",
    "zone,zone\n1,2\n": "r.csv:1: two columns have one name",
    "fact,zone\nresidul,DE\n": "r.csv:2: no facts are called 'residul'; did you mean 'residual'?",
    'zone,year\n"DE,2025\n': "r.csv:2: not CSV: unexpected end of data",
    "zone,year,g_per_kwh\n": "r.csv: holds no facts",
}  # fmt: skip


@pytest.mark.parametrize("text", ROWS)
def test_a_wrong_row_is_one_line(tmp_path: Path, text: str) -> None:
    assert wrong(tmp_path, "r.csv", text) == [ROWS[text]]


OTHERS = {
    ("x.toml", "[[contract\n"): "x.toml:1: not TOML",
    ("x.toml", "[[contrct]]\na = 1\n"): "x.toml:1: no facts are called 'contrct'; did you mean 'contract'?",
    ("x.toml", "contract = 1\n"): "x.toml: contract must be written as [[contract]] tables",
    ("x.jsonl", '\n{"fact": "contract"\n'): "x.jsonl:2: not JSON",
    ("x.jsonl", '{"zone": "DE"}\n'): "x.jsonl:1: each line is an object that says its kind",
    ("x.jsonl", "[1]\n"): "x.jsonl:1: each line is an object that says its kind",
    ("x.txt", "hello\n"): "x.txt: the name must end in .toml, .jsonl or .csv",
    ("x.jsonl", '{"fact": "residual", "zone": ["DE"], "year": true}'): "x.jsonl:1: zone = ['DE']: expected one line of text",
}  # fmt: skip


@pytest.mark.parametrize("given", OTHERS)
def test_a_file_in_the_wrong_form_is_one_line_with_its_place(tmp_path: Path, given: tuple[str, str]) -> None:
    assert wrong(tmp_path, *given)[0].startswith(OTHERS[given])


def test_an_eac_or_ppa_without_a_volume_is_refused(tmp_path: Path) -> None:
    assert wrong(tmp_path, "c.toml", TOML.replace("volume_mwh = 4000.000001\n", "")) == [
        "c.toml:3: an instrument of kind 'eac' needs 'volume_mwh' (only a supplier's rate covers all)"
    ]


def test_a_volume_is_never_rounded(tmp_path: Path) -> None:
    [line] = wrong(tmp_path, "c.toml", TOML.replace("4000.000001", "4000.0000001"))
    assert line == "c.toml:9: volume_mwh = 4000.0000001: expected a volume in MWh, to the watt-hour"


def test_all_eight_criteria_can_be_said_in_columns(tmp_path: Path) -> None:
    columns = f"contract,instrument,zones,start,end,g_per_kwh,{','.join(CRITERIA)}"
    text = f"{columns}\ns,supplier,DE,2026,2026,5,{','.join(['pass'] * 8)}\n"
    [fact] = read(file(tmp_path, "c.csv", text), zones=ZONES)
    assert isinstance(fact, ContractFact)
    assert fact.criteria == tuple((name, "pass", "") for name in CRITERIA)


def test_a_part_of_a_known_country_is_a_zone(tmp_path: Path) -> None:
    [fact] = read(file(tmp_path, "r.csv", "zone,year,g_per_kwh\nFR-COR,2025,5\n"), zones=ZONES)
    assert isinstance(fact, IntensityFact)
    assert fact.zone == "FR-COR"
