"""BMCs, PDUs behind a Prometheus, and dcgm-exporter: a reply is a power that a machine can have, or it is refused."""

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import MOST_UW, as_json, bent, bent_bytes, bent_text, fuzzed, is_label, json_bytes, raw, taken, texts
from tests.sources.bmc import CHASSIS, inside, listed, power

from wattledger.core.model import EnergyCounter, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, Request, SourceFailed, SourceGone
from wattledger.sources import ipmi, promquery, redfish
from wattledger.sources.nvml import dcgm

S = 1_000_000_000
MOST_UJ = 10**20  # a hundred terajoules: no machine has drawn more in its life
BMC = listed(
    Self={"ChassisType": "RackMount", "Manufacturer": "ACME", "Model": "X", "Power": power(350, Status={"State": "Enabled"}),
    "EnvironmentMetrics": {
        "PowerWatts": {"Reading": 351.5}, "EnergykWh": {"Reading": 12.3456, "LifetimeReading": 99.12345},
        "EnergyJoules": {"Reading": 5000}}},
    Gpu={"ChassisType": "Module", "Links": inside("Self"), "Power": power(90)},
)  # fmt: skip
JOULES = {
    "EnvironmentMetrics": {"EnergyJoules": {"Reading": 12_345.5, "ReadingTime": "2026-01-01T00:00:00Z"}},
    "Manufacturer": "ACME",
}
NUMBERS = (b"1e99999999999999999999", b"-1e99999999999999999999", b"1e999999", b"1e-999999", b"NaN", b"Infinity", b"1e14", b"-0",
b"0", b"1e-30",
           b"9" * 5_000, b'"350"', b"true", b"null", b"[]", b"1e300")  # fmt: skip


def sane(samples: list[Sample]) -> None:
    for sample in samples:
        match sample:
            case PowerGauge(device=device, power_uw=power_uw):
                assert type(power_uw) is int
                assert 0 < power_uw <= MOST_UW
                assert is_label(device.model, 200)
            case EnergyCounter(count_uj=count_uj, device=device):
                assert type(count_uj) is int
                assert 0 < count_uj <= MOST_UJ
                assert is_label(device.model, 200)


def read_bmc(resources: dict[str, bytes], default: bytes = b"") -> None:
    def fetch(request: Request) -> bytes:
        path = request.url.partition("://bmc")[2]
        if path in resources:
            return resources[path]
        if default:
            return default
        raise SourceFailed(f"{request.url}: HTTP 404")

    host = Host("", "", {}, (), True, {"url": "https://bmc", "period_s": 1.0}, fetch)
    source = redfish.open(host)
    for n in range(2):
        sane(list(taken(lambda: list(source.read(lambda: Instant(n * 10 * S, 0), True)), SourceFailed, SourceGone) or []))  # noqa: B023
    assert all("\n" not in finding.why for finding in redfish.examine(host))


@fuzzed(2)
@given(json_bytes)
def test_a_bmc_that_says_anything_is_refused(body: bytes) -> None:
    read_bmc({}, body)


@fuzzed(3)
@given(bent(BMC) | st.just(BMC), st.data())
@example({**BMC, f"{CHASSIS}/Self": {**BMC[f"{CHASSIS}/Self"], "Manufacturer": "a\nb" * 2_000, "Model": {"x": 1}}}, None)
@example({**BMC, f"{CHASSIS}/Gpu": {"ChassisType": {}, "Status": {"State": []}}}, None)
def test_a_bmc_that_is_bent_tells_a_power_or_nothing(resources: object, data: st.DataObject | None) -> None:
    found = {str(path): as_json(body) for path, body in resources.items()} if isinstance(resources, dict) else {}
    if data is not None and found and data.draw(st.booleans()):
        path = data.draw(st.sampled_from(sorted(found)))
        found[path] = data.draw(raw | bent_bytes(found[path]))
    read_bmc(found)


@fuzzed()
@given(
    st.sampled_from(["350", "351.5", "12.3456", "99.12345", "5000"]),
    st.sampled_from(NUMBERS) | texts.map(lambda t: t.encode("utf-8", "replace")),
)
@example("350", b"1e99999999999999999999")
@example("350", b"1e14")
@example("350", b"1e-30")
def test_any_number_of_a_bmc_is_plausible_or_refused(old: str, new: bytes) -> None:
    read_bmc({path: as_json(body).replace(b" " + old.encode(), b" " + new) for path, body in BMC.items()})
    joules = listed(Self=JOULES)
    read_bmc({path: as_json(body).replace(b" 12345.5", b" " + new) for path, body in joules.items()})


DCMI = "\n    Instantaneous power reading:                   213 Watts\n    Power reading state is:                   activated\n\n"


@fuzzed(5)
@given(texts | bent_text(DCMI) | raw.map(lambda data: data.decode("utf-8", "replace")))
@example(DCMI.replace("213", "9" * 400))
@example(DCMI.replace("213", "99999999999"))
@example(DCMI.replace("213", "0.0000001"))
@example(DCMI.replace("activated", "de\x1b[31mactivated" * 100))
def test_any_answer_of_the_tool_is_a_power_or_a_refusal(printed: str) -> None:
    found = taken(lambda: ipmi.power_uw(printed), SourceFailed, SourceGone)
    assert found is None or (type(found) is int and 0 < found <= MOST_UW)


VECTOR = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {"instance": "a"}, "value": [100.0, "321.5"]}]},
}
SCALAR = {"status": "success", "data": {"resultType": "scalar", "result": [100.0, "321.5"]}}


@fuzzed(5)
@given(json_bytes | (bent(VECTOR) | bent(SCALAR)).map(as_json), json_bytes | bent(VECTOR).map(as_json))
@example(as_json(SCALAR).replace(b"321.5", b"1e305"), b"{}")
@example(as_json(SCALAR).replace(b"321.5", b"1e10"), b"{}")
@example(as_json(SCALAR).replace(b'"321.5"', b"1" + b"0" * 400), b"{}")
@example(as_json(SCALAR).replace(b"100.0", b"1e300"), b"{}")
@example(as_json(SCALAR).replace(b"321.5", b"1e-9"), b"{}")
@example(as_json(VECTOR), as_json(VECTOR).replace(b"321.5", b"1e308"))
@example(b'{"data":' + b"[" * 20_000, b"{}")
def test_any_answer_of_a_prometheus_is_a_power_or_a_refusal(answer: bytes, stamps: bytes) -> None:
    def fetch(request: Request) -> bytes:
        return stamps if "timestamp%28" in request.url else answer

    source = promquery.open(Host("", "", {}, (), True, {"url": "http://p", "query": "up", "period_s": 10.0}, fetch))
    for n in range(2):
        sane(list(taken(lambda: list(source.read(lambda: Instant(n * 20 * S, 100 * S), True)), SourceFailed) or []))  # noqa: B023


LINES = (
    'DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-1",GPU_I_ID="1"} 0.5\n'
    'DCGM_FI_PROF_GR_ENGINE_ACTIVE{UUID="GPU-1",GPU_I_ID="2"} 0.25\n'
)


@fuzzed(5)
@given(texts | bent_text(LINES) | raw.map(lambda data: data.decode("utf-8", "replace")))
@example(LINES.replace('"1"', '"' + "9" * 5_000 + '"'))
@example(LINES.replace("0.5", "NaN"))
@example("DCGM_FI_PROF_GR_ENGINE_ACTIVE{" + 'a="' * 50_000)
@example("DCGM_FI_PROF_GR_ENGINE_ACTIVE{" * 20_000)
def test_any_text_of_dcgm_is_a_part_from_nought_to_one(text: str) -> None:
    for instances in dcgm.parse(text).values():
        assert all(0.0 <= part <= 1.0 for part in instances.values())
        assert all(instance >= 0 for instance in instances)
