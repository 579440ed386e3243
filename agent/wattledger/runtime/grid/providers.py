"""The grid's providers by name, opened with what each may know: its options, its key, and a way to fetch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from wattledger.core.ports import Fetch, GridPlace, GridProvider, Request, SourceFailed, SourceGone
from wattledger.runtime.config import Config, nearest
from wattledger.runtime.fetch import make_fetch
from wattledger.runtime.settings import GRID_KEYS

GROUP = "wattledger.grid"

# A module is loaded when its provider is asked for: each has an `open(place)`.
BUILTIN = {
    "electricitymaps": "wattledger.factors.grid.electricitymaps",
    "watttime": "wattledger.factors.grid.watttime",
    "neso": "wattledger.factors.grid.neso",
    "energidataservice": "wattledger.factors.grid.energidataservice",
    "eco2mix": "wattledger.factors.grid.eco2mix",
    "eia": "wattledger.factors.grid.eia",
    "entsoe": "wattledger.factors.grid.entsoe",
    "file": "wattledger.factors.grid.file",
    "promquery": "wattledger.factors.grid.promquery",
}

# Made up: only `agent --demo` can name them, so that no real books ever hold what they say.
DEMO = {"demo": "wattledger.factors.grid.demo:open", "demo-marginal": "wattledger.factors.grid.demo:open_marginal"}

Open = Callable[[GridPlace], GridProvider]


class Opened(NamedTuple):
    """The providers in the order in which they are asked, and why others that were named are not among them."""

    providers: tuple[GridProvider, ...]
    absent: Mapping[str, str]


def open_providers(config: Config, environ: Mapping[str, str], fetch: Fetch | None = None) -> Opened:
    """Those that ``[grid] provider`` names, in its order; asks nobody.  ``fetch``: else by the environment's proxies."""
    named = dict.fromkeys(name.strip().lower() for name in str(config["grid.provider"]).split(",") if name.strip())
    fetch = fetch or proxied_fetch(environ)
    providers, absent = [], {}
    for name in named:
        try:
            place = GridPlace(_options(config, name), fetch, secrets(config, environ, name))
            is_made_up = name in DEMO and config.is_demo
            providers.append(_whole((_made_up(name) if is_made_up else _found(name))(place)))
        except (SourceGone, SourceFailed) as failure:
            absent[name] = str(failure)
        except Exception as bug:
            # Whatever a provider from outside does, the meter goes on without it.
            absent[name] = f"{type(bug).__name__}: {bug}"
    return Opened(tuple(providers), absent)


def secrets(config: Config, environ: Mapping[str, str], provider: str) -> Callable[[str], str | None]:
    """``secret("key")``: from the file that ``[grid.NAME] key_file`` names, else from the variable; read anew at each call."""

    def secret(name: str) -> str | None:
        path = _setting(config, provider, f"{name}_file")
        if not path:
            return environ.get(variable_of(provider, name), "").strip() or None
        try:
            return Path(path).expanduser().read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text"
            raise SourceFailed(f"{provider}: cannot read {path}, which should hold the {name}: {why}") from None

    return secret


def variable_of(provider: str, name: str) -> str:
    """The environment's variable of a secret: ``EIA_API_KEY``, ``WATTTIME_PASSWORD``."""
    return f"{provider}_{'api_key' if name == 'key' else name}".upper().replace("-", "_")


def proxied_fetch(environ: Mapping[str, str]) -> Fetch:
    """A fetch through the environment's proxies (``https_proxy``, ``http_proxy``, ``all_proxy``, ``no_proxy``; capitals, too).

    This machine itself is never behind one.
    """
    said = {name: environ.get(name) or environ.get(name.upper()) or "" for name in ("http_proxy", "https_proxy", "all_proxy")}
    proxies = {name.removesuffix("_proxy"): url for name, url in said.items() if url}
    direct = make_fetch()
    if not proxies:
        return direct
    through, bypass = make_fetch(proxies), environ.get("no_proxy") or environ.get("NO_PROXY") or ""

    def fetch(request: Request) -> bytes:
        return (direct if _is_near(request.url, bypass) else through)(request)

    return fetch


def _is_near(url: str, bypass: str) -> bool:
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # 15 ms, and only behind a proxy

    host = urlsplit(url).netloc.rpartition("@")[2]
    name = urlsplit(url).hostname or ""
    return name in ("localhost", "127.0.0.1", "::1") or bool(proxy_bypass_environment(host, {"no": bypass}))


def _found(name: str) -> Open:
    if name in BUILTIN:
        opened: Open = import_module(BUILTIN[name]).open
        return opened
    from importlib.metadata import entry_points  # 15 ms, and only where there is a name to look for

    for found in entry_points(group=GROUP, name=name):
        outside: Open = found.load()
        return outside
    raise SourceGone(f"[grid] provider names {name!r}, which there is not{nearest(name, BUILTIN)}")


def _made_up(name: str) -> Open:
    module, _, function = DEMO[name].partition(":")
    opened: Open = getattr(import_module(module), function)
    return opened


def _whole(provider: GridProvider) -> GridProvider:
    """One from outside may lack what is asked of it much later, on another thread."""
    said = (provider.name, provider.signal, provider.boundary, provider.licence)
    if not all(isinstance(word, str) for word in said) or provider.step_s <= 0:
        raise TypeError("its name, signal, boundary and licence must be text, and its step_s above 0")
    return provider


def _setting(config: Config, provider: str, key: str) -> str:
    return str(config[f"grid.{provider}.{key}"]) if key in GRID_KEYS.get(provider, {}) else ""


def _options(config: Config, provider: str) -> dict[str, Any]:
    """Its section, less those whose text or number is empty: "not known"."""
    values = {key: config[f"grid.{provider}.{key}"] for key in GRID_KEYS.get(provider, {})}
    found = {key: value for key, value in values.items() if value or isinstance(value, bool)}
    if provider == "file":
        found["rows_of_parquet"] = rows_of_parquet
    return found


def rows_of_parquet(path: str) -> Sequence[Mapping[str, object]]:
    """The rows of a user's Parquet file, by the ledger's SQL engine; SourceFailed where that is not installed or cannot."""
    from wattledger.ledger.engine import LedgerError, connect

    try:
        with connect(memory_mb=256, threads=1) as engine:
            told = engine.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
            # Times with zone would come as datetimes by way of a library that we do not need otherwise.
            columns = [_utc(name) if kind == "TIMESTAMP WITH TIME ZONE" else _quoted(name) for name, kind, *_ in told]
            return list(_rows(engine.execute(f"SELECT {', '.join(columns)} FROM read_parquet(?)", [path])))
    except LedgerError as error:
        raise SourceFailed(f"file: {path}: {error}") from None
    except Exception as error:
        raise SourceFailed(f"file: cannot read {path} as Parquet ({type(error).__name__})") from None


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _utc(column: str) -> str:
    name = _quoted(column)
    return f"strftime(make_timestamp(epoch_us({name})), '%Y-%m-%dT%H:%M:%SZ') AS {name}"


def _rows(found: Any) -> Iterator[Mapping[str, object]]:
    names = [column[0] for column in found.description]
    for row in found.fetchall():
        yield dict(zip(names, row, strict=True))
