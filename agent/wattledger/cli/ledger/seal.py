"""``wattledger ledger seal``: closed days become Parquet segments, and are shared."""

import json

import click

from wattledger.cli import fail
from wattledger.cli.ledger.anchor import books, now_s, settings, signing_key
from wattledger.ledger import lake
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import Manifest
from wattledger.ledger.segments import seal


@click.command("seal")
@click.option("--ledger", "ledger", metavar="PATH", help="The folder of the books; default: this user's.")
@click.option("--to", "to", metavar="URL", help="Share what is sealed there: a folder or an fsspec URL; default: [ledger] lake.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object: the segments sealed now, and how many were shared.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(ledger: str | None, to: str | None, as_json: bool, config_file: str | None) -> None:
    """Seal the days that have ended (UTC) into Parquet segments, sign them if [ledger] sign_key_file is set, and share them.

    May be stopped at any instant and called again; the agent may write meanwhile.
    """
    config = settings(config_file, "seal")
    url = to or str(config["ledger.lake"])
    shared: int | None = None
    try:
        folder = books(ledger, config)
        sealed = seal(folder, now_s(), sign_key_file=signing_key(config))
        if not as_json:
            _print(sealed)
        if url:
            shared = lake.share(folder, url, (lambda _: None) if as_json else click.echo)
    except LedgerError as wrong:
        fail(f"ledger seal: {wrong}")
    if as_json:
        rows = [{**m.segment._asdict(), "file": str(m.path), "bytes": m.bytes, "index": m.index, "key": m.key} for m in sealed]
        click.echo(json.dumps({"sealed": rows, "shared": shared}, ensure_ascii=False))
    elif shared is not None:
        click.echo(f"{shared} segment{'' if shared == 1 else 's'} shared with {lake.shown(url)}")


def _print(sealed: list[Manifest]) -> None:
    for manifest in sealed:
        segment = manifest.segment
        size = f"{manifest.bytes} bytes ({manifest.bytes / segment.count:.0f} a fact)"
        by = ", signed" if manifest.signature else ""
        click.echo(f"{segment.day}: {segment.count} facts, {size}, root {segment.root[:16]}…{by}")
    if not sealed:
        click.echo("nothing to seal: a day is sealed when it is over (UTC), and every one that is over has been")
