"""``wattledger run -- CMD …``: run a command untouched and say what it used."""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from wattledger.cli import fail
from wattledger.cli.present import footprint_lines
from wattledger.core.footprint import Footprint, Identity
from wattledger.runtime.capture import Recorder
from wattledger.runtime.child import Child, inherited
from wattledger.runtime.config import Config, ConfigError, load
from wattledger.runtime.prices import price_list
from wattledger.runtime.wrapped import Wrapped

NO_SUCH_COMMAND = 127  # as a shell says it
NOT_EXECUTABLE = 126


@click.command(
    "run", context_settings={"allow_interspersed_args": False}, short_help="Measure CMD."
)
@click.option("--job", metavar="NAME", help="What the work is called; default: the script's name.")
@click.option("--model", metavar="NAME", help="The model it trains or serves.")
@click.option("--label", "labels", metavar="K=V", multiple=True, help="A label; may be given more than once.")
@click.option("--zone", metavar="ZONE", help="Grid zone, e.g. DE or US-CAMX (`wattledger grid zones`).")
@click.option("--scope", type=click.Choice(["process", "host"]), default="process", show_default=True,
              help="CMD and its children, or everything the machine used meanwhile.")  # fmt: skip
@click.option("--interval", type=float, metavar="S", help="Seconds between background readings; default 1.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write the footprint as JSON to FILE.")
@click.option("--json", "as_json", is_flag=True, help="Write the footprint as JSON to the end of standard output.")
@click.option("--record", type=click.Path(dir_okay=False), metavar="CAPTURE", help="Record every sample for `wattledger replay`.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
@click.argument("cmd", nargs=-1, type=click.UNPROCESSED, required=True)
def command(cmd: tuple[str, ...], **options: Any) -> None:
    """Run CMD, pass its output, signals and exit status through untouched, and print its energy and carbon on standard error.

    Example: wattledger run --zone DE -- python train.py
    """
    passed = inherited()
    labels = _labels(options["labels"])
    job = options["job"] or os.environ.get("WATTLEDGER_JOB") or _job_of(cmd)
    if job.startswith("("):
        fail(f"run: job name {job!r}: names may not begin with '(' (those are the meter's own)")
    try:
        flags = {"agent.interval_s": options["interval"], "grid.zone": options["zone"]}
        config = load(os.environ, file=options["config_file"], flags=flags)
        for warning in config.warnings:
            _say(f"wattledger: {warning}", err=True)
        price_list(config, os.environ)  # a wrong zone is said before anything is opened
        _check_command(cmd[0])
        if options["output"] and options["output"] == options["record"]:
            fail(f"run: -o and --record both name {options['output']}")
        _check_output(options["output"])
        model = options["model"] or os.environ.get("WATTLEDGER_MODEL")
        run_id = os.environ.get("WATTLEDGER_RUN_ID") or os.urandom(8).hex()
        who = Identity(run_id, None, job, model, labels, "", options["scope"])
        footprint, status = _measure(cmd, who, config, _recorder(options["record"]), passed)
    except ConfigError as wrong:
        fail(str(wrong))
    if options["output"]:
        _write(Path(options["output"]), footprint)
    if options["as_json"]:
        _say(json.dumps(footprint.to_dict()))
    _say("\n".join(footprint_lines(footprint)), err=True)
    raise SystemExit(status)


def _say(text: str, *, err: bool = False) -> None:
    """Print, unless nobody can hear: a full disk or a closed stream must not change the command's exit status."""
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(text, file=stream)
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        # What is left in the buffer would fail again, loudly, when the interpreter flushes it at its end.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not err:
            _say("wattledger: standard output cannot be written to; the footprint's JSON is lost (use -o FILE)", err=True)


def _measure(
    cmd: tuple[str, ...], who: Identity, config: Config, recorder: Recorder | None, passed: tuple[int, ...]
) -> tuple[Footprint, int]:
    try:
        wrapped = Wrapped(config, os.environ, who, recorder)
    except BaseException:
        if recorder is not None:
            recorder.discard()
        raise
    try:
        child = Child(cmd, {**os.environ, **wrapped.handed_down()}, passed)
    except OSError as failure:
        wrapped.abandon()
        fail(f"run: cannot start {cmd[0]}: {failure.strerror}", NOT_EXECUTABLE)
    return wrapped.until(child)


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            fail(f"run: --label {pair!r}: expected K=V, e.g. --label team=search")
        labels[key] = value
    return labels


def _job_of(cmd: tuple[str, ...]) -> str:
    """``train`` for ``python -u train.py --lr 1``; else the command's own name."""
    name = Path(cmd[0]).name
    if name.startswith("python"):
        words = [w for w in cmd[1:] if not w.startswith("-")]
        if "-m" in cmd[1:-1]:
            return cmd[cmd.index("-m") + 1]
        if words and words[0].endswith(".py"):
            return Path(words[0]).stem
    return name


def _check_command(name: str) -> None:
    if os.path.isdir(name) and os.sep in name:
        fail(f"run: {name} is a directory, not a command", NOT_EXECUTABLE)
    if shutil.which(name) is None:
        if os.path.isfile(name) or (os.sep in name and os.path.exists(name)):
            fail(f"run: {name} is not executable (chmod +x it, or name its interpreter)", NOT_EXECUTABLE)
        fail(f"run: no such command: {name}", NO_SUCH_COMMAND)


def _check_output(output: str | None) -> None:
    """Wrong words are said before an hour of training, not after it."""
    folder = Path(output).parent if output else None
    if folder is not None and not os.access(folder, os.W_OK):
        fail(f"run: cannot write {output}: {'no such folder' if not folder.exists() else 'no permission'} {folder}")


def _recorder(path: str | None) -> Recorder | None:
    if path is None:
        return None
    try:
        return Recorder(Path(path))
    except OSError as failure:
        fail(f"run: cannot write the capture {path}: {failure.strerror}")


def _write(path: Path, footprint: Footprint) -> None:
    """Whole or not at all; the child's exit status stays what it was."""
    path = path.resolve()  # a link keeps pointing where it points
    text = json.dumps(footprint.to_dict(), indent=1) + "\n"
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")  # a pipe or a device takes what comes, and stays what it is
            return
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as failure:
        with contextlib.suppress(OSError):
            part.unlink()
        _say(f"wattledger: cannot write {path}: {failure.strerror}; the footprint is below", err=True)
