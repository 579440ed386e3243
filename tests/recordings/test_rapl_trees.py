"""The source rapl on powercap trees of real machines, as node_exporter and procfs keep them for their own tests."""

import os
from pathlib import Path

import pytest

from wattledger.core.model import EnergyCounter, Instant
from wattledger.core.ports import Host
from wattledger.sources import rapl

RECORDINGS = os.environ.get("WATTLEDGER_RECORDINGS")
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="WATTLEDGER_RECORDINGS names no folder of recordings")
TDP_95_W = 95_000_000


def unpack(archive: Path, into: Path) -> None:
    """A ttar archive as files: ``Path:`` and ``Lines:`` headers before the lines themselves, and links."""
    lines = iter(archive.read_text().splitlines())
    path = into
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "Directory":
            (into / value).mkdir(parents=True, exist_ok=True)
        elif key == "Path":
            path = into / value
        elif key == "SymlinkTo":
            path.symlink_to(value)
        elif key == "Lines":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{next(lines)}\n" for _ in range(int(value))))


@pytest.mark.parametrize(
    ("archive", "sysfs", "devices"),
    [
        (
            "node_exporter_powercap.ttar",
            "sys",
            {"rapl:package-0": None, "rapl:package-0/core": "rapl:package-0"},
        ),
        (
            "procfs_powercap.ttar",
            "fixtures/sys",
            {"rapl:package-0": None, "rapl:package-0/core": "rapl:package-0", "rapl:package-10": None},
        ),
    ],
)
def test_a_recorded_tree_gives_each_register_once(
    tmp_path: Path, archive: str, sysfs: str, devices: dict[str, str | None]
) -> None:
    assert RECORDINGS
    unpack(Path(RECORDINGS, "rapl", archive), tmp_path)
    source = rapl.open(Host(str(tmp_path / sysfs), str(tmp_path / "proc"), {}, (), True, {}))
    try:
        samples = list(source.read(lambda: Instant(1, 2), True))
        assert {d.id: d.inside for d in source.devices()} == devices
    finally:
        source.close()
    assert all(isinstance(sample, EnergyCounter) for sample in samples)
    counts = {s.device.id: (s.count_uj, s.range_uj) for s in samples if isinstance(s, EnergyCounter)}
    assert counts["rapl:package-0"] == (240_422_366_267, 262_143_328_850)
    assert counts["rapl:package-0/core"] == (118_821_284_256, 262_143_328_850)
    # Firmware's PL2 of 4090 W is "no limit", so the bound is 3 x TDP.
    assert {s.device.cap_uw for s in samples if isinstance(s, EnergyCounter)} == {3 * TDP_95_W}
