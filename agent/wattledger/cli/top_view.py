"""Two scrapes of an agent → who draws how many watts.  Pure: text in, figures out.

Watts are the devices' own (``wattledger_device_power_watts``), divided as their energy was since the scrape before.  Joules over
our own seconds would be wrong by a tick: the agent's totals move once a second, not when we look.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wattledger.core.model import RESERVED, RETIRED

SCHEMA = "wattledger.top/1"
ENERGY, GRAMS = "wattledger_energy_joules_total", "wattledger_emissions_grams_total"
DEVICE, POWER = "wattledger_device_energy_joules_total", "wattledger_device_power_watts"
ENDED = "wattledger_retired_energy_joules_total"
OF_DEVICE = ("device", "component", "method", "use")

Who = tuple[tuple[str, str], ...]  # the labels that say who, sorted
GONE: Who = (("job_name", RETIRED.job),)


class NoAgent(ValueError):
    """What was read is no agent's metrics."""


class Scrape(NamedTuple):
    """One reading of /metrics: joules by (who, device, use) and by device, watts by device, grams by who.

    ``about``: component, model and methods of each device; ``retired_j``: of jobs that ended and are no longer named.
    """

    energy_j: Mapping[tuple[Who, str, str], float]
    device_j: Mapping[str, float]
    power_w: Mapping[str, float]
    grams: Mapping[Who, float]
    about: Mapping[str, tuple[str, str, str]]
    retired_j: float


class Job(NamedTuple):
    """One line: ``power_w`` of which ``held_w`` is idle that it holds, sums since the agent began, ``g_per_h`` as it goes now.

    ``None``: not known (yet).  ``draws``: not where it is known that it draws nothing now.
    """

    who: Who
    power_w: float | None
    held_w: float | None
    energy_j: float
    emissions_g: float | None
    g_per_h: float | None
    draws: bool = True

    @property
    def name(self) -> str:
        return dict(self.who).get("job_name", "")

    def to_dict(self) -> dict[str, Any]:
        """For scripts; what is not known is absent."""
        labels = dict(self.who)
        found = {"job": labels.pop("job_name", ""), "model": labels.pop("model_name", None), "labels": labels}
        figures = {
            "power_w": self.power_w,
            "held_w": self.held_w,
            "energy_j": self.energy_j,
            "emissions_g": self.emissions_g,
            "emissions_g_per_h": self.g_per_h,
        }
        return found | {name: value for name, value in figures.items() if value is not None}


class Part(NamedTuple):
    """One device's line."""

    device: str
    component: str
    model: str
    method: str
    power_w: float | None
    energy_j: float

    def to_dict(self) -> dict[str, Any]:
        """For scripts; what is not known is absent."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class View(NamedTuple):
    """Jobs by watts, the agent's own kinds last; devices by watts."""

    jobs: tuple[Job, ...]
    devices: tuple[Part, ...]

    def to_dict(self, at: str) -> dict[str, Any]:
        """The JSON of schema ``wattledger.top/1``; ``at``: when the later scrape was taken."""
        return {
            "schema": SCHEMA,
            "at": at,
            "jobs": [job.to_dict() for job in self.jobs],
            "devices": [part.to_dict() for part in self.devices],
        }


def scrape_of(text: str) -> Scrape:
    """Read Prometheus text 0.0.4.  Raises NoAgent for anything else."""
    energy: dict[tuple[Who, str, str], float] = {}
    device_j: dict[str, float] = {}
    power: dict[str, float] = {}
    grams: dict[Who, float] = {}
    about: dict[str, tuple[str, str, str]] = {}
    retired_j = 0.0
    for name, labels, value in _samples(text):
        device = labels.get("device", "")
        if name == ENERGY:
            key = _who(labels), device, labels.get("use", "")
            energy[key] = energy.get(key, 0.0) + value
        elif name == GRAMS:
            grams[_who(labels)] = value
        elif name == POWER:
            power[device] = value
        elif name == ENDED:
            retired_j += value
        else:
            device_j[device] = device_j.get(device, 0.0) + value
            methods = [*([about[device][2]] if device in about else []), labels.get("method", "")]
            about[device] = labels.get("component", ""), labels.get("device_model", ""), ", ".join(methods)
    if not device_j and "wattledger_" not in text:
        raise NoAgent("no wattledger metrics there")
    return Scrape(energy, device_j, power, grams, about, retired_j)


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    from prometheus_client.parser import text_string_to_metric_families

    # Only what is shown is parsed: a scrape of ten thousand series would take it a second.
    wanted = tuple(f"{name}{{" for name in (ENERGY, GRAMS, DEVICE, POWER, ENDED))
    lines = "".join(f"{line}\n" for line in text.split("\n") if line.startswith(wanted))
    try:
        for family in text_string_to_metric_families(lines):
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value
    except (ValueError, KeyError, IndexError) as failure:
        raise NoAgent(f"what came is not Prometheus text ({failure})") from failure


def _who(labels: Mapping[str, str]) -> Who:
    return tuple(sorted((name, value) for name, value in labels.items() if name not in OF_DEVICE))


def moved(before: Scrape, now: Scrape) -> bool:
    """Whether the agent has ticked between the two."""
    return before.device_j != now.device_j


def compared(before: Scrape | None, now: Scrape) -> View:
    """The later scrape's sums, and watts where the earlier one tells how they are divided.

    After a restart of the agent, whose sums begin anew, there are no watts by job until the next scrape.
    """
    if before is not None and any(joules < before.device_j.get(device, 0.0) for device, joules in now.device_j.items()):
        before = None
    watts = _watts(before, now) if before is not None else {}
    sums = _sums(now)
    earlier = _sums(before) if before is not None else None
    jobs = [_job(who, watts, earlier, sums[who]) for who in sums]
    jobs.sort(key=lambda job: (job.name in RESERVED, -(job.power_w or 0.0), -job.energy_j, job.who))
    parts = [Part(d, *now.about[d], now.power_w.get(d), joules) for d, joules in now.device_j.items()]
    parts.sort(key=lambda part: (-(part.power_w or 0.0), part.device))
    return View(tuple(jobs), tuple(parts))


def _watts(before: Scrape, now: Scrape) -> dict[tuple[Who, str], float]:
    """By (who, use): each device's power, divided as its energy was between the scrapes."""
    watts: dict[tuple[Who, str], float] = {}
    for (who, device, use), joules in now.energy_j.items():
        of_all = now.device_j.get(device, 0.0) - before.device_j.get(device, 0.0)
        if device not in now.power_w or of_all <= 0.0:
            continue  # a register that has not moved yet says nothing
        part = (joules - before.energy_j.get((who, device, use), 0.0)) / of_all
        watts[who, use] = watts.get((who, use), 0.0) + part * now.power_w[device]
    return watts


def _sums(scrape: Scrape) -> dict[Who, tuple[float, float | None]]:
    """Joules and grams by who."""
    joules: dict[Who, float] = dict.fromkeys(scrape.grams, 0.0)
    for (who, _, _), value in scrape.energy_j.items():
        joules[who] = joules.get(who, 0.0) + value
    if scrape.retired_j:
        joules[GONE] = scrape.retired_j  # a sum without watts: nobody draws them any more
    return {who: (value, scrape.grams.get(who)) for who, value in joules.items()}


def _job(
    who: Who,
    watts: Mapping[tuple[Who, str], float],
    earlier: Mapping[Who, tuple[float, float | None]] | None,
    sums: tuple[float, float | None],
) -> Job:
    uses = {use: watts[who, use] for use in ("active", "held") if (who, use) in watts}
    power_w = sum(uses.values()) if uses else None
    energy_j, grams = sums
    g_per_h = None
    if earlier is not None and power_w is not None and grams is not None:
        before_j, before_g = earlier.get(who, (0.0, 0.0))
        since_j, since_g = energy_j - before_j, grams - (before_g or 0.0)
        g_per_h = since_g / since_j * power_w * 3600 if since_j > 0.0 else 0.0
    # A device that tells no watts may move joules all the same: who has more than before is not still.
    still = who == GONE or (earlier is not None and not power_w and energy_j <= earlier.get(who, (0.0, None))[0])
    return Job(who, power_w, uses.get("held"), energy_j, grams, g_per_h, not still)
