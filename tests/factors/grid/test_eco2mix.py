"""éCO2mix: quarter-hours with Paris' offsets, pages, rows of a day that has not happened yet."""

from tests.factors.grid.providers import fr_pages, fr_row
from tests.factors.grid.served import DAY, HOUR, at, failed, standing

from wattledger.factors.grid import eco2mix

NOW = at("2026-03-02T00:00")
SLOT = 900


def test_the_question_names_fields_and_range() -> None:
    with standing({eco2mix.PATH: fr_pages([fr_row(NOW - SLOT, 15)])}) as service:
        (fact,) = eco2mix.open(service.place()).read("FR", NOW - HOUR, NOW, NOW)
    assert (fact.zone, fact.ug_per_kwh, fact.version) == ("FR", 15_000_000, "Données temps réel")
    assert dict(service.asked[0].words) == {
        "select": "perimetre,nature,date_heure,taux_co2",
        "where": "date_heure >= date'2026-03-01T23:00:00Z' and date_heure < date'2026-03-02T00:00:00Z'",
        "order_by": "date_heure",
        "timezone": "UTC",
        "limit": "100",
        "offset": "0",
    }


def test_the_hour_that_paris_has_twice_is_two_hours() -> None:
    turn_s = at("2026-10-25T01:00")
    rows = [fr_row(at_s, 20 + (at_s >= turn_s), 2 if at_s < turn_s else 1) for at_s in range(turn_s - HOUR, turn_s + HOUR, SLOT)]
    assert [str(row["date_heure"])[11:16] for row in rows[::4]] == ["02:00", "02:00"]
    with standing({eco2mix.PATH: fr_pages(rows)}) as service:
        facts = eco2mix.open(service.place()).read("FR", turn_s - HOUR, turn_s + HOUR, turn_s + DAY)
    assert [fact.ug_per_kwh for fact in facts] == [20_000_000] * 4 + [21_000_000] * 4
    assert [fact.start_s for fact in facts] == list(range(turn_s - HOUR, turn_s + HOUR, SLOT))


def test_a_time_without_offset_is_not_guessed_at() -> None:
    row = {**fr_row(NOW - SLOT, 15), "date_heure": "2026-03-01T23:45:00"}
    with standing({eco2mix.PATH: {"total_count": 1, "results": [row]}}) as service:
        provider = eco2mix.open(service.place())
        assert "a time without offset" in failed(lambda: provider.read("FR", NOW - SLOT, NOW, NOW))


def test_several_days_are_several_questions() -> None:
    with standing({eco2mix.PATH: fr_pages([fr_row(at_s, 15) for at_s in range(NOW - 3 * DAY, NOW, SLOT)])}) as service:
        facts = eco2mix.open(service.place()).read("FR", NOW - 3 * DAY, NOW, NOW)
    assert [fact.start_s for fact in facts] == list(range(NOW - 3 * DAY, NOW, SLOT))
    assert len(service.asked) == 3


def test_rows_that_stand_there_twice_fill_a_second_page() -> None:
    rows = [fr_row(at_s, 15) for at_s in range(NOW - DAY, NOW, SLOT) for _ in range(2)]
    with standing({eco2mix.PATH: fr_pages(rows)}) as service:
        facts = eco2mix.open(service.place()).read("FR", NOW - DAY, NOW, NOW)
    assert [fact.start_s for fact in facts] == list(range(NOW - DAY, NOW, SLOT))
    assert [asked.words["offset"] for asked in service.asked] == ["0", "100"]


def test_pages_without_end_are_left() -> None:
    endless = {"total_count": 10**9, "results": [fr_row(NOW - SLOT, 15)] * 100}
    with standing({eco2mix.PATH: endless}) as service:
        provider = eco2mix.open(service.place())
        assert "more than 1000 rows" in failed(lambda: provider.read("FR", NOW - DAY, NOW, NOW))


def test_an_answer_that_breaks_off_is_not_used() -> None:
    with standing({eco2mix.PATH: {"total_count": 5, "results": []}}) as service:
        provider = eco2mix.open(service.place())
        assert "after 0 of 5 rows" in failed(lambda: provider.read("FR", NOW - DAY, NOW, NOW))
    assert len(service.asked) == 1


def test_what_has_not_happened_yet_is_absent() -> None:
    rows = [fr_row(NOW + i * SLOT, 15 if i < 0 else None) for i in range(-4, 8)]
    with standing({eco2mix.PATH: fr_pages(rows)}) as service:
        provider = eco2mix.open(service.place())
        assert len(provider.read("FR", NOW - HOUR, NOW + HOUR, NOW + HOUR)) == 4
        assert list(provider.read("FR", NOW, NOW + HOUR, NOW + HOUR)) == []
        assert list(provider.forecast("FR", NOW)) == []


def test_a_row_of_a_region_spoils_the_answer() -> None:
    rows = [fr_row(NOW - HOUR, 15), {**fr_row(NOW - SLOT, 15), "perimetre": "Bretagne"}]
    with standing({eco2mix.PATH: fr_pages(rows)}) as service:
        provider = eco2mix.open(service.place())
        line = failed(lambda: provider.read("FR", NOW - HOUR, NOW, NOW))
    assert line == "eco2mix: asked for perimetre 'France' and got 'Bretagne': not used"


def test_a_consolidated_row_is_another_version() -> None:
    with standing({eco2mix.PATH: fr_pages([fr_row(NOW - SLOT, 15)])}) as service:
        provider = eco2mix.open(service.place())
        (first,) = provider.read("FR", NOW - SLOT, NOW, NOW)
        service.replies[eco2mix.PATH] = fr_pages([{**fr_row(NOW - SLOT, 16), "nature": "Données consolidées"}])
        (later,) = provider.read("FR", NOW - SLOT, NOW, NOW)
    assert (first.version, later.version) == ("Données temps réel", "Données consolidées")
    assert (first.ug_per_kwh, later.ug_per_kwh) == (15_000_000, 16_000_000)
