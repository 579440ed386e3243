"""The image and the demo: no right that is not needed, nothing open to others, and a health check that tells the truth.

``WATTLEDGER_IMAGE`` (an image that was built) and ``WATTLEDGER_CONTAINER`` (what runs one, flags of the machine included, by
default ``podman run``) have the image itself tried.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from tests.runtime.web_clients import Certificates, needs_openssl, served
from tests.servers.programs import free_port, path_of, until

from wattledger.runtime.web.pages import Page, Route, text

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "deploy/container"
COMPOSE: dict[str, Any] = yaml.safe_load((CONTAINER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STEPS = re.sub(r"\\\n\s*", " ", (CONTAINER / "Containerfile").read_text(encoding="utf-8")).splitlines()
MOST_BYTES = 120_000_000
KNOWN = {"image", "build", "command", "environment", "ports", "volumes", "tmpfs", "networks", "depends_on", "restart", "read_only",
         "cap_drop", "security_opt", "mem_limit", "pids_limit"}  # fmt: skip

each_service = pytest.mark.parametrize("name", SERVICES)


def step(word: str) -> list[str]:
    return [line.removeprefix(word).strip() for line in STEPS if line.startswith(f"{word} ")]


# --- the image's recipe ---------------------------------------------------------------------------------------------------


def test_the_image_is_nobodys_and_ends_orderly() -> None:
    assert step("USER") == ["65532:65532"]
    assert step("STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(step("ENTRYPOINT")[0]) == ["/opt/wattledger/bin/wattledger"]
    assert json.loads(step("CMD")[0]) == ["agent"]


def test_the_image_holds_what_was_put_together_for_it_and_nothing_of_a_base() -> None:
    assert step("FROM") == ["${BASE} AS build", "scratch"]
    assert [words for words in step("COPY") if words.startswith("--from")] == ["--from=build /rootfs /"]


def test_the_base_is_a_short_name_without_a_registry() -> None:
    base = next(words for words in step("ARG") if words.startswith("BASE="))
    assert re.fullmatch(r"BASE=python:3\.\d+-slim-\w+", base)


def test_everything_is_installed_by_hash_or_without_an_index() -> None:
    installs = re.findall(r"bin/pip (?:--python \S+ )?(?:install|wheel) [^&]*", " & ".join(step("RUN")))
    assert len(installs) == 4
    assert [words for words in installs if "--require-hashes" not in words and "--no-index" not in words] == []


def test_the_image_opens_no_port_to_others_by_itself() -> None:
    assert step("EXPOSE") == []
    assert "AGENT_LISTEN" not in " ".join(step("ENV"))


# --- the demo -------------------------------------------------------------------------------------------------------------


@each_service
def test_a_service_of_the_demo_has_no_right_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= KNOWN, "a right, or a word that was misspelt"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]


@each_service
def test_a_port_of_the_demo_is_open_to_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+", port), port


@each_service
def test_what_is_mounted_is_there_and_read_only(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, _, how = volume.split(":")
        assert how == "ro"
        assert (CONTAINER / source).resolve().exists(), f"{source} is not in the repository"


@each_service
def test_an_image_of_the_demo_is_one_version_and_can_be_another(name: str) -> None:
    assert re.fullmatch(r"\$\{\w+_IMAGE:-(wattledger|[\w-]+(/[\w-]+)?:v?[\d.]+)\}", SERVICES[name]["image"])


def test_the_demo_is_a_made_up_node_and_keeps_nothing() -> None:
    assert SERVICES["agent"]["command"] == ["agent", "--demo"]
    assert "volumes" not in COMPOSE
    assert all(volume.split(":")[2] == "ro" for service in SERVICES.values() for volume in service.get("volumes", []))


def test_whoever_looks_at_grafana_may_change_nothing() -> None:
    said = SERVICES["grafana"]["environment"]
    assert said["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert said["GF_AUTH_DISABLE_LOGIN_FORM"] == said["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert said["GF_ANALYTICS_REPORTING_ENABLED"] == "false"


def test_provisioning_looks_where_the_demo_mounts() -> None:
    files = {path.parent.name: path.read_text(encoding="utf-8") for path in (ROOT / "grafana/provisioning").glob("*/*.yaml")}
    folders = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert yaml.safe_load(files["dashboards"])["providers"][0]["options"]["path"] in folders
    named = re.findall(r"url: \$(\w+)", files["datasources"])
    assert named
    assert set(named) <= set(SERVICES["grafana"]["environment"])


def test_prometheus_takes_the_demos_configuration_and_every_rule(tmp_path: Path) -> None:
    for volume in SERVICES["prometheus"]["volumes"]:
        source, target, _ = volume.split(":")
        shutil.copy(CONTAINER / source, tmp_path / Path(target).name)
    check = [path_of("promtool"), "check", "config", "prometheus.yml"]
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    scraped = yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"]
    assert [job["static_configs"][0]["targets"] for job in scraped] == [["agent:9909"]], "the collector's are the same again"


def test_the_collectors_pipelines_are_made_of_what_it_has() -> None:
    said = yaml.safe_load((CONTAINER / "otel-collector.yaml").read_text(encoding="utf-8"))
    for pipeline in said["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(said[kind])
        assert pipeline["processors"][0] == "memory_limiter"
    assert said["exporters"]["otlphttp/agent"]["endpoint"] == "http://agent:9909"


# --- the health check -----------------------------------------------------------------------------------------------------


def ready(status: int) -> Mapping[str, Route]:
    def page(headers: object) -> Page:
        return text("ready" if status == 200 else "not ready", status)

    return {"/readyz": page}


def asked(listen: str) -> tuple[int, str]:
    command = [sys.executable, str(CONTAINER / "healthy.py")]
    done = subprocess.run(command, env={"WATTLEDGER_AGENT_LISTEN": listen}, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize(("answer", "healthy"), [(200, 0), (503, 1), (500, 1)])
def test_healthy_is_who_is_ready(answer: int, healthy: int) -> None:
    with served(ready(answer)) as web:
        assert asked(f"0.0.0.0:{web.port}") == (healthy, f"port {web.port}: status {answer}")


def test_an_agent_that_asks_for_a_password_is_alive(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users:\n  prometheus: {bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}\n")
    with served(ready(200), str(file)) as web:
        assert asked(f"127.0.0.1:{web.port}") == (0, f"port {web.port}: status 401")


@needs_openssl
def test_an_agent_behind_tls_is_asked_by_tls(tmp_path: Path) -> None:
    Certificates(tmp_path).make("server")
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n")
    with served(ready(200), str(file)) as web:
        assert asked(f":{web.port}") == (0, f"port {web.port}: status 200")


def test_nobody_there_is_one_line() -> None:
    status, said = asked(f"127.0.0.1:{free_port()}")
    assert status == 1
    assert "refused" in said
    assert "\n" not in said


# --- the image itself -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_image_is_small_and_serves_without_a_right(tmp_path: Path) -> None:
    image = os.environ.get("WATTLEDGER_IMAGE", "")
    if not image:
        pytest.skip("no image is named (WATTLEDGER_IMAGE): building one needs a base image from a registry")
    run = shlex.split(os.environ.get("WATTLEDGER_CONTAINER", "podman run"))
    tool = run[: run.index("run")]
    size = subprocess.run([*tool, "image", "inspect", "-f", "{{.Size}}", image], capture_output=True, text=True, check=True)
    assert int(size.stdout) <= MOST_BYTES
    port = free_port()
    least = ["--rm", "--network=host", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp"]
    command = [*run, *least, f"--env=WATTLEDGER_AGENT_LISTEN=127.0.0.1:{port}", image, "agent", "--demo"]
    log = tmp_path / "log"
    with log.open("wb") as said, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said) as agent:
        page = until(lambda: fetched(f"http://127.0.0.1:{port}/metrics"), "the first scrape", log)
        agent.terminate()
        assert agent.wait(30) == 0, log.read_text(errors="replace")
    assert "wattledger_build_info" in page
    assert "stopped" in log.read_text(errors="replace")


def fetched(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        threading.Event().wait(0.2)
        return None
