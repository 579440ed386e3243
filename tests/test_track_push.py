"""A program that is measured without an agent sends its totals when it ends, if somebody configured where to."""

from pathlib import Path

from tests.runtime.programs import environ, python
from tests.servers.otlp_receiver import receiver


def test_a_programs_totals_arrive_when_it_ends(tmp_path: Path) -> None:
    with receiver("http/protobuf") as collector:
        env = environ(
            tmp_path,
            WATTLEDGER_EXPORTERS_OTLP_ENABLED="true",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        )
        done = python("with track(job='sent') as run: burn(0.3)\nout(1)", env)
        assert (done.value, done.err) == (1, "")
        jobs = {point.attributes["wattledger.job.name"] for point in collector.points() if point.metric == "wattledger.energy"}
        assert "sent" in jobs


def test_nobody_there_changes_nothing_for_the_program(tmp_path: Path) -> None:
    env = environ(tmp_path, WATTLEDGER_EXPORTERS_PUSHGATEWAY_URL="http://127.0.0.1:9")
    done = python("with track(job='lost') as run: time.sleep(0.1)\nout(1)", env)
    assert done.value == 1
    assert done.err.count("\n") <= 1
