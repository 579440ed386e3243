"""A BoaviztAPI that the user runs (``[embodied] boavizta_url``): what a part or a server emitted to make, asked over HTTP.

Nothing of it is in this package (it is AGPL); its answer is ``impacts.gwp.embedded`` in kilograms CO2e, with its own interval.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

from wattledger.accounting.assets.passport_figures import Estimate, Thing
from wattledger.core.ports import BadStatus, Fetch, Request, SourceFailed
from wattledger.factors.hardware.figure import Embodied

NAME = "boavizta"
TIMEOUT_S = 20.0
LIMIT_BYTES = 2_000_000
MOST_KG = 10_000_000.0
G95 = 2.0  # where it says no interval: a bottom-up figure
HOURS = {"gpu": 26_280.0}
SERVER_H = 35_040.0
# Our kind → its path under /v1/.
PATHS: Mapping[str, str] = {
    "server": "server/", "gpu": "component/gpu", "accelerator": "component/gpu", "cpu": "component/cpu", "dram": "component/ram",
    "ssd": "component/ssd", "hdd": "component/hdd", "psu": "component/power_supply", "board": "component/motherboard",
    "chassis": "component/case",
}  # fmt: skip
SHOWN = 60


def asker(url: str, fetch: Fetch) -> Estimate:
    """A function that asks the service at ``url`` for a thing's figure, as ``passport.read(boavizta=…)`` takes it.

    Its ``inputs`` go to the service as they are, over what the passport says itself; ``archetype`` among them goes into the query.
    ValueError in one line: no address, no answer, not understood.
    """
    base = _base(url)

    def ask(thing: Thing, inputs: Mapping[str, Any]) -> Embodied | None:
        path = PATHS.get(thing.kind)
        if path is None:
            return None
        words = {**_known(thing), **inputs}
        query = {"verbose": "false", "criteria": "gwp", **({"archetype": words.pop("archetype")} if "archetype" in words else {})}
        return _embodied(_answer(fetch, f"{base}/v1/{path}?{urlencode(query)}", words), thing, base)

    return ask


def _base(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and not parts.query and parts.username is None
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"{NAME}: [embodied] boavizta_url is no address of a service, e.g. http://127.0.0.1:5000")
    return url.rstrip("/").removesuffix("/v1")


def _known(thing: Thing) -> dict[str, Any]:
    """What the passport says of the thing, in the service's words."""
    if thing.kind == "server":
        return {"model": {"manufacturer": thing.vendor, "name": thing.model}} if thing.model else {}
    found: dict[str, Any] = {"units": 1}
    if thing.kind in ("cpu", "gpu", "accelerator") and thing.model:
        found["name"] = thing.model
    if thing.kind == "cpu" and thing.cores:
        found["core_units"] = int(thing.cores)
    if thing.kind in ("dram", "ssd") and thing.capacity_gb:
        found["capacity"] = float(thing.capacity_gb)
    if thing.kind == "psu" and thing.mass_g:
        found["unit_weight"] = thing.mass_g / 1000
    if thing.vendor and thing.kind in ("dram", "ssd", "cpu"):
        found["manufacturer"] = thing.vendor
    return found


def _answer(fetch: Fetch, url: str, words: Mapping[str, Any]) -> Any:
    body = json.dumps(words, default=_plain).encode()
    asked = Request(url, {"Content-Type": "application/json"}, timeout_s=TIMEOUT_S, limit_bytes=LIMIT_BYTES, body=body)
    try:
        return json.loads(fetch(asked))
    except BadStatus as refusal:
        if refusal.status in (400, 404, 422):
            raise ValueError(f"{NAME}: {refusal}: it does not know these inputs ({', '.join(sorted(words)) or 'none'})") from None
        raise ValueError(f"{NAME}: {refusal}") from None
    except SourceFailed as failure:
        raise ValueError(f"{NAME}: {failure}") from None
    except (ValueError, RecursionError):
        raise ValueError(f"{NAME}: {url.split('?')[0]}: the answer is not JSON: is this a BoaviztAPI?") from None


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


def _embodied(reply: Any, thing: Thing, base: str) -> Embodied:
    found = reply
    for word in ("impacts", "gwp"):
        found = found.get(word) if isinstance(found, Mapping) else None
    # Older versions say it by itself, as a number.
    said = found.get("embedded", found.get("manufacture")) if isinstance(found, Mapping) else None
    said = said if isinstance(said, Mapping) else {"value": said}
    kg, low_kg, high_kg = (_kg(said.get(word)) for word in ("value", "min", "max"))
    if kg is None or kg <= 0:
        raise ValueError(f"{NAME}: {base}: the answer has no impacts.gwp.embedded.value: is it a BoaviztAPI, version 1 or later?")
    return Embodied(
        f"{thing.vendor} {thing.model}".strip() or thing.kind,
        thing.kind,
        kg,
        min(kg, low_kg) if low_kg is not None else kg / G95,
        max(kg, high_kg) if high_kg is not None else kg * G95,
        "cradle-to-gate",
        "boavizta",
        f"BoaviztAPI at {urlsplit(base).netloc}",
        "",
        "its answer; the software is AGPL-3.0, its data ODbL",
        HOURS.get(thing.kind, SERVER_H),
        _warned(said.get("warnings")),
    )


def _kg(value: Any) -> float | None:
    """A plausible number of kilograms, else nothing."""
    sound = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MOST_KG
    return float(value) if sound else None


def _warned(warnings: Any) -> str:
    """What the service says of its figure, cut short."""
    if not isinstance(warnings, list):
        return ""
    said = [" ".join(word.split())[:SHOWN] for word in warnings[:3] if isinstance(word, str) and word.isprintable()]
    return "; ".join(said)
