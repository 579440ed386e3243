"""An allocation as people read it: what it divides, among what; of a request, its part."""

from collections.abc import Iterator, Sequence
from typing import Any

from wattledger.accounting.explain_tokens import Amount, Division
from wattledger.accounting.reports import iso_time
from wattledger.core.figures import joule
from wattledger.core.units import UJ_PER_J
from wattledger.ledger.columns import KINDS_UJ, TOKENS, unescaped

NAMES_OF_IDS = 3
WEAK = "weak: the prices stood on a prior, the data could not tell prompt from generated tokens"
STRONG = "prompt and generated tokens were told apart by the data"


def allocation_headline(row: dict[str, Any], window: str) -> str:
    """What a window's energy went into, or what a request got."""
    parts = [f"{joule(row[name] / UJ_PER_J)} {name.removesuffix('_uj')}" for name in KINDS_UJ if row[name]]
    whose = "" if row["request"] is None else f" to request {_shown(unescaped(row['request']))}"
    return f"{', '.join(parts) or 'nothing'}{whose} in {window}"


def division_lines(found: Division, row: dict[str, Any]) -> Iterator[str]:
    """What it divides."""
    if row["tenant"] is not None:
        yield f"  tenant        {_shown(unescaped(row['tenant']))}"
    if row["request"] is not None:
        yield f"  tokens        {_tokens([row[name] for name in TOKENS])}"
    if row["spread_uj"]:
        yield f"  may be others' {joule(row['spread_uj'] / UJ_PER_J)} of it (95 %)"
    yield f"  division      {WEAK if row['weak'] else STRONG}"
    if found.energy is not None:
        yield f"  divides       {joule(found.energy.counts[0] / UJ_PER_J)} of energy in its window{_from(found.energy)}"
    if found.work is not None and any(found.work.counts):
        steps = f" in {found.work.counts[-1]} engine steps" if found.work.counts[-1] else ""
        yield f"  among         {_tokens(found.work.counts[:3])}{steps}{_from(found.work)}"
    if found.windows is not None:
        whole, mine = sum(found.windows.counts), row["prompt_uj"] + row["generated_uj"]
        part = f"{mine / whole:.3g} of the " if whole else "of "
        when = f"from {iso_time(found.from_s)} to {iso_time(found.to_s)}"
        yield f"  part          {part}{joule(whole / UJ_PER_J)} that went into tokens in the windows {when}{_from(found.windows)}"


def named(ids: Sequence[str]) -> str:
    """Ids, the first few of them."""
    more = f" and {len(ids) - NAMES_OF_IDS} more" if len(ids) > NAMES_OF_IDS else ""
    return ", ".join(ids[:NAMES_OF_IDS]) + more


def _from(amount: Amount) -> str:
    return f": {named(amount.ids)}" if amount.ids else " (rolled up)" if any(amount.counts) else ""


def _tokens(counts: Sequence[int]) -> str:
    kinds = zip(("prompt", "cached", "generated"), counts, strict=True)
    return f"{', '.join(f'{count} {name}' for name, count in kinds if count) or 'no'} tokens"


def _shown(text: str) -> str:
    """Anybody's text commands no terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
