"""An agent that does not come back: from the next run on, the program measures itself."""

from pathlib import Path

from tests.runtime.control_rig import Node, place
from tests.runtime.devices import until
from tests.runtime.programs import blind
from tests.runtime.test_remote import Program
from tests.test_track_agent import start

from wattledger.runtime import clock


def test_an_agent_that_was_away_for_long_is_gone_and_one_that_is_there_is_not() -> None:
    with place() as folder:
        node = Node(str(folder / "a.sock"))
        program = Program(folder / "a.sock")
        now = clock.now()
        late = now._replace(mono_ns=now.mono_ns + 11_000_000_000)
        assert not program.meter.is_gone(late)
        node.stop()
        until(lambda: program.meter.is_gone(late), "it is seen to be away")
        assert not program.meter.is_gone(clock.now())
        program.meter.stop()


def test_the_next_run_after_an_agent_has_gone_for_good_is_measured(tmp_path: Path) -> None:
    with place() as folder:
        node = Node(str(folder / "a.sock"))
        node.tick_along()
        with start("""
from wattledger.runtime.tracker import TRACKER
with track(job="first"): burn(0.05)
out("first")
sys.stdin.readline()
began = time.monotonic()
while not TRACKER._meter.is_gone(__import__("wattledger.runtime.clock").runtime.clock.now()) and time.monotonic() - began < 30:
    time.sleep(0.1)
with track(job="second") as run: burn(0.3)
out(final(run).to_dict())
""", blind(tmp_path, WATTLEDGER_AGENT_SOCKET=str(folder / "a.sock"))) as program:  # fmt: skip
            assert program.stdout is not None
            assert program.stdout.readline() == '"first"\n'
            node.stop()
            words, _ = program.communicate("\n")
    assert '"energy_j"' in words
    assert '"method": "estimated"' in words
