"""``wattledger ledger prove``: a short proof that a fact stands in the books, or that they extend an older tree head."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from wattledger.cli import fail
from wattledger.cli.ledger.anchor import now_s, of_writer, settings, signing_key
from wattledger.cli.ledger.check import read_json
from wattledger.ledger import anchors, heads
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.heads import BadProof, TreeHead
from wattledger.ledger.proofs import Unproven, prove_consistency, prove_fact
from wattledger.ledger.store import Store
from wattledger.runtime.books.place import folders_to_read
from wattledger.runtime.config import Config

HEAD = "A tree head's file, or the place where it was anchored (the newest there)."


@click.command("prove")
@click.argument("fact", metavar="[FACT]", required=False)
@click.option("--consistency", "consistency", metavar="HEAD", help=f"Prove that the books extend this older head. {HEAD}")
@click.option("--under", "under", metavar="HEAD", help=f"Prove the fact under this head instead of today's. {HEAD}")
@click.option("-o", "--output", "output", metavar="FILE", help="Write the proof here instead of to standard output.")
@click.option("--ledger", "ledger", metavar="PATH", multiple=True, help="Folders of books; default: this user's and the agent's.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(**given: Any) -> None:
    """Prove that FACT (WRITER:NUMBER) stands in the books, or with --consistency that all of an older head still stands.

    Whoever gets the proof checks it with `wattledger ledger check` and needs nothing else of the books.
    Exit status 1: it cannot be proven, and why.
    """
    if (given["fact"] is None) == (given["consistency"] is None):
        fail("ledger prove: name a FACT, or --consistency HEAD")
    config = settings(given["config_file"], "prove")
    try:
        folders = [Path(path).expanduser() for path in given["ledger"]] or folders_to_read(config, os.environ)
        text = json.dumps(_proof(given, folders, config), ensure_ascii=False) + "\n"
        if given["output"] is None:
            click.echo(text, nl=False)
        else:
            _write(Path(given["output"]), text)
    except Unproven as wrong:
        fail(f"ledger prove: {wrong}", 1)
    except LedgerError as wrong:
        fail(f"ledger prove: {wrong}")


def _proof(given: dict[str, Any], folders: Sequence[Path], config: Config) -> dict[str, Any]:
    """The proof; the head of today is signed where a key is configured."""
    key_file = signing_key(config)
    if given["fact"] is not None:
        writer = given["fact"].rpartition(":")[0]
        old = None if given["under"] is None else heads.to_dict(_head(given["under"], [writer]))
        proof = prove_fact(of_writer(folders, writer), given["fact"], now_s=now_s(), under=old)
        if old is not None or not key_file:
            return proof
        return proof | {"head": heads.to_dict(heads.signed(heads.from_dict(proof["head"]), key_file))}
    head = _head(given["consistency"], _writers(folders))
    proof = prove_consistency(of_writer(folders, head.writer), heads.to_dict(head), now_s=now_s())
    if not key_file:
        return proof
    return proof | {"new": heads.to_dict(heads.signed(heads.from_dict(proof["new"]), key_file))}


def _head(given: str, writers: Sequence[str]) -> TreeHead:
    """A head from a file, or the newest of these writers at a place.  Raises LedgerError."""
    if os.path.isfile(given):
        try:
            return heads.from_dict(read_json(given))
        except BadProof as wrong:
            raise LedgerError(f"{given}: {wrong}") from None
    there = anchors.place(given)
    for writer in writers:
        if (head := anchors.newest(there, writer)) is not None:
            return head
    raise LedgerError(f"{given}: neither a tree head's file nor a place where a head of {' or '.join(writers)} is anchored")


def _writers(folders: Sequence[Path]) -> list[str]:
    found = []
    for folder in folders:
        store = Store.open(folder, readonly=True)
        found.append(store.writer)
        store.close()
    return found


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as wrong:
        raise LedgerError(f"{path}: cannot be written ({wrong.strerror})") from None
    finally:
        part.unlink(missing_ok=True)
