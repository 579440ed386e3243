"""What of a text is taken, and what is not."""

import math

import pytest

from wattledger.core.ports import SourceFailed
from wattledger.sources.engines.exposition import parse


def one(line: str) -> tuple[str, dict[str, str], float]:
    ((name, (series,)),) = parse(f"{line}\n".encode()).families.items()
    return name, dict(series.labels), series.value


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a 1", ("a", {}, 1.0)),
        ("a:b_total{} 1.5e3", ("a:b_total", {}, 1500.0)),
        ('a{x="1",y="2"} 3', ("a", {"x": "1", "y": "2"}, 3.0)),
        ('a{x="1",} 3', ("a", {"x": "1"}, 3.0)),
        ('a { x = "1" , y="2" }  3  1795341600000', ("a", {"x": "1", "y": "2"}, 3.0)),
        ('a{x="}{,\\"\\\\\\n"}3', ("a", {"x": '}{,"\\\n'}, 3.0)),
        ('a{x=""} 3', ("a", {}, 3.0)),
        ('a_total 5 # {trace_id="abc"} 1 1795341600', ("a_total", {}, 5.0)),
        ('a_total{x="1"} 5 # {trace_id="}"} 1', ("a_total", {"x": "1"}, 5.0)),
        ("a +Inf", ("a", {}, math.inf)),
    ],
)
def test_a_sample_is_taken_apart(line: str, expected: tuple[str, dict[str, str], float]) -> None:
    assert one(line) == expected


def test_nan_is_a_value() -> None:
    assert math.isnan(one("a NaN")[2])


BAD = ["a", "a b", "a 1_000", 'a{x="1} 2', "a{x=1} 2", 'a{x="1" y="2"} 3', "1a 2", "a{ 3", "{} 3", "a 1 2 3"]


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_left_out_and_told_once(line: str) -> None:
    said = parse(f"good 1\n{line}\nmore bad lines here\n".encode())
    assert set(said.families) == {"good"}
    assert said.odd == (f"some lines are no samples and were left out, e.g. {line!r}",)


def test_buckets_comments_and_empty_lines_are_passed_over() -> None:
    said = parse(b'# HELP a b\n#\n\n   \na_bucket{le="1"} 9\na_bucket{le="+Inf"} 3\na_sum 4\na_count 3\n# EOF\n')
    assert set(said.families) == {"a_sum", "a_count"}
    assert said.odd == ()


def test_what_is_said_twice_counts_once() -> None:
    said = parse(b'a{x="1",y="2"} 5\na{y="2",x="1"} 7\na{x="1"} 1\n')
    assert [series.value for series in said.families["a"]] == [5.0, 1.0]
    assert said.odd == ("said twice with the same labels, the first is taken: a",)


@pytest.mark.parametrize("body", [b"<html>\n", b"  \n<!DOCTYPE html><body>502\n", b"<?xml?>"])
def test_a_web_page_is_no_metrics(body: bytes) -> None:
    with pytest.raises(SourceFailed, match="web page"):
        parse(body)


@pytest.mark.parametrize("body", [b'{"error": "no"}\n', b"Not found\n", bytes(range(10, 200)) + b"\n"])
def test_what_has_no_sample_is_no_metrics(body: bytes) -> None:
    with pytest.raises(SourceFailed, match="not metrics: it begins with") as failed:
        parse(body)
    assert "\n" not in str(failed.value)


def test_half_a_line_is_not_believed() -> None:
    """9302 cut after its second digit would look like a restart."""
    with pytest.raises(SourceFailed, match="broke off"):
        parse(b"a 1\nb 93")


def test_an_empty_reply_is_an_empty_text() -> None:
    assert parse(b"").families == parse(b"\n\n").families == {}


def test_a_line_of_a_million_characters_is_judged_in_time_that_grows_with_it() -> None:
    """Nothing in a text may make the parser try all ways of reading it."""
    said = parse(b"good 1\na{" + b'x="' * 300_000 + b"\n" + b"a" * 1_000_000 + b"\n")
    assert set(said.families) == {"good"}
