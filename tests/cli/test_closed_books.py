"""Books that are closed to who asks: one line, whichever command looks into them, and never a traceback."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.front import is_one_line

from wattledger.core.facts import RunFact
from wattledger.ledger.store import Store

CODE = "from wattledger.cli import main; main()"
NOBODY = 65_534


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[tuple[list[str], Path]]:
    """What to put before a command so that root is held to permissions, too; and a folder of books that may not be entered."""
    as_others: list[str] = []
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root passes everywhere, and there is no setpriv to hinder it")
        as_others = [setpriv, "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    folder = tmp_path / "books"
    store = Store.open(folder)
    store.append([RunFact("began", "agent:1", "gpu-7", 1_795_000_000_000)], 1_795_000_000)
    store.close()
    if as_others:
        os.chown(folder, NOBODY, NOBODY)
    folder.chmod(0o700 if as_others else 0)
    yield as_others, folder
    folder.chmod(0o700)


@pytest.mark.parametrize("words", [
    ("report", "job"), ("report", "embodied"), ("report", "sci", "job", "--per", "token"), ("explain", "job:train"),
    ("explain", "0123456789abcdef:1"), ("ledger", "verify"), ("ledger", "show"), ("ledger", "seal"), ("ledger", "compact"),
    ("ledger", "export", "-o", "facts.jsonl"), ("ledger", "prove", "0123456789abcdef:1"), ("ledger", "forget", "ada"),
    ("asset", "list"),
], ids=" ".join)  # fmt: skip
def test_books_that_are_closed_to_us_are_one_line(words: tuple[str, ...], closed: tuple[list[str], Path], tmp_path: Path) -> None:
    as_others, folder = closed
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [*as_others, sys.executable, "-c", CODE, *words, "--ledger", str(folder)]
    said = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stdout) == (2, "")
    assert is_one_line(said.stderr)
    assert str(folder) in said.stderr
    assert "Permission denied: " in said.stderr
