"""The bodies that nearly all facts have: energy of a minute, not corrected.  Known by their shape, so they need not be parsed.

The pattern and the SQL are one statement in two languages, and the shape is ``body.encode``'s: whatever does not match is not
wrong, it only takes the slow way, through JSON.
"""

import re

_N = "[1-9][0-9]{0,17}+|0"  # as JSON writes it, and surely within 64 bits
# Groups: energy_uj, key, length_s, recorded_s, seen_ms, spread_uj (or None), start_s.
ENERGY = re.compile(
    rf'\{{"energy_uj":({_N}),"fact":"energy","key":({_N}),"length_s":({_N}),"recorded_s":({_N}),"seen_ms":({_N})'
    rf'(?:,"spread_uj":([1-9][0-9]{{0,17}}))?,"start_s":({_N})\}}'
)
ENERGY_BYTES = re.compile(ENERGY.pattern.encode())


def body_sql(row: str, number: str) -> str:
    """SQL for the body that a row's columns come from, given what ``number`` its key has; null where there is none this plain.

    Work is told the same way, so that the rows of a busy engine need not go through JSON either.
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
        f""" || {_unless_0(row, "requests", before=",")} || ',"start_s":' || {row}.start_s || '}}'"""
    )
    no_work = " AND ".join(f"{row}.{name} IS NULL" for name in ("prompt_tokens", "cached_tokens", "generated_tokens", "requests"))
    no_energy = " AND ".join(f"{row}.{name} IS NULL" for name in ("energy_uj", "spread_uj", "seen_ms"))
    return (
        f"CASE WHEN {row}.corrects IS NOT NULL THEN NULL WHEN {row}.fact = 'energy' AND {no_work} THEN {energy}"
        f" WHEN {row}.fact = 'work' AND {no_energy} THEN {work} END"
    )


def _unless_0(row: str, name: str, *, before: str = "", after: str = "") -> str:
    return f"""CASE WHEN {row}.{name} = 0 THEN '' ELSE '{before}"{name}":' || {row}.{name} || '{after}' END"""
