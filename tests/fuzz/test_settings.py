"""Files that the operator writes: the configuration, the web server's, prices, footprints of one's own.  Each is taken whole or
refused with what is wrong, and no refusal repeats a secret."""

import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import as_json, bent, bent_bytes, bent_text, fuzzed, is_count, raw, taken, texts

from wattledger.accounting.price import Rate
from wattledger.accounting.tariffs import rates, tariff
from wattledger.factors.hardware import footprints
from wattledger.runtime.config import Config, ConfigError, all_keys, load
from wattledger.runtime.web.access import load as load_access
from wattledger.runtime.web.listen import address

TOML = """[agent]
interval_s = 2.5
listen = "127.0.0.1:9909"
series = 100
requests = true
[grid]
zone = "DE"
[sources.redfish]
url = "https://bmc"
verify = false
[facility]
pue = 1.2
rest = "off"
"""


def from_file(body: bytes) -> Config | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wattledger.toml"
        path.write_bytes(body)
        return taken(lambda: load({}, file=str(path), here=False), ConfigError, own=True)


def sane(config: Config) -> None:
    kinds: dict[str, type] = {"float": float, "int": int, "bool": bool}
    for name, key in all_keys():
        value = config[name]
        of: object = type(value)
        assert of is kinds.get(key.kind, str), name
        if key.kind in ("float", "int"):
            assert 0 <= value < float("inf"), name
        if "|" in key.kind:
            assert value in key.kind.split("|")
    assert 0.02 <= config["agent.interval_s"] <= 3_600


@fuzzed(3)
@given(raw | bent_bytes(TOML.encode()))
@example(TOML.replace("2.5", "inf").encode())
@example(TOML.replace("100", "9" * 4_000).encode())
@example(TOML.replace("100", "true").encode())
@example(TOML.replace('"DE"', "2026-01-01").encode())
@example(TOML.replace('"DE"', '"a\\u0000b"').encode())
@example(b"a = " + b"[" * 5_000)
@example(TOML.replace("100", "9" * 5_000).encode())
def test_any_file_is_a_configuration_or_one_line(body: bytes) -> None:
    found = from_file(body)
    if found is not None:
        sane(found)


environ_names = st.sampled_from([f"WATTLEDGER_{name.upper().replace('.', '_')}" for name, _ in all_keys()]) | texts.map(
    lambda t: f"WATTLEDGER_{t}"
)


@fuzzed(2)
@given(st.dictionaries(environ_names, texts, max_size=4))
@example({"WATTLEDGER_AGENT_SERIES": "9" * 5_000})
@example({"WATTLEDGER_AGENT_SERIES": "²"})
@example({"WATTLEDGER_AGENT_INTERVAL_S": "nan"})
def test_any_environment_is_a_configuration_or_one_line(environ: dict[str, str]) -> None:
    found = taken(lambda: load(environ, here=False), ConfigError, own=True)
    if found is not None:
        sane(found)


HASH = "$2b$10$" + "a" * 53
YAML = f"""tls_server_config: {{}}
http_server_config:
  headers: {{X-Frame-Options: deny}}
basic_auth_users:
  ann: {HASH}
"""


@fuzzed(3)
@given(raw | bent_bytes(YAML.encode()))
@example(b"[" * 3_000)
@example(b"a: " + b"9" * 5_000)
@example(b"a: 1979-99-99")
@example(b"basic_auth_users: &a [*a]")
@example(b"tls_server_config: {cert_file: a, key_file: b, min_version: [x]}")
@example(b"basic_auth_users: [a]")
@example(b"? {a: b}\n: c")
@example(b"? !!binary YWJj\n: c")
@example(b"http_server_config: {headers: {1: 2}}")
@example(b'tls_server_config: {cert_file: "a\\0b", key_file: b}')
@example(b'basic_auth_users: {"a\\e[31m": x}')
@example(b"".join(b"a%d: &x%d [*x%d,*x%d]\n" % (n + 1, n + 1, n, n) for n in range(1, 30)).replace(b"*x1", b"1"))
def test_any_web_configuration_is_one_or_one_line_without_a_hash(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "web.yml"
        path.write_bytes(body)
        found = taken(lambda: load_access(path), ConfigError, own=True, never=HASH)
        assert found is None or all(len(known) == 60 for known in found.users.values())
        assert found is None or all("\n" not in value and value.isascii() for value in found.headers.values())


@fuzzed(2)
@given((texts | st.tuples(texts, texts).map(":".join)).filter(lambda text: len(text) < 4_000))
@example("[::1]:9909")
@example(":²")
def test_any_address_to_listen_on_is_one_or_one_line(listen: str) -> None:
    found = taken(lambda: address(listen), ConfigError, own=True)
    assert found is None or is_count(found[1], 1 << 16)


ROWS = (
    "start,end,price_per_kwh\n2026-01-01T00:00+01:00,2026-01-01T01:00+01:00,0.31\n"
    "2026-01-01T01:00+01:00,2026-01-01T02:00+01:00,-0.05\n"
)


@fuzzed(3)
@given(
    texts | bent_text(ROWS),
    texts | bent_text("22-6:0.21,6:30-22:0.34"),
    st.sampled_from(["0", "0.3", "1e999", "NaN", "-1", "sNaN", "9" * 5_000]),
)
@example(ROWS.replace("0.31", '"' + "x" * 200_000 + '"'), "", "0")
@example(ROWS.replace("2026-01-01T00:00+01:00", "0001-01-01T00:00+23:59"), "", "0")
@example(ROWS, "²-6:0.2", "0")
@example(ROWS, "0-24:" + "9" * 5_000, "0")
def test_any_tariff_is_prices_or_one_line(rows: str, hours: str, per_kwh: str) -> None:
    found = taken(lambda: tariff(per_kwh, hours, rows=rows), ValueError, own=True)
    if found is None:
        return
    start_s = 1_767_222_000
    known: list[Rate] = rates(found, start_s, start_s + 86_400)
    assert all(abs(rate.micro_per_kwh) <= 10**12 for rate in known)
    assert all(one.start_s + one.length_s <= other.start_s for one, other in pairwise(known))


CSV = "model,kg,low_kg,high_kg,source,year,kind,life_years\nACME X1,164.5,80,330,ACME,2025,accelerator,4\n"
JSON = [{"model": "ACME X1", "kg": 164.5, "source": "ACME", "kind": "accelerator", "life_years": 4}]


@fuzzed(5)
@given(
    texts
    | bent_text(CSV)
    | bent(JSON).map(lambda tree: as_json(tree).decode())
    | raw.map(lambda data: data.decode("utf-8", "replace")),
    st.sampled_from(["csv", "json"]),
)
@example("[" * 20_000, "json")
@example('[{"model": "x", "kg": 1' + "0" * 400 + "}]", "json")
@example('[{"model": "x", "kg": NaN}]', "json")
@example(CSV.replace("ACME X1", '"' + "x" * 200_000 + '"'), "csv")
@example(CSV.replace("164.5", "²"), "csv")
@example('[{"model": "\\ud800", "kg": 100}]', "json")
def test_any_footprints_are_kilograms_or_lines_that_say_why(text: str, form: str) -> None:
    found = taken(lambda: footprints.read(text, form, "own.csv"), ValueError, lines=footprints.MOST_LINES + 1)  # type: ignore[arg-type]
    for one in found or ():
        assert 0 < one.low_kg <= one.kg <= one.high_kg < float("inf")
        assert 0 <= one.life_h < float("inf")
        assert one.item.isprintable()
