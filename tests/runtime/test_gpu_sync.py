"""Queued GPU work is waited for at outermost boundaries of frameworks that the program itself has initialised."""

from pathlib import Path

import pytest
from tests.runtime.programs import blind, python

# Stand-ins for libraries that are not ours: what each would do on a GPU is written down.
TORCH = """
import types
calls = []
torch = types.ModuleType("torch")
torch.cuda = types.SimpleNamespace(is_initialized=lambda: READY, synchronize=lambda: calls.append(1))
sys.modules["torch"] = torch
"""


@pytest.mark.parametrize(("ready", "sync", "expected"), [(True, "auto", 2), (False, "auto", 0), (True, "off", 0)])
def test_torch_is_waited_for_at_outermost_boundaries_only(tmp_path: Path, ready: bool, sync: str, expected: int) -> None:
    calls, notes = python(TORCH.replace("READY", str(ready)) + f"""
with track(job="outer", sync={sync!r}) as run:
    with track(job="inner", sync={sync!r}): pass
out([len(calls), run.footprint.to_dict()["notes"]])
""", blind(tmp_path)).value
    assert calls == expected
    assert any("sync is off" in note for note in notes) == (sync == "off")


def test_a_framework_that_fails_is_one_warning_and_a_note(tmp_path: Path) -> None:
    done = python(TORCH.replace("READY", "True") + """
def broken(): raise RuntimeError("CUDA error")
torch.cuda.synchronize = broken
for _ in range(3):
    with track(job="x") as run: pass
out(run.footprint.to_dict()["notes"])
""", blind(tmp_path))
    assert any("CUDA error" in note for note in done.value)
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["torch", "cupy", "jax"])
def test_a_half_imported_framework_is_left_alone(tmp_path: Path, name: str) -> None:
    done = python(f"""
import types
sys.modules[{name!r}] = types.ModuleType({name!r})
with track(job="x") as run: pass
out(run.footprint.to_dict()["job"])
""", blind(tmp_path))
    assert done.value == "x"
    assert len(done.err.splitlines()) <= 1


def test_no_framework_is_imported(tmp_path: Path) -> None:
    names = python("""
with track(job="x"): pass
out([name for name in ("torch", "cupy", "jax", "numpy") if name in sys.modules])
""", blind(tmp_path)).value
    assert names == []
