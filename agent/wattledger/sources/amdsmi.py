"""AMD GPUs through ROCm's ``amdsmi``: the energy accumulator where it moves, else socket power.

Known faults: the accumulator of MI100 and MI210 stands still until a reboot or for as long as a process runs
(ROCm/amdsmi#38, rocm_smi_lib#180); the second die of an MI250 has no sensor of its own (codecarbon#1097).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from wattledger.core.model import (
    Activity,
    Device,
    EnergyCounter,
    Fault,
    Finding,
    Holding,
    Instant,
    PowerGauge,
    Sample,
)
from wattledger.core.ports import Host, Now, Source, SourceGone

NAME = "amdsmi"

# The accumulator advances every millisecond; unchanged for this long while the socket draws power, it is stuck.
STUCK_AFTER_NS = 3 * 10**9

# How often a card whose accumulator is not to be had is read while a span is open.
POLL_NS = 20_000_000

REFRESH_NS = 1_000_000

# What the library writes where it does not know: a word, or a 16 or 32 bit field full of ones.
UNKNOWN = {"N/A", 0xFFFF, 0xFFFFFFFF, None}

NO_PIDS = "PID namespace: the driver's process ids are not ours; this run is said to use and hold every visible GPU"


def open(host: Host) -> Source:
    """Find the GPUs that are ours.  ``SourceGone`` where ROCm or its Python library is missing, or no GPU is
    visible."""
    return AmdSource(host, Library())


def examine(host: Host) -> Iterator[Finding]:
    """One finding per card; never raises."""
    try:
        library = Library()
    except SourceGone as gone:
        why, _, remedy = str(gone).removeprefix(f"{NAME}: ").partition("; ")
        yield Finding(NAME, "GPU", "absent", why, remedy)
        return
    for card in cards(library, host):
        if card.count_uj is None and card.power_uw is None:
            why = "neither an energy accumulator nor a power sensor answers"
            yield Finding(NAME, f"{card.device.model} {card.device.id}", "broken", why, "amd-smi metric --power")
        else:
            why = "no energy accumulator: power is integrated" if card.count_uj is None else "energy accumulator"
            yield Finding(NAME, f"{card.device.model} {card.device.id}", "usable", why)
    if not host.pids_match:
        yield Finding(NAME, "processes", "estimate", NO_PIDS, "share the host's PIDs: docker run --pid=host")
    library.close()


class AmdError(Exception):
    """The library said no; the message is its own words."""


class Library:
    """``amdsmi`` as plain values.  Functions that this version or this card lacks answer ``None`` through ``ask``."""

    def __init__(self) -> None:
        try:
            import amdsmi  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except ImportError:
            raise SourceGone(f"{NAME}: no Python library amdsmi; it comes with ROCm, or pip install amdsmi") from None
        except (OSError, KeyError, AttributeError) as error:
            # It looks for libamd_smi.so while it is imported, and fails in several ways without it.
            raise SourceGone(f"{NAME}: libamd_smi.so does not load ({error}); install ROCm") from None
        self._amdsmi: Any = amdsmi
        try:
            self.call("amdsmi_init")
        except AmdError as error:
            raise SourceGone(f"{NAME}: the AMD driver does not answer ({error}); try amd-smi") from None

    def call(self, function: str, *arguments: Any) -> Any:
        try:
            return getattr(self._amdsmi, function)(*arguments)
        except (self._amdsmi.AmdSmiException, AttributeError) as error:
            raise AmdError(f"{function}: {error}") from None

    def ask(self, function: str, *arguments: Any) -> Any:
        try:
            return self.call(function, *arguments)
        except AmdError:
            return None

    def close(self) -> None:
        self.ask("amdsmi_shut_down")

    def count_uj(self, handle: Any) -> int | None:
        """The accumulator, in microjoules: ticks times their size.  ``None``: this die has none."""
        said = self.call("amdsmi_get_energy_count", handle)
        # ROCm before 6.1 calls the ticks "power".
        ticks, size_uj = said.get("energy_accumulator", said.get("power")), said.get("counter_resolution")
        if ticks in UNKNOWN or size_uj in UNKNOWN or not ticks:
            return None
        return int(ticks * size_uj)

    def power_uw(self, handle: Any) -> int | None:
        """Socket power; the average is what older dies have, the current one what MI300 has."""
        said = self.ask("amdsmi_get_power_info", handle) or {}
        for key in ("average_socket_power", "current_socket_power", "socket_power"):
            if said.get(key) not in UNKNOWN and int(said[key]) > 0:
                return int(said[key]) * 1_000_000
        return None

    def cap_uw(self, handle: Any) -> int | None:
        limit_uw = (self.ask("amdsmi_get_power_cap_info", handle) or {}).get("power_cap")
        return None if limit_uw in UNKNOWN or not limit_uw else int(limit_uw) * 13 // 10

    def name(self, handle: Any) -> str:
        said = (self.ask("amdsmi_get_gpu_asic_info", handle) or {}).get("market_name")
        return "AMD GPU" if said in UNKNOWN else str(said)

    def identity(self, handle: Any) -> str:
        """The UUID, or the PCI address where there is none: MI100 says N/A."""
        uuid = self.ask("amdsmi_get_gpu_device_uuid", handle)
        return str(self.call("amdsmi_get_gpu_device_bdf", handle)) if uuid in UNKNOWN else str(uuid)

    def pids(self, handle: Any) -> list[int]:
        """Processes with memory on this die; those with none have only opened the driver."""
        found = []
        for said in self.call("amdsmi_get_gpu_process_list", handle):
            # ROCm before 6.1 lists handles, and describes them one by one.
            process = said if isinstance(said, Mapping) else self.ask("amdsmi_get_gpu_process_info", handle, said)
            memory = (process or {}).get("memory_usage", {}).get("vram_mem", (process or {}).get("mem", 0))
            if process and memory not in UNKNOWN and memory > 0:
                found.append(int(process["pid"]))
        return found


class Card:
    """One card, of one die or two.  State: its first readings, and since when its accumulator stands still."""

    def __init__(self, device: Device, handle: Any, count_uj: int | None, power_uw: int | None) -> None:
        self.device, self.dies = device, [handle]
        self.second: list[Device] = []
        self.count_uj, self.power_uw = count_uj, power_uw
        self.moved_ns: int | None = None
        self.stuck = False
        self.holders: list[str] = []
        self.looked: Instant | None = None
        self.used_ns: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Card {self.device.id} dies={len(self.dies)} {'stuck' if self.stuck else 'good'}>"

    def moves(self, at: Instant, count_uj: int) -> bool:
        """Whether the accumulator still moves; one that stands at a value while power is drawn is not believed."""
        if self.moved_ns is None or count_uj != self.count_uj:
            self.moved_ns, self.count_uj = at.mono_ns, count_uj
            return True
        return at.mono_ns - self.moved_ns < STUCK_AFTER_NS

    def look(self, at: Instant, there: list[str]) -> list[Sample]:
        """Who is there now: activity for the time since the last look, and the holdings that changed.

        There is no use per process to be had, so the time is split equally among who was there at either end.
        """
        elapsed_ns = at.mono_ns - self.looked.mono_ns if self.looked else 0
        users = sorted({*self.holders, *there})
        unit: Literal["context_ns", "idle_ns"] = "context_ns" if users else "idle_ns"
        samples: list[Sample] = []
        for who in users or ["(idle)"]:
            if who not in self.used_ns:
                # Cumulative use is differenced, so a newcomer begins with a zero, or its first time would be nobody's.
                self.used_ns[who] = 0
                samples.append(Activity(self.device.id, who, at, 0, unit))
            self.used_ns[who] += elapsed_ns // max(1, len(users))
            samples.append(Activity(self.device.id, who, at, self.used_ns[who], unit))
        if there != self.holders:
            parts = {who: 1 / len(there) if who in there else 0.0 for who in users}
            samples += [Holding(self.device.id, who, at, part) for who, part in parts.items()]
        self.used_ns = {who: ns for who, ns in self.used_ns.items() if who in there or who == "(idle)"}
        self.holders, self.looked = there, at
        return samples


def cards(library: Library, host: Host) -> list[Card]:
    """The visible cards; a die without a sensor, listed after one of the same model that has one, lies inside it."""
    found: list[Card] = []
    handles = library.ask("amdsmi_get_processor_handles") or []
    ours = visible(len(handles), host.environ)
    shown: set[int] = set()
    for index, handle in enumerate(handles):
        model, identity = library.name(handle), library.identity(handle)
        try:
            count_uj = library.count_uj(handle)
        except AmdError:
            count_uj = None
        power_uw = library.power_uw(handle)
        device = Device(identity, "gpu", model, None, REFRESH_NS, library.cap_uw(handle))
        blind = count_uj is None and power_uw is None
        if blind and found and found[-1].device.model == model and len(found[-1].dies) == 1:
            found[-1].dies.append(handle)
            found[-1].second.append(device._replace(inside=found[-1].device.id))
        else:
            found.append(Card(device, handle, count_uj, power_uw))
        if index in ours:
            shown.add(len(found) - 1)
    return [card for index, card in enumerate(found) if index in shown]


def visible(count: int, environ: Mapping[str, str]) -> list[int]:
    """ROCR_VISIBLE_DEVICES chooses among all, HIP_VISIBLE_DEVICES among those.  ROCm's own UUIDs are not those of
    ``amdsmi``, so a list of them restricts nothing here."""
    ours = list(range(count))
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        words = [word.strip() for word in environ.get(name, "-").split(",")]
        if words == ["-"] or any(word.upper().startswith("GPU-") for word in words):
            continue
        chosen = []
        for word in words:
            if not word.isdigit() or int(word) >= len(ours):
                break
            chosen.append(ours[int(word)])
        ours = chosen
    return ours


class AmdSource:
    """State: the cards (see ``Card``).  For one thread at a time, not across a fork; both are the sampler's to keep."""

    name = NAME
    edge = True

    def __init__(self, host: Host, library: Library) -> None:
        self._host, self._library = host, library
        self._cards = [card for card in cards(library, host) if card.count_uj is not None or card.power_uw is not None]
        if not self._cards:
            library.close()
            raise SourceGone(f"{NAME}: no AMD GPU with a sensor is visible here; see ROCR_VISIBLE_DEVICES")
        self.notes = () if host.pids_match else (NO_PIDS,)
        self.period_ns = POLL_NS if any(card.count_uj is None for card in self._cards) else None

    def devices(self) -> Sequence[Device]:
        return [device for card in self._cards for device in (card.device, *card.second)]

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        """Accumulators, and power where it is all there is; with ``full`` power of all cards, and who is on them."""
        for card in self._cards:
            if card.count_uj is not None:
                yield from self._try(card, now(), self._count)
        for card in self._cards:
            if full or card.count_uj is None or card.stuck:
                yield from self._try(card, now(), self._power)
            if full:
                yield from self._try(card, now(), self._processes)

    def close(self) -> None:
        self._library.close()

    def _try(self, card: Card, at: Instant, part: "Part") -> list[Sample]:
        try:
            return part(card, at)
        except AmdError as error:
            return [Fault(NAME, card.device.id, at, f"{card.device.model} {card.device.id}: {error}", False)]

    def _count(self, card: Card, at: Instant) -> list[Sample]:
        count_uj = self._library.count_uj(card.dies[0])
        if count_uj is None:
            raise AmdError("the energy accumulator does not answer")
        # Asleep, a card draws nothing and its accumulator may rest.
        if card.moves(at, count_uj) or self._library.power_uw(card.dies[0]) is None:
            card.stuck = False
            return [EnergyCounter(card.device, at, count_uj, None)]
        if card.stuck:
            return []
        card.stuck, self.period_ns = True, POLL_NS
        raise AmdError("the energy accumulator is stuck; socket power is integrated until it moves")

    def _power(self, card: Card, at: Instant) -> list[Sample]:
        power_uw = self._library.power_uw(card.dies[0])
        cap_uw = card.device.cap_uw
        # Bring-up firmware of MI250 showed 12.6 MW (codecarbon#1072).
        if power_uw is None or (cap_uw is not None and power_uw > cap_uw):
            return []
        return [PowerGauge(card.device, at, power_uw)]

    def _processes(self, card: Card, at: Instant) -> list[Sample]:
        if self._host.pids_match:
            pids = sorted({pid for die in card.dies for pid in self._library.pids(die)})
        else:
            pids = list(self._host.roots[:1])
        return card.look(at, [f"pid:{pid}" for pid in pids])


Part = Callable[[Card, Instant], list[Sample]]
