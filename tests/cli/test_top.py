"""``wattledger top``: watts by job and device from an agent's /metrics, and one line where there is none."""

import base64
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path

import bcrypt
import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.golden.scenario import snapshot as golden
from tests.runtime.web_clients import Certificates, served

from wattledger.cli.top import looks, plain
from wattledger.cli.top_view import NoAgent, Scrape, compared, moved, scrape_of
from wattledger.core.model import Device, Workload
from wattledger.core.ports import SourceFailed
from wattledger.core.totals import Snapshot, State, Totals
from wattledger.runtime.web.pages import Page, Serve, text
from wattledger_exporters.prometheus import Prometheus

GPU, CPU = Device("GPU-0", "gpu", "card"), Device("package-0", "cpu", "chip")
TRAIN = Workload("train", "llama", (("k8s_pod_name", "train-0"),))


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def at_second(second: int) -> Snapshot:
    """Each second: 300 J on the GPU, of which train has 200 (50 held) and serve 100; 40 J on the CPU, half of it nobody's."""
    totals = Totals()
    for device, watts, joules in ((GPU, 300, 300), (CPU, 40, 40)):
        totals.devices[device.id] = device
        totals.power_uw[device.id] = watts * 1_000_000
        totals.device_energy_uj[device.id, "counter"] = second * joules * 1_000_000
    for workload, device, use, joules in (
        (TRAIN, GPU, "active", 150), (TRAIN, GPU, "held", 50), (Workload("serve"), GPU, "active", 100),
        (TRAIN, CPU, "active", 20), (Workload("(idle)"), CPU, "held", 20),
    ):  # fmt: skip
        totals.add((workload, device.id, "counter", use), second * joules * 1_000_000)  # type: ignore[arg-type]
        totals.emissions_g[workload] = totals.emissions_g.get(workload, 0.0) + second * joules * 1e-4
    return totals.snapshot(State())


def scrape(snapshot: Snapshot) -> Scrape:
    return scrape_of(Prometheus().render(snapshot).decode())


def ticking(seconds: Iterator[int]) -> Serve:
    """An agent that has ticked on at each look."""
    return lambda _: Page("text/plain", Prometheus().render(at_second(next(seconds))))


def test_watts_of_jobs_are_the_devices_watts_divided_as_their_energy() -> None:
    view = compared(scrape(at_second(3)), scrape(at_second(5)))
    assert [job.name for job in view.jobs] == ["train", "serve", "(idle)"]
    assert [job.power_w for job in view.jobs] == pytest.approx([220.0, 100.0, 20.0])
    assert [job.held_w or 0.0 for job in view.jobs] == pytest.approx([50.0, 0.0, 20.0])
    assert view.jobs[1].held_w is None
    assert [part[0:1] + part[4:] for part in view.devices] == [("GPU-0", 300.0, 1500.0), ("package-0", 40.0, 200.0)]
    assert sum(job.power_w or 0.0 for job in view.jobs) == pytest.approx(sum(part.power_w or 0.0 for part in view.devices))


def test_grams_go_on_at_the_factor_in_force() -> None:
    [train, *_] = compared(scrape(at_second(3)), scrape(at_second(5))).jobs
    assert train.emissions_g == pytest.approx(5 * 220e-4)
    assert train.g_per_h == pytest.approx(220 * 1e-4 * 3600)


def test_a_first_look_knows_sums_and_no_watts_of_jobs() -> None:
    view = compared(None, scrape(at_second(3)))
    assert {job.power_w for job in view.jobs} == {None}
    assert [job.energy_j for job in view.jobs] == [660.0, 300.0, 60.0]
    assert "power_w" not in view.jobs[0].to_dict()


def test_an_agent_that_began_anew_makes_no_negative_watts() -> None:
    assert {job.power_w for job in compared(scrape(at_second(5)), scrape(at_second(1))).jobs} == {None}


def test_jobs_that_ended_are_one_sum_that_draws_nothing() -> None:
    totals = Totals()
    totals.devices[GPU.id] = GPU
    totals.device_energy_uj[GPU.id, "counter"] = 5_000_000
    totals.power_uw[GPU.id] = 1_000_000
    totals.add((Workload("old"), GPU.id, "counter", "active"), 5_000_000)
    totals.emissions_g[Workload("old")] = 0.5
    before = scrape(totals.snapshot(State()))
    totals.retire({Workload("old")})
    totals.device_energy_uj[GPU.id, "counter"] += 1_000_000
    [gone] = compared(before, scrape(totals.snapshot(State()))).jobs
    assert gone[1:] == (None, None, 5.0, None, None, False)  # his grams are in the books: a row of theirs would be counted twice
    assert gone.name == "(retired)"


def test_a_device_that_has_not_moved_divides_nothing() -> None:
    before, now = at_second(3), at_second(3)
    now = now._replace(energy_uj={**now.energy_uj, (TRAIN, CPU.id, "counter", "active"): 80_000_000},
                       device_energy_uj={**now.device_energy_uj, (CPU.id, "counter"): 160_000_000})  # fmt: skip
    [train] = [job for job in compared(scrape(before), scrape(now)).jobs if job.name == "train"]
    assert train.power_w == pytest.approx(20.0)


def test_a_device_with_two_methods_is_one_line() -> None:
    found = golden()
    found = found._replace(device_energy_uj={**found.device_energy_uj, ("GPU-0f4a", "integrated"): 1_000_000})
    view = compared(None, scrape(found))
    assert {job.name for job in view.jobs} == {workload.job for workload, *_ in found.energy_uj}
    [card] = [part for part in view.devices if part.device == "GPU-0f4a"]
    assert card.method == "counter, integrated"
    assert card.energy_j == pytest.approx(1661.000004)


@pytest.mark.parametrize("said", ["", "<html>It works!</html>", "up 1\n", "wattledger_energy_joules_total{ 1\n"])
def test_what_is_no_agent_is_not_taken_for_one(said: str) -> None:
    with pytest.raises(NoAgent):
        scrape_of(said)


def test_nothing_new_is_not_a_view_and_a_standstill_ends_the_patience() -> None:
    seconds = iter([1, 1, 2, 2, 3])
    views = looks(lambda: scrape(at_second(next(seconds))), lambda _: False, 0.0, patience=2)
    assert [next(views).devices[0].energy_j for _ in range(3)] == [300.0, 600.0, 900.0]
    still = looks(lambda: scrape(at_second(1)), lambda _: False, 0.0, patience=2)
    next(still)
    with pytest.raises(SourceFailed, match="stood still for 2 looks"):
        next(still)
    assert not moved(scrape(at_second(1)), scrape(at_second(1)))


def test_q_ends_it() -> None:
    ended = iter([False, True])
    seconds = iter(range(1, 9))
    assert len(list(looks(lambda: scrape(at_second(next(seconds))), lambda _: next(ended), 0.0))) == 2


def test_json_is_one_object_a_look(front: Front) -> None:
    with served({"/metrics": ticking(iter(range(1, 99)))}) as web:
        said = front("top", "--once", "--json", "--interval", "0.1", "--url", f"127.0.0.1:{web.port}")
    assert (said.status, said.err) == (0, "")
    found = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert found["schema"] == "wattledger.top/1"
    assert found["jobs"][0] == {
        "job": "train", "model": "llama", "labels": {"k8s_pod_name": "train-0"}, "power_w": pytest.approx(220.0),
        "held_w": pytest.approx(50.0), "energy_j": 440.0, "emissions_g": pytest.approx(440e-4),
        "emissions_g_per_h": pytest.approx(79.2),
    }  # fmt: skip
    assert found["devices"][1] == {
        "device": "package-0", "component": "cpu", "model": "chip", "method": "counter", "power_w": 40.0, "energy_j": 80.0,
    }  # fmt: skip


def test_a_table_names_jobs_and_devices_with_the_agents_own_kinds_last(front: Front) -> None:
    with served({"/metrics": ticking(iter(range(1, 99)))}) as web:
        said = front("top", "--once", "--interval", "0.1", "--url", f"http://127.0.0.1:{web.port}")
    assert said.status == 0
    assert "340 W" in said.out
    assert said.out.index("train") < said.out.index("serve") < said.out.index("(idle)") < said.out.index("GPU-0")


def test_a_name_that_looks_like_markup_is_shown_as_it_is() -> None:
    totals = Totals()
    totals.devices[GPU.id] = GPU
    totals.device_energy_uj[GPU.id, "counter"] = 1
    totals.add((Workload("[red]job"), GPU.id, "counter", "active"), 1)
    assert "[red]job" in plain(compared(None, scrape(totals.snapshot(State()))))


def test_the_agent_is_looked_for_where_the_configuration_says(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    with served({"/metrics": ticking(iter(range(1, 99)))}) as web:
        monkeypatch.setenv("WATTLEDGER_AGENT_LISTEN", f":{web.port}")
        assert front("top", "--once", "--json", "--interval", "0.1").status == 0


def no_agent(_: Message) -> Page:
    return text("nothing to see here")


@pytest.mark.parametrize("serve", [no_agent, lambda _: text("no figures yet", 503)])
def test_no_agent_is_one_line_that_says_what_to_do(serve: Callable[[Message], Page], front: Front) -> None:
    with served({"/metrics": serve}) as web:
        url = f"http://127.0.0.1:{web.port}"
        answered = front("top", "--once", "--url", url)
    gone = front("top", "--url", url)
    for said in (answered, gone):
        assert said.status == 1
        assert is_one_line(said.err)
        assert "wattledger agent" in said.err


@pytest.mark.parametrize(("status", "words"), [(403, "for root: agent.readers = anyone opens it"), (421, "no name of mine")])
def test_who_is_refused_is_told_why_in_the_agents_own_words(status: int, words: str, front: Front) -> None:
    with served({"/metrics": lambda _: text(words, status)}) as web:
        said = front("top", "--once", "--url", f"http://127.0.0.1:{web.port}")
    assert said.status == 1
    assert is_one_line(said.err)
    assert said.err.endswith(f": {words}\n")
    assert "is the agent running" not in said.err


def test_a_password_is_read_from_a_file_and_its_absence_is_said(front: Front, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{alice: '{hashed}'}}\n")
    with served({"/metrics": ticking(iter(range(1, 99)))}, str(tmp_path / "web.yml")) as web:
        words = ("top", "--once", "--json", "--interval", "0.1", "--url", f"http://127.0.0.1:{web.port}")
        assert front(*words, "--user", "alice", "--password-file", str(tmp_path / "password")).status == 0
        refused = front(*words)
        missing = front(*words, "--user", "alice", "--password-file", str(tmp_path / "no such file"))
    assert (refused.status, missing.status) == (1, 2)
    assert is_one_line(refused.err)
    assert is_one_line(missing.err)
    assert "--password-file" in refused.err
    assert "user and password, please" in refused.err
    assert base64.b64encode(b"alice:correct horse").decode() not in refused.err + missing.err


def test_a_question_in_the_clear_to_a_tls_port_is_told_of_https_and_the_authority(front: Front, tmp_path: Path) -> None:
    Certificates(tmp_path).make("server")
    (tmp_path / "web.yml").write_text("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n")
    words = ("top", "--once", "--json", "--interval", "0.1", "--url")
    with served({"/metrics": ticking(iter(range(1, 99)))}, str(tmp_path / "web.yml")) as web:
        clear = front(*words, f"http://127.0.0.1:{web.port}")
        unknown = front(*words, f"https://127.0.0.1:{web.port}")
        known = front(*words, f"https://127.0.0.1:{web.port}", "--ca-file", str(tmp_path / "ca.pem"))
    assert (clear.status, unknown.status, known.status) == (1, 1, 0)
    assert is_one_line(clear.err)
    assert "https://" in clear.err
    assert "--ca-file" in clear.err
    assert "--ca-file" in unknown.err
    assert "is the agent running" not in clear.err + unknown.err


def test_tls_to_a_port_in_the_clear_is_told_of_http(front: Front) -> None:
    with served({"/metrics": ticking(iter(range(1, 99)))}) as web:
        said = front("top", "--once", "--url", f"https://127.0.0.1:{web.port}")
    assert said.status == 1
    assert is_one_line(said.err)
    assert "http://" in said.err


def test_a_job_that_ended_is_still_and_one_whose_device_tells_no_watts_is_not() -> None:
    before, now = at_second(3), at_second(5)
    energy_uj = {key: before.energy_uj[key] if key[0].job == "serve" else uj for key, uj in now.energy_uj.items()}
    now = now._replace(energy_uj=energy_uj, power_uw={GPU.id: 300_000_000})
    view = compared(scrape(before), scrape(now))
    assert {job.name: (job.power_w, job.draws) for job in view.jobs if job.name != "train"} == {
        "serve": (0.0, False), "(idle)": (None, True),
    }  # fmt: skip


def test_on_a_terminal_it_is_drawn_until_q_is_pressed() -> None:
    ours, theirs = pty.openpty()
    with served({"/metrics": ticking(iter(range(1, 999)))}) as web:
        code = "import sys; from wattledger.cli.top import command; command(sys.argv[1:])"
        words = [sys.executable, "-c", code, "--interval", "0.1", "--url", f"http://127.0.0.1:{web.port}"]
        environ = {**os.environ, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "120", "LINES": "40"}
        with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as process:
            os.close(theirs)
            drawn = b""
            while b"220 W" not in drawn:
                drawn += os.read(ours, 65_536)
            os.write(ours, b"q")
            try:
                while os.read(ours, 65_536):
                    pass
            except OSError:
                pass  # the other end is gone
            assert process.wait(20) == 0
    os.close(ours)
