"""Passports and product footprints that tests begin from, and what a wrong one says."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from wattledger.accounting.assets import passport
from wattledger.core.facts import AssetFact

Found = TypeVar("Found")
HEAD = 'schema = "wattledger.passport/1"\n'
SERVER = """
[asset]
id = "dgx-1"
made = 2025-03-01
[asset.footprint]
kg = 2500
"""


def facts(text: str, **options: Any) -> list[AssetFact]:
    return passport.read(HEAD + text, "toml", "dgx.toml", **options).facts


def warnings(text: str) -> list[str]:
    return passport.read(HEAD + text, "toml", "dgx.toml").warnings


def mistakes(text: str, **options: Any) -> list[str]:
    """The lines of a passport's mistakes; ``HEAD`` is line 1 of the file and ``text`` begins on line 2."""
    with pytest.raises(passport.BadPassport) as caught:
        facts(text, **options)
    return str(caught.value).split("\n")


def outcome(reading: Callable[[], Found]) -> Found | passport.BadPassport:
    """What was read, or the refusal; any other exception is a mistake of ours."""
    try:
        return reading()
    except passport.BadPassport as refused:
        return refused


def details(fact: AssetFact) -> dict[str, str]:
    return dict(fact.details)


def pact_json(*, drop: tuple[str, ...] = (), top: dict[str, Any] | None = None, **pcf: Any) -> str:
    """A PACT v3 product footprint: 1,312 kg for a piece, but for what is said otherwise (``None`` leaves it out)."""
    inner: dict[str, Any] = {
        "declaredUnitOfMeasurement": "piece",
        "declaredUnitAmount": "1",
        "productMassPerDeclaredUnit": "32.5",
        "referencePeriodStart": "2024-01-01T00:00:00Z",
        "referencePeriodEnd": "2025-01-01T00:00:00Z",
        "pcfExcludingBiogenicUptake": "1312",
        "pcfIncludingBiogenicUptake": "1312",
        "fossilGhgEmissions": "1300",
        "fossilCarbonContent": "0",
        "ipccCharacterizationFactors": ["AR6"],
        "crossSectoralStandards": ["ISO14067"],
        "exemptedEmissionsPercent": "0",
        **pcf,
    }
    whole = {
        "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "specVersion": "3.0.0",
        "created": "2025-02-01T00:00:00Z",
        "status": "Active",
        "companyName": "ACME Silicon",
        "companyIds": ["urn:company:example:acme"],
        "productDescription": "board with eight accelerators",
        "productIds": ["urn:product:example:hgx"],
        "productNameCompany": "HGX 8",
        "pcf": {key: value for key, value in inner.items() if value is not None and key not in drop},
        **(top or {}),
    }
    return json.dumps({key: value for key, value in whole.items() if value is not None and key not in drop})
