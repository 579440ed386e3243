"""NVIDIA Jetson boards: the power rails that their INA3221 monitors measure, through hwmon.

Documentation/hwmon/ina3221.rst: three channels per chip, ``inN_label``, bus voltage ``inN_input`` (mV), ``currN_input``
(mA); their product is microwatts.  Orin NX and Nano and Xavier NX measure their whole input (``VDD_IN``), and the other
rails lie inside it; AGX boards have no such rail, and theirs add up.
"""

import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wattledger.core.model import Activity, Device, Fault, Finding, Holding, Instant, Kind, PowerGauge, Sample
from wattledger.core.ports import Host, Now, Source, SourceGone

NAME = "jetson"

# Ten times a second: a reading costs a transfer on the I2C bus, and the chip averages meanwhile.
POLL_NS = 100_000_000
MOST_UW = 1_000_000_000_000  # a megawatt: such a number is none that a monitor measured

# The whole input.  "POM_5V_IN measures the overall 5V input": do not add the others to it (rbonghi/jetson_stats#51).
TOTALS = ("VDD_IN", "POM_5V_IN")

# A rail that another one feeds.  AGX Orin: DDR and always-on 1.8 V come from the 5 V input, which a chip of its own
# measures (tegra234-p3701.dtsi; that the one contains the other is from memory, and errs to the side of less).
FED_BY = {"VDDQ_VDD2_1V8AO": "VIN_SYS_5V0"}

# What a Jetson calls its rails; other boards have INA3221s too, and nobody knows what theirs mean.
KNOWN = re.compile(r"(VDDQ?|VIN|POM)_\w+|GPU|CPU|SOC|CV|VDDRQ|SYS5V")

NO_PROCESSES = "Jetson: its GPU tells no processes, so this run is said to use and hold all that is not the CPU's rail"


class Rail(NamedTuple):
    """One measured channel: the files whose product (or the one file that) is its power in microwatts."""

    device: Device
    paths: tuple[str, ...]


def open(host: Host) -> Source:
    """Find the rails and keep their files open.  ``SourceGone`` on what is no Jetson."""
    rails = list(find(host))
    if not rails:
        raise SourceGone(f"{NAME}: no INA3221 with a Jetson's rails under {host.sysfs}/bus/i2c/drivers; not a Jetson")
    return JetsonSource(host, rails)


def examine(host: Host) -> Iterator[Finding]:
    """One finding per rail; never raises."""
    rails = list(find(host))
    if not rails:
        yield Finding(NAME, "INA3221", "absent", f"no Jetson's rails under {host.sysfs}/bus/i2c/drivers")
    for rail in rails:
        where = f"inside {rail.device.inside}" if rail.device.inside else "counted"
        if all(os.access(path, os.R_OK) for path in rail.paths):
            yield Finding(NAME, rail.device.id, "usable", f"power of a rail, integrated; {where}")
        else:
            remedy = f"sudo chmod a+r {' '.join(rail.paths)}"
            yield Finding(NAME, rail.device.id, "denied", "its files may not be read", remedy)


def find(host: Host) -> Iterator[Rail]:
    """The rails of all monitors, each inside the one that already counts it."""
    found = [
        (label, f"{chip.parent.parent.name}/{label}", paths)
        for chip in sorted(Path(host.sysfs, "bus/i2c/drivers").glob("ina3221*/*/hwmon/hwmon*"))
        for label, paths in _channels(chip)
    ]
    ids = {label: f"{NAME}:{place}" for label, place, _ in found}
    total = next((ids[label] for label in TOTALS if label in ids), None)
    model = _text(Path(host.procfs, "device-tree/model")) or "NVIDIA Jetson"
    for label, place, paths in found:
        own = f"{NAME}:{place}"
        inside = ids.get(FED_BY.get(label, "")) if total is None else total
        device = Device(own, _kind(label), f"{model} {label}", None if inside == own else inside)
        yield Rail(device, paths)


def _channels(chip: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    for n in (1, 2, 3):  # in4 to in7 are shunt voltages and their sum
        label = _text(chip / f"in{n}_label")
        if not KNOWN.fullmatch(label) or _text(chip / f"in{n}_enable") == "0":
            continue
        power = chip / f"power{n}_input"
        factors = (power,) if power.exists() else (chip / f"in{n}_input", chip / f"curr{n}_input")
        if all(path.exists() for path in factors):
            yield label, tuple(str(path) for path in factors)


def _kind(label: str) -> Kind:
    if "CPU" in label:
        return "cpu"
    if "GPU" in label:
        return "gpu"
    return "dram" if "DDR" in label or "VDDQ" in label else "accelerator"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


class JetsonSource:
    """State: the open files of each rail, and the time since the first reading.

    For one thread at a time, and not across a fork; both are the sampler's to keep.
    """

    name = NAME
    edge = True

    def __init__(self, host: Host, rails: Sequence[Rail]) -> None:
        self._who = f"pid:{host.roots[0]}" if host.roots else None
        self._rails: list[tuple[Device, list[int]]] = []
        self._since: Instant | None = None
        self.period_ns: int | None = POLL_NS
        self.notes = (NO_PROCESSES,) if self._who else ()
        try:
            for rail in rails:
                self._rails.append((rail.device, [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in rail.paths]))
        except OSError as error:
            self.close()
            raise SourceGone(f"{NAME}: {error.filename}: {error.strerror}; sudo chmod a+r it") from None

    def devices(self) -> Sequence[Device]:
        return [device for device, _ in self._rails]

    @property
    def covers(self) -> frozenset[str]:
        """Kinds of device whose energy is inside ours: the whole input holds CPU and memory."""
        return frozenset({"cpu", "dram"} if any(device.inside for device, _ in self._rails) else ())

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        """The rails that are counted; with ``full`` those inside them too, and whose they are."""
        samples: list[Sample] = []
        for device, files in tuple(self._rails):
            if full or device.inside is None:
                samples += self._measure(device, files, now())
        if not self._rails and not samples:
            raise SourceGone(f"{NAME}: every rail is gone")
        return samples + self._use(now()) if full and self._who else samples

    def close(self) -> None:
        for _, files in self._rails:
            for file in files:
                os.close(file)
        self._rails = []

    def _measure(self, device: Device, files: Sequence[int], at: Instant) -> list[Sample]:
        try:
            values = [int(os.pread(file, 64, 0)) for file in files]
        except OSError as error:
            if error.errno == errno.ENODATA:
                return []  # the channel is switched off: not a zero
            gone = error.errno in (errno.ENODEV, errno.ENXIO)
            if gone:
                self._rails = [rail for rail in self._rails if rail[0] != device]
                for file in files:
                    os.close(file)
            return [Fault(NAME, device.id, at, f"{device.id}: {error.strerror}", gone)]
        except ValueError:
            return [Fault(NAME, device.id, at, f"{device.id}: not a number in its file", False)]
        # Millivolts times milliamperes; a small negative current is the offset of an unloaded shunt.
        power_uw = max(0, values[0] * values[1]) if len(values) == 2 else values[0]
        if not 0 <= power_uw <= MOST_UW:
            return [Fault(NAME, device.id, at, f"{device.id}: more or less than a board can draw in its file", False)]
        return [PowerGauge(device, at, power_uw)]

    def _use(self, at: Instant) -> list[Sample]:
        """The CPU's rail is divided by CPU time, which another source reads; all else is the run's."""
        assert self._who is not None
        theirs = [device.id for device in self.devices() if device.inside is None and device.kind != "cpu"]
        samples: list[Sample] = []
        if self._since is None:
            self._since = at
            samples += [Holding(device_id, self._who, at, 1.0) for device_id in theirs]
        used_ns = at.mono_ns - self._since.mono_ns
        return samples + [Activity(device_id, self._who, at, used_ns, "context_ns") for device_id in theirs]
