"""Who answers at an address: the socket, its process, and the root of that one's engine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sources.engines.node_tree import Node

from wattledger.sources.engines.listeners import Owner, listening, own_addresses, owner
from wattledger.sources.engines.processes import engine_of, look, root_of

POD = "net:[4026532001]"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def found(node: Node, host: str = "127.0.0.1", port: int = 8000) -> Owner:
    return owner(str(node.proc), host, port)


@pytest.mark.parametrize("ip", ["0.0.0.0", "127.0.0.1", "::", "::ffff:127.0.0.1"])
def test_the_listener_is_found_by_its_socket(node: Node, ip: str) -> None:
    node.process(60, "/usr/bin/llama-server -m x.gguf", start=77)
    node.listen(60, 8000, ip)
    assert found(node) == Owner(60, 60, 77, "101")


def test_the_machines_own_addresses_are_here_and_others_are_not(node: Node) -> None:
    node.process(60, "llama-server")
    node.listen(60, 8000)
    node.address("fd00::7")
    node.listen(60, 8001, "fd00::7")
    assert found(node, "192.0.2.7").pid == found(node, "fd00::7", 8001).pid == 60
    remote = found(node, "192.0.2.8")
    assert remote.pid == 0
    assert remote.why == "192.0.2.8:8000 is not on this node: its tokens are counted, its energy is not known here"


def test_who_listens_on_the_very_address_goes_before_who_listens_on_all(node: Node) -> None:
    node.process(60, "llama-server")
    node.process(61, "llama-server")
    node.listen(60, 8000)
    node.listen(61, 8000, "127.0.0.1")
    assert found(node).pid == 61
    assert found(node, "192.0.2.7").pid == 60


def test_another_port_is_another_engine(node: Node) -> None:
    node.process(60, "llama-server")
    node.listen(60, 8001)
    assert found(node).pid == 0
    assert "nothing is seen to listen on port 8000" in found(node).why


def test_a_socket_that_nobody_is_seen_to_hold_is_told(node: Node) -> None:
    node.process(60, "llama-server")
    node.listen(60, 8000)
    for link in (node.proc / "60" / "fd").iterdir():
        link.unlink()
    assert (found(node).pid, found(node).inode) == (0, "101")
    assert "CAP_SYS_PTRACE" in found(node).why


def test_no_proc_at_all_is_told(tmp_path: Path) -> None:
    assert "mount the host's /proc" in owner(str(tmp_path), "127.0.0.1", 8000).why


def test_a_pods_address_leads_into_its_network(node: Node) -> None:
    node.process(60, "llama-server")
    node.listen(60, 8000)
    node.process(70, "python3 -m vllm.entrypoints.openai.api_server", net=POD)
    node.address("10.1.0.5", POD)
    node.listen(70, 8000, net=POD)
    assert found(node, "10.1.0.5").pid == 70
    assert found(node).pid == 60


def test_a_published_port_leads_to_the_engine_in_its_container(node: Node) -> None:
    node.process(40, "/usr/bin/docker-proxy -proto tcp -host-port 8000 -container-ip 172.17.0.2 -container-port 9000")
    node.listen(40, 8000)
    node.process(70, "llama-server", net=POD, start=5)
    node.address("172.17.0.2", POD)
    node.listen(70, 9000, net=POD)
    assert found(node) == Owner(70, 70, 5, "102")


def test_a_published_port_whose_container_cannot_be_seen_is_nobodys(node: Node) -> None:
    node.process(40, "/usr/bin/docker-proxy -host-port 8000 -container-ip 172.17.0.2 -container-port 9000")
    node.listen(40, 8000)
    assert found(node).pid == 0
    assert "leads into a container" in found(node).why


@pytest.mark.parametrize(
    ("tree", "listener", "root"),
    [
        # vLLM: the API server is the parent; with several of them it is a child, under a title of its own.
        ([(60, 1, "python3 /usr/bin/vllm serve m"), (61, 60, "VLLM::EngineCore")], 60, 60),
        ([(60, 1, "python3 /usr/bin/vllm serve m"), (61, 60, "VLLM::APIServer_0")], 61, 60),
        ([(60, 1, "python3 -m vllm.entrypoints.openai.api_server"), (61, 60, "python3 -c from multiprocessing.spawn")], 61, 60),
        # TGI: the launcher starts the router that listens.
        ([(60, 1, "text-generation-launcher --port 80"), (61, 60, "text-generation-router --port 80")], 61, 60),
        # An engine in somebody's own server, with workers.
        ([(60, 1, "python3 server.py"), (61, 60, "python3 server.py")], 61, 60),
        ([(60, 1, "python3 server.py"), (61, 60, "python3 -c from multiprocessing.spawn import spawn_main")], 61, 60),
        # Who only started it is not it: a shell, a first process, a benchmark, a queue.
        ([(60, 1, "bash start.sh"), (61, 60, "llama-server")], 61, 61),
        ([(60, 1, "tini -- vllm serve"), (61, 60, "python3 /usr/bin/vllm serve m")], 61, 61),
        ([(60, 1, "python3 bench.py"), (61, 60, "python3 -m vllm.entrypoints.openai.api_server")], 61, 61),
        ([(60, 1, "python3 bench.py"), (61, 60, "llama-server")], 61, 61),
        ([(60, 1, "srun vllm serve"), (61, 60, "python3 /usr/bin/vllm serve m")], 61, 61),
        # Through every generation.
        ([(60, 1, "sglang serve"), (61, 60, "python3 -m sglang.launch_server"), (62, 61, "sglang::http")], 62, 60),
    ],
)
def test_the_root_is_the_highest_that_is_still_the_same_engine(
    node: Node, tree: list[tuple[int, int, str]], listener: int, root: int
) -> None:
    node.process(1, "vllm serve", parent=0)  # never the first process, whatever it is
    for pid, parent, words in tree:
        node.process(pid, words, parent=parent)
    node.listen(listener, 8000)
    assert found(node).pid == root
    assert found(node).listener == listener


@pytest.mark.parametrize("other", [{"session": 99}, {"group": "/another"}])
def test_another_session_or_control_group_is_another_engine(node: Node, other: dict[str, str]) -> None:
    node.process(60, "text-generation-launcher")
    node.process(61, "text-generation-router", parent=60, **other)  # type: ignore[arg-type]
    assert root_of(str(node.proc), 61) == 61


def test_a_socket_is_its_openers_and_not_its_childrens(node: Node) -> None:
    node.process(60, "python3 server.py")
    node.process(61, "python3 worker.py", parent=60)
    node.listen(60, 8000, also=(61,))
    assert found(node).pid == 60


@pytest.mark.parametrize(
    ("words", "engine"),
    [
        ("/opt/bin/llama-server -m x", "llamacpp"),
        ("/usr/bin/python3.11 /usr/local/bin/vllm serve m", "vllm"),
        ("python3 -u -m vllm.entrypoints.openai.api_server", "vllm"),
        ("python3 -m sglang.launch_server", "sglang"),
        ("ollama serve", "ollama"),
        ("tritonserver --model-repository=/models", "triton"),
        ("python3 -m vllm_nvext.entrypoints.openai.api_server", "nim"),
        ("VLLM::EngineCore", "vllm"),
        ("python3 bench.py vllm", ""),
        ("vim vllm", ""),
        ("python3 -c import(vllm)", ""),
        ("python3 -m", ""),
        ("python3", ""),
    ],
)
def test_an_engine_is_known_by_its_words(node: Node, words: str, engine: str) -> None:
    node.process(60, words)
    process = look(str(node.proc), 60)
    assert process is not None
    assert engine_of(process) == engine


def test_a_process_that_is_cut_short_or_gone_is_nobody(node: Node) -> None:
    node.process(60, "x")
    (node.proc / "60" / "stat").write_text("60 (x) S 1")
    assert look(str(node.proc), 60) is look(str(node.proc), 61) is None


def test_the_kernels_own_tables_are_understood() -> None:
    """A listener of this very process, by IPv4 and IPv6, under the loopback and under a name."""
    ours = os.getpid()
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("::", 0), family=socket.AF_INET6) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
        for host, port in (("127.0.0.1", ports[0]), ("localhost", ports[0]), ("127.0.0.1", ports[1]), ("::1", ports[1])):
            seen = owner("/proc", host, port)
            assert (seen.listener, seen.pid) == (ours, root_of("/proc", ours)), (host, port, seen)
        assert {f"socket:[{found.inode}]" for found in listening("/proc/net") if found.port in ports} == {
            os.readlink(f"/proc/self/fd/{sock.fileno()}") for sock in (one, two)
        }
    assert "127.0.0.1" in own_addresses("/proc/net")


def test_a_real_child_that_listens_is_its_parents_engine(tmp_path: Path) -> None:
    """A server whose forked child holds the socket: the pair is one engine, and we who started it are not."""
    script = tmp_path / "server.py"
    script.write_text(
        "import os, socket, sys\n"
        "sock = None\n"
        "if os.fork() == 0:\n"
        "    sock = socket.create_server(('127.0.0.1', 0))\n"
        "    print(os.getpid(), sock.getsockname()[1], flush=True)\n"
        "    sys.stdin.read()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        child, port = map(int, server.stdout.readline().split())
        seen = owner("/proc", "127.0.0.1", port)
        server.communicate()
    assert (seen.pid, seen.listener) == (server.pid, child)
