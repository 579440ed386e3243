"""From a cloud's region to a grid zone, and a cloud's PUE.

The region comes from the environment and local files alone: never from a metadata service, never from an IP address.
"""

from collections.abc import Iterator, Mapping
from os.path import dirname, join
from typing import NamedTuple

from wattledger.core.model import Factor

TABLE = join(dirname(dirname(__file__)), "data", "cloud_zones.csv")

# Where cloud-init leaves what it learnt at boot; the caller hands it in, so that a test's machine has no say.
CLOUD_INIT = "/run/cloud-init/instance-data.json"

# In this order; the first whose value is a region we know wins.  ``client``: a setting of a command line tool, which
# a laptop has as well.
VARIABLES = (
    ("AWS_REGION", "aws", False),
    ("AWS_DEFAULT_REGION", "aws", True),
    ("GOOGLE_CLOUD_REGION", "gcp", False),
    ("GOOGLE_CLOUD_ZONE", "gcp", False),
    ("CLOUDSDK_COMPUTE_REGION", "gcp", True),
    ("CLOUDSDK_COMPUTE_ZONE", "gcp", True),
    ("AZURE_REGION", "azure", False),
    ("REGION_NAME", "azure", False),
    ("AZURE_LOCATION", "azure", True),
)
CLOUD_NAMES = {"aws": "aws", "gce": "gcp", "azure": "azure"}

# Which eGRID subregion serves a site was written from memory.  If it is the wrong one: two subregions of eGRID2023
# taken at random differ by a factor of 1.44 (median of all pairs).
FROM_MEMORY_G95 = 1.4

# Cloud Carbon Footprint's published coefficients: one yearly average per provider.
PUE = {"aws": 1.135, "gcp": 1.1, "azure": 1.185}
PROVIDER_PUE_G95 = 1.15
CONFIGURED_PUE_G95 = 1.05


class CloudZone(NamedTuple):
    """A grid zone, why we think so (one line), the provider, and how far a guessed zone may put prices off."""

    zone: str
    why: str
    provider: str
    g95: float


def zone_from_environ(environ: Mapping[str, str], instance_data: str = "") -> CloudZone | None:
    """The grid zone of the cloud region this runs in; ``None`` when nothing here names a region we know.

    ``instance_data``: the path of cloud-init's file (``CLOUD_INIT``), asked first: it speaks of the machine itself.
    """
    for said, provider, value, client in (*_booted(instance_data), *_set(environ)):
        row = _region(provider, value)
        if row is None:
            continue
        _, region, place, zone, basis = row
        why = f"{said} names {provider} {region} ({place})"
        if client:
            why += "; that is a client's setting: if this machine is elsewhere, set [grid] zone"
        if basis == "egrid-from-memory":
            return CloudZone(
                zone, f"{why}; its eGRID subregion is from memory, so the interval is wider", provider, FROM_MEMORY_G95
            )
        return CloudZone(zone, why, provider, 1.0)
    return None


def pue(provider: str) -> Factor | None:
    """The provider's published average PUE; ``None`` where none may be shipped.  Unknown is not 1."""
    value = PUE.get(provider)
    if value is None:
        return None
    return Factor(
        "pue",
        provider,
        value,
        "1",
        "facility",
        "Cloud Carbon Footprint coefficients",
        "2021",
        "provider-average",
        PROVIDER_PUE_G95,
        "2021-01-01",
        "2021-12-31",
        "Apache-2.0",
    )


def configured_pue(value: float) -> Factor:
    """The PUE that the operator configured, an annual figure of the site.  Raises ``ValueError`` for one below 1."""
    if not 1.0 <= value < 10.0:
        raise ValueError(
            f"[facility] pue = {value:g}: a PUE is facility energy over IT energy, 1 or a little more (1.1 to 2)"
        )
    return Factor(
        "pue", "", value, "1", "facility", "configuration ([facility] pue)", "", "configured", CONFIGURED_PUE_G95
    )


def _set(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str, bool]]:
    for name, provider, client in VARIABLES:
        value = environ.get(name, "").strip()
        if value:
            yield f"{name}={value}", provider, value, client


def _booted(path: str) -> Iterator[tuple[str, str, str, bool]]:
    """What cloud-init wrote: who the cloud is and which region.  A file that is not there or not whole says nothing."""
    if not path:
        return
    import json  # only where there is a file to look into

    try:
        with open(path, encoding="utf-8") as file:
            known = json.load(file)["v1"]
        cloud, region = CLOUD_NAMES.get(known["cloud_name"]), known["region"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if cloud and isinstance(region, str):
        yield f"{path}", cloud, region, False


def _region(provider: str, value: str) -> list[str] | None:
    """The table's row for a region, or for a zone inside it (``europe-west4-a``, ``us-east-1a``).

    Azure writes ``West Europe`` as well as ``westeurope``.
    """
    name = value.casefold()
    names = {name}
    if provider == "azure":
        names = {name.replace(" ", "")}
    elif provider == "gcp" and name[-2:-1] == "-":
        names.add(name[:-2])
    elif provider == "aws" and name[-1:].isalpha():
        names.add(name[:-1])
    with open(TABLE, encoding="utf-8") as table:
        for line in table:
            row = line.rstrip("\n").split(",")
            if row[0] == provider and row[1] in names:
                return row
    return None
