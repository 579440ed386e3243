"""Wrong words are one line (what, where, the nearest right name) and exit status 2; a missing command is the shell's own status."""

from pathlib import Path

import pytest
from tests.runtime.programs import blind, wattledger


@pytest.mark.parametrize(("words", "status", "named"), [
    (("run", "--jbo", "x", "--", "true"), 2, "--job"),
    (("run", "--lable", "a=b", "true"), 2, "--label"),
    (("run", "-x", "true"), 2, "-x"),
    (("run",), 2, "CMD"),
    (("run", "--"), 2, "CMD"),
    (("run", "--label", "x", "--", "true"), 2, "K=V"),
    (("run", "--label", "=x", "--", "true"), 2, "K=V"),
    (("run", "--interval", "soon", "--", "true"), 2, "soon"),
    (("run", "--interval", "0", "--", "true"), 2, "interval"),
    (("run", "--interval", "nan", "--", "true"), 2, "interval"),
    (("run", "--interval", "inf", "--", "true"), 2, "interval"),
    (("run", "--zone", "Germny", "--", "true"), 2, "DE"),
    (("run", "--scope", "hst", "--", "true"), 2, "host"),
    (("run", "--job", "(idle)", "--", "true"), 2, "(idle)"),
    (("run", "--config", "no.toml", "--", "true"), 2, "no.toml"),
    (("run", "-o", "no/such/f", "--", "true"), 2, "no/such"),
    (("run", "-o", ".", "--", "true"), 2, "directory"),
    (("run", "--record", "no/such/f", "--", "true"), 2, "no/such"),
    (("rnu", "--", "true"), 2, "run"),
    (("run", "--", "no-such-command"), 127, "no-such-command"),
    (("run", "--", "./no-such-command"), 127, "no-such-command"),
    (("run", "--", ""), 127, "command"),
    (("run", "--", "./plain"), 126, "plain"),
    (("run", "--", "./binary"), 126, "binary"),
    (("run", "--", "./folder"), 126, "folder"),
], ids=repr)  # fmt: skip
def test_one_line_says_what_is_wrong(tmp_path: Path, words: tuple[str, ...], status: int, named: str) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "binary").write_bytes(b"\x7fELF is not enough")
    (tmp_path / "binary").chmod(0o755)
    (tmp_path / "folder").mkdir()
    done = wattledger(blind(tmp_path), *words, cwd=tmp_path)
    assert done.status == status
    assert done.out == ""
    assert done.err.startswith("wattledger: ")
    assert done.err.count("\n") == 1
    assert named in done.err


@pytest.mark.parametrize(("text", "named"), [
    ('[grid]\nzoen = "DE"\n', "grid.zone"), ("[grid\n", "wattledger.toml"), ('[agent]\ninterval_s = "x"\n', "agent.interval_s"),
    ("[sources.nvlm]\nenabled = false\n", "sources.nvml.enabled"), ("\xff", "wattledger.toml"),
])  # fmt: skip
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "wattledger.toml").write_bytes(text.encode("latin-1"))
    done = wattledger(blind(tmp_path), "run", "--", "true", cwd=tmp_path)
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert named in done.err


def test_an_unknown_environment_key_is_a_warning_and_the_command_runs(tmp_path: Path) -> None:
    done = wattledger(blind(tmp_path, WATTLEDGER_GRID_ZOEN="DE"), "run", "--", "sh", "-c", "exit 3")
    assert done.status == 3
    assert done.err.startswith("wattledger: WATTLEDGER_GRID_ZOEN")
    assert "WATTLEDGER_GRID_ZONE" in done.err.splitlines()[0]


def test_the_command_does_not_start_before_the_words_are_right(tmp_path: Path) -> None:
    wattledger(blind(tmp_path), "run", "--zone", "Atlantis", "--", "touch", str(tmp_path / "ran"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("--version",)])
def test_help_is_on_standard_output_and_no_error(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = wattledger(blind(tmp_path), *words)
    assert (done.status, done.err) == (0, "")
    assert "wattledger" in done.out
