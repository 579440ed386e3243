"""What ``agent --demo`` has of its own: words for whatever the user has not said, and a folder for its books that goes with it.

Sensors and grid are made up (sources/demo, factors/grid/demo.py); all between them and the page is the agent as it is.
"""

import contextlib
import json
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex

from wattledger.runtime import clock
from wattledger.runtime.config import DEMO_ORIGIN, Config, Value
from wattledger.runtime.grid.providers import DEMO

NODE_NAME = "demo-node"
PREFIX = "wattledger-demo-"
FRESH_S = 60.0  # a folder so young may be one that is not locked yet
# Of a made-up node, and so no more than likely: what the user says goes before them.
DEFAULTS: Mapping[str, object] = {
    "agent.labels": "team,user",
    "grid.zone": "DE",
    "grid.period_s": 120.0,
    "facility.pue": 1.2,
    "facility.wue": 0.3,
    "tariff.per_kwh": 0.29,
    "tariff.hours": "22-6:0.23",
    "tariff.currency": "EUR",
    "embodied.host": "server",
}
# Whatever the user says: what is made up asks nobody, meets no program, and is neither signed nor shared.
FIXED: Mapping[str, object] = {"grid.provider": ",".join(DEMO), "agent.socket": "", "ledger.lake": "", "ledger.sign_key_file": ""}


# Settings that figures are made of, and so a report must know as the agent does; of these, files by their names.
PRICES = ("grid", "facility", "tariff", "embodied", "water")
FILES = ("tariff.file", "embodied.footprints")


class Stage:
    """Where a made-up node lives while it lasts; of a real one (``demo`` is false) all of this does nothing.

    State: its folder, which ``open`` makes and locks and ``close`` takes away; what was left by one that was killed, the next one
    takes away.  Nothing of a demo lies anywhere else.
    """

    def __init__(self, demo: bool) -> None:
        self.demo = demo
        self._folder = Path(tempfile.gettempdir(), f"{PREFIX}{token_hex(8)}")
        self._held: int | None = None

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """With a name for the node that is not this machine's, unless the operator gave one."""
        return {**({"NODE_NAME": NODE_NAME} if self.demo else {}), **environ}

    def settings(self, config: Config) -> Config:
        """The configuration in force."""
        if not self.demo:
            return config
        said = {name: value for name, value in config.rows() if value.origin != "default"}
        tariff = any(name.startswith("tariff.") for name in said)
        own = {name: value for name, value in DEFAULTS.items() if not (tariff and name.startswith("tariff."))}
        own = {name: value for name, value in own.items() if name not in said}
        if not config.origin("exporters.otlp.enabled").startswith("WATTLEDGER_"):
            own["exporters.otlp.enabled"] = False  # a file is of a real node, and its collector no place for what is made up
        own |= {**FIXED, "ledger.path": str(self._folder / "ledger"), "agent.state": str(self._folder)}
        return Config({**said, **{name: Value(value, DEMO_ORIGIN) for name, value in own.items()}}, config.warnings)

    def open(self, config: Config) -> None:
        """Make the folder, for this user's eyes only."""
        if self.demo:
            _sweep(self._folder.parent)
            os.mkdir(self._folder, 0o700)
            self._held = _hold(self._folder)
            self.keep(config)

    def keep(self, config: Config) -> None:
        """Write the settings down beside the books, for reports: by others they would come to other figures."""
        if not self.demo:
            return
        part = Path(f"{self._file}.tmp")
        with contextlib.suppress(OSError):  # of a disk that is full the books will tell
            part.write_text("".join(f"{line}\n" for line in _lines(config)), encoding="utf-8")
            os.replace(part, self._file)

    @property
    def _file(self) -> Path:
        return self._folder / "demo.toml"

    @property
    def line(self) -> str:
        """For the greeting: where the books are."""
        if not self.demo:
            return ""
        words = shlex.join(["wattledger", "report", "job", "--config", str(self._file), "--ledger", str(self._folder / "ledger")])
        return f"; a demo: its books go when it ends, until then: {words}"

    def close(self) -> None:
        """Leave nothing behind."""
        if self.demo:
            shutil.rmtree(self._folder, ignore_errors=True)
            if self._held is not None:
                os.close(self._held)
                self._held = None


def _hold(folder: Path) -> int | None:
    """A lock on a folder for as long as the process lives, whatever ends it; ``None`` where somebody has it."""
    import fcntl  # not on Windows

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(parent: Path) -> None:
    """Folders of this user's demos that were killed: nobody holds them, and they are not just being made."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            fresh = clock.now().wall_ns / 1e9 - found.st_mtime < FRESH_S
            if fresh or found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
                continue
            held = _hold(folder)
            if held is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)


def _lines(config: Config) -> Iterator[str]:
    """TOML of what was set, and of where the books are."""
    yield "# What wattledger agent --demo goes by: with it, reports of its books say what its pages say."
    for name, value in config.rows():
        section, *rest = name.split(".")
        if value.origin != "default" and (name == "ledger.path" or (section in PRICES and len(rest) == 1)):
            said = value.value
            if name in FILES and said:
                said = str(Path(str(said)).expanduser().absolute())
            # JSON's strings, numbers and truths are TOML's; but one sign that TOML wants escaped.
            yield f"{name} = {json.dumps(said, ensure_ascii=False)}".replace("\x7f", "\\u007f")
