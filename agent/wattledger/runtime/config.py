"""The configuration in force, and where each value came from.

``wattledger.toml`` (the first one found is used alone), then ``WATTLEDGER_<SECTION>_<KEY>`` in the environment, then flags; the
later wins. An unknown key in a file is an error with the nearest right name; in the environment it is a warning, because a
Kubernetes Service named wattledger puts variables there that nobody wrote.
"""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.runtime.settings import ENABLED, EXPORTER_KEYS, KEYS, SOURCE_KEYS, Key
from wattledger.runtime.warn import warn_once


class ConfigError(ValueError):
    """The words are wrong; the message is one line: what, where, the nearest right name."""


DEMO_ORIGIN = "--demo"  # where a setting came from that nobody can write
# Set by users and platforms, never keys (contract.md, Configuration).
NOT_KEYS = {"JOB", "MODEL", "LABELS", "CONFIG", "RUN_ID", "METER"}
NOT_KEYS |= {"RECORDINGS", "RIG", "FACTORS", "LLAMA_SERVER", "HELM_PYTHON", "IMAGE", "CONTAINER", "FUZZ_EXAMPLES"}  # the tests' own


class Value(NamedTuple):
    """A setting in force and where it came from."""

    value: Any
    origin: str


class Config:
    """Settings by dotted name; frozen after ``load``."""

    def __init__(self, values: Mapping[str, Value], warnings: tuple[str, ...] = ()) -> None:
        self._values = dict(values)
        self.warnings = warnings

    def __getitem__(self, name: str) -> Any:
        found = self._values.get(name)
        return found.value if found is not None else _key(name).default

    def rows(self) -> Iterator[tuple[str, Value]]:
        """Every setting with its value and origin, defaults included."""
        for name, key in all_keys():
            yield name, self._values.get(name, Value(key.default, "default"))

    def origin(self, name: str) -> str:
        """Where a setting came from."""
        return self._values[name].origin if name in self._values else "default"

    @property
    def is_demo(self) -> bool:
        """Whether the node is made up (``agent --demo``)."""
        return self.origin("grid.provider") == DEMO_ORIGIN

    def source_options(self, source: str) -> dict[str, Any]:
        """The settings of one source, less those whose text or number is empty: "not known"."""
        values = {key: self[f"sources.{source}.{key}"] for key in SOURCE_KEYS.get(source, {})}
        return {key: value for key, value in values.items() if value or isinstance(value, bool)}

    def exporter_options(self, exporter: str) -> dict[str, Any]:
        """The settings of one exporter."""
        return {key: self[f"exporters.{exporter}.{key}"] for key in EXPORTER_KEYS.get(exporter, {})}


def all_keys() -> Iterator[tuple[str, Key]]:
    """(dotted name, key), sections in the contract's order."""
    yield from KEYS.items()


def _key(name: str) -> Key:
    # A source from outside (an entry point) has no keys of its own but this one.
    return KEYS.get(name) or (ENABLED if name.startswith("sources.") and name.endswith(".enabled") else KEYS[name])


def load(
    environ: Mapping[str, str],
    *,
    file: str | None = None,
    flags: Mapping[str, Any] | None = None,
    here: bool = True,
) -> Config:
    """Find the file, read the environment, lay the flags over both.

    ``here``: whether ``./wattledger.toml`` may be used (never by the agent).  Raises ConfigError with one line.
    """
    values: dict[str, Value] = {}
    path = file_in_force(environ, file, here=here)
    if path is not None:
        values.update(_from_file(path))
    found, warnings = _from_environ(environ)
    values.update(found)
    names = dict(all_keys())
    for name, value in (flags or {}).items():
        if name not in names:
            raise ConfigError(f"no setting {name!r}{nearest(str(name), names)}; `wattledger config default` lists them")
        if value is not None:
            values[name] = Value(_checked(name, value, "the command line"), "the command line")
    config = Config(values, warnings)
    idle_w, max_w = (config[f"sources.estimate.cpu_{end}_w"] for end in ("idle", "max"))
    if max_w and idle_w > max_w:
        raise ConfigError(f"sources.estimate.cpu_idle_w = {idle_w:g} is more than cpu_max_w = {max_w:g}: swap them?")
    return config


def load_or_default(environ: Mapping[str, str], config: str | Mapping[str, Any] | None) -> Config:
    """For a program: a file or flags as ``track`` takes them; a wrong word is one warning and the defaults."""
    try:
        flags = config if isinstance(config, Mapping) else None
        return load(environ, file=config if isinstance(config, str) else None, flags=flags)
    except (ConfigError, KeyError) as wrong:
        warn_once("configuration", f"{wrong}; using the defaults")
        return Config({})


def file_in_force(environ: Mapping[str, str], file: str | None, *, here: bool = True) -> Path | None:
    """The one file that ``load`` reads, ``None``: there is none.  Raises ConfigError where one is named and not there."""
    named = file or environ.get("WATTLEDGER_CONFIG")
    if named:
        if not os.path.isfile(named):
            who = "--config" if file else "WATTLEDGER_CONFIG"
            raise ConfigError(f"{who}: no configuration file at {named}")
        return Path(named)
    home = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else "")
    places = [Path("wattledger.toml")] if here else []
    places += [Path(home, "wattledger", "config.toml")] if home else []
    for place in [*places, Path("/etc/wattledger/config.toml")]:
        if os.path.isfile(place):  # False, not an exception, where we may not look
            return place
    return None


def _from_file(path: Path) -> dict[str, Value]:
    import tomllib  # 3 ms, and only where there is a file

    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as failure:
        raise ConfigError(f"cannot read {path}: {failure}") from failure
    except (ValueError, RecursionError) as failure:  # its own, and what it lets through: numbers and brackets without end
        raise ConfigError(f"{path} is not TOML: {str(failure)[:200]}") from failure
    names = dict(all_keys())
    found = {}
    for name, value in _leaves(tree, ""):
        if isinstance(value, dict) and any(known.startswith(f"{name}.") for known in names):
            continue  # a section with nothing in it
        if name not in names:
            raise ConfigError(f"{path}: no setting {name!r}{nearest(name, names)}; `wattledger config default` lists them")
        found[name] = Value(_checked(name, value, str(path)), str(path))
    return found


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _from_environ(environ: Mapping[str, str]) -> tuple[dict[str, Value], tuple[str, ...]]:
    names = {name.upper().replace(".", "_"): name for name, _ in all_keys()}
    found: dict[str, Value] = {}
    warnings = []
    for variable, text in environ.items():
        if not variable.startswith("WATTLEDGER_"):
            continue
        short = variable.removeprefix("WATTLEDGER_")
        if short in names and not text:
            continue  # compose files leave variables empty that nobody set
        if short in names:
            found[names[short]] = Value(_checked(names[short], text, variable), variable)
        elif short not in NOT_KEYS and not short.startswith(("PORT", "SERVICE_", "RIG_")):
            warnings.append(f"{variable} in the environment is not a setting{nearest(short, names, 'WATTLEDGER_')}; ignored")
    return found, tuple(warnings)


def _checked(name: str, value: Any, where: str) -> Any:
    kind = _key(name).kind
    try:
        if kind == "int":
            if isinstance(value, bool | float) or int(value) < 0:
                raise ValueError
            return int(value)
        if kind == "float":
            if isinstance(value, bool):
                raise ValueError
            number = float(value)
            if not math.isfinite(number) or number < 0 or (name == "agent.interval_s" and not 0.02 <= number <= 3600):
                raise ValueError
            return number
        if kind == "bool":
            return {"true": True, "false": False, "1": True, "0": False, "on": True, "off": False}[str(value).lower()]
        if kind == "str" and not isinstance(value, str):
            raise ValueError
        text = value if isinstance(value, str) and "|" not in kind else str(value).lower()
        if "|" in kind and {"true": "on", "false": "off"}.get(text, text) not in kind.split("|"):
            raise ValueError
        return {"true": "on", "false": "off"}.get(text, text) if "|" in kind else text
    except (ValueError, KeyError, TypeError):
        least = "a number of seconds from 0.02 to 3600" if name == "agent.interval_s" else "a finite number of 0 or more"
        wants = {"float": least, "int": "a whole number of 0 or more", "bool": "true or false", "str": "text in quotes"}
        expected = wants.get(kind, kind.replace("|", " or "))
        raise ConfigError(f"{name} = {value!r} in {where}: expected {expected}") from None


def nearest(word: str, names: Any, prefix: str = "") -> str:
    """``; did you mean 'x'?`` or nothing."""
    import difflib  # only when something is wrong

    close = difflib.get_close_matches(word, list(names), n=1, cutoff=0.5)
    return f"; did you mean {prefix + close[0]!r}?" if close else ""
