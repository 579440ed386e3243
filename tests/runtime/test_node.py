"""What the agent is told: labels that Prometheus can take, a group that exists, a folder of its own; and what it tells systemd."""

import os
import socket
from pathlib import Path

import pytest

from wattledger.runtime.config import Config, ConfigError, load
from wattledger.runtime.node.notify import Notify
from wattledger.runtime.node.words import label_names, may_make, operators, state_dir


def test_labels_are_names_in_the_order_given_once() -> None:
    assert label_names(" team, run_id ,team,") == ("team", "run_id")
    assert label_names("") == ()


@pytest.mark.parametrize("wrong", ["job", "pod", "instance", "job_name", "device", "le", "__name__", "9lives", "a-b", "a b", "é"])
def test_a_label_that_is_taken_or_impossible_is_one_clear_line(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"^agent\.labels: .*") as said:
        label_names(f"team,{wrong}")
    assert "\n" not in str(said.value)


def test_a_group_is_found_by_name_and_number_and_missed_clearly() -> None:
    assert operators("") == frozenset()
    assert operators("0") == operators("root") == frozenset({0})
    with pytest.raises(ConfigError, match="no group 'nobody-here-has-this'"):
        operators("nobody-here-has-this")


def test_where_the_agent_keeps_things() -> None:
    assert state_dir(load({}, flags={"agent.state": "/var/x"}, here=False), {"STATE_DIRECTORY": "/s"}) == Path("/var/x")
    assert state_dir(Config({}), {"STATE_DIRECTORY": "/s:/t", "HOME": "/h"}) == Path("/s")
    assert state_dir(Config({}), {"HOME": "/h"}) == Path("/h/.local/state/wattledger")


def test_a_path_is_judged_by_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    assert may_make(str(tmp_path / "not" / "yet" / "agent.sock"))
    (tmp_path / "file").write_text("")
    assert not may_make(str(tmp_path / "file" / "agent.sock"))


def test_systemd_is_told_ready_alive_reloading_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "n"))
        notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "4000000"})
        assert notify.period_s == 2.0
        notify.ready()
        notify.alive("8 devices")
        notify.reloading()
        notify.stopping()
        said = [systemd.recv(500).decode() for _ in range(4)]
    assert said[0] == "READY=1"
    assert said[1] == "WATCHDOG=1\nSTATUS=8 devices"
    assert said[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[3] == "STOPPING=1"


def test_an_abstract_socket_is_found() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        name = f"wattledger-test-{os.getpid()}"
        systemd.bind(f"\0{name}")
        Notify({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert systemd.recv(500) == b"READY=1"


def test_without_systemd_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    Notify({}).ready()
    Notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
    assert Notify({"WATCHDOG_USEC": "x"}).period_s is None
