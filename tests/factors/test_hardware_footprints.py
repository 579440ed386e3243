"""The user's own figures of what it emitted to make things."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.factors.hardware import footprints, table

HEAD = "model,kg,low_kg,high_kg,boundary,source,year,kind,life_years,licence\n"
H100 = "NVIDIA H100 80GB HBM3"


def refused(text: str, form: str = "csv") -> list[str]:
    with pytest.raises(ValueError, match=r"^own\.") as wrong:
        footprints.read(text, form, f"own.{form}")  # type: ignore[arg-type]
    return str(wrong.value).splitlines()


def test_a_row_says_what_it_says_and_the_rest_is_assumed() -> None:
    row = "H100 80GB,150,120,200,cradle-to-grave,our LCA,2026,gpu,5,internal\n"
    text = f"{HEAD}{row}# a word\n\nRTX A6000,200,,,,,,,,\n"
    full, bare = footprints.read(text, "csv", "own.csv")
    assert full[:5] == ("H100 80GB", "gpu", 150, 120, 200)
    assert full[5:] == ("cradle-to-grave", "declared", "our LCA", "2026", "internal", 5 * 8760, "")
    assert bare[:5] == ("RTX A6000", "accelerator", 200, 100, 400)
    assert bare[5:] == ("cradle-to-gate", "declared", "one's own figure (own.csv)", "", "", 0, "")


def test_json_and_csv_say_the_same() -> None:
    server = {"model": "Dell R760", "kg": "1300.5", "kind": "server", "year": 2025}
    listed = [{"model": "H100", "kg": 150, "life_years": "5"}, server]
    text = "\ufeffmodel,kg,kind,year,life_years\nH100,150,,,5\nDell R760,1300.5,server,2025,\n"
    of_json = footprints.read(json.dumps(listed), "json", "own.csv")
    assert of_json == footprints.read(text, "csv", "own.csv")


def test_the_name_that_says_most_is_found() -> None:
    figures = footprints.read("model,kg\nH100,150\nNVIDIA H100 80GB,160\nA100,100\n", "csv", "own.csv")
    names = H100, "NVIDIA H100 PCIe", "A100-SXM4-40GB"
    assert [one.kg for name in names if (one := footprints.find(figures, name))] == [160, 150, 100]
    assert footprints.find(figures, f"{H100} MIG 1g.10gb") == footprints.find(figures, H100)
    assert footprints.find(figures, "Tesla T4") is None
    assert footprints.find(figures, "") is None
    assert footprints.find((), H100) is None


def test_a_life_that_is_not_said_is_the_askers() -> None:
    figures = footprints.read("model,kg,life_years\nH100,150,\nA100,100,6\n", "csv", "own.csv")
    lives = [one.life_h for name in ("H100", "A100") if (one := footprints.find(figures, name, life_h=1000))]
    assert lives == [1000, 6 * 8760]
    usual = footprints.find(figures, "H100")
    assert usual is not None
    assert usual.life_h == table.CARD_LIFE_H


@pytest.mark.parametrize("kg", ["164000", "20000.1", "4.9", "0.164"])
def test_grams_are_not_kilograms(kg: str) -> None:
    [line] = refused(f"model,kg\nH100,{kg}\n")
    assert line.startswith("own.csv:2: an accelerator of ")
    assert "kg, not g?" in line


def test_a_server_may_be_heavier_than_a_card_can() -> None:
    assert footprints.read("model,kg,kind\nNVL72,30000,rack\n", "csv", "own.csv")[0].kg == 30_000


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("H100,\n", "kg is missing"), ("H100,abc\n", "kg = 'abc': expected a number above zero"), ("H100,-3\n", "kg = '-3'"),
        ("H100,nan\n", "kg = 'nan'"), ("H100,inf\n", "kg = 'inf'"), ("H100,1_000\n", "kg = '1_000'"),
        (",150\n", "model '' names nothing"),
        ("NVIDIA,150\n", "model 'NVIDIA' names nothing"), ("H100,1,312\n", "3 fields, and the head has 2 columns"),
        ("H100\n", "1 fields, and the head has 2 columns"), ('"H100,150\n', "not CSV"),
        (f"{'x' * 201},150\n", "model is no text of at most"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named_by_its_line(row: str, what: str) -> None:
    [line] = refused(f"model,kg\nA100,127\n{row}")
    assert line.startswith("own.csv:3: ")
    assert what in line


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("model;kg\nH100;150\n", "separated by commas"), ("model,kgs\nH100,150\n", "no column 'kgs': expected model, kg"),
        ("model,kg,kg\nH100,150,1\n", "a column stands there twice"), ("kg\n150\n", "model is missing"),
        ("", "there is no figure in it"),
        ("model,kg\n", "there is no figure in it"), ("model,kg,low_kg\nH100,150,160\n", "does not lie between low_kg = 160"),
        ("model,kg,high_kg\nH100,150,140\n", "and high_kg = 140"),
        ("model,kg,kind\nH100,150,toaster\n", "kind 'toaster': expected one of"),
        ("model,kg,life_years\nH100,150,0\n", "life_years = '0'"),
        ("model,kg\nH100,150\nNVIDIA H100,160\n", "has a figure already"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(text: str, what: str) -> None:
    [line] = refused(text)
    assert what in line


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("{", 1, "not JSON"), ('[\n{"model": "H100", "kg": 1\n', 3, "not JSON"), ("{}", 1, "expected a list"),
        ("[\n 3]", 2, "expected an object"),
        ('[{"model": "H100"}]', 1, "kg is missing"), ('[{"model": "H100", "kg": true}]', 1, "kg = True"),
        ('[{"model": "A100", "kg": 127},\n\n {"model": "H100",\n "kg": 1e400}]', 3, "kg = inf"),
        ('[\n{"model": ["H100"], "kg": 1}]', 2, "model is no text"), ("[]", 1, "there is no figure"),
        (f'[{{"model": "H100", "kg": {"9" * 400}}}]', 1, "kg = 999"),
        ('[{"model": "H100", "kg": 150, "mass": 1}]', 1, "no column 'mass'"),
        ("[" * 100_000, 1, "not JSON"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_named_by_its_line(text: str, line: int, what: str) -> None:
    [said] = refused(text, "json")
    assert said.startswith(f"own.json:{line}: ")
    assert what in said


def test_every_wrong_row_is_said_and_a_thousand_are_not() -> None:
    assert [line.split(": ")[0] for line in refused("model,kg\nH100,0\nA100,127\nA30,x\n")] == ["own.csv:2", "own.csv:4"]
    many = refused("model,kg\n" + "".join(f"A{n},0\n" for n in range(1000)))
    assert len(many) == footprints.MOST_LINES + 1
    assert many[-1] == "own.csv: and 980 more"


@given(st.text(max_size=80), st.sampled_from(["csv", "json"]))
def test_no_text_raises_anything_else(text: str, form: str) -> None:
    try:
        found = footprints.read(text, form, "own")  # type: ignore[arg-type]
    except ValueError as wrong:
        lines = str(wrong).splitlines()
        assert lines
        assert all(line.startswith("own") for line in lines)
    else:
        assert found
