"""``wattledger slurm import``: Slurm's accounting beside the books: what each job used, and for whom."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from wattledger.cli import fail
from wattledger.cli.ledger.anchor import books, now_s
from wattledger.cli.ledger.anchor import settings as settings_of
from wattledger.cli.report_books import asked, instant
from wattledger.cli.slurm_view import csv_text, table, to_dict
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import ConfigError
from wattledger.runtime.slurm import commands
from wattledger.runtime.slurm.joined import Joined, joined
from wattledger.runtime.slurm.kept import facts_of, fresh_facts, keep
from wattledger.runtime.slurm.sacct import BadTable, Table, local, read

MOST_BYTES = 1 << 30


@click.command("import", short_help="Lay sacct's jobs beside the books.")
@click.option("--from", "file", metavar="FILE|-", help="A table that sacct printed (-: standard input); default: ask sacct now.")
@click.option("--starttime", "start", metavar="DATE", help="Ask for jobs that ran from this UTC date or time on; default: today.")
@click.option("--endtime", "end", metavar="DATE", help="To this UTC date or time; default: now.")
@click.option("--delimiter", default="|", show_default=True, metavar="TEXT", help="Of FILE's columns (sacct --delimiter).")
@click.option("--timezone", "zone_name", metavar="ZONE", help="Of FILE's times, e.g. Europe/Berlin; default: this machine's.")
@click.option("--dry-run", "dry", is_flag=True, help="Show what each job used; write nothing into the books.")
@click.option("--into", "into", metavar="PATH", help="The books that keep what was learnt; default: this user's.")
@click.option("--ledger", "ledgers", metavar="PATH-OR-URL", multiple=True, help="Books or a lake to read; default: all here.")
@click.option("--zone", metavar="ZONE", help="Grid zone of the energy whose zone the books do not say.")
@click.option("--json", "as_json", is_flag=True, help="The jobs as JSON (schema wattledger.slurm/1).")
@click.option("--csv", "as_csv", is_flag=True, help="The jobs as CSV.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(**given: Any) -> None:
    """What each of Slurm's jobs used by the books of all its nodes: energy, carbon and money, as `report` says them.

    Jobs whose nodes and time the books do not cover wholly are marked, and what is not known is absent. That a job began and ended,
    whose it was and where, is kept as facts (users by pseudonyms, as everywhere in the books), once: an import may be repeated.

    \b
    wattledger slurm import --starttime 2026-11-22 --ledger /shared/lake
    sacct -a -X -D -P --format=JobIDRaw,JobID,Cluster,User,Account,Partition,State,Start,End,NodeList,AllocTRES,JobName > jobs
    wattledger slurm import --from jobs --csv
    """
    if given["as_json"] and given["as_csv"]:
        fail("slurm import: --json or --csv, not both")
    config = settings_of(given["config_file"], "import")
    try:
        jobs = _jobs(given)
        where = asked(given["config_file"], given["ledgers"], given["zone"])
        into = None if given["dry"] else books(given["into"], config)
        found = joined(where.places, jobs.jobs, where.rules, now_s()) if jobs.jobs else Joined((), {})
        facts = [fact for row in found.rows if row.said for fact in facts_of(row.job)]
        fresh = [] if into is None else fresh_facts(facts, into)
        ids = keep(fresh, into, now_s()) if into is not None else []
    except (ConfigError, LedgerError, BadTable) as wrong:
        fail(f"slurm import: {wrong}")
    except commands.SlurmError as wrong:
        fail(f"slurm import: {wrong}", 1)
    said = to_dict(found, jobs, kept=ids, there=len(facts) - len(fresh) if into is not None else None)
    for warning in jobs.warnings:
        click.echo(f"wattledger: slurm import: {warning}", err=True)
    if given["as_json"]:
        click.echo(json.dumps(said, ensure_ascii=False))
    elif given["as_csv"]:
        click.echo(csv_text(said), nl=False)
    else:
        click.echo("\n".join(table(said)))


def _jobs(given: dict[str, Any]) -> Table:
    """Raises ConfigError, SlurmError and BadTable."""
    times = {"start": instant(given["start"], "--starttime"), "end": instant(given["end"], "--endtime")}
    if given["file"] is None:
        text, mark = commands.accounted(times["start"], times["end"])
        return read(text, delimiter=mark, to_utc=_utc)
    if any(time_s is not None for time_s in times.values()):
        raise ConfigError("--starttime and --endtime are asked of sacct: a FILE has the jobs that it has")
    return read(_text(str(given["file"])), delimiter=given["delimiter"], to_utc=_reader(given["zone_name"]))


def _text(name: str) -> str:
    try:
        data = sys.stdin.buffer.read(MOST_BYTES) if name == "-" else Path(name).expanduser().read_bytes()
    except OSError as wrong:
        raise ConfigError(f"--from {name}: {wrong.strerror}") from None
    return data.decode("utf-8", "replace")


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _reader(zone_name: str | None) -> Any:
    """How a time without a zone is read.  Raises ConfigError."""
    if zone_name is None:
        return local
    try:
        zone = ZoneInfo(zone_name)
    except (KeyError, OSError, ValueError):
        raise ConfigError(f"--timezone {zone_name}: no such time zone here: expected e.g. UTC or Europe/Berlin") from None
    return lambda moment: moment.replace(tzinfo=zone)
