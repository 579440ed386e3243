"""DCMI power through the operator's tool: what it prints, how it fails; the tool is a script on disk."""

import os
import time
from pathlib import Path

import pytest

from wattledger.core.model import Device, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, Source, SourceFailed, SourceGone
from wattledger.sources import ipmi

S = 1_000_000_000

IPMITOOL = """
    Instantaneous power reading:                   221 Watts
    Minimum during sampling period:                 18 Watts
    Maximum during sampling period:                438 Watts
    Average power reading over sample period:      224 Watts
    IPMI timestamp:                           Sun Nov 22 10:00:00 2026
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   activated

"""
FREEIPMI = """Current Power                        : 221 Watts
Minimum Power over sampling duration : 18 watts
Maximum Power over sampling duration : 438 watts
Average Power over sampling duration : 224 watts
Time Stamp                           : 11/22/2026 - 10:00:00
Statistics reporting time period     : 1000 milliseconds
Power Measurement                    : Active
"""


def node(home: Path, script: str, *, command: str = "{tool}", name: str = "ipmitool", device: bool = True) -> Host:
    """A machine with this tool and, by default, the kernel's device."""
    tool = home / "bin" / name
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    if device:
        (home / "sys/class/ipmi/ipmi0").mkdir(parents=True, exist_ok=True)
    options = {"command": command.format(tool=tool), "period_s": 10.0}
    return Host(str(home / "sys"), "", {"PATH": f"{tool.parent}:{os.environ['PATH']}"}, (), True, options)


def printing(text: str) -> str:
    return f"cat <<'END'\n{text}END"


def read(source: Source, at_s: float = 0) -> list[Sample]:
    return list(source.read(lambda: Instant(round(at_s * S), 7), True))


@pytest.mark.parametrize("printed", [IPMITOOL, FREEIPMI], ids=["ipmitool", "freeipmi"])
def test_both_tools_are_understood(tmp_path: Path, printed: str) -> None:
    source = ipmi.open(node(tmp_path, printing(printed)))
    device = Device("node/ipmi", "node", "BMC (DCMI)", "(parts)", 10 * S)
    assert source.devices() == [device]
    assert read(source, 3) == [PowerGauge(device, Instant(3 * S, 7), 221_000_000)]
    source.close()


def test_it_asks_once_a_period_and_at_no_boundary(tmp_path: Path) -> None:
    source = ipmi.open(node(tmp_path, printing(IPMITOOL)))
    assert not source.edge
    assert list(source.read(lambda: Instant(0, 0), False)) == []
    assert [len(read(source, s)) for s in (0, 1, 9.9, 10, 19, 20.5)] == [1, 0, 0, 1, 0, 1]


def test_the_tool_is_found_on_the_path_with_its_words(tmp_path: Path) -> None:
    script = f'test "$1 $2 $3" = "dcmi power reading" || exit 9\n{printing(IPMITOOL)}'
    host = node(tmp_path, script, command=ipmi.DEFAULT)
    assert len(read(ipmi.open(host))) == 1


@pytest.mark.parametrize(
    "printed",
    [IPMITOOL.replace("activated", "deactivated"), FREEIPMI.replace(": Active", ": Not Available")],
    ids=["ipmitool", "freeipmi"],
)
def test_a_measurement_that_is_not_activated_is_gone_and_says_how_to_begin_it(tmp_path: Path, printed: str) -> None:
    with pytest.raises(SourceGone, match="dcmi power activate"):
        read(ipmi.open(node(tmp_path, printing(printed))))


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        (IPMITOOL.replace("221", "0"), "0 W"),
        (FREEIPMI.replace("221", "0"), "0 W"),
        (IPMITOOL.replace("221", "n/a"), "no power reading"),
        (IPMITOOL.replace("221", "-221"), "no power reading"),
        ("", "no power reading"),
    ],
)
def test_what_is_no_reading_is_a_failure_and_never_zero(tmp_path: Path, printed: str, why: str) -> None:
    with pytest.raises(SourceFailed, match=why):
        read(ipmi.open(node(tmp_path, printing(printed))))


def test_without_the_tool_or_the_device_there_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceGone, match="modprobe ipmi_devintf"):
        ipmi.open(node(tmp_path, printing(IPMITOOL), device=False))
    host = node(tmp_path, "", command="no-such-tool-anywhere dcmi")
    with pytest.raises(SourceGone, match="no no-such-tool-anywhere here"):
        ipmi.open(host)
    (finding,) = ipmi.examine(host)
    assert (finding.state, finding.remedy) == ("absent", "install it where the node has a BMC")
    for command in ("", "'"):
        with pytest.raises(SourceGone, match="command"):
            ipmi.open(host._replace(options={"command": command}))


def test_a_bmc_that_is_asked_over_the_network_needs_no_device(tmp_path: Path) -> None:
    host = node(tmp_path, printing(IPMITOOL), command="{tool} -H 10.0.0.7 dcmi power reading", device=False)
    assert len(read(ipmi.open(host))) == 1


@pytest.mark.parametrize(
    ("complaint", "kind", "why"),
    [
        ("Could not open device at /dev/ipmi0 or /dev/ipmi/0: Permission denied", SourceGone, "sudo -n ipmitool"),
        ("Could not open device at /dev/ipmi0: No such file or directory", SourceGone, "as root"),
        ("DCMI request failed because: Invalid command (c1)", SourceGone, r"\[sources.redfish\]"),
        ("Get Device ID command failed", SourceFailed, "ended with status 1: Get Device ID command failed"),
        ("", SourceFailed, "it said nothing"),
    ],
)
def test_a_complaint_says_whether_to_ask_again(tmp_path: Path, complaint: str, kind: type[Exception], why: str) -> None:
    source = ipmi.open(node(tmp_path, f"echo '{complaint}' >&2; exit 1"))
    with pytest.raises(kind, match=why) as failed:
        read(source)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("secret", ["-P s3cret", "-Ps3cret", "--password=s3cret"])
def test_a_password_of_the_command_is_in_no_message(tmp_path: Path, secret: str) -> None:
    host = node(tmp_path, 'echo "cannot log in: $*" >&2; exit 1', command=f"{{tool}} -H bmc {secret} dcmi")
    with pytest.raises(SourceFailed) as failed:
        read(ipmi.open(host))
    assert "***" in str(failed.value)
    assert "s3cret" not in str(failed.value)


def test_a_tool_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(SourceFailed, match=r"did not answer within 1\.5 s"):
        ipmi.ask(node(tmp_path, f"sleep 600 & echo $! > {pid}; wait"), 1.5)
    ended = Path("/proc", pid.read_text().strip(), "stat")
    for _ in range(500):
        if not ended.exists() or ") Z " in ended.read_text():
            break
        time.sleep(0.01)
    else:
        pytest.fail("what the tool had started goes on")


def test_a_tool_that_cannot_be_run_is_gone(tmp_path: Path) -> None:
    host = node(tmp_path, "")
    (tmp_path / "bin/ipmitool").write_text("#!/no/such/shell\n")
    with pytest.raises(SourceGone, match="ipmitool cannot be run: No such file"):
        read(ipmi.open(host))


def test_the_doctor_asks_once(tmp_path: Path) -> None:
    (finding,) = ipmi.examine(node(tmp_path, printing(IPMITOOL)))
    assert (finding.state, finding.sensor, finding.why) == ("usable", "node/ipmi", "221 W now, integrated")
    (finding,) = ipmi.examine(node(tmp_path, "echo 'Could not open device: Permission denied' >&2; exit 1"))
    assert finding.state == "denied"
    assert "sudo -n" in finding.remedy
    (finding,) = ipmi.examine(node(tmp_path, "exit 3"))
    assert finding.state == "broken"
