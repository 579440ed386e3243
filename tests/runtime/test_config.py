"""Which setting is in force, where it came from, and what is said of one that is wrong."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from wattledger.runtime.config import Config, ConfigError, all_keys, load


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def environ(home: Path, **more: str) -> Mapping[str, str]:
    return {"HOME": str(home), **more}


def written(path: Path, zone: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'[grid]\nzone = "{zone}"\n')
    return path


def rows(config: Config) -> dict[str, tuple[object, str]]:
    return {name: (value.value, value.origin) for name, value in config.rows()}


def test_without_anything_the_defaults_are_in_force_and_say_so(home: Path) -> None:
    found = rows(load(environ(home)))
    assert found["agent.interval_s"] == (1.0, "default")
    assert {origin for _, origin in found.values()} == {"default"}


def test_the_first_file_found_is_used_alone(home: Path) -> None:
    user = written(home / ".config/wattledger/config.toml", "FR")
    assert rows(load(environ(home)))["grid.zone"] == ("FR", str(user))
    Path("wattledger.toml").write_text("[facility]\npue = 1.2\n")
    here = rows(load(environ(home)))
    assert here["grid.zone"] == ("", "default")
    assert here["facility.pue"] == (1.2, "wattledger.toml")
    named = written(home / "named.toml", "SE")
    assert rows(load(environ(home, WATTLEDGER_CONFIG=str(named))))["grid.zone"] == ("SE", str(named))
    other = written(home / "other.toml", "NO")
    assert rows(load(environ(home, WATTLEDGER_CONFIG=str(named)), file=str(other)))["grid.zone"] == ("NO", str(other))


def test_the_agent_never_reads_the_folder_it_stands_in(home: Path) -> None:
    written(Path("wattledger.toml"), "DE")
    assert load(environ(home), here=False)["grid.zone"] == ""


def test_xdg_config_home_comes_before_home(home: Path) -> None:
    written(home / ".config/wattledger/config.toml", "FR")
    written(home / "xdg/wattledger/config.toml", "SE")
    assert load(environ(home, XDG_CONFIG_HOME=str(home / "xdg")))["grid.zone"] == "SE"


def test_the_environment_beats_the_file_and_flags_beat_both(home: Path) -> None:
    written(Path("wattledger.toml"), "DE")
    env = environ(home, WATTLEDGER_GRID_ZONE="FR", WATTLEDGER_FACILITY_REST="off")
    assert rows(load(env))["grid.zone"] == ("FR", "WATTLEDGER_GRID_ZONE")
    found = rows(load(env, flags={"grid.zone": "SE", "agent.interval_s": None}))
    assert found["grid.zone"] == ("SE", "the command line")
    assert found["agent.interval_s"] == (1.0, "default")
    assert found["facility.rest"] == ("off", "WATTLEDGER_FACILITY_REST")


@pytest.mark.parametrize(("text", "says"), [
    ('[grid]\nzoen = "DE"', "grid.zone"), ('[gird]\nzone = "DE"', "grid.zone"), ('zone = "DE"', "zone"),
    ("[sources.nvlm]\nenabled = false", "sources.nvml.enabled"), ('[agent]\ninterval_s = "1 s"', "1 s"),
    ("[agent]\ninterval_s = true", "agent.interval_s"), ("[agent]\ninterval_s = 0", "agent.interval_s"),
    ("[agent]\ninterval_s = nan", "agent.interval_s"), ("[agent]\ninterval_s = inf", "agent.interval_s"),
    ("[facility]\npue = -1", "facility.pue"), ("[facility]\npue = inf", "facility.pue"),
    ('[facility]\nrest = "maybe"', "on or off"),
    ('[sources.nvml]\nenabled = "perhaps"', "true or false"), ("[grid", "not TOML"), ("[sources.rapl]\ncpu_max_w = 5", "cpu_max_w"),
    ("[sources.estimate]\ncpu_max_w = inf", "cpu_max_w"), ("[sources.nvlm]", "sources.nvlm"), ("[gird]", "gird"),
])  # fmt: skip
def test_a_wrong_file_is_one_line_with_what_where_and_the_nearest_name(home: Path, text: str, says: str) -> None:
    Path("wattledger.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(environ(home))
    assert "\n" not in str(caught.value)
    assert "wattledger.toml" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("path", ["no.toml", "."])
def test_a_named_file_must_be_there(home: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="no configuration file at"):
        load(environ(home), file=path)


@pytest.mark.parametrize(("key", "text"), [
    ("AGENT_INTERVAL_S", "often"), ("FACILITY_PUE", "nan"), ("FACILITY_REST", "maybe"), ("SOURCES_NVML_ENABLED", "2"),
])  # fmt: skip
def test_a_wrong_value_in_the_environment_names_its_variable(home: Path, key: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"WATTLEDGER_{key}"):
        load(environ(home, **{f"WATTLEDGER_{key}": text}))


@pytest.mark.parametrize("flags", [{"grid.zon": "DE"}, {"zone": "DE"}, {"sources.nvlm.enabled": True}])
def test_an_unknown_flag_is_one_line_too(home: Path, flags: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ(home), flags=flags)
    assert next(iter(flags)) in str(caught.value)


@pytest.mark.parametrize(("text", "value"), [("on", "on"), ("off", "off"), ("true", "on"), ("FALSE", "off")])
def test_a_switch_may_be_said_in_any_usual_way(home: Path, text: str, value: str) -> None:
    assert load(environ(home, WATTLEDGER_FACILITY_REST=text))["facility.rest"] == value


def test_an_empty_variable_is_as_good_as_none(home: Path) -> None:
    found = load(environ(home, WATTLEDGER_AGENT_INTERVAL_S="", WATTLEDGER_GRID_ZONE="", WATTLEDGER_CONFIG=""))
    assert found["agent.interval_s"] == 1.0


def test_an_unknown_variable_is_one_warning_with_the_nearest_name(home: Path) -> None:
    [warning] = load(environ(home, WATTLEDGER_GRID_ZOEN="DE")).warnings
    assert "WATTLEDGER_GRID_ZOEN" in warning
    assert "WATTLEDGER_GRID_ZONE" in warning


def test_what_kubernetes_and_users_set_is_no_setting_and_no_warning(home: Path) -> None:
    kubernetes = ("PORT", "PORT_9909_TCP", "PORT_9909_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_METRICS")
    names = (*kubernetes, "JOB", "MODEL", "LABELS", "RUN_ID", "RECORDINGS")
    assert load(environ(home, **{f"WATTLEDGER_{name}": "tcp://10.0.0.1:9909" for name in names})).warnings == ()


def test_every_key_has_a_variable_of_its_own() -> None:
    names = [name.upper().replace(".", "_") for name, _ in all_keys()]
    assert len(set(names)) == len(names)


def test_every_default_is_accepted_as_it_is_written(home: Path) -> None:
    for name, key in all_keys():
        text = str(key.default).lower() if isinstance(key.default, bool) else str(key.default)
        assert load(environ(home, **{f"WATTLEDGER_{name.upper().replace('.', '_')}": text}))[name] == key.default
