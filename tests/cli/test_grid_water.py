"""``wattledger grid … --water``: carbon and water side by side, both ways of counting hydro power."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, own_place


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def test_show_says_both_ways_with_source_and_interval(front: Front) -> None:
    zone = json.loads(front("grid", "show", "Sweden", "--water", "--json").out)
    assert zone["water"].keys() == {"allocate", "exclude"}
    for factor in zone["water"].values():
        assert factor["low"] < factor["value"] < factor["high"]
        assert factor["origin"]
        assert factor["unit"] == "L/kWh"
    text = front("grid", "show", "SE", "--water").out
    assert "6.0315 L/kWh, 95 % between 4.02 and 9.05" in text
    assert "hydro power counted as 0" in text
    assert "water" not in front("grid", "show", "SE").out


def test_where_another_places_figure_stands_in_it_is_said(front: Front) -> None:
    assert "the world's average stands in" in front("grid", "show", "BD", "--water").out
    assert "the average of US stands in" in front("grid", "show", "US-CAMX", "--water").out
    kosovo = front("grid", "show", "XK", "--water")
    assert "cannot be left out" in kosovo.out
    assert "cannot be left out" in json.loads(front("grid", "show", "XK", "--water", "--json").out)["water_not_known"]["exclude"]


def test_a_kwh_in_this_building_is_said_where_its_pue_and_wue_are_known(front: Front, tmp_path: Path) -> None:
    """carbon.md 7: at PUE 1.1 and WUE 0.02, 6.65 L in Sweden and 2.16 L in Germany."""
    (tmp_path / "wattledger.toml").write_text("[facility]\npue = 1.1\nwue = 0.02\n")
    for zone, said in (("SE", "6.65 L (0.02 on-site, 6.63 off-site)"), ("DE", "2.16 L (0.02 on-site, 2.14 off-site)")):
        assert said in front("grid", "show", zone, "--water").out
    (tmp_path / "wattledger.toml").write_text("[facility]\npue = 1.1\n")
    assert "(not known on-site, 6.63 off-site)" in front("grid", "show", "SE", "--water").out


def test_sweden_is_first_in_carbon_and_far_from_it_in_water(front: Front) -> None:
    zones = {zone["zone"]: zone for zone in json.loads(front("grid", "zones", "--water", "--json").out)}
    sweden, germany = zones["SE"]["rank"], zones["DE"]["rank"]
    assert sweden["carbon"] < germany["carbon"]
    assert sweden["allocate"] > germany["allocate"]
    for what in ("carbon", "allocate", "exclude"):
        places = [zone["rank"][what] for zone in zones.values() if "rank" in zone]
        assert sorted(places) == list(range(1, len(places) + 1))
    assert zones["BD"]["stands_in"] == "world"
    assert zones["US-CAMX"]["stands_in"] == "country"
    assert all("rank" not in zone for zone in zones.values() if "stands_in" in zone)


def test_the_table_has_every_zone_once_and_says_what_its_columns_are(front: Front) -> None:
    rows = front("grid", "zones", "--water").out.splitlines()
    names = [line.split()[0] for line in rows[1:-3]]
    assert len(names) == len(set(names)) == len(json.loads(front("grid", "zones", "--json").out))
    assert rows[0].split() == ["zone", "gCO2e/kWh", "#", "water", "#", "no", "hydro", "#", "name"]
    assert max(len(line) for line in rows) <= 100
    assert "(world)" in rows[-1]
    [sweden] = [line for line in front("grid", "zones", "swe", "--water").out.splitlines() if line.startswith("SE ")]
    assert sweden.split()[1:4] == ["8", "1", "6.03"]


def test_a_wrong_configuration_is_one_line(front: Front, tmp_path: Path) -> None:
    (tmp_path / "wattledger.toml").write_text("[facility]\npeu = 1.1\n")
    got = front("grid", "show", "SE", "--water")
    assert got.status == 2
    assert got.err.count("\n") == 1


def test_without_a_zone_the_table_of_all_is_shown(front: Front) -> None:
    assert front("grid", "show", "--water").out == front("grid", "zones", "--water").out
    refused = front("grid", "show")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
