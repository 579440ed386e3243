"""A supplier's PACT v3 footprint becomes a figure with an interval and evidence, or is refused with every mistake."""

import hashlib
import json
from decimal import Decimal
from math import exp, log, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_passports import SERVER, details, facts, mistakes, outcome, pact_json, warnings

from wattledger.accounting.assets import pact
from wattledger.accounting.assets.pact import BadFootprint, Thing


def refused(text: str, thing: Thing = Thing()) -> list[str]:  # noqa: B008 - frozen
    with pytest.raises(BadFootprint) as caught:
        pact.read(text, "f.json", thing)
    return str(caught.value).split("\n")


def test_a_piece_has_its_figure_and_its_evidence() -> None:
    text = pact_json()
    found = pact.read(text, "f.json", Thing(kind="board", life_h=35_040))
    assert found.kg == 1312
    assert found.embodied[:3] == ("HGX 8", "board", 1312.0)
    assert found.embodied[3:5] == pytest.approx((1312 / 1.5, 1312 * 1.5))
    assert (found.embodied.method, found.embodied.boundary, found.embodied.year) == ("pcf", "cradle-to-gate", "2025")
    assert found.evidence == f"pact:3fa85f64-5717-4562-b3fc-2c963f66afa6 sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert found.warnings == ()


def test_a_footprint_by_the_kilogram_is_times_the_things_mass() -> None:
    text = pact_json(declaredUnitOfMeasurement="kilogram", productMassPerDeclaredUnit="1", pcfExcludingBiogenicUptake="12.5")
    assert pact.read(text, "f.json", Thing(mass_kg=Decimal("32.5"))).kg == Decimal("406.25")
    assert refused(text) == ["f.json: pcf: it is per kilogram; say the thing's mass_kg"]


def test_the_api_answers_with_the_footprint_in_data() -> None:
    assert pact.read(f'{{"data": {pact_json()}}}', "f.json").kg == 1312


def test_data_quality_ratings_make_the_interval_by_the_pedigree_matrix() -> None:
    dqi = {"technologicalDQR": "3", "geographicalDQR": "2", "temporalDQR": "4"}
    g95 = exp(sqrt(sum(log(u) ** 2 for u in (1.05, 1.20, 1.01, 1.20))))
    found = pact.read(pact_json(dqi=dqi), "f.json").embodied
    assert found[3:5] == pytest.approx((1312 / g95, 1312 * g95))


def test_a_rating_between_two_scores_lies_between_their_widths() -> None:
    widths = [pact.pedigree_g95({"temporalDQR": Decimal(n) / 10}) for n in range(10, 51)]
    assert widths == sorted(widths)
    assert [widths[0], widths[-1]] == pytest.approx([1.05, exp(sqrt(log(1.05) ** 2 + log(1.5) ** 2))])


def test_the_standard_makes_the_interval_where_nobody_rated_the_data() -> None:
    found = pact.read(pact_json(crossSectoralStandards=["GHGP-Product"]), "f.json").embodied
    assert found.high_kg == pytest.approx(2 * 1312)


@pytest.mark.parametrize(
    ("top", "pcf", "what"),
    [
        ({"status": "Deprecated"}, {}, "status Deprecated"),
        ({}, {"declaredUnitAmount": "8"}, "the product holds 8 pieces"),
        ({}, {"exemptedEmissionsPercent": "7"}, "leaves out 7 %"),
        ({}, {"geographyCountry": "DE", "geographyCountrySubdivision": "DE-BY"}, "more than one of region"),
    ],
)
def test_a_doubt_is_said(top: dict[str, Any], pcf: dict[str, Any], what: str) -> None:
    [line] = pact.read(pact_json(top=top, **pcf), "f.json").warnings
    assert what in line
    assert line.startswith("f.json: ")


def test_a_thing_bought_outside_the_validity_is_told() -> None:
    """Three years from the end of the reference period, 2025-01-01, where nothing else is said."""
    at = {2024: 1_717_000_000, 2026: 1_780_000_000, 2028: 1_843_000_000}
    told = {year: bool(pact.read(pact_json(), "f.json", Thing(bought_s=bought_s)).warnings) for year, bought_s in at.items()}
    assert told == {2024: True, 2026: False, 2028: True}
    longer = pact_json(top={"validityPeriodStart": "2024-01-01T00:00:00Z", "validityPeriodEnd": "2029-01-01T00:00:00Z"})
    assert pact.read(longer, "f.json", Thing(bought_s=at[2028])).warnings == ()


@pytest.mark.parametrize("key", ["id", "specVersion", "created", "status", "companyName", "companyIds", "productDescription",
                                 "productIds", "productNameCompany"])  # fmt: skip
def test_a_required_key_that_is_missing_is_named(key: str) -> None:
    assert refused(pact_json(drop=(key,))) == [f"f.json: {key}: is missing"]


@pytest.mark.parametrize("key", ["declaredUnitOfMeasurement", "declaredUnitAmount", "productMassPerDeclaredUnit",
                                 "referencePeriodStart", "referencePeriodEnd", "pcfExcludingBiogenicUptake",
                                 "pcfIncludingBiogenicUptake", "fossilGhgEmissions", "fossilCarbonContent",
                                 "ipccCharacterizationFactors", "crossSectoralStandards", "exemptedEmissionsPercent"])  # fmt: skip
def test_a_required_key_of_the_footprint_that_is_missing_is_named(key: str) -> None:
    [line] = refused(pact_json(drop=(key,)))
    assert line.startswith(f"f.json: pcf.{key}: is missing")


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("pcfExcludingBiogenicUptake", "pCfExcludingBiogenic"),
        ("declaredUnitOfMeasurement", "declaredUnit"),
        ("crossSectoralStandards", "crossSectoralStandardsUsed"),
    ],
)
def test_the_older_names_are_recognised_and_told(new: str, old: str) -> None:
    said: dict[str, Any] = {old: "1312"}
    [line] = refused(pact_json(drop=(new,), **said))
    assert line == f"f.json: pcf.{new}: is missing; {old!r} is PACT v2's name for it: ask the supplier for v3"


@pytest.mark.parametrize(
    ("top", "pcf", "what"),
    [
        ({}, {"pcfExcludingBiogenicUptake": 1312}, "pcf.pcfExcludingBiogenicUptake: expected a decimal in quotes"),
        ({}, {"pcfExcludingBiogenicUptake": "NaN"}, "expected a decimal in quotes"),
        ({}, {"pcfExcludingBiogenicUptake": "1,312"}, "expected a decimal in quotes"),
        ({}, {"pcfExcludingBiogenicUptake": "-1"}, "must not be negative"),
        ({}, {"declaredUnitAmount": "0"}, "must be more than 0"),
        ({}, {"declaredUnitOfMeasurement": "liter"}, "not by liter"),
        ({}, {"declaredUnitOfMeasurement": "peice"}, "did you mean 'piece'?"),
        ({}, {"referencePeriodEnd": "2023-01-01T00:00:00Z"}, "before its start"),
        ({}, {"referencePeriodEnd": "soon"}, "expected an ISO time"),
        ({}, {"crossSectoralStandards": []}, "expected a list of text"),
        ({}, {"dqi": {"temporalDQR": "6"}}, "1 to 5"),
        ({"specVersion": "2.2.0"}, {}, "ask the supplier for PACT 3"),
        ({"status": "Draft"}, {}, "expected one of Active, Deprecated"),
        ({"id": "7"}, {}, "expected a UUID"),
        ({"pcf": "see attachment"}, {}, "expected an object"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(top: dict[str, Any], pcf: dict[str, Any], what: str) -> None:
    lines = refused(pact_json(top=top, **pcf))
    assert len(lines) == 1
    assert what in lines[0]


def test_every_mistake_is_named_at_once() -> None:
    assert len(refused(pact_json(drop=("id", "declaredUnitAmount"), pcfExcludingBiogenicUptake="x"))) == 3


def test_a_passport_names_a_footprints_file() -> None:
    asked = []

    def opened(path: str) -> str:
        asked.append(path)
        return pact_json()

    [fact] = facts(SERVER.replace("kg = 2500", 'pact = "hgx.json"'), opened=opened)
    assert asked == ["hgx.json"]
    assert (fact.emitted_g, details(fact)["method"]) == (1_312_000, "pcf")
    assert fact.evidence.startswith("pact:3fa85f64-5717-4562-b3fc-2c963f66afa6 sha256:")


def test_a_passport_holds_a_footprint_itself() -> None:
    inner = ", ".join(f"{key} = {json.dumps(value)}" for key, value in json.loads(pact_json())["pcf"].items())
    top = "\n".join(f"{key} = {json.dumps(value)}" for key, value in json.loads(pact_json()).items() if key != "pcf")
    text = SERVER.replace("kg = 2500", f"[asset.footprint.pact]\n{top}\npcf = {{ {inner} }}")
    [fact] = facts(text)
    assert fact.emitted_g == 1_312_000
    assert "sha256:" in fact.evidence
    assert warnings(text) == []


def test_a_wrong_footprint_stands_at_its_place_in_the_passport() -> None:
    text = SERVER.replace("kg = 2500", 'pact = "hgx.json"')
    [line] = mistakes(text, opened=lambda _: pact_json(drop=("id",)))
    assert line == "dgx.toml:7: hgx.json: id: is missing"

    def gone(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory", path)

    [line] = mistakes(text, opened=gone)
    assert line.startswith("dgx.toml:6: pact: cannot read 'hgx.json': No such file")


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(("1", "piece", "3.0.0"))),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(json.loads(pact_json()))), st.sampled_from(sorted(json.loads(pact_json())["pcf"])), values, values)
def test_whatever_stands_in_a_footprint_it_is_a_figure_or_refused(top: str, key: str, one: Any, other: Any) -> None:
    tree = json.loads(pact_json())
    tree[top] = one if top != "pcf" else {**tree["pcf"], key: other}
    found = outcome(lambda: pact.read(json.dumps(tree), "f"))
    if isinstance(found, pact.Pact):
        assert found.kg >= 0
        assert found.embodied.low_kg <= found.embodied.kg <= found.embodied.high_kg
    else:
        assert isinstance(found, BadFootprint)
        assert found.lines


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1200))
def test_a_footprint_that_breaks_off_is_refused(end: int) -> None:
    text = pact_json()
    assert refused(text[: min(end, len(text) - 1)]) == ["f.json: not JSON"]
