"""What is read from a dcgm-exporter's page, and how often it is asked."""

import pytest

from wattledger.core.ports import Request, SourceFailed
from wattledger.sources.nvml.dcgm import Dcgm, parse

SECOND_NS = 10**9
PAGE = """# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-a",GPU_I_PROFILE="1g.5gb",GPU_I_ID="7",hostname="n1"} 78.174000
# HELP DCGM_FI_PROF_GR_ENGINE_ACTIVE Ratio of time the graphics engine is active.
# TYPE DCGM_FI_PROF_GR_ENGINE_ACTIVE gauge
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-a",device="nvidia0",GPU_I_PROFILE="1g.5gb",GPU_I_ID="7",pod="x,\\"}y"} 0.250000
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-a",device="nvidia0",GPU_I_PROFILE="3g.20gb",GPU_I_ID="2"} 1.5 1732280000000
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-b",device="nvidia1",modelName="NVIDIA A100"} 0.9
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="2",UUID="GPU-c",GPU_I_ID="1"} NaN
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="2",UUID="GPU-c",GPU_I_ID="3"} lots
DCGM_FI_PROF_GR_ENGINE_ACTIVE_SMOOTHED{gpu="2",UUID="GPU-c",GPU_I_ID="4"} 0.5
DCGM_FI_PROF_SM_ACTIVE{gpu="0",UUID="GPU-a",GPU_I_ID="7"} 0.125
"""


class Exporter:
    """A page at an address; ``page`` None refuses.  Counts what it is asked."""

    def __init__(self, page: str | None) -> None:
        self.page, self.asked = page, 0

    def __call__(self, request: Request) -> bytes:
        self.asked += 1
        if self.page is None:
            raise SourceFailed(f"{request.url}: connection refused")
        return self.page.encode()


def test_only_the_activity_of_gpu_instances_is_read() -> None:
    assert parse(PAGE) == {"GPU-a": {7: 0.25, 2: 1.0}}


@pytest.mark.parametrize("page", ["", "\x00\xff", "<html>not here</html>", "DCGM_FI_PROF_GR_ENGINE_ACTIVE{", PAGE[:400]])
def test_what_is_no_such_page_tells_nothing(page: str) -> None:
    assert parse(page) == {}


def test_it_is_asked_once_a_second_for_all_gpus() -> None:
    exporter = Exporter(PAGE)
    dcgm = Dcgm("http://127.0.0.1:9400/metrics", exporter)
    for at_ns in (5 * SECOND_NS, 5 * SECOND_NS + 1000, 5 * SECOND_NS + 500_000_000, 6 * SECOND_NS):
        assert dcgm.activity(at_ns)["GPU-a"] == {7: 0.25, 2: 1.0}
    assert exporter.asked == 2


def test_a_silent_exporter_is_one_failure_and_left_alone_for_half_a_minute() -> None:
    exporter = Exporter(None)
    dcgm = Dcgm("http://127.0.0.1:9400/metrics", exporter)
    with pytest.raises(SourceFailed, match="connection refused"):
        dcgm.activity(SECOND_NS)
    assert [dcgm.activity(second * SECOND_NS) for second in range(2, 40)] == [{}] * 38
    assert exporter.asked == 2
    exporter.page = PAGE
    assert "GPU-a" in dcgm.activity(70 * SECOND_NS)
    exporter.page = None
    with pytest.raises(SourceFailed):  # it failed anew, which is said anew; what it said before is not repeated
        dcgm.activity(80 * SECOND_NS)
    assert dcgm.activity(81 * SECOND_NS) == {}
