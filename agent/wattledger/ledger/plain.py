"""The bodies that nearly all facts have: energy of a minute, not corrected.  Known by their shape, so they need not be parsed.

The pattern and the SQL are one statement in two languages, and the shape is ``body.encode``'s: whatever does not match is not
wrong, it only takes the slow way, through JSON.
"""

import re

from wattledger.ledger.columns import KINDS_UJ, TOKENS

_N = "[1-9][0-9]{0,17}+|0"  # as JSON writes it, and surely within 64 bits
# Groups: energy_uj, key, length_s, recorded_s, seen_ms, spread_uj (or None), start_s.
ENERGY = re.compile(
    rf'\{{"energy_uj":({_N}),"fact":"energy","key":({_N}),"length_s":({_N}),"recorded_s":({_N}),"seen_ms":({_N})'
    rf'(?:,"spread_uj":([1-9][0-9]{{0,17}}))?,"start_s":({_N})\}}'
)
ENERGY_BYTES = re.compile(ENERGY.pattern.encode())


def body_sql(row: str, number: str) -> str:
    """SQL for the body that a row's columns come from, given what ``number`` its key has; null where there is none this plain.

    Work and allocations are told the same way, so that the rows of a busy engine need not go through JSON either.
    """
    energy = (
        f"""'{{"energy_uj":' || {row}.energy_uj || ',"fact":"energy","key":' || {number} || ',"length_s":' || {row}.length_s"""
        f""" || ',"recorded_s":' || {row}.recorded_s || ',"seen_ms":' || {row}.seen_ms"""
        f""" || {_unless_0(row, "spread_uj", before=",")} || ',"start_s":' || {row}.start_s || '}}'"""
    )
    work = (
        f"""'{{' || {_unless_0(row, "cached_tokens", after=",")} || '"fact":"work"'"""
        f""" || {_unless_0(row, "generated_tokens", before=",")} || ',"key":' || {number} || ',"length_s":' || {row}.length_s"""
        f""" || {_unless_0(row, "prompt_tokens", before=",")} || ',"recorded_s":' || {row}.recorded_s"""
        f""" || {_unless_0(row, "requests", before=",")} || ',"start_s":' || {row}.start_s"""
        f""" || {_unless_0(row, "steps", before=",")} || '}}'"""
    )
    return (
        f"CASE WHEN {row}.corrects IS NOT NULL THEN NULL WHEN {row}.fact = 'energy' AND {_none(row, 'energy')} THEN {energy}"
        f" WHEN {row}.fact = 'work' AND {_none(row, 'work')} THEN {work}"
        f" WHEN {row}.fact = 'allocation' AND {_none(row, 'allocation')} AND {_bare(row)} THEN {_allocation(row, number)} END"
    )


# What the columns of these kinds may be filled with, beside the key's.
_OWN = {
    "energy": ("energy_uj", "seen_ms", "spread_uj"),
    "work": (*TOKENS, "requests", "steps"),
    "allocation": (*KINDS_UJ, *TOKENS, "spread_uj", "weak", "request", "tenant"),
}


def _none(row: str, kind: str) -> str:
    """Columns that only other kinds have are empty."""
    others = {name for names in _OWN.values() for name in names} - {*_OWN[kind]}
    return " AND ".join(f"{row}.{name} IS NULL" for name in sorted(others))


def _allocation(row: str, number: str) -> str:
    return (
        f"""'{{' || {_unless_0(row, "cached_tokens", after=",")} || '"fact":"allocation"'"""
        f""" || {_unless_0(row, "generated_tokens", before=",")} || {_unless_0(row, "generated_uj", before=",")}"""
        f""" || ',"key":' || {number} || ',"length_s":' || {row}.length_s || {_unless_0(row, "overhead_uj", before=",")}"""
        f""" || {_unless_0(row, "prompt_tokens", before=",")} || {_unless_0(row, "prompt_uj", before=",")}"""
        f""" || ',"recorded_s":' || {row}.recorded_s || {_unless_null(row, "request")}"""
        f""" || {_unless_0(row, "spread_uj", before=",")} || {_unless_0(row, "standby_uj", before=",")}"""
        f""" || ',"start_s":' || {row}.start_s || {_unless_null(row, "tenant")}"""
        f""" || CASE {row}.weak WHEN 0 THEN '' WHEN 1 THEN ',"weak":true' END || '}}'"""
    )


def _bare(row: str) -> str:
    """No text of the row can end the JSON string that it stands in."""
    texts = [f"COALESCE({row}.{name}, '')" for name in ("request", "tenant")]
    return " AND ".join(f"POSITION('{sign}' IN {text}) = 0" for text in texts for sign in ('"', "\\"))


def _unless_0(row: str, name: str, *, before: str = "", after: str = "") -> str:
    return f"""CASE WHEN {row}.{name} = 0 THEN '' ELSE '{before}"{name}":' || {row}.{name} || '{after}' END"""


def _unless_null(row: str, name: str) -> str:
    return f"""CASE WHEN {row}.{name} IS NULL THEN '' ELSE ',"{name}":"' || {row}.{name} || '"' END"""
