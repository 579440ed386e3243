"""What the repository keeps: files a reader can hold in the head, honest names, nothing of the machine it was written on."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 300
VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}

# Spelled apart, so that this file may be searched too.
HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("crates", "io"), ("anaconda", "org"), ("rubygems", "org"),
        ("proxy", "golang", "org"), ("index", "crates", "io"),
    )
)  # fmt: skip
PLACES = tuple("/" + name + "/" for name in ("work", "tmp", "root"))


def kept() -> list[Path]:
    """What is in the repository or about to be: everything that git does not ignore."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True)
    except FileNotFoundError:
        return []
    return sorted({path for name in done.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()})


KEPT = kept()
needs_git = pytest.mark.skipif(not KEPT, reason="not a git checkout")


def text_of(path: Path) -> str:
    """Empty for what is no text."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", "replace")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@needs_git
def test_no_file_is_longer_than_a_reader_holds_without_saying_why() -> None:
    long = []
    for path in KEPT:
        if path.suffix in (".py", ".c", ".h", ".sh", ".pyi"):
            lines = text_of(path).splitlines()
            if len(lines) > LONGEST and not any("LONG:" in line for line in lines[:20]):
                long.append(f"{named(path)}: {len(lines)} lines")
    assert long == []


@needs_git
def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [named(p) for p in KEPT if p.suffix == ".py" and VAGUE & {p.stem, *p.relative_to(ROOT).parts[:-1]}]
    assert vague == []


@needs_git
def test_nothing_names_a_package_registrys_host() -> None:
    found = [f"{named(p)}: {host}" for p in KEPT if (text := text_of(p)) for host in HOSTS if host in text]
    assert found == []


@needs_git
def test_nothing_names_a_place_on_the_machine_it_was_written_on() -> None:
    found = [f"{named(p)}: {place}" for p in KEPT if (text := text_of(p)) for place in PLACES if place in text]
    assert found == []
