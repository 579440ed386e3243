"""The SMBIOS table, with bytes made here: what it says, and that no table can hurt."""

import hypothesis.strategies as st
from hypothesis import given, settings
from tests.runtime.trees import module, structure, supply

from wattledger.runtime.assets import dmi
from wattledger.runtime.assets.words import hashed, known

TABLE = b"".join([
    module(16_384, "DDR4", vendor="Hynix", part="HMA82GR7CJR8N-XN", serial="2E7B11"), module(65_536, "DDR5"),
    structure(17, b"\x00" * 24), structure(4, b"\x01\x02", ("CPU0",)), supply("PSU1", watts=2400, serial="X1"),
    supply("PSU2", watts=2400, serial="X2", present=False), structure(127, b""),
])  # fmt: skip


def test_modules_are_read_with_their_sizes_and_an_empty_slot_is_none() -> None:
    first, second = dmi.sticks(TABLE)
    assert first == dmi.Stick(16_384, "DDR4", 4800, "Hynix", "HMA82GR7CJR8N-XN", hashed("2E7B11"), "DIMM_A1")
    assert second == dmi.Stick(65_536, "DDR5", 4800, "", "", "", "DIMM_A1")


def test_a_bay_without_a_supply_is_none() -> None:
    assert dmi.supplies(TABLE) == (dmi.Supply("PSU1", "DELTA", "DPS-3300", hashed("X1"), 2400),)


def test_sizes_in_kibibytes_and_unknown_ones() -> None:
    data = bytearray(24)
    data[8:10] = (0x8000 | 2048).to_bytes(2, "little")
    assert [stick.mib for stick in dmi.sticks(structure(17, bytes(data)))] == [2]
    data[8:10] = (0xFFFF).to_bytes(2, "little")
    assert [stick.mib for stick in dmi.sticks(structure(17, bytes(data)))] == [None]
    data[8:10] = (0x7FFF).to_bytes(2, "little")  # "see the extended size", in a structure too short to have one
    assert [stick.mib for stick in dmi.sticks(structure(17, bytes(data)))] == [None]


def test_nothing_after_the_end_is_read() -> None:
    assert dmi.sticks(structure(127, b"") + TABLE) == ()


def test_a_table_cut_short_gives_what_was_whole() -> None:
    whole = dmi.sticks(TABLE)
    for length in range(len(TABLE)):
        found = dmi.sticks(TABLE[:length])
        assert found == whole[: len(found)]
        assert len(dmi.supplies(TABLE[:length])) <= 1


@given(st.binary(max_size=600))
@settings(deadline=None)
def test_garbage_is_no_memory_and_no_error(garbage: bytes) -> None:
    assert sum(len(one.data) for one in dmi.structures(garbage)) <= len(garbage)
    for stick in dmi.sticks(garbage):
        assert stick.mib is None or stick.mib > 0
        assert stick.part.isprintable()
    for supplied in dmi.supplies(garbage):
        assert supplied.watts is None or supplied.watts > 0


@given(st.integers(0, len(TABLE) - 1), st.binary(min_size=1, max_size=4))
@settings(deadline=None)
def test_a_flipped_byte_is_no_error(at: int, flips: bytes) -> None:
    table = TABLE[:at] + flips + TABLE[at + len(flips) :]
    assert all(stick.mib is None or stick.mib > 0 for stick in dmi.sticks(table))


def test_what_vendors_leave_in_empty_fields_is_not_known() -> None:
    for said in ("To Be Filled By O.E.M.", " Not Specified ", "00000000", "0x00000000", "N/A", "\x00", "", "Default string"):
        assert known(said) == ""
        assert hashed(said) == ""
    assert known("  ThinkSystem\tSR675 V3 \n") == "ThinkSystem SR675 V3"


def test_a_serial_is_only_its_hash() -> None:
    assert hashed("1660224000123").startswith("sha256:")
    assert "1660224000123" not in hashed("1660224000123")
    assert hashed(" 1660224000123 ") == hashed("1660224000123")
