"""Providers by name: their options, their keys, the proxies of the environment; whatever is wrong, the meter goes on."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.runtime.answers import Server, answering, serving, told
from tests.runtime.grid.said import Scripted

from wattledger.core.ports import Request, SourceFailed
from wattledger.runtime.config import Config, Value
from wattledger.runtime.grid.providers import BUILTIN, open_providers, proxied_fetch, rows_of_parquet, secrets, variable_of
from wattledger.runtime.settings import GRID_KEYS

KEY = "k3y-that-nobody-may-see"


def config(**values: object) -> Config:
    return Config({name.replace("__", "."): Value(value, "test") for name, value in values.items()})


def test_every_provider_has_a_section_and_every_section_a_provider() -> None:
    assert set(BUILTIN) == set(GRID_KEYS)


def test_they_are_asked_in_the_order_in_which_they_are_named_each_once() -> None:
    opened = open_providers(config(grid__provider=" neso, EIA,neso,,"), {"EIA_API_KEY": KEY})
    assert [provider.name for provider in opened.providers] == ["neso", "eia"]
    assert opened.absent == {}


def test_what_cannot_be_opened_is_one_line_and_the_others_are() -> None:
    opened = open_providers(config(grid__provider="eia,nes,file,neso"), {})
    assert [provider.name for provider in opened.providers] == ["neso"]
    assert set(opened.absent) == {"eia", "nes", "file"}
    assert "EIA_API_KEY" in opened.absent["eia"]
    assert "did you mean 'neso'?" in opened.absent["nes"]
    assert all("\n" not in line for line in opened.absent.values())


@pytest.mark.parametrize("name", sorted(set(BUILTIN) - {"file", "promquery", "neso", "energidataservice", "eco2mix"}))
def test_who_needs_a_key_names_the_variable_that_it_is_read_from(name: str) -> None:
    user = {f"grid__{name}__user": "ann"} if name == "watttime" else {}
    line = open_providers(config(grid__provider=name, **user), {}).absent[name]
    variable = variable_of(name, "password" if name == "watttime" else "key")
    assert variable in line
    assert open_providers(config(grid__provider=name, **user), {variable: KEY}).absent == {}


def test_a_key_comes_from_its_file_before_the_environment_and_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    secret = secrets(config(grid__eia__key_file=str(path)), {"EIA_API_KEY": "other"}, "eia")
    assert secret("key") == KEY
    path.write_text("rotated")
    assert secret("key") == "rotated"
    assert secrets(config(), {"EIA_API_KEY": f" {KEY}\n"}, "eia")("key") == KEY
    assert secrets(config(), {"EIA_API_KEY": ""}, "eia")("key") is None


def test_a_key_that_cannot_be_read_names_its_file_and_is_not_shown(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_bytes(KEY.encode() + b"\xff")
    for path in (odd, tmp_path / "none"):
        with pytest.raises(SourceFailed, match=str(path)) as failed:
            secrets(config(grid__eia__key_file=str(path)), {}, "eia")("key")
        assert KEY not in str(failed.value)
        assert str(path) in open_providers(config(grid__provider="eia", grid__eia__key_file=str(path)), {}).absent["eia"]


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A provider that another package brings."""
    info = tmp_path / "brought-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1\n")
    names = {"brought": "open", "broken": "broken", "half": "half"}
    points = "".join(f"{name} = brought_grid:{what}\n" for name, what in names.items())
    (info / "entry_points.txt").write_text(f"[wattledger.grid]\n{points}")
    module = ModuleType("brought_grid")
    vars(module).update(open=Scripted("brought"), broken=lambda place: 1 // 0, half=lambda place: place)
    monkeypatch.setitem(sys.modules, "brought_grid", module)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return module


def test_a_provider_from_outside_is_found_by_its_entry_point_and_may_be_broken(outside: ModuleType) -> None:
    opened = open_providers(config(grid__provider="brought,broken,half"), {})
    assert [provider.name for provider in opened.providers] == ["brought"]
    assert "ZeroDivisionError" in opened.absent["broken"]
    assert "AttributeError" in opened.absent["half"]


def get(server: Server, environ: dict[str, str], url: str) -> bytes:
    return proxied_fetch(environ)(Request(url, timeout_s=10.0))


def test_the_world_is_asked_through_the_environments_proxy() -> None:
    with serving(answering(told(b"by the proxy"))) as proxy:
        environ = {"http_proxy": proxy.url("")}
        assert get(proxy, environ, "http://grid.example/v3?zone=DE") == b"by the proxy"
        assert proxy.requests[0].startswith(b"GET http://grid.example/v3?zone=DE HTTP/1.1")
        assert get(proxy, {"HTTP_PROXY": proxy.url("")}, "http://grid.example/") == b"by the proxy"
        assert get(proxy, {"all_proxy": proxy.url("")}, "http://grid.example/") == b"by the proxy"


def test_this_machine_and_what_no_proxy_names_are_asked_directly() -> None:
    with serving(answering(told(b"itself"))) as server, serving(answering(told(b"by the proxy"))) as proxy:
        assert get(server, {"http_proxy": proxy.url("")}, server.url("/")) == b"itself"
        environ = {"http_proxy": proxy.url(""), "no_proxy": "other.example,inside.invalid"}
        with pytest.raises(SourceFailed, match="no such host"):
            get(proxy, environ, "http://grid.inside.invalid/")
        assert proxy.requests == []


def test_without_a_proxy_the_server_is_asked_directly() -> None:
    with serving(answering(told(b"itself"))) as server:
        assert get(server, {}, server.url("/")) == b"itself"


def test_a_parquet_file_is_read_by_the_ledgers_engine(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    path = tmp_path / "own.parquet"
    hour = "'DE' AS zone, TIMESTAMPTZ '2026-03-29 01:00:00+01' AS start, TIMESTAMPTZ '2026-03-29 03:00:00+02' AS \"end\""
    with duckdb.connect(":memory:") as engine:
        engine.execute(f"COPY (SELECT {hour}, 320.5 AS g_per_kwh) TO '{path}' (FORMAT parquet)")
    values = config(grid__provider="file", grid__file__path=str(path))
    (provider,) = open_providers(values, {}).providers
    (fact,) = provider.read("DE", 0, 2_000_000_000, 0)
    assert (fact.start_s, fact.length_s, fact.ug_per_kwh) == (1_774_742_400, 3_600, 320_500_000)
    path.write_bytes(b"PAR1 is not enough")
    with pytest.raises(SourceFailed, match="as Parquet"):
        rows_of_parquet(str(path))
