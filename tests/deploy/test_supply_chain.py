"""What the image is made of: each package by the hash of each file, nothing unasked for, and a bill of it."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "deploy/container"
AGENT = ("web", "kubernetes", "otlp")
FILES = {"requirements.txt": AGENT, "requirements-books.txt": (*AGENT, "books")}
PIN = re.compile(r"^([\w.-]+)==([\w.!+-]+)(?: \\)?$", re.MULTILINE)
HASHED = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")
AUDIT_S = 120


def lines(name: str) -> list[str]:
    return [line for line in (CONTAINER / name).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def pins(text: str) -> dict[str, str]:
    return {str(canonicalize_name(name)): version for name, version in PIN.findall(text)}


def asked_for(extras: tuple[str, ...]) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    words = [*project["dependencies"], *(word for extra in extras for word in project["optional-dependencies"][extra])]
    return [Requirement(word) for word in words]


def needed(found: Requirement) -> Iterator[Requirement]:
    """What an installed package needs on Linux, with the extras that are asked of it."""
    for word in metadata.requires(found.name) or []:
        need = Requirement(word)
        for extra in ("", *found.extras):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                yield need
                break


def closure(wanted: list[Requirement]) -> set[str]:
    """The names of all that comes with these."""
    names: set[str] = set()
    waiting = list(wanted)
    while waiting:
        one = waiting.pop()
        name = str(canonicalize_name(one.name))
        if name not in names:
            names.add(name)
            waiting += needed(one)
    return names


def program(name: str) -> str:
    """Beside our Python, or on the path; skips the test, and says so, where it is not."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.parametrize("name", [*FILES, "requirements-build.txt"])
def test_every_package_is_one_version_and_every_file_a_hash(name: str) -> None:
    found = lines(name)
    assert len(found) > 5
    hashed = 0
    for line in reversed(found):
        if HASHED.match(line):
            hashed += 1
        else:
            assert PIN.match(line), f"neither a pinned package nor a hash: {line}"
            assert hashed, f"no hash of {line}"
            hashed = 0


@pytest.mark.parametrize("name", FILES)
def test_the_image_has_the_versions_that_the_tests_run_with(name: str) -> None:
    tested = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    found = pins("\n".join(lines(name)))
    assert {package: version for package, version in found.items() if tested.get(package, version) != version} == {}


@pytest.mark.parametrize(("name", "extras"), FILES.items())
def test_the_image_installs_what_is_asked_for_and_nothing_more(name: str, extras: tuple[str, ...]) -> None:
    assert set(pins("\n".join(lines(name)))) == closure(asked_for(extras)), "run deploy/container/lock.sh"


def test_nothing_is_built_with_what_is_not_pinned() -> None:
    built_with = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    found = pins("\n".join(lines("requirements-build.txt")))
    for word in built_with:
        need = Requirement(word)
        assert need.specifier.contains(found[str(canonicalize_name(need.name))])


@pytest.mark.slow
def test_the_bill_of_materials_has_every_package_with_its_hashes_and_comes_out_the_same(tmp_path: Path) -> None:
    folder = Path(program("cyclonedx-py")).parent
    made = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in made:
        command = ["sh", str(CONTAINER / "sbom.sh"), str(file)]
        done = subprocess.run(command, env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    bill = json.loads(made[0].read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    parts = {str(canonicalize_name(part["name"])): part for part in bill["components"]}
    assert {name: part["version"] for name, part in parts.items()} == pins("\n".join(lines("requirements.txt")))
    assert [name for name, part in parts.items() if not part.get("purl", "").startswith("pkg:pypi/")] == []
    assert "sha256" in made[0].read_text(encoding="utf-8").lower()
    assert made[0].read_bytes() == made[1].read_bytes()


def test_no_package_of_the_image_has_a_known_fault() -> None:
    command = [program("pip-audit"), "-r", str(CONTAINER / "requirements-books.txt"), "--require-hashes", "--disable-pip",
               "--progress-spinner", "off", "-f", "json"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=AUDIT_S)
        audited = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        pytest.skip("no advisory service can be reached from here")
    known = [part for part in audited if "skip_reason" not in part]
    if not known:
        pytest.skip(f"the service that was reached has no advisories: {audited[0]['skip_reason']}")
    assert {part["name"]: [fault["id"] for fault in part["vulns"]] for part in known if part["vulns"]} == {}
