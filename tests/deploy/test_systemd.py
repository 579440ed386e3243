"""The units as systemd itself reads them: no mistake, no right beyond those that the table of deploy/README.md names."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.servers.programs import path_of, until

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy/systemd"
DROP_INS = sorted((UNITS / "drop-ins").glob("*.conf"))
PROGRAM = "/opt/wattledger/bin/wattledger"
README = ROOT / "deploy/README.md"
# What a newer systemd knows and this one passes over.
NEWER = re.compile(r"reload\.conf:\d+: Failed to parse service type, ignoring: notify-reload")


class Setting(NamedTuple):
    key: str
    value: str


def settings(unit: Path) -> list[Setting]:
    """In the order of the file; ``KEY=`` empties what stood before."""
    lines = (line.strip() for line in unit.read_text(encoding="utf-8").splitlines())
    return [Setting(*line.split("=", 1)) for line in lines if "=" in line and not line.startswith("#")]


def values(unit: Path, key: str) -> list[str]:
    return [setting.value for setting in settings(unit) if setting.key == key]


def unit_of(drop_in: Path) -> str:
    return "wattledger-seal.service" if drop_in.name.startswith("seal-") else "wattledger.service"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units where systemd could look for them, with a program that is there."""
    for unit in UNITS.glob("wattledger*"):
        (tmp_path / unit.name).write_text(unit.read_text(encoding="utf-8").replace(PROGRAM, sys.executable), encoding="utf-8")
    return tmp_path


def add(installed: Path, drop_in: Path) -> Path:
    """The unit that the drop-in is for, with it."""
    folder = installed / f"{unit_of(drop_in)}.d"
    folder.mkdir()
    shutil.copy(drop_in, folder)
    return installed / unit_of(drop_in)


def said(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stdout + done.stderr


def verified(unit: Path) -> list[str]:
    """What systemd finds wrong with it."""
    status, words = said(path_of("systemd-analyze"), "verify", "--man=no", str(unit))
    lines = [line for line in words.splitlines() if unit.stem in line and not NEWER.search(line)]
    return lines or ([words] if status else [])


def exposure(unit: Path) -> float:
    _, words = said(path_of("systemd-analyze"), "security", "--offline=true", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", words)
    assert found, words
    return float(found[1])


def stated(what: str) -> float:
    """The figure that the README gives in the line of this unit."""
    found = re.search(rf"`{re.escape(what)}`[^\n]*?exposure (\d\.\d)", README.read_text(encoding="utf-8"))
    assert found, f"deploy/README.md says no exposure of {what}"
    return float(found[1])


@pytest.mark.parametrize("name", ["wattledger.service", "wattledger-seal.service", "wattledger-seal.timer"])
def test_systemd_finds_no_mistake_in_a_unit(installed: Path, name: str) -> None:
    assert verified(installed / name) == []


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.stem)
def test_systemd_finds_no_mistake_in_a_drop_in(installed: Path, drop_in: Path) -> None:
    assert verified(add(installed, drop_in)) == []


@pytest.mark.parametrize("name", ["wattledger.service", "wattledger-seal.service"])
def test_a_unit_is_no_more_exposed_than_is_said(installed: Path, name: str) -> None:
    assert exposure(installed / name) <= stated(name)


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.stem)
def test_a_drop_in_exposes_no_more_than_is_said(installed: Path, drop_in: Path) -> None:
    assert exposure(add(installed, drop_in)) <= stated(drop_in.name)


@pytest.mark.parametrize("name", ["wattledger.service", "wattledger-seal.service"])
def test_a_service_is_a_user_of_its_own_without_a_capability(name: str) -> None:
    unit = UNITS / name
    assert values(unit, "User") == values(unit, "Group") == ["wattledger"]
    assert values(unit, "CapabilityBoundingSet") == values(unit, "AmbientCapabilities") == [""]
    assert values(unit, "NoNewPrivileges") == ["yes"]
    assert values(unit, "ProtectSystem") == ["strict"]


def test_each_capability_is_granted_by_one_drop_in_that_says_what_for() -> None:
    granted = {path.name: values(path, "AmbientCapabilities") for path in DROP_INS if values(path, "AmbientCapabilities")}
    # A process's environment is a file of its owner's alone, so being allowed to debug him is not enough.
    assert granted == {"perf.conf": ["CAP_PERFMON"], "environ.conf": ["CAP_SYS_PTRACE CAP_DAC_READ_SEARCH"]}
    for name, capabilities in granted.items():
        assert values(UNITS / "drop-ins" / name, "CapabilityBoundingSet") == capabilities
    assert all(path.read_text(encoding="utf-8").startswith("# ") for path in DROP_INS), "a right without a reason"
    assert not [path.name for path in DROP_INS if values(path, "User") or values(path, "Group")]


def test_the_readmes_table_names_every_drop_in() -> None:
    text = README.read_text(encoding="utf-8")
    assert [path.name for path in DROP_INS if f"`{path.name}`" not in text] == []


def test_nobody_but_this_machine_is_spoken_to_without_a_drop_in() -> None:
    assert values(UNITS / "wattledger.service", "IPAddressDeny") == ["any"]
    assert values(UNITS / "wattledger.service", "IPAddressAllow") == ["localhost"]
    opened = [path.name for path in DROP_INS if "any" in values(path, "IPAddressAllow")]
    assert opened == ["network.conf", "seal-lake.conf"]


def test_the_books_are_private_and_the_sockets_folder_can_be_entered() -> None:
    unit = UNITS / "wattledger.service"
    assert values(unit, "StateDirectoryMode") == ["0700"]
    assert values(unit, "RuntimeDirectoryMode") == ["0755"]


def test_the_socket_is_everybodys_and_its_lock_nobodys_under_the_units_umask(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    program = f"from wattledger.runtime.control.binding import Binding; Binding({str(path)!r}); input()"
    umask = int(values(UNITS / "wattledger.service", "UMask")[0], 8)
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, umask=umask) as agent:
        try:
            until(lambda: path.exists() and stat.S_IMODE(path.stat().st_mode) == 0o666, "a socket for everybody")
            assert stat.S_IMODE(Path(f"{path}.lock").stat().st_mode) == 0o600
        finally:
            agent.kill()


# --- who may read the energy registers ------------------------------------------------------------------------------------


@pytest.fixture
def machine() -> Iterator[Path]:
    """A root folder with RAPL's zones, as Linux makes them since 5.10, and our users."""
    if os.geteuid() != 0:
        pytest.skip("only root may change whose a file is")
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        root.chmod(0o755)  # another user is to look
        zones = root / "sys/devices/virtual/powercap"
        for zone in ("intel-rapl/intel-rapl:0", "intel-rapl/intel-rapl:0/intel-rapl:0:0", "intel-rapl-mmio/intel-rapl-mmio:0"):
            (zones / zone).mkdir(parents=True)
            for name, mode in (("energy_uj", 0o400), ("name", 0o444), ("max_energy_range_uj", 0o444), ("enabled", 0o644)):
                (zones / zone / name).write_text("1\n")
                (zones / zone / name).chmod(mode)
        (root / "etc").mkdir()
        status, words = said(path_of("systemd-sysusers"), f"--root={root}", str(UNITS / "sysusers.conf"))
        assert status == 0, words
        yield root


def group_of(machine: Path) -> int:
    lines = (machine / "etc/group").read_text(encoding="ascii").splitlines()
    return next(int(line.split(":")[2]) for line in lines if line.startswith("wattledger:"))


def readable_as(path: Path, *, group: int) -> bool:
    done = subprocess.run(["/bin/cat", str(path)], user=65534, group=group, extra_groups=(), capture_output=True, timeout=10)
    return done.returncode == 0


def test_the_service_has_a_user_without_a_shell_or_a_home(machine: Path) -> None:
    line = next(line for line in (machine / "etc/passwd").read_text().splitlines() if line.startswith("wattledger:"))
    assert line.split(":")[5:] == ["/", "/usr/sbin/nologin"]


def test_only_the_services_group_reads_the_energy_registers_and_nothing_else_changes(machine: Path) -> None:
    zones = machine / "sys/devices/virtual/powercap"
    before = {path: path.stat() for path in zones.rglob("*") if path.is_file()}
    status, words = said(path_of("systemd-tmpfiles"), "--create", f"--root={machine}", str(UNITS / "tmpfiles.conf"))
    assert status == 0, words
    group = group_of(machine)
    registers = [path for path in before if path.name == "energy_uj"]
    assert len(registers) == 3
    for path in registers:
        found = path.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, group, 0o440)
        assert readable_as(path, group=group)
        assert not readable_as(path, group=65534), "PLATYPUS: users may never read it"
    others = [path for path in before if path.name != "energy_uj"]
    assert [(p.stat().st_mode, p.stat().st_gid) for p in others] == [(before[p].st_mode, before[p].st_gid) for p in others]


def test_udev_gives_the_same_right_and_no_more() -> None:
    text = (UNITS / "90-wattledger-rapl.rules").read_text(encoding="utf-8").replace("\\\n", "")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(rules) == 1
    assert 'SUBSYSTEM=="powercap"' in rules[0]
    assert re.findall(r"chgrp (\w+) (\S+)", rules[0]) == [("wattledger", "/sys%p/energy_uj")]
    assert re.findall(r"chmod (\S+) (\S+)'", rules[0]) == [("0440", "/sys%p/energy_uj")]
    assert rules[0].index("chgrp") < rules[0].index("&& chmod"), "the mode first would open it to another group"


@pytest.mark.parametrize("rules", sorted(UNITS.glob("*.rules")), ids=lambda path: path.stem)
def test_udev_itself_finds_no_mistake(rules: Path) -> None:
    status, words = said(path_of("udevadm"), "verify", str(rules))
    if "Unknown command" in words:
        pytest.skip("udevadm verify came with systemd 254")
    # The group is made by sysusers, where it is wanted.
    ours = [line for line in words.splitlines() if str(rules) in line]
    faults = [line for line in ours if "Unknown group" not in line and "check failed" not in line]
    assert faults == [], status
