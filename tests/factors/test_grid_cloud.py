"""A cloud's zone from environment and local files alone, and a PUE only where one may be shipped."""

import json
from pathlib import Path

import pytest

from wattledger.factors.grid import cloud


@pytest.mark.parametrize(
    ("environ", "zone", "provider"),
    [
        ({"AWS_REGION": "eu-central-1"}, "DE", "aws"),
        ({"AWS_REGION": "us-east-1a"}, "US-SRVC", "aws"),
        ({"AWS_DEFAULT_REGION": "ca-central-1"}, "CA-QC", "aws"),
        ({"GOOGLE_CLOUD_REGION": "europe-west4"}, "NL", "gcp"),
        ({"CLOUDSDK_COMPUTE_ZONE": "us-west2-b"}, "US-CAMX", "gcp"),
        ({"CLOUDSDK_COMPUTE_REGION": "australia-southeast1"}, "AU-NSW", "gcp"),
        ({"AZURE_REGION": "northeurope"}, "IE", "azure"),
        ({"REGION_NAME": "West Europe"}, "NL", "azure"),
        ({"AWS_REGION": "mars-1", "AZURE_REGION": "uksouth"}, "GB", "azure"),
    ],
)
def test_the_region_in_the_environment_names_the_zone(environ: dict[str, str], zone: str, provider: str) -> None:
    found = cloud.zone_from_environ(environ)
    assert found is not None
    assert (found.zone, found.provider) == (zone, provider)
    assert any(name in found.why for name in environ)


@pytest.mark.parametrize(
    "environ", [{}, {"AWS_REGION": ""}, {"AWS_REGION": "mars-1"}, {"REGION_NAME": "Bavaria"}, {"AWS_REGION": "aws"}]
)
def test_an_unknown_region_is_no_zone(environ: dict[str, str]) -> None:
    assert cloud.zone_from_environ(environ) is None


def test_a_subregion_from_memory_is_wider_and_says_so() -> None:
    oregon, frankfurt = (cloud.zone_from_environ({"AWS_REGION": region}) for region in ("us-west-2", "eu-central-1"))
    assert oregon is not None
    assert frankfurt is not None
    assert oregon.g95 == 1.4
    assert "from memory" in oregon.why
    assert frankfurt.g95 == 1.0


def test_a_clients_setting_is_told_from_the_platforms_word() -> None:
    platform, client = (cloud.zone_from_environ({name: "eu-west-3"}) for name in ("AWS_REGION", "AWS_DEFAULT_REGION"))
    assert platform is not None
    assert client is not None
    assert "client" not in platform.why
    assert "set [grid] zone" in client.why


def test_cloud_init_speaks_of_the_machine_and_goes_first(tmp_path: Path) -> None:
    file = tmp_path / "instance-data.json"
    file.write_text(json.dumps({"v1": {"cloud_name": "gce", "region": "europe-north1"}}))
    found = cloud.zone_from_environ({"AWS_DEFAULT_REGION": "us-east-1"}, str(file))
    assert found is not None
    assert (found.zone, found.provider) == ("FI", "gcp")
    assert str(file) in found.why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"v1": {}}',
        '{"v1": {"cloud_name": [], "region": null}}',
        '{"v1": {"cloud_name": "aws", "region": 3}}',
    ],
)
def test_a_cloud_init_file_that_is_not_whole_says_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "instance-data.json"
    file.write_text(text)
    assert cloud.zone_from_environ({}, str(file)) is None
    assert cloud.zone_from_environ({}, str(tmp_path / "absent.json")) is None


@pytest.mark.parametrize(("provider", "value"), [("aws", 1.135), ("gcp", 1.1), ("azure", 1.185)])
def test_a_published_pue_travels_with_its_origin(provider: str, value: float) -> None:
    factor = cloud.pue(provider)
    assert factor is not None
    assert (factor.kind, factor.value, factor.g95, factor.licence) == ("pue", value, 1.15, "Apache-2.0")
    assert "2021" in factor.version


def test_an_unknown_pue_is_absent_and_not_one() -> None:
    assert cloud.pue("ovh") is None


def test_a_configured_pue_is_surer_than_a_providers() -> None:
    assert (cloud.configured_pue(1.3).value, cloud.configured_pue(1.3).g95) == (1.3, 1.05)


@pytest.mark.parametrize("value", [0.9, 0.0, -1.0, 130.0, float("nan"), float("inf")])
def test_a_pue_that_cannot_be_is_one_clear_line(value: float) -> None:
    with pytest.raises(ValueError, match=r"\[facility\] pue = .*facility energy over IT energy"):
        cloud.configured_pue(value)
