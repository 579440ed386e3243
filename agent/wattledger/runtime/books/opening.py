"""The books of one session: opened where the configuration allows, with the facts of who meters and how."""

import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

from wattledger.core.facts import IntensityFact, RunFact
from wattledger.core.model import Instant, Workload
from wattledger.core.version import __version__
from wattledger.runtime import clock
from wattledger.runtime.assets.host import host_facts
from wattledger.runtime.books.keeper import Keeper, Plan, store_class
from wattledger.runtime.books.minutes import Meter
from wattledger.runtime.books.place import configured_folder, has_books, ledger_folder
from wattledger.runtime.books.settled import Settled
from wattledger.runtime.config import DEMO_ORIGIN, Config

# In the environment of whatever a meter's program starts: the meter's id.  Two that measure the same joules know of each other.
OUTER = "WATTLEDGER_METER"


class Books(NamedTuple):
    """What a session's books are asked to be.

    ``kind``: who keeps them; ``run``: the run that all of it is of, if there is one; ``own``: whatever is measured was for this
    workload.
    """

    kind: Literal["agent", "track", "run"]
    run: str = ""
    own: Workload | None = None
    say: Callable[[str], None] | None = None


def open_books(config: Config, environ: Mapping[str, str], books: Books, host: str) -> Keeper | None:
    """A keeper that has begun, or ``None`` where the configuration wants none or there is no place for one."""
    folder = configured_folder(config, environ, agent=books.kind == "agent")
    if not config["ledger.enabled"] or folder is None:
        return None
    meter = Meter(f"{books.kind}:{secrets.token_hex(8)}", host, books.run, books.own)
    interval_s = min(60.0, max(0.1, config["ledger.commit_interval_s"]))
    settled = Settled(int(config["grid.settle_h"] * 3600), providers(config)) if books.kind == "agent" else None
    plan = Plan(folder, meter, interval_s, hold=books.kind == "agent", requests=config["ledger.requests"])
    keeper = Keeper(plan, books.say, settled)
    # Made on the keeper's thread: what it takes (ctypes) is not for the program to wait for.
    keeper.note([partial(life, "began", keeper, config, outer=environ.get(OUTER, ""), at=clock.now())])
    keeper.start()
    return keeper


def providers(config: Config) -> list[str]:
    """Whose word on the grid counts, in order."""
    return [name for word in str(config["grid.provider"]).split(",") if (name := word.strip())]


def life(
    what: Literal["began", "ended"], keeper: Keeper, config: Config, *, outer: str = "", at: Instant | None = None
) -> RunFact:
    """The fact that a meter began or ended, with its version and what is configured other than by default.

    ``outer``: the meter of the program that started this one, whose energy may hold this one's: its fact's ``parent``.
    """
    meter = keeper.meter
    at_ms = (at or clock.now()).wall_ns // 1_000_000
    if what == "ended":
        reserved = tuple((binding, round(ns)) for binding, ns in sorted(keeper.unsaid_ns.items()))
        return RunFact("ended", meter.id, meter.host, at_ms, meter.run, reserved=reserved)
    named = ((name, value) for name, value in config.rows() if value.origin != "default" and not name.endswith(".user"))
    said = tuple((name, shown(str(value.value))) for name, value in named)  # who logs in where is no fact
    here = host_facts(config)
    kind = {"machine.class": here.machine_class, "machine.cpus": here.cpus, "machine.memory_gb": here.memory_gb}
    kind |= {"machine.made_up": DEMO_ORIGIN} if config.is_demo else {}  # accounting/made_up.py
    said += tuple((name, f"{value:.6g}" if isinstance(value, float) else str(value)) for name, value in kind.items() if value)
    return RunFact(
        "began", meter.id, meter.host, at_ms, meter.run, outer, version=__version__, system=_system(),
        clock_offset_ms=clock.offset_ms(), config=said,
    )  # fmt: skip


def _system() -> str:
    """What all runs on here."""
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    if not hasattr(os, "uname"):
        return f"{sys.platform}, {python}"
    found = os.uname()  # ``platform`` would read all of the interpreter for its C library, 10 to 80 ms
    return f"{found.sysname} {found.release} {found.machine}, {python}"


def shown(value: str) -> str:
    """A setting as the books may say it: an address may carry a password, which stays out."""
    scheme, mark, rest = value.partition("://")
    if not mark:
        return value
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def known_intensities(config: Config, environ: Mapping[str, str], books: Books | None) -> Sequence[IntensityFact]:
    """What the open books hold of the grid already, so that it is neither asked for nor written again."""
    if books is None or not config["ledger.enabled"]:
        return ()
    folder = ledger_folder(config, environ, agent=books.kind == "agent")
    if folder is None or not has_books(folder):
        return ()
    from wattledger.ledger.engine import LedgerError

    try:
        store = store_class().open(folder, readonly=True)
        try:
            return [known.fact for known in store.known(["intensity"]) if isinstance(known.fact, IntensityFact)]
        finally:
            store.close()
    except LedgerError:
        return ()  # whoever writes there says what is wrong with it
