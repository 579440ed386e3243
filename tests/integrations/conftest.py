"""Every test here measures in its own process, as a user's training does: without an agent, books or settings of this machine."""

import os
from pathlib import Path

import pytest

RANKS = ("WATTLEDGER_", "LOCAL_", "OMPI_", "MPI_", "MV2_", "SLURM_", "RANK", "WORLD_SIZE")


@pytest.fixture(autouse=True)
def metered_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(RANKS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WATTLEDGER_AGENT_SOCKET", "")
    monkeypatch.setenv("WATTLEDGER_LEDGER_ENABLED", "false")
    monkeypatch.setenv("WATTLEDGER_GRID_ZONE", "DE")
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
