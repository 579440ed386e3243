"""What deploy/README.md says is defended, where no other test of the tree shows it, and that the tests it names are there."""

import re
from pathlib import Path

import pytest

from wattledger.runtime.config import ConfigError
from wattledger.runtime.node.agent import Agent

ROOT = Path(__file__).parents[2]
README = ROOT / "deploy/README.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)?(?:::(test_\w+))?`")


def named_tests() -> list[tuple[str, str]]:
    """(file, test) as the threat model names them; a test alone is of the file named before it."""
    found, file = [], ""
    for match in NAMED.finditer(README.read_text(encoding="utf-8")):
        if match[1] or match[2]:
            file = match[1] or file
            found.append((file, match[2] or ""))
    return found


def test_every_control_names_a_test_that_is_there() -> None:
    named = named_tests()
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (ROOT / file).is_file() or (test and f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8"))
    ]
    assert len(named) > 20
    assert missing == []


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_shared_agent_does_not_read_faster_than_once_a_second(where: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[agent]\nlisten = "127.0.0.1:0"\n' + ("interval_s = 0.5\n" if where == "file" else ""))
    environ = {"WATTLEDGER_AGENT_INTERVAL_S": "0.5"} if where == "environment" else {}
    with pytest.raises(ConfigError, match="reads once a second at most"):
        Agent(str(file), environ)
