"""Dashboards that people already have: their queries, on a real Prometheus that scrapes ``/metrics/compat`` of a real agent.

What the dashboards of dcgm-exporter (12239), Kepler (0.11) and CEEMS ask of energy, power, temperature and emissions, their
variables filled in.  The node is the shipped demo's: what it must say is known from the agent's own metrics.
"""

from collections.abc import Iterator

import pytest
from tests.node.agents import prometheus_value
from tests.servers.programs import free_port, path_of, running, until
from tests.servers.scraped import demo, scrape_config

pytestmark = [pytest.mark.slow, pytest.mark.soak]
CARD = '{instance=~".*", gpu=~".*"}'
ZONE = '{job="wattledger", zone=~".*"}'
DCGM = [
    f"DCGM_FI_DEV_GPU_TEMP{CARD}", f"avg(DCGM_FI_DEV_GPU_TEMP{CARD})", f"DCGM_FI_DEV_POWER_USAGE{CARD}",
    f"sum(DCGM_FI_DEV_POWER_USAGE{CARD})", f"rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{CARD}[10s]) / 1000",
    'DCGM_FI_DEV_POWER_USAGE{pod!="", namespace="research"}', 'label_replace(DCGM_FI_DEV_GPU_TEMP, "x", "$1", "Hostname", "(.*)")',
]  # fmt: skip
KEPLER = [
    f"sum by (zone) (kepler_node_cpu_watts{ZONE})", f"sum by (zone) (kepler_node_cpu_active_watts{ZONE})",
    f"sum by (zone) (kepler_node_cpu_idle_watts{ZONE})", 'count by (instance, model_name)(kepler_node_cpu_info{job="wattledger"})',
    'group by (node_name,zone)(kepler_node_cpu_watts{job="wattledger"})',
    f"topk(10, sum by (comm, pid, zone) (kepler_process_cpu_watts{ZONE}))",
    f"topk(10, sum by (container_name, zone) (kepler_container_cpu_watts{ZONE}))",
    f"topk(10, sum by (pod_name, pod_namespace, zone) (kepler_pod_cpu_watts{ZONE}))",
    'sum by (pod_namespace) (rate(kepler_pod_cpu_joules_total{zone="package", pod_namespace=~"research|production"}[10s]))',
    "sum(increase(kepler_node_cpu_joules_total[10s])) / 3600000", "sum by (gpu) (kepler_node_gpu_watts)",
    "kepler_pod_gpu_watts", "kepler_node_gpu_idle_watts", "kepler_platform_watts",
]  # fmt: skip
CEEMS = [
    'uuid:ceems_host_power_watts:pue{uuid=~".+"}', 'uuid:ceems_gpu_power_watts:pue{uuid=~".+"}',
    'uuid:ceems_host_emissions_g_s:pue{uuid=~".+"}', 'uuid:ceems_gpu_emissions_g_s:pue{uuid=~".+"}',
    "sum by (instance) (irate(ceems_rapl_package_joules_total[10s]))", "ceems_emissions_gCo2_kWh",
    "sum by (instance) (irate(ceems_rapl_dram_joules_total[10s]))",
]  # fmt: skip
OURS = "sum(wattledger_device_power_watts{component=~'%s'})"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, once it has seen ten seconds."""
    binary, folder, port = path_of("prometheus"), tmp_path_factory.mktemp("compat"), free_port()
    with demo(folder, WATTLEDGER_EXPORTERS_COMPAT_ENABLED="true") as node:
        config = scrape_config(folder, node.url, "/metrics", "/metrics/compat")
        url, log = f"http://127.0.0.1:{port}", folder / "prometheus.log"
        flags = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}")
        with running(binary, *flags, log=log):
            until(lambda: _count(url, "kepler_node_cpu_watts") > 11, "twelve scrapes", log)
            yield url


def _count(url: str, name: str) -> float:
    try:
        return max((value for _, value in prometheus_value(url, f"count_over_time({name}[5m])")), default=0.0)
    except OSError:
        return 0.0


@pytest.mark.parametrize("query", [*DCGM, *KEPLER, *CEEMS])
def test_a_query_of_a_published_dashboard_has_an_answer(prometheus: str, query: str) -> None:
    found = prometheus_value(prometheus, query)
    assert found
    assert all(0 <= value < 1e6 for _, value in found)


@pytest.mark.parametrize(("query", "components"), [
    ("sum(DCGM_FI_DEV_POWER_USAGE)", "gpu"), ("sum(rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[10s])) / 1000", "gpu"),
    ("sum(kepler_node_gpu_watts)", "gpu"), ('sum(kepler_node_cpu_watts{zone=~"package|dram"})', "cpu|dram"),
    ("sum(kepler_node_cpu_active_watts) + sum(kepler_node_cpu_idle_watts)", "cpu|dram"),
    ("sum(irate(ceems_rapl_package_joules_total[10s]))", "cpu"),
])  # fmt: skip
def test_its_sum_is_what_we_say_ourselves(prometheus: str, query: str, components: str) -> None:
    """Means over a cell and over ten seconds of a load that moves: to a quarter."""
    [(_, theirs)] = prometheus_value(prometheus, query)
    [(_, ours)] = prometheus_value(prometheus, f"avg_over_time({OURS % components}[10s:1s])")
    assert theirs == pytest.approx(ours, rel=0.25)


def test_pods_processes_and_the_rest_do_not_exceed_the_node(prometheus: str) -> None:
    [(_, node)] = prometheus_value(prometheus, 'sum(kepler_node_cpu_watts{zone="package"})')
    for level in ("pod", "container", "process"):
        [(_, part)] = prometheus_value(prometheus, f'sum(kepler_{level}_cpu_watts{{zone="package"}})')
        assert 0 < part <= node * 1.01
