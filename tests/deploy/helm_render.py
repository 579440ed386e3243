"""Real Helm for the tests: a ``helm`` program, or a Python with ``helm_sdkpy`` that WATTLEDGER_HELM_PYTHON names.

``python -m tests.deploy.helm_render`` writes what is made: deploy/kubernetes/wattledger.yaml (the chart with its defaults) and
the settings in values.schema.json.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml
from tests.deploy.kube_api import serving

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "wattledger"
PLAIN = ROOT / "deploy" / "kubernetes" / "wattledger.yaml"
VARIABLE = "WATTLEDGER_HELM_PYTHON"
ABSENT = f"no helm: neither a helm program on PATH nor a Python with helm_sdkpy in {VARIABLE}"
RELEASE, NAMESPACE = "wattledger", "wattledger"
PATIENCE_S = 60.0

Values = Mapping[str, Any]
Object = dict[str, Any]


class Refused(Exception):
    """Helm did not render; its own words."""


class Rendered(NamedTuple):
    """``text``: the manifest as Helm wrote it, comments included; ``notes`` are empty where Helm does not tell them."""

    text: str
    notes: str
    objects: list[Object]

    def of(self, kind: str) -> list[Object]:
        """All of one kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def the(self, kind: str) -> Object:
        """The only one of its kind."""
        (found,) = self.of(kind)
        return found


def rendered(text: str, notes: str = "") -> Rendered:
    """Take a manifest apart."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, and dashboards are long
    return Rendered(text, notes, [one for one in yaml.load_all(text, Loader=loader) if one])


class Helm(Protocol):
    """What renders charts.  ``render`` raises Refused, as do ``lint`` and ``package``, which gives the archive."""

    def render(self, values: Values, *, release: str = RELEASE, chart: Path = CHART) -> Rendered: ...

    def lint(self, chart: Path = CHART) -> None: ...

    def package(self, into: Path, chart: Path = CHART) -> Path: ...


class Program:
    """The ``helm`` program: ``helm template`` asks no cluster."""

    def __init__(self, path: str) -> None:
        self._path = path

    def render(self, values: Values, *, release: str = RELEASE, chart: Path = CHART) -> Rendered:
        words = ["template", release, str(chart), "--namespace", NAMESPACE, "--kube-version", "1.34.0", "--values", "-"]
        return rendered(self._run(*words, said=yaml.safe_dump(dict(values))))

    def lint(self, chart: Path = CHART) -> None:
        self._run("lint", "--strict", str(chart))

    def package(self, into: Path, chart: Path = CHART) -> Path:
        self._run("package", str(chart), "--destination", str(into))
        return next(into.glob("*.tgz"))

    def _run(self, *words: str, said: str = "") -> str:
        done = subprocess.run([self._path, *words], input=said, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout


class Library:
    """``helm_sdkpy`` in a Python of its own, asked line by line.  State: that process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def render(self, values: Values, *, release: str = RELEASE, chart: Path = CHART) -> Rendered:
        found = self._ask("render", chart, values=dict(values), release=release, namespace=NAMESPACE)
        return rendered(found["manifest"], found["notes"])

    def lint(self, chart: Path = CHART) -> None:
        self._ask("lint", chart)

    def package(self, into: Path, chart: Path = CHART) -> Path:
        self._ask("package", chart, into=str(into))
        return next(into.glob("*.tgz"))

    def _ask(self, what: str, chart: Path, **more: Any) -> dict[str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, "chart": str(chart), **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Refused(f"the Python of {VARIABLE} ended with status {self._process.wait()}")
        answer: dict[str, str] = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer


@contextlib.contextmanager
def helm() -> Iterator[Helm | None]:
    """Whichever there is; ``None``: neither (``ABSENT`` says so)."""
    program, python = shutil.which("helm"), os.environ.get(VARIABLE)
    if program is not None:
        yield Program(program)
    elif python:
        with tempfile.TemporaryDirectory() as home, serving() as kubeconfig, _child(python, Path(home), kubeconfig) as process:
            yield Library(process)
    else:
        yield None


@contextlib.contextmanager
def _child(python: str, home: Path, kubeconfig: str) -> Iterator["subprocess.Popen[str]"]:
    # It reads KUBECONFIG once, when it is loaded.
    (home / "kubeconfig").write_text(kubeconfig, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LD_LIBRARY_PATH")}
    environ = {**kept, "HOME": str(home), "KUBECONFIG": str(home / "kubeconfig"), "NO_PROXY": "127.0.0.1"}
    command = [python, str(Path(__file__).with_name("helm_child.py"))]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, stderr=nowhere, text=True) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()
            try:
                process.wait(PATIENCE_S / 4)
            except subprocess.TimeoutExpired:
                process.kill()


HEADER = """\
# The chart of deploy/helm/wattledger with its defaults, made by `python -m tests.deploy.helm_render`: change the chart, not this.
# kubectl apply -f namespace.yaml -f wattledger.yaml, after putting your image's name in the place of "wattledger:0.1.0".
"""


def plain(rendered: Rendered) -> str:
    """The committed file: without the marks of a release, for nobody's helm manages these."""
    lines = [line for line in rendered.text.splitlines() if line.strip() != "app.kubernetes.io/managed-by: Helm"]
    return HEADER + "\n".join(line.rstrip() for line in lines if line.strip()) + "\n"


def main() -> int:
    with helm() as found:
        if found is None:
            print(ABSENT, file=sys.stderr)
            return 1
        from tests.deploy.chart_schema import write  # which reads the settings of the package

        write()
        PLAIN.parent.mkdir(exist_ok=True)
        PLAIN.write_text(plain(found.render({})), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
