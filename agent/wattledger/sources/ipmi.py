"""Power of the whole node from its BMC by IPMI's DCMI extension, through the tool that the operator trusts with the device.

DCMI 1.5, section 6.6.1, Get Power Reading.  ``ipmitool dcmi power reading`` and FreeIPMI's ``ipmi-dcmi
--get-system-power-statistics`` are understood.  A BMC may take seconds: on a thread of its own.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from wattledger.core.model import Device, Finding, PowerGauge, Sample
from wattledger.core.ports import Host, Now, Source, SourceFailed, SourceGone

NAME = "ipmi"
DEFAULT = "ipmitool dcmi power reading"
TIMEOUT_S = 5.0
MOST_W = 10_000_000  # no machine draws more
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # where distributions put ipmitool, and services' paths may leave out
REMOTE = {"-H", "-h", "--hostname"}  # the BMC is asked over the network: no local device is needed
TOOLS = {"ipmitool", "ipmi-dcmi"}
SECRETS = {"-P", "-p", "-k", "-K", "--password", "--k-g"}

_POWER = re.compile(r"^\s*(?:Instantaneous power reading|Current Power)\s*:\s*(\d+(?:\.\d+)?)\s*[Ww]atts?\b", re.MULTILINE)
_STATE = re.compile(r"^\s*(?:Power reading state is|Power Measurement)\s*:\s*(.+?)\s*$", re.MULTILINE)
_ON = {"activated", "active", "available"}
_NO_DEVICE = re.compile(r"could not open device|no such device|no such file or directory|permission denied", re.IGNORECASE)
_NO_DCMI = re.compile(r"invalid command|command not supported|not supported in present state|no dcmi", re.IGNORECASE)


class Ipmi:
    """State: when the BMC was asked last."""

    name = NAME
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host) -> None:
        self._host = host
        self._every_ns = int(float(str(host.options.get("period_s", 10.0))) * 1e9)
        self._device = Device(f"node/{NAME}", "node", "BMC (DCMI)", "(parts)", self._every_ns)
        self._asked_ns: int | None = None

    def devices(self) -> Sequence[Device]:
        return [self._device]

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        """One sample each ``period_s``, nothing in between; blocks up to five seconds."""
        at = now()
        if not full or (self._asked_ns is not None and at.mono_ns - self._asked_ns < self._every_ns):
            return []
        self._asked_ns = at.mono_ns
        return [PowerGauge(self._device, at, power_uw(ask(self._host)))]

    def close(self) -> None:
        """Nothing is kept open between two questions."""


def open(host: Host) -> Source:
    """A source that will run the configured command; ``SourceGone`` where it cannot tell anything."""
    _command(host)
    return Ipmi(host)


def examine(host: Host) -> Iterator[Finding]:
    """Asks the BMC once; never raises."""
    try:
        watts = power_uw(ask(host)) / 1e6
    except SourceGone as gone:
        why, _, remedy = str(gone).removeprefix(f"{NAME}: ").partition("; ")
        yield Finding(NAME, "DCMI", "denied" if "permission" in why.lower() else "absent", why, remedy)
    except SourceFailed as failure:
        yield Finding(NAME, "DCMI", "broken", str(failure))
    else:
        yield Finding(NAME, f"node/{NAME}", "usable", f"{watts:g} W now, integrated")


def power_uw(printed: str) -> int:
    """What either tool printed, as microwatts.  Not activated: SourceGone; nothing or 0 W: SourceFailed."""
    state = _STATE.search(printed)
    if state is not None and state[1].lower() not in _ON:
        raise SourceGone(f"{NAME}: the BMC's power measurement is {state[1][:40]!r}; try: sudo ipmitool dcmi power activate")
    found = _POWER.search(printed)
    if found is None:
        raise SourceFailed(f"{NAME}: the command printed no power reading")
    watts = float(found[1])
    power = round(watts * 1e6) if watts <= MOST_W else 0
    if not power:
        raise SourceFailed(f"{NAME}: the BMC reads {watts:g} W, which nothing that runs draws")
    return power


def ask(host: Host, timeout_s: float = TIMEOUT_S) -> str:
    """What the command printed; its words (a password may be among them) are in no message."""
    command = _command(host)
    tool = os.path.basename(command[0])
    try:
        # A session of its own: where the command is sudo, the tool under it must end with it.
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**host.environ, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError as error:
        raise SourceGone(f"{NAME}: {tool} cannot be run: {error.strerror}; set [sources.{NAME}] command") from None
    try:
        out, err = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _end(child)
        raise SourceFailed(f"{NAME}: {tool} did not answer within {timeout_s:g} s") from None
    if child.returncode:
        raise _failure(tool, child.returncode, _told(err, command))
    return out.decode("utf-8", "replace")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Never waits long: what runs as root under sudo is not ours to end, and ends when the BMC answers or it gives up."""
    with suppress(PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        child.communicate(timeout=1.0)
    for pipe in filter(None, (child.stdout, child.stderr)):
        pipe.close()


def _failure(tool: str, status: int, told: str) -> Exception:
    if _NO_DEVICE.search(told):
        remedy = f'let the agent run it as root: [sources.{NAME}] command = "sudo -n {DEFAULT}"'
        return SourceGone(f"{NAME}: {told}; {remedy}")
    if _NO_DCMI.search(told):
        return SourceGone(f"{NAME}: this BMC has no DCMI power reading ({told}); try [sources.redfish]")
    return SourceFailed(f"{NAME}: {tool} ended with status {status}: {told or 'it said nothing'}")


def _told(err: bytes, command: Sequence[str]) -> str:
    """The last line of its complaint, without passwords of its command line."""
    lines = err.decode("utf-8", "replace").strip().splitlines()
    told = lines[-1].strip()[:200] if lines else ""
    secrets = [word for flag, word in pairwise(command) if flag in SECRETS]
    secrets += [word.removeprefix(flag).lstrip("=") for word in command for flag in SECRETS if word.startswith(flag)]
    for secret in filter(None, secrets):
        told = told.replace(secret, "***")
    return told


def _command(host: Host) -> list[str]:
    """The words to run, the first a path; ``SourceGone`` where there is no such tool, or no device for it."""
    try:
        words = shlex.split(str(host.options.get("command", DEFAULT)))
    except ValueError:
        words = []
    if not words:
        raise SourceGone(f"{NAME}: the command is not a command; set [sources.{NAME}] command")
    path = ":".join(part for part in (host.environ.get("PATH"), SBIN) if part)
    tool = shutil.which(words[0], path=path)
    if tool is None:
        raise SourceGone(f"{NAME}: no {words[0]} here; install it where the node has a BMC")
    local = os.path.basename(tool) in TOOLS and not REMOTE & set(words)
    if local and not any(Path(host.sysfs, "class/ipmi").glob("ipmi*")):
        raise SourceGone(f"{NAME}: the kernel has no IPMI device; try: sudo modprobe ipmi_devintf ipmi_si")
    return [tool, *words[1:]]
