"""A file of one's own: what its rows come to, and that one wrong row is named by its line."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.factors.grid.served import HOUR, at

from wattledger.core.ports import GridPlace, GridProvider, SourceFailed, SourceGone
from wattledger.factors.grid import file

START = at("2026-03-29T00:00")
HEAD = "zone,start,end,g_per_kwh\n"
FULL = "zone,start,end,g_per_kwh,boundary,signal,version,estimated\n"


def provider(path: Path, text: str | None = None, **options: object) -> GridProvider:
    if text is not None:
        path.write_text(text, encoding="utf-8")
    return file.open(GridPlace({"path": str(path), **options}, lambda request: b"", lambda name: None))


def failure(found: GridProvider) -> str:
    with pytest.raises(SourceFailed) as failed:
        found.read("DE", START, START + 24 * HOUR, START)
    assert "\n" not in str(failed.value)
    return str(failed.value)


def test_each_row_is_a_fact(tmp_path: Path) -> None:
    """Over a change of the clocks, with offsets: an hour is an hour."""
    text = FULL + (
        "DE,2026-03-29T01:00:00+01:00,2026-03-29T03:00:00+02:00,320.5,lifecycle,average,v2,true\n"
        "DE,2026-03-29 03:00:00+02:00,2026-03-29T04:00:00+02:00,300,,marginal,,\n"
        "FR,2026-03-29T00:00Z,2026-03-29T01:00Z,40,,,,\n"
    )
    found = provider(tmp_path / "own.csv", text)
    first, second = found.read("DE", START, START + 24 * HOUR, START)
    assert (first.start_s, first.length_s, first.ug_per_kwh, first.provider) == (START, HOUR, 320_500_000, "file")
    assert (first.boundary, first.signal, first.version, first.estimated) == ("lifecycle", "average", "v2", True)
    assert (second.start_s, second.length_s, second.signal, second.boundary, second.estimated) == (
        START + HOUR, HOUR, "marginal", "direct", False,
    )  # fmt: skip
    assert [found.covers(zone) for zone in ("DE", "FR", "GB")] == [True, True, False]


def test_only_what_has_a_part_in_the_range_is_told(tmp_path: Path) -> None:
    rows = "".join(f"DE,2026-03-29T{h:02}:00Z,2026-03-29T{h + 1:02}:00Z,{h}\n" for h in range(6))
    found = provider(tmp_path / "own.csv", HEAD + rows)
    assert [fact.ug_per_kwh for fact in found.read("DE", START + 90 * 60, START + 3 * HOUR, START)] == [1_000_000, 2_000_000]
    coming = found.forecast("DE", START + 4 * HOUR)
    assert [(fact.ug_per_kwh, fact.forecast) for fact in coming] == [(4_000_000, True), (5_000_000, True)]


def test_a_row_twice_is_the_later_one_and_an_hour_missing_stays_missing(tmp_path: Path) -> None:
    midnight = "DE,2026-03-29T00:00Z,2026-03-29T01:00Z"
    rows = f"{midnight},1\nDE,2026-03-29T02:00Z,2026-03-29T03:00Z,2\n{midnight},3\n"
    found = provider(tmp_path / "own.csv", HEAD + rows).read("DE", START, START + 24 * HOUR, START)
    assert [(fact.start_s, fact.ug_per_kwh) for fact in found] == [(START, 3_000_000), (START + 2 * HOUR, 2_000_000)]


def test_a_file_that_was_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    found = provider(path, HEAD + "DE,2026-03-29T00:00Z,2026-03-29T01:00Z,1\n")
    assert found.read("DE", START, START + HOUR, START)[0].ug_per_kwh == 1_000_000
    path.write_text(HEAD + "DE,2026-03-29T00:00Z,2026-03-29T01:00Z,20\n")
    assert found.read("DE", START, START + HOUR, START)[0].ug_per_kwh == 20_000_000


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("DE,2026-03-29T00:00,2026-03-29T01:00Z,1", "line 3: start is a time without offset"),
        ("DE,yesterday,2026-03-29T01:00Z,1", "line 3: start is not a time"),
        ("DE,2026-03-29T00:00Z,,1", "line 3: end is not a time"),
        ("DE,2026-03-29T01:00Z,2026-03-29T00:00Z,1", "line 3: it ends before it starts"),
        ("DE,2026-03-29T00:00Z,2026-03-29T01:00Z,NaN", "line 3: g_per_kwh is not a number"),
        ("DE,2026-03-29T00:00Z,2026-03-29T01:00Z,-1", "line 3: g_per_kwh is not plausible"),
        ("DE,2026-03-29T00:00Z,2026-03-29T01:00Z,320000", "line 3: g_per_kwh is not plausible"),
        ("DE,2026-03-29T00:00Z", "line 3: end is not a time"),
        (",2026-03-29T00:00Z,2026-03-29T01:00Z,1", "line 3: it names no zone"),
        ("DE,2026-03-29T00:00Z,2026-03-29T01:00Z,1,net", "line 3: boundary is none of direct, lifecycle"),
        ("DE,2026-03-29T00:00Z,2026-03-29T01:00Z,1,,both", "line 3: signal is none of average, marginal"),
        ("DE,2026-03-29T00:00Z,2026-03-29T01:00Z,1,,,,perhaps", "line 3: estimated is none of"),
    ],
)
def test_a_wrong_row_is_named_by_its_line_and_nothing_is_used(tmp_path: Path, row: str, why: str) -> None:
    found = provider(tmp_path / "own.csv", FULL + f"DE,2026-03-29T00:00Z,2026-03-29T01:00Z,1,,,,\n{row}\n")
    assert why in failure(found)
    assert found.covers("GB")


def test_what_is_no_such_file_is_one_line(tmp_path: Path) -> None:
    assert "No such file" in failure(provider(tmp_path / "none.csv"))
    lacking = "zone,start,end\nDE,2026-03-29T00:00Z,2026-03-29T01:00Z\n"
    assert "has no column 'g_per_kwh'" in failure(provider(tmp_path / "own.csv", lacking))
    (tmp_path / "odd.csv").write_bytes(b"zone,start\n\xff\xfe,1\n")
    assert "not CSV in UTF-8" in failure(provider(tmp_path / "odd.csv"))
    with pytest.raises(SourceGone, match=r"set \[grid.file\] path"):
        file.open(GridPlace({}, lambda request: b"", lambda name: None))


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.touch()
    os.truncate(path, file.LARGEST_BYTES + 1)
    assert "longer than" in failure(provider(path))


def test_parquet_is_read_by_what_is_handed_in_and_else_says_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "own.parquet"
    path.touch()
    assert "Parquet needs DuckDB" in failure(provider(path))
    hour = {"zone": "DE", "start": datetime(2026, 3, 29, tzinfo=UTC), "end": datetime(2026, 3, 29, 1, tzinfo=UTC), "g_per_kwh": 5.5}
    found = provider(path, rows_of_parquet=lambda name: [{**hour, "estimated": True}])
    (fact,) = found.read("DE", START, START + HOUR, START)
    assert (fact.start_s, fact.length_s, fact.ug_per_kwh, fact.estimated) == (START, HOUR, 5_500_000, True)
    assert "line 2: start is a time without offset" in failure(
        provider(path, rows_of_parquet=lambda name: [{**hour, "start": datetime(2026, 3, 29)}])
    )
