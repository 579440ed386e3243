"""Boards with made-up figures, and pages taken apart."""

from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser

from wattledger.core.model import IDLE, Device, Factor, Instant, Method, Workload
from wattledger.core.totals import Health, Snapshot, State, Totals
from wattledger.runtime.page.board import About, Board

S, J = 1_000_000_000, 1_000_000
NOON_S = 1_795_348_800  # 2026-11-22 12:00:00 UTC
GRID = Factor("grid", "DE", 300.0, "gCO2e/kWh", "direct", "EEA", "2023", "zone-annual", 1.2)
VOID = {"meta", "link", "input", "br", "img", "rect", "line", "polygon", "polyline", "path", "hr"}


def at(seconds: float) -> Instant:
    """So long after noon; the boot clock is another."""
    return Instant(round((1000 + seconds) * S), round((NOON_S + seconds) * S))


def gpu(n: int) -> Device:
    return Device(f"GPU-{n}", "gpu", "NVIDIA H100", None)


def workload(n: int) -> Workload:
    return Workload(f"job-{n:03d}", f"model-{n % 7}", (("k8s_namespace_name", "team"), ("k8s_pod_name", f"pod-{n}")))


def snapshot(
    energies_uj: Mapping[tuple[Workload, int], int], *, gpus: int = 2, power_w: Sequence[float] = (), grid: Factor | None = GRID,
    method: Method = "counter", health: Mapping[str, Health] | None = None, label_names: tuple[str, ...] = (),
) -> Snapshot:  # fmt: skip
    """Each workload's microjoules of each GPU; the rest is idle, so that every device closes at a thousand joules more."""
    totals = Totals()
    for n in range(gpus):
        device = gpu(n)
        totals.devices[device.id] = device
        handed = sum(uj for (_, of), uj in energies_uj.items() if of == n)
        totals.device_energy_uj[device.id, method] = handed + 1_000_000_000
        totals.add((IDLE, device.id, method, "active"), 1_000_000_000)
        if power_w:
            totals.power_uw[device.id] = int(power_w[n % len(power_w)] * 1e6)
    for (who, n), uj in energies_uj.items():
        totals.add((who, gpu(n).id, method, "active"), uj)
    if grid is not None:
        for (who, _, _, _), uj in totals.energy_uj.items():
            totals.price({who: uj}, {"grid": grid})
    return totals.snapshot(State(grid, health or {"nvml": Health(True, 0.004, 0, "", 1.0)}, label_names=label_names))


def board(*looks: tuple[float, Snapshot], host: str = "gpu-7") -> Board:
    """One that was posted to at these seconds after noon."""
    found = Board(About(host, at(0), False))
    for seconds, each in looks:
        found.post(each, each, at(seconds))
        found.look()
    return found


class Element:
    """A tag with its attributes, its text and those inside it."""

    def __init__(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.tag, self.attributes = tag, attributes
        self.inside: list[Element] = []
        self.words: list[str] = []

    def all(self, tag: str = "", **attributes: str) -> "Iterator[Element]":
        """Those below it, in order; ``for_`` and ``class_`` without the underscore, other underscores are hyphens."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        for element in self.inside:
            if tag in ("", element.tag) and wanted.items() <= dict(element.attributes).items():
                yield element
            yield from element.all(tag, **attributes)

    def one(self, tag: str = "", **attributes: str) -> "Element":
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """All words in it and below, in order, spaces as one."""
        return " ".join(" ".join(self.words).split())


class Tree(HTMLParser):
    """Strict: each tag that is opened is closed in its turn, no attribute stands twice."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(page.decode())
        self.close()
        assert len(self._open) == 1, f"not closed: {[e.tag for e in self._open[1:]]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag}: {attrs}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words.append(data)


def tree(page: bytes) -> Element:
    return Tree(page).root
