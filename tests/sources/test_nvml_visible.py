"""CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES, read as CUDA and the container runtime read them."""

import pytest

from wattledger.sources.nvml.visible import Card, choose

CARDS = [
    Card("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "H100"),
    Card("GPU-89aaaaaa-d72c-4106-c12f-20bd9faed9f6", "H100"),
    Card("GPU-1b5cf1f3-0000-4000-8000-000000000002", "H100"),
    Card("GPU-77777777-0000-4000-8000-000000000003", "H100"),
]
MIG = "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"


def parent_of(mig: str) -> str | None:
    return CARDS[2].uuid if mig == MIG else None


def seen(**environ: str) -> list[int]:
    return [CARDS.index(card) for card in choose(CARDS, environ, parent_of).cards]


def test_without_a_wish_all_are_ours() -> None:
    assert seen() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("2,0", [2, 0]),
        (" 1 , 3 ", [1, 3]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0,-1,1", [0]),
        ("0,7,1", [0]),
        ("1,x,0", [1]),
        ("GPU-1b5cf1f3-0000-4000-8000-000000000002", [2]),
        ("GPU-1b5", [2]),
        ("GPU-1B5CF1F3", [2]),
        ("GPU-89", []),  # begins two
        ("GPU-8932,GPU-77", [0, 3]),
        (MIG, [2]),
        (f"{MIG},{MIG}", [2]),
        ("MIG-00000000-42e4-5de3-91c7-45d71c87eb3f", []),
        ("MIG-GPU-77777777-0000-4000-8000-000000000003/1/0", [3]),
    ],
)
def test_cuda_ends_its_list_at_the_first_word_that_names_nothing(listed: str, expected: list[int]) -> None:
    assert seen(CUDA_VISIBLE_DEVICES=listed) == expected


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("all", [0, 1, 2, 3]),
        ("void", [0, 1, 2, 3]),
        ("none", [0, 1, 2, 3]),
        ("", [0, 1, 2, 3]),
        ("1,3", [1, 3]),
        ("GPU-77777777-0000-4000-8000-000000000003", [3]),
        ("2:0,2:1", [2]),
        ("4,5,6,7", [0, 1, 2, 3]),  # the runtime granted four, and calls them by the host's names
        ("9", [0, 1, 2, 3]),
    ],
)
def test_a_container_restricts_only_what_was_not_already_granted(listed: str, expected: list[int]) -> None:
    assert seen(NVIDIA_VISIBLE_DEVICES=listed) == expected


def test_cuda_chooses_among_what_the_container_shows() -> None:
    assert seen(NVIDIA_VISIBLE_DEVICES="2,3", CUDA_VISIBLE_DEVICES="1") == [3]


@pytest.mark.parametrize(
    ("names", "environ", "assumed"),
    [
        (("H100", "H100"), {"CUDA_VISIBLE_DEVICES": "0"}, False),
        (("H100", "T4"), {"CUDA_VISIBLE_DEVICES": "0"}, True),
        (("H100", "T4"), {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, False),
        (("H100", "T4"), {"CUDA_VISIBLE_DEVICES": "GPU-0"}, False),
        (("H100", "T4"), {}, False),
    ],
)
def test_an_index_among_different_gpus_is_an_assumption(
    names: tuple[str, ...], environ: dict[str, str], assumed: bool
) -> None:
    cards = [Card(f"GPU-{index}", name) for index, name in enumerate(names)]
    assert bool(choose(cards, environ, parent_of).notes) is assumed
