"""A report's question as the command that asks it again, with the rules that its answer depends on."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.reports import iso_time

# Which variable of the environment says a rule, and what one of its unit is in the rule's.
_VARIABLES: Mapping[str, tuple[str, float]] = {
    "settle_s": ("WATTLEDGER_GRID_SETTLE_H", 3600),
    "wue": ("WATTLEDGER_FACILITY_WUE", 1),
    "host_kg": ("WATTLEDGER_EMBODIED_HOST_KG", 1),
    "host_life_h": ("WATTLEDGER_EMBODIED_HOST_LIFE_Y", 8760),
    "gpu_life_h": ("WATTLEDGER_EMBODIED_GPU_LIFE_Y", 8760),
    "hydro": ("WATTLEDGER_WATER_HYDRO", 0),
    "embodied": ("WATTLEDGER_EMBODIED_ENABLED", 0),
}


class Told(NamedTuple):
    """What a command says of itself.  ``words``: beyond those that an ask stands for (``--view inventory``); ``under``: the report
    that the kind is asked of (``sci``), where it is one of its own; ``configuration``: the file that was in force."""

    words: Sequence[str] = ()
    under: str = ""
    configuration: Mapping[str, str] | None = None


ALONE = Told()


def question(ask: Ask, rules: Rules, told: Told = ALONE) -> dict[str, Any]:
    """``command``: to be run on the same books (``--ledger`` says where they are now); ``environment``: settings that are not as
    they come; ``rules``: all of them, the tariff's prices included, which stand in a file of the user's."""
    said: dict[str, Any] = {"command": command(ask, rules, told)}
    left_out = ("embodied",) if "--no-embodied" in told.words else ()  # the command says it
    changed = {variable: value for name, variable, value in _environment(rules) if name not in left_out}
    said |= {"environment": changed} if changed else {}
    return said | ({"configuration": dict(told.configuration)} if told.configuration else {}) | {"rules": _plain(rules)}


def command(ask: Ask, rules: Rules, told: Told = ALONE) -> list[str]:
    """The command, word for word."""
    words, under, _ = told
    name = [] if ask.name is None else [ask.name]
    said = ["wattledger", "report", *([under] if under else []), ask.kind, *name, *words]
    for option, time_s in (("--from", ask.from_s), ("--to", ask.to_s), ("--as-of", ask.as_of_s)):
        said += [] if time_s is None else [option, iso_time(time_s)]
    said += [] if ask.by is None else ["--by", ask.by]
    said += ["--marginal"] if ask.marginal and not under else []
    said += ["--method", rules.allocation] if rules.allocation != Rules().allocation and "--method" not in words else []
    return [*said, *(["--zone", rules.zone] if rules.zone else []), "--json"]


def _environment(rules: Rules) -> list[tuple[str, str, str]]:
    """Rule, variable and value of what is not as it comes."""
    found = []
    if rules.providers:
        found.append(("providers", "WATTLEDGER_GRID_PROVIDER", ",".join(rules.providers)))
    usual = Rules()._asdict()
    for name, value in rules._asdict().items():
        if name in _VARIABLES and value != usual[name]:
            variable, unit = _VARIABLES[name]
            found.append((name, variable, repr(value / unit) if unit else str(value).lower()))
    return found


def _plain(value: Any) -> Any:
    """Rules as JSON has them."""
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return value
