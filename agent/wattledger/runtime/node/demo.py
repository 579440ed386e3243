"""What ``agent --demo`` has of its own: words for whatever the user has not said, and a folder for its books that goes with it.

Sensors and grid are made up (sources/demo, factors/grid/demo.py); all between them and the page is the agent as it is.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex

from wattledger.runtime.config import Config, Value
from wattledger.runtime.grid.providers import DEMO, DEMO_ORIGIN

NODE_NAME = "demo-node"
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
    "embodied.host_kg": 2_000.0,
}
# Whatever the user says: what is made up asks nobody, meets no program, and is neither signed nor shared.
FIXED: Mapping[str, object] = {"grid.provider": ",".join(DEMO), "agent.socket": "", "ledger.lake": "", "ledger.sign_key_file": ""}


class Stage:
    """Where a made-up node lives while it lasts; of a real one (``demo`` is false) all of this does nothing.

    State: its folder, which ``open`` makes and ``close`` takes away.  Nothing of a demo lies anywhere else.
    """

    def __init__(self, demo: bool) -> None:
        self.demo = demo
        self._folder = Path(tempfile.gettempdir(), f"wattledger-demo-{token_hex(8)}")

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
        own |= {**FIXED, "ledger.path": str(self._folder / "ledger"), "agent.state": str(self._folder)}
        return Config({**said, **{name: Value(value, DEMO_ORIGIN) for name, value in own.items()}}, config.warnings)

    def open(self) -> None:
        """Make the folder, for this user's eyes only."""
        if self.demo:
            os.mkdir(self._folder, 0o700)

    @property
    def line(self) -> str:
        """For the greeting: where the books are."""
        if not self.demo:
            return ""
        return f"; a demo: its books go when it ends, until then: wattledger report job --ledger {self._folder / 'ledger'}"

    def close(self) -> None:
        """Leave nothing behind."""
        if self.demo:
            shutil.rmtree(self._folder, ignore_errors=True)
