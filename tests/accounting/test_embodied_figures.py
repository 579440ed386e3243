"""Figures in place of passports, and how sure embodied carbon is: estimates are marked, errors of one figure never average out."""

from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_machines import (
    GPU,
    HOST,
    at,
    booked,
    card,
    event,
    ran,
    server,
)
from tests.accounting.made_reports import asked, books
from tests.ledger.made import began

from wattledger.accounting.report_ask import Ask, Rules

MACHINE = (("machine.class", "server"), ("machine.cpus", "64"), ("machine.memory_gb", "512"))


def test_a_gpu_without_a_passport_is_estimated_for_the_time_it_was_metered(tmp_path: Path) -> None:
    place = books(tmp_path, ran(1000))
    said = asked(place, Ask("job", from_s=at(-10), to_s=at(10)))
    [row] = said["rows"]
    # carbon.md 9, example 20: 164 kg over four years, an hour.
    assert row["emissions_g"]["embodied"]["value"] == pytest.approx(4.680, abs=1e-3)
    assert row["stands_on"]["embodied"]["quality"] == {"estimate": 1.0}
    assert row["emissions_g"]["embodied"]["high"] > row["emissions_g"]["embodied"]["value"] * 3  # 575 kg by another source
    assert "unmetered_g" not in said["embodied"]


def test_a_passport_stops_the_estimate_of_the_same_thing_and_no_other(tmp_path: Path) -> None:
    facts = [*ran(1000), *ran(10, device="GPU-1"), began(config=MACHINE)]
    two_cards = {one.asset for one in booked(books(tmp_path, facts)).booked}
    assert two_cards == {f"estimate:{GPU}", "estimate:GPU-1", f"estimate:{HOST}"}
    one_card = {one.asset for one in booked(books(tmp_path, [*server(), *card(), *facts])).booked}
    assert one_card == {"srv", "card", "estimate:GPU-1"}


def test_a_host_whose_meter_said_nothing_of_it_is_not_guessed_and_one_that_is_configured_is(tmp_path: Path) -> None:
    place = books(tmp_path, ran(10, device="c", component="cpu"))
    found = asked(place, Ask("job"))
    assert "embodied" not in found["rows"][0]["emissions_g"]
    assert "no passports" in found["not_known"]["embodied"]
    [row] = asked(place, Ask("job"), Rules(host_kg=438, host_life_h=43_800))["rows"]
    assert row["emissions_g"]["embodied"]["value"] == pytest.approx(10)


def test_it_is_left_out_as_configured(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [*server(), *ran(10)]), Ask("job"), Rules(embodied=False))
    assert "embodied" not in found["total"]["emissions_g"]
    assert "as configured" in found["not_known"]["embodied"]


def test_it_is_never_part_of_another_sum(tmp_path: Path) -> None:
    facts = [*ran(10), *server(), *card()]
    place = books(tmp_path, facts)
    with_it, without = (asked(place, Ask("job"), Rules(embodied=on))["total"]["emissions_g"] for on in (True, False))
    assert {basis: grams for basis, grams in with_it.items() if basis != "embodied"} == without


# --- how sure ---------------------------------------------------------------------------------------------------------------


def interval(found: dict[str, Any]) -> tuple[float, float]:
    grams = found["total"]["emissions_g"]["embodied"]
    return grams["value"] / grams["low"], grams["high"] / grams["value"]


def test_things_of_one_model_share_their_error_and_others_do_not(tmp_path: Path) -> None:
    # carbon.md 8.1: a thousand equal rows of one factor are as unsure as one.
    one = interval(asked(books(tmp_path, [*server(g=0), *card(), *ran(1)]), Ask("job")))
    alike = [*card(), *card("card-2", device="GPU-1"), *ran(1), *ran(1, device="GPU-1")]
    assert interval(asked(books(tmp_path, [*server(g=0), *alike]), Ask("job"))) == pytest.approx(one)
    assert one == pytest.approx((1.5, 1.5))  # a vendor's product footprint (carbon.md 8.3), its service life stated
    mixed = interval(asked(books(tmp_path, [*server(g=164_000), *card(), *ran(1)]), Ask("job")))
    assert mixed[1] == pytest.approx(1 + 0.5 / 2**0.5, rel=0.01)  # in quadrature, as good as that is


def test_a_passports_own_interval_is_taken_and_an_assumed_life_widens_it(tmp_path: Path) -> None:
    words = {"kind": "server", "method": "pcf", "source": "v", "model": "R", "low_g": "800000", "high_g": "3000000"}
    made = [event("srv", "make", -9, 1_000_000, **words), event("srv", "commission", -5, host=HOST)]
    low, high = interval(asked(books(tmp_path, [*made, *ran(1, device="c", component="cpu")]), Ask("job")))
    assert low == pytest.approx(2.718281828 ** ((0.22314**2 + 0.33647**2) ** 0.5), rel=1e-4)
    assert high == pytest.approx(2.718281828 ** ((1.09861**2 + 0.33647**2) ** 0.5), rel=1e-4)
