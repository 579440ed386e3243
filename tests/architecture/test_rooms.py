"""Who may import whom, and where the clock and other people's libraries are let in."""

import ast
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wattledger import sources

ROOT = Path(__file__).parents[2]
ROOMS = (ROOT / "agent", ROOT / "exporters")
OURS = {"wattledger", "wattledger_exporters"}
PATH = os.pathsep.join(str(room) for room in ROOMS)


def python(code: str) -> "subprocess.CompletedProcess[str]":
    """A fresh interpreter, in the repository's root, that finds our packages where they are written."""
    environ = {**os.environ, "PYTHONPATH": PATH}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)


TERMINAL = {"click", "rich"}
# Reports draw, and so does the notebook, which as an integration may use nothing of ours but the public API.
DRAWS = {"matplotlib": {"wattledger/cli/report_plot.py", "wattledger/integrations/jupyter.py"}}


def modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in room.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it, by statement or by name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"), args=args):
                yield from (a.value for a in args if isinstance(a, ast.Constant) and isinstance(a.value, str))


def test_the_contracts_between_the_rooms_hold() -> None:
    done = python("import sys\nfrom importlinter.cli import lint_imports\nsys.exit(lint_imports(no_cache=True))")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def test_only_the_clock_imports_time() -> None:
    files = {str(path.relative_to(ROOT)) for path in modules() for name in imports(path) if name.split(".")[0] == "time"}
    assert files == {"agent/wattledger/runtime/clock.py"}


def foreign(room: Path) -> dict[str, set[str]]:
    """Files by the library of somebody else's that they import."""
    found: dict[str, set[str]] = {}
    for path in sorted(room.rglob("*.py")):
        for name in imports(path):
            # A name that several distributions share: the protocol's messages are one of their own.
            library = "opentelemetry.proto" if name.startswith("opentelemetry.proto") else name.split(".")[0]
            if library not in OURS and library not in sys.stdlib_module_names:
                found.setdefault(library, set()).add(str(path.relative_to(room)))
    return found


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.name))
def test_a_foreign_library_is_imported_in_exactly_one_file(room: Path) -> None:
    """Of each package; what speaks to people in a terminal has a room of its own."""
    found = {library: files for library, files in foreign(room).items() if len(files) > 1 and library not in TERMINAL}
    assert {library: files for library, files in found.items() if files != DRAWS.get(library)} == {}


@pytest.mark.parametrize("library", sorted(TERMINAL))
def test_what_speaks_to_people_lives_in_the_command_line_only(library: str) -> None:
    rooms = {name.rsplit("/", 1)[0] for name in foreign(ROOMS[0]).get(library, set())}
    assert rooms
    assert rooms <= {"wattledger/cli", "wattledger/cli/asset", "wattledger/cli/ledger"}


def test_the_front_door_is_a_thin_shell() -> None:
    """Nothing of the meter and no library is loaded before the first span."""
    shell = {"wattledger", "wattledger.track", "wattledger.core", "wattledger.core.version"}
    done = python("import sys\nbefore = set(sys.modules)\nimport wattledger\nprint(*set(sys.modules) - before)")
    assert (done.stderr, done.returncode) == ("", 0)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.split(".")[0] == "wattledger"} <= shell
    assert {name for name in loaded if name.split(".")[0] not in {"wattledger", *sys.stdlib_module_names}} == set()


def test_core_loads_no_clock_and_no_io() -> None:
    """What the interpreter itself has loaded at start does not count."""
    barred = ["threading", "logging", "socket", "random", "pathlib", "subprocess", "asyncio"]
    code = "import sys, pkgutil, importlib\nbefore = set(sys.modules)\nimport wattledger.core as core\n"
    code += "[importlib.import_module(m.name) for m in pkgutil.walk_packages(core.__path__, 'wattledger.core.')]\n"
    code += f"print(*(name for name in {barred!r} if name in set(sys.modules) - before))"
    done = python(code)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("", "", 0)


# A name that begins with "_" is no source, but what several of them know of the kernel.
SOURCES = sorted(module.name for module in pkgutil.iter_modules(sources.__path__) if not module.name.startswith("_"))


def test_there_are_sources() -> None:
    assert {"rapl", "nvml", "estimate"} <= set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_opens_and_examines(name: str) -> None:
    source = importlib.import_module(f"wattledger.sources.{name}")
    for function in (source.open, source.examine):
        required = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
        assert len(required) == 1


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_loads_its_vendors_library_only_when_it_is_opened(name: str) -> None:
    done = python(f"import sys, wattledger.sources.{name}\nprint(*({{'pynvml', 'amdsmi', 'psutil', 'numpy'}} & set(sys.modules)))")
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("", "", 0)
