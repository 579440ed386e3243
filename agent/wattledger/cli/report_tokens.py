"""What a report says of tokens, as people read it: a table below the models', lines of one model, and who asked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from wattledger.core.figures import digits, gram, joule

WEAK = "~"
NO_TENANT = "(no tenant)"
LEGEND = (
    "a prompt: for each prompt token that was computed; a generated: for each that was generated; /M: for a million (location)",
    "standby: held idle for the model; overhead: drawn without any tokens to show for it; tokens/s: while it worked",
)
HEADS = ("a prompt", "a generated", "standby", "overhead", "CO2e/M prompt", "CO2e/M generated", "tokens/s", "batch")


def token_lines(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Sequence[str]]:
    """The cells of a table of rows by their labels, its heads first; none where no model was served."""
    served = [(label, row["tokens"]) for label, row in rows if "tokens" in row]
    if served:
        yield ("tokens", *HEADS)
        yield from ((label, *_cells(tokens)) for label, tokens in served)


def legend(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What the table's heads mean."""
    served = [row["tokens"] for row in rows if "tokens" in row]
    if served:
        yield from LEGEND


def token_details(row: Mapping[str, Any]) -> Iterator[str]:
    """The lines of one model."""
    tokens = row.get("tokens")
    if tokens is None:
        return
    mark = f" {WEAK} ({tokens['weak_fraction']:.0%} weak)" if tokens["weak"] else ""
    for kind in ("prompt", "generated"):
        if "energy_per_token_j" in tokens.get(kind, {}):
            yield f"  {kind + ' token':<15} {_each(tokens[kind])}{mark}"
    rest = [f"{kind} {joule(tokens[kind]['energy_j']['value'])}" for kind in ("standby", "overhead") if kind in tokens]
    if rest:
        yield f"  without tokens  {', '.join(rest)}"
    pace = [f"{digits(tokens[f'{kind}_per_s'])} {kind} tokens/s" for kind in ("prompt", "generated") if f"{kind}_per_s" in tokens]
    pace += [f"mean batch {digits(tokens['mean_batch'])}"] if "mean_batch" in tokens else []
    if pace:
        yield f"  served          {', '.join(pace)}, while it worked"
    if tokens.get("divided_fraction", 1) < 0.9995:
        yield f"  divided         {tokens['divided_fraction']:.1%} of its energy among these"


def tenant_lines(label: str, row: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """The cells of a table of who asked a model."""
    yield (label, "requests", "prompt tokens", "generated", "prompt", "generated ", "location")
    for each in row["by"]:
        kinds = [each.get(kind, {}) for kind in ("prompt", "generated")]
        counts = [_count(each, "requests"), *(_count(kind, "tokens") for kind in kinds)]
        joules = [joule(kind["energy_j"]["value"]) if "energy_j" in kind else "" for kind in kinds]
        grams = gram(each["emissions_g"]["location_based"]["value"]) if "emissions_g" in each else "?"
        yield (f"  {_shown(each['tenant'])}", *counts, *joules, grams)


def _cells(tokens: Mapping[str, Any]) -> Iterator[str]:
    mark = WEAK if tokens["weak"] else ""
    for kind in ("prompt", "generated"):
        price = tokens.get(kind, {}).get("energy_per_token_j")
        yield f"{mark}{joule(price['value'])}" if price else ""
    for kind in ("standby", "overhead"):
        yield joule(tokens[kind]["energy_j"]["value"]) if kind in tokens else ""
    for kind in ("prompt", "generated"):
        price = tokens.get(kind, {}).get("emissions_g_per_million")
        yield f"{mark}{gram(price['value'])}" if price else ""
    pace = sum(tokens.get(f"{kind}_per_s", 0) for kind in ("prompt", "generated"))
    yield digits(pace) if pace else ""
    yield digits(tokens["mean_batch"]) if "mean_batch" in tokens else ""


def _each(kind: Mapping[str, Any]) -> str:
    price, grams = kind["energy_per_token_j"], kind.get("emissions_g_per_million")
    spanned = f"{joule(price['value'])} ({joule(price['low'])} to {joule(price['high'])})"
    million = f", {gram(grams['value'])} CO2e a million" if grams else ""
    return f"{spanned}{million}; {kind['tokens']} of them"


def _count(given: Mapping[str, Any], name: str) -> str:
    return str(given[name]) if name in given else ""


def _shown(tenant: str) -> str:
    """A tenant's name commands no terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in tenant) or NO_TENANT
