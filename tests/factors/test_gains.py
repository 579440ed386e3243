"""The gain of a sensor: a factor of one whose interval says how far all its readings may be off together."""

from itertools import product
from typing import get_args

import pytest

from wattledger.core.model import Kind, Method
from wattledger.factors.gains import gain


@pytest.mark.parametrize(
    ("kind", "model", "method", "g95"),
    [
        ("gpu", "NVIDIA H100 80GB HBM3", "counter", 1.10),
        ("gpu", "NVIDIA H100 80GB HBM3", "integrated", 1.10),
        ("gpu", "NVIDIA A100-SXM4-80GB", "counter", 1.10),
        ("gpu", "Tesla V100-SXM2-16GB", "counter", 1.10),
        ("gpu", "NVIDIA GeForce RTX 4090", "counter", 1.15),
        ("gpu", "NVIDIA RTX A5000", "integrated", 1.15),
        ("gpu", "a card nobody knows", "counter", 1.15),
        ("gpu", "NVIDIA A100-PCIE-40GB", "integrated", 1.30),
        ("gpu", "NVIDIA A30", "integrated", 1.30),
        ("cpu", "package-0", "counter", 1.10),
        ("dram", "dram", "counter", 1.10),
        ("cpu", "hwmon", "integrated", 1.10),
        ("cpu", "AMD EPYC 7763", "estimated", 1.80),
        ("gpu", "NVIDIA H100 80GB HBM3", "estimated", 2.19),
        ("dram", "DDR5", "estimated", 2.0),
        ("rest", "rest", "estimated", 1.4),
    ],
)
def test_kind_model_and_method_decide_the_interval(kind: Kind, model: str, method: Method, g95: float) -> None:
    assert gain(kind, model, method).g95 == g95


@pytest.mark.parametrize(("duration_s", "g95"), [(None, 1.30), (10.0, 1.30), (300.0, 1.30), (301.0, 1.10)])
def test_a_part_time_sensor_is_better_over_five_minutes(duration_s: float | None, g95: float) -> None:
    assert gain("gpu", "NVIDIA A100-SXM4-40GB", "integrated", duration_s).g95 == g95
    assert gain("gpu", "NVIDIA H100 PCIe", "integrated", duration_s).g95 == 1.10


def test_every_gain_is_one_with_an_origin_and_a_doubt() -> None:
    for kind, method in product(get_args(Kind), get_args(Method)):
        factor = gain(kind, "a model", method)
        assert (factor.kind, factor.value, factor.unit) == ("sensor_gain", 1.0, "1")
        assert factor.origin
        assert factor.g95 > 1.0
        assert factor.zone == f"{kind}:a model:{method}"


def test_a_model_is_never_surer_than_a_sensor() -> None:
    for kind in get_args(Kind):
        assert gain(kind, "a model", "estimated").g95 >= gain(kind, "a model", "counter").g95
