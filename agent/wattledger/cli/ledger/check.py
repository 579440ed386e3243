"""``wattledger ledger check``: what a proof proves.  Needs the proof alone: no books, no database."""

import json
import re
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import click

from wattledger.cli import fail
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.verdicts import check as judged

LARGEST_BYTES = 16 << 20


@click.command("check")
@click.argument("proof", metavar="PROOF")
@click.option("--head", "head_file", metavar="HEAD.json", help="A tree head that you trust: the proof must stand under it.")
@click.option("--key", "key", metavar="PUBLIC", help="Who must have signed: a public key in 64 hex digits, or its file (hex, PEM).")
@click.option("--json", "as_json", is_flag=True, help="A JSON object: proven, words, fact.")
def command(proof: str, head_file: str | None, key: str | None, as_json: bool) -> None:
    """Say what PROOF (a file, or - for standard input) proves.

    Exit status 0: proven, in words; 1: not, and why.
    """
    try:
        head = None if head_file is None else read_json(head_file)
        verdict = judged(read_json(proof), head=head, public_key=None if key is None else public_key(key))
    except LedgerError as wrong:
        fail(f"ledger check: {wrong}")
    if as_json:
        said: dict[str, Any] = {"proven": verdict.proven, "words": list(verdict.words)}
        if verdict.fact is not None:
            said["fact"] = verdict.fact.id
        click.echo(json.dumps(said, ensure_ascii=False))
    elif verdict.proven:
        click.echo("proven: " + "\n        ".join(verdict.words))
    else:
        fail(f"ledger check: not proven: {verdict.words[0]}", 1)
    raise SystemExit(0 if verdict.proven else 1)


def read_json(file: str) -> Any:
    """What a JSON file holds (``-``: standard input).  Raises LedgerError."""
    try:
        if file == "-":
            data = sys.stdin.buffer.read(LARGEST_BYTES)
        else:
            with open(file, "rb") as opened:
                data = opened.read(LARGEST_BYTES)
        return json.loads(data)
    except OSError as wrong:
        raise LedgerError(f"{file}: cannot be read ({wrong.strerror})") from None
    except (ValueError, RecursionError):
        raise LedgerError(f"{file}: not JSON") from None


def public_key(given: str) -> str:
    """A public key, as it is or from a file.  Raises LedgerError."""
    text = given
    if not _is_key(given):
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, ValueError):
            raise LedgerError(f"--key {given!r}: neither a public key of 64 hex digits nor a file with one") from None
    text = _of_pem(text) or text
    if not _is_key(text.strip()):
        raise LedgerError(f"--key {given}: holds no public key of 64 hex digits; `wattledger ledger anchor` says the writer's")
    return text.strip().lower()


def _of_pem(text: str) -> str:
    """The key in what `openssl pkey -pubout` writes (RFC 8410: the last 32 of 44 bytes), empty where it is none."""
    begin, end = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
    if not text.strip().startswith(begin):
        return ""
    try:
        der = b64decode(text.strip().removeprefix(begin).partition(end)[0])
    except ValueError:
        return ""
    return der[12:].hex() if len(der) == 44 and der[:12] == bytes.fromhex("302a300506032b6570032100") else ""


def _is_key(text: str) -> bool:
    return re.fullmatch("[0-9a-fA-F]{64}", text) is not None
