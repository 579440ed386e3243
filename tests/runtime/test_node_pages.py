"""The agent's pages that are off say how they are switched on."""

import urllib.error
import urllib.request

import pytest

from wattledger.runtime.config import Config, Value
from wattledger.runtime.node.pages import Views, pages_of
from wattledger.runtime.web.server import Web

NOTHING = Views(lambda: None, lambda: None, lambda: 1.0, lambda: None, lambda: None, "gpu-7")


def answer(config: Config, path: str) -> tuple[int, str]:
    web = Web("127.0.0.1:0", pages_of(config, NOTHING), "")
    web.start()
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{web.port}{path}", timeout=10)
        with refused.value as reply:
            return reply.code, reply.read().decode()
    finally:
        web.stop()


def test_other_exporters_names_that_are_off_say_which_setting_serves_them() -> None:
    status, line = answer(Config({}), "/metrics/compat")
    assert status == 404
    assert "[exporters.compat] enabled = true" in line
    assert line.count("\n") == 1


def test_where_they_are_on_they_are_served() -> None:
    assert answer(Config({"exporters.compat.enabled": Value(True, "file")}), "/metrics/compat")[0] == 503  # no tick yet
