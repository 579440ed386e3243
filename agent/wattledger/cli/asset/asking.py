"""What commands that read passports and inventories have in common: a file's text, and a service that estimates footprints."""

import os
from pathlib import Path

from wattledger.accounting.assets.passport_figures import Estimate
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.assets.boaviztapi import asker
from wattledger.runtime.config import Config
from wattledger.runtime.grid.providers import proxied_fetch

LARGEST = 64_000_000  # bytes; an inventory of a hundred thousand machines is a third of that


def text_of(file: Path) -> str:
    """The text of a file.  Raises LedgerError."""
    try:
        with file.expanduser().open(encoding="utf-8-sig") as opened:
            text = opened.read(LARGEST + 1)
    except (OSError, ValueError) as wrong:
        raise LedgerError(f"{file}: cannot be read: {getattr(wrong, 'strerror', None) or 'not text in UTF-8'}") from None
    if len(text) > LARGEST:
        raise LedgerError(f"{file}: longer than {LARGEST} characters")
    return text


def boavizta(config: Config) -> Estimate | None:
    """Who answers ``estimate = "boavizta"``: the service at [embodied] boavizta_url, else (``None``) the package's formulas.

    Asks nobody yet.  Raises ValueError where the URL is none.
    """
    url = str(config["embodied.boavizta_url"])
    return asker(url, proxied_fetch(os.environ)) if url else None
