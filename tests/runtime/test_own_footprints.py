"""The user's own figures of embodied carbon: read once, before the package's, and a wrong file takes nothing away."""

import os
from pathlib import Path

import pytest
from tests.accounting.made_machines import booked, by_job, ran
from tests.accounting.made_passports import pact_json
from tests.accounting.made_reports import books
from tests.cli.front import Front, is_one_line, own_place

from wattledger.accounting.report_ask import Rules
from wattledger.core.model import Device
from wattledger.runtime.assets.footprints import first_line, own_figures
from wattledger.runtime.config import Config, load
from wattledger.runtime.embodied import estimates

CARD = Device("GPU-1", "gpu", "NVIDIA H100 80GB HBM3", None, 100_000_000)
HOURS = 4 * 8760


def settings(path: Path, **more: str) -> Config:
    own = {"WATTLEDGER_EMBODIED_FOOTPRINTS": str(path), "WATTLEDGER_EMBODIED_HOST": "none", **more}
    return load(own, here=False)


def own(folder: Path, text: str = "model,kg\nH100,100\n", name: str = "own.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_the_users_own_figure_goes_before_the_packages(tmp_path: Path) -> None:
    rate = estimates(settings(own(tmp_path)), [CARD])[CARD.id]
    assert rate.value == pytest.approx(100_000 / HOURS)
    assert (rate.quality, rate.boundary) == ("declared", "cradle-to-gate")
    assert "own.csv" in rate.origin


def test_a_life_said_in_the_file_goes_before_the_configured(tmp_path: Path) -> None:
    file = own(tmp_path, "model,kg,life_years\nH100,100,8\n")
    assert estimates(settings(file, WATTLEDGER_EMBODIED_GPU_LIFE_Y="2"), [CARD])[CARD.id].value == pytest.approx(100_000 / 8 / 8760)
    file = own(tmp_path, name="bare.csv")
    assert estimates(settings(file, WATTLEDGER_EMBODIED_GPU_LIFE_Y="2"), [CARD])[CARD.id].value == pytest.approx(100_000 / 2 / 8760)


def test_a_model_that_is_not_in_the_file_has_the_packages_figure(tmp_path: Path) -> None:
    rate = estimates(settings(own(tmp_path, "model,kg\nA100,100\n")), [CARD])[CARD.id]
    assert rate.quality == "pcf"
    assert rate.value == pytest.approx(164_000 / HOURS)


@pytest.mark.parametrize("text", [None, "model,kg\nH100,164000\n", "model,kg\nH100,x\nA100,y\n"])
def test_a_wrong_file_is_one_warning_and_the_packages_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    file = tmp_path / "own.csv" if text is None else own(tmp_path, text)
    for _ in range(3):
        rate = estimates(settings(file), [CARD])[CARD.id]
        assert rate.value == pytest.approx(164_000 / HOURS)
    said = capsys.readouterr().err
    assert is_one_line(said)
    assert str(file) in said
    assert "the package's figures stand" in said


def test_a_pact_footprint_is_a_figure_of_its_product(tmp_path: Path) -> None:
    [figure] = own_figures(str(own(tmp_path, pact_json(), "pcf.json")))
    assert (figure.kg, figure.method, figure.kind) == (1312, "pcf", "accelerator")


def test_a_json_list_is_read_as_one(tmp_path: Path) -> None:
    [figure] = own_figures(str(own(tmp_path, '[{"model": "H100", "kg": 100}]', "own.json")))
    assert (figure.item, figure.kg) == ("H100", 100)


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    file = own(tmp_path)
    first = own_figures(str(file))
    assert own_figures(str(file)) is first
    own(tmp_path, "model,kg\nH100,200\n")
    os.utime(file, (1, 1))
    assert own_figures(str(file))[0].kg == 200


def test_no_file_is_no_figure() -> None:
    assert own_figures("") == ()


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="no text in UTF-8"):
        own_figures(str(file))


def test_the_first_mistake_is_said_and_how_many_follow() -> None:
    assert first_line(ValueError("one")) == "one"
    assert first_line(ValueError("one\ntwo\nthree")) == "one (and 2 more)"


def test_a_report_prices_a_machine_without_a_passport_by_them(tmp_path: Path) -> None:
    place = books(tmp_path, ran(6))
    usual = sum(by_job(booked(place)).values())
    figures = own_figures(str(own(tmp_path, "model,kg\nNVIDIA H100 80GB HBM3,328\n")))
    assert usual > 0
    assert sum(by_job(booked(place, rules=Rules(footprints=figures))).values()) == pytest.approx(2 * usual, rel=1e-6)


def test_a_report_with_a_wrong_file_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own_place(monkeypatch, tmp_path)
    place = books(tmp_path, ran(6))
    monkeypatch.setenv("WATTLEDGER_EMBODIED_FOOTPRINTS", str(own(tmp_path, "model,kg\nH100,164000\n")))
    said = Front(capsys)("report", "job", "--ledger", str(place), "--json")
    assert said.status == 2
    assert is_one_line(said.err)
    assert "own.csv:2: an accelerator of 164,000 kg: kg, not g?" in said.err
