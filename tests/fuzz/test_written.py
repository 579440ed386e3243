"""What people write for the books: contracts, residual mixes and purchases, in three forms; facts that the books can hold, or every
mistake."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import bent_bytes, fuzzed, raw, taken
from tests.ledger.made import NOON_S

from wattledger.core.facts import ContractFact, IntensityFact, PurchaseFact
from wattledger.ledger.body import encode
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.written import read as read_written

TOML = """[[contract]]
contract = "GO-2026-17"
instrument = "eac"
zones = ["DE"]
start = 2026-01-01
end = 2026-12-31
volume_mwh = 4000.000001
g_per_kwh = 0
serials = "1-4000"
[contract.criteria]
tracked_and_retired = { verdict = "pass", evidence = "statement.pdf" }
[[residual]]
zone = "DE"
year = 2025
g_per_kwh = 720.5
[[purchase]]
supplier = "x"
service = "y"
start = "2026-01"
end = "2026-02"
prompt_tokens = 5
"""
JSONL = (
    '{"fact": "residual", "zone": "DE", "year": 2025, "g_per_kwh": 720.5}\n'
    '{"fact": "purchase", "supplier": "x", "service": "y", "start": "2026", "end": "2026", "cost": "1.5", "currency": "EUR"}\n'
)
CSV = "supplier,service,start,end,prompt_tokens,cost,currency\nx,y,2026-01,2026-02,5,1.5,EUR\n"


@fuzzed(5)
@given(st.sampled_from([("f.toml", TOML), ("f.jsonl", JSONL), ("f.csv", CSV)]), st.data())
@example(("f.toml", TOML), TOML.replace("4000.000001", "1e99999999999999999999").encode())
@example(("f.toml", TOML), TOML.replace("4000.000001", "9" * 5_000).encode())
@example(("f.toml", TOML), ("a = " + "[" * 5_000).encode())
@example(("f.toml", TOML), TOML.replace("2026-01-01", '"0001-01-01T00:00+23:59"').encode())
@example(("f.toml", TOML), TOML.replace("2026-01-01", '"²"').encode())
@example(("f.toml", TOML), TOML.replace('"eac"', "[1]").encode())
@example(("f.toml", TOML), TOML.replace('verdict = "pass"', "verdict = {}").encode())
@example(("f.toml", TOML), TOML.replace("{ verdict", '{ "a\\nb" = 1, verdict').encode())
@example(("f.jsonl", JSONL), JSONL.replace("720.5", "1e99999999999999999999").encode())
@example(("f.jsonl", JSONL), JSONL.replace("2025", "1e400").encode())
@example(("f.jsonl", JSONL), JSONL.replace('"1.5"', '"sNaN"').encode())
@example(("f.jsonl", JSONL), JSONL.replace('"zone": "DE"', '"zone": ["DE"]').encode())
@example(("f.csv", CSV), CSV.replace("x,y", '"' + "x" * 200_000 + '",y').encode())
@example(("f.csv", CSV), CSV.replace(",5,", ",1e999999,").encode())
def test_any_file_of_contracts_is_facts_or_its_mistakes(
    tmp_path_factory: pytest.TempPathFactory, good: tuple[str, str], data: st.DataObject | bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / good[0]
    path.write_bytes(data if isinstance(data, bytes) else data.draw(bent_bytes(good[1].encode()) | raw))
    found = taken(lambda: read_written(path, zones={"DE", "FR"}), LedgerError, lines=10**6, own=True)
    for fact in found or ():
        match fact:
            case ContractFact(volume_wh=volume_wh, ug_per_kwh=ug):
                assert volume_wh is None or 0 <= volume_wh < 1 << 63
                assert 0 <= ug <= 3_000 * 10**6
                assert fact.start_s < fact.end_s
            case IntensityFact(ug_per_kwh=ug):
                assert 0 <= ug <= 5_000 * 10**6
            case PurchaseFact():
                assert all(0 <= n < 1 << 63 for n in (fact.prompt_tokens or 0, fact.requests or 0, fact.cost_micro or 0))
        assert encode(fact, NOON_S)
