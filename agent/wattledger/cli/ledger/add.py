"""``wattledger ledger add``: facts that people write: contracts, residual mixes, purchases."""

import json
from pathlib import Path

import click

from wattledger.cli import fail
from wattledger.cli.ledger.anchor import books, now_s, settings
from wattledger.core.facts import Fact
from wattledger.factors.grid import annual
from wattledger.ledger.body import encode
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.held import facts_of_people, new_only
from wattledger.ledger.store import OPEN, Store
from wattledger.ledger.written import read
from wattledger.runtime.prices import today


@click.command("add")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--dry-run", "dry", is_flag=True, help="Check the file and say what would be added; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the ids, and how many were there already.")
@click.option("--ledger", "ledger", metavar="PATH", help="The folder of the books; default: this user's.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(file: Path, dry: bool, as_json: bool, ledger: str | None, config_file: str | None) -> None:
    """Write the facts in FILE (.toml, .jsonl or .csv) into the books: contracts, residual mixes, purchases.

    All of them, or none where one is wrong: each mistake is a line with its file and line number. What is in the books already is
    not written again.

    \b
    TOML; a CSV file has the same names as columns, JSON lines as members beside "fact":
      [[contract]]
      contract = "GO-2026-17"          # your own name for it
      instrument = "eac"               # eac, ppa or supplier
      zones = ["DE"]
      start = 2026-01-01               # days, the last included, or ISO times
      end = 2026-12-31
      volume_mwh = 4000                # a supplier's rate needs none: it covers all
      g_per_kwh = 0
      registry = "HKNR"                # and serials, technology, beneficiary
      [contract.criteria]              # of the Scope 2 Guidance: pass, fail or unknown
      tracked_and_retired = { verdict = "pass", evidence = "statement.pdf" }

    \b
      [[residual]]                     # CSV: zone,year,g_per_kwh,source
      zone = "DE"
      year = 2026
      g_per_kwh = 719                  # or lb_per_mwh

    \b
      [[purchase]]
      supplier = "ACME AI"             # service, start, end, region,
      generated_tokens = 1000000       # prompt_tokens, cached_tokens, requests, cost, currency

    The criteria: conveys_emission_rate, sole_claim, tracked_and_retired, near_consumption_period, same_market,
    supplier_rate_is_of_delivered_electricity, direct_contract_claims_are_exclusive, residual_mix_is_available. One that is "fail"
    may not lower a figure; one that is not said is unknown, and the report says so.
    """
    config = settings(config_file, "add")
    try:
        folder = books(ledger, config)
        facts = read(file, zones={zone.zone for zone in annual.zones(today())})
        held = facts_of_people(folder) if (folder / OPEN).exists() else set()
        fresh = new_only(facts, held)
        ids = [] if dry or not fresh else _write(folder, fresh)
    except LedgerError as wrong:
        *first, last = str(wrong).split("\n")
        for line in first:
            click.echo(f"wattledger: ledger add: {line}", err=True)
        fail(f"ledger add: {last}")
    there = len(facts) - len(fresh)
    if as_json:
        click.echo(json.dumps({"added": ids, "would_add": len(fresh) if dry else 0, "there_already": there}))
        return
    for fact, name in zip(fresh, ids or ["would be added"] * len(fresh), strict=True):
        click.echo(f"{name}  {_words(fact)}")
    if there:
        click.echo(f"{there} of {len(facts)} facts were in the books already: not written again")


def _write(folder: Path, facts: list[Fact]) -> list[str]:
    store = Store.open(folder)
    try:
        return store.append(facts, now_s())
    finally:
        store.close()


def _words(fact: Fact) -> str:
    """The fact as it will be hashed, without when it was recorded."""
    said = json.loads(encode(fact, 0))
    kind = said.pop("fact")
    del said["recorded_s"]
    return f"{kind} {json.dumps(said, ensure_ascii=False)}"
