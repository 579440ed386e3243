"""Roll-up of allocations: windows to slots, requests to sums by tenant, and neither any further."""

from tests.ledger.made import DAY_S, NOON_S, asked, divided
from tests.ledger.test_rollup import MIDNIGHT_S, WRITER, Price, Table, of

from wattledger.core.facts import Correction


def test_allocations_of_windows_are_summed_and_weak_where_any_was() -> None:
    facts = [divided(1, 2, 3, 4, start_s=NOON_S + 60 * n, weak=n == 1) for n in range(3)]
    facts += [divided(0, 0, 5, 0, start_s=NOON_S + 180), divided(10, start_s=NOON_S + 3600), divided(7, start_s=NOON_S)]
    with Table(facts) as table:
        first, second = sorted(of(table.rolled("slots"), "allocation"), key=lambda row: row["start_s"])
    assert [first[name] for name in ("prompt_uj", "generated_uj", "standby_uj", "overhead_uj", "weak")] == [10, 6, 14, 12, 1]
    assert (first["start_s"], first["length_s"]) == (NOON_S, 3600)
    assert [first[name] for name in ("writer", "seq", "body", "request", "tenant")] == [None] * 5
    assert (first["job"], first["component"], first["method"], first["device"]) == ("job-0", "gpu", "counter", "")
    assert first["seen_ms"] == 180_000  # tokens were worked on in three minutes, of which one was known in two parts
    assert (second["prompt_uj"], second["weak"], second["seen_ms"]) == (10, 0, 60_000)


def test_requests_are_summed_by_tenant_and_never_with_windows() -> None:
    facts = [asked(f"r-{n}", 5, 6, tenant="a" if n else "", start_s=NOON_S + 60 * n, spread_uj=1) for n in range(4)]
    with Table([*facts, divided(30, 40)]) as table:
        rows = {(row["request"], row["tenant"]): row for row in of(table.rolled("slots"), "allocation")}
    assert set(rows) == {("(settled)", None), ("(settled)", "a"), (None, None)}
    names = ("requests", "prompt_uj", "generated_uj", "spread_uj", "prompt_tokens", "generated_tokens", "seen_ms")
    assert [rows["(settled)", "a"][name] for name in names] == [3, 15, 18, 3, 30, 60, None]
    assert rows["(settled)", None]["requests"] == 1
    assert (rows[None, None]["prompt_uj"], rows[None, None]["requests"]) == (30, None)


def test_rolled_up_allocations_are_rolled_up_once_and_stay_slots() -> None:
    """Each kind's energy has a price of its own hour, and a day's row has room for one."""
    facts = [*(divided(1, start_s=NOON_S + 60 * n) for n in range(90)), *(asked(f"r{n}", 1) for n in range(3))]
    with Table(facts) as table:
        table.price(Price("DE", MIDNIGHT_S, DAY_S, 5))
        table.keep("slots", "once")
        once = table.rolled("slots", "once")
        assert sorted(map(repr, once)) == sorted(map(repr, table.rolled("days", "once")))
        assert {(row["prompt_uj"], row["requests"]) for row in of(once, "allocation")} == {(3, 3), (30, None), (60, None)}


def test_a_request_across_a_slots_edge_and_a_corrected_one_stay_as_they_are() -> None:
    across, wrong = asked("r-1", 1, start_s=NOON_S - 1), asked("r-2", 2)
    with Table([across, wrong, Correction(f"{WRITER}:3", "not his", asked("r-2", 1)), asked("r-3", 3)]) as table:
        table.engine.execute("INSERT INTO corrected VALUES (?, 3)", [WRITER])
        table.keep("slots", "slots_of_it")
        for rows in (table.rolled("slots"), table.rolled("days", "slots_of_it")):
            assert {row["request"]: row["prompt_uj"] for row in of(rows, "allocation") if row["seq"] == 2} == {"r-1": 1}
            kept = sorted((row["request"], row["prompt_uj"]) for row in of(rows, "allocation"))
            assert kept == [("(settled)", 3), ("r-1", 1), ("r-2", 1), ("r-2", 2)]
            assert of(rows, "key")  # what explains the numbers in their bodies
