"""Ed25519: RFC 8032's known answer, and every key file that a person may name by mistake."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.keys import KNOWN_PUBLIC, KNOWN_SIGNATURE_OF_NOTHING, key_file, pem

from wattledger.ledger import signing
from wattledger.ledger.engine import LedgerError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("cryptography") is None, reason="cryptography is not installed")


def test_the_signature_is_rfc_8032s(tmp_path: Path) -> None:
    file = key_file(tmp_path)
    assert signing.public_key(file) == KNOWN_PUBLIC
    assert signing.sign(file, b"") == KNOWN_SIGNATURE_OF_NOTHING
    assert signing.verify(KNOWN_PUBLIC, b"", KNOWN_SIGNATURE_OF_NOTHING)


@given(bit=st.integers(0, 511), data=st.binary(max_size=40))
def test_a_flipped_bit_anywhere_breaks_a_signature(bit: int, data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = key_file(tmp_path_factory.mktemp("keys"))
    public, signature = signing.public_key(file), signing.sign(file, data)
    assert signing.verify(public, data, signature)
    assert not signing.verify(public, data, _flipped(signature, bit))
    assert not signing.verify(public, data + b"x", signature)
    assert not signing.verify(_flipped(public, bit % 256), data, signature)


@pytest.mark.parametrize("wrong", ["", "zz", "00", "ü" * 64, "00" * 32 + "0"])
def test_what_is_no_key_or_signature_is_false_and_no_error(wrong: str) -> None:
    assert not signing.verify(wrong, b"", KNOWN_SIGNATURE_OF_NOTHING)
    assert not signing.verify(KNOWN_PUBLIC, b"", wrong)


def test_a_wrong_key_file_is_one_line_without_the_key(tmp_path: Path) -> None:
    (tmp_path / "rsa.pem").write_bytes(pem("rsa"))
    (tmp_path / "locked.pem").write_bytes(pem("ed25519", password=b"secret"))
    (tmp_path / "text.pem").write_bytes(b"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC")
    wrong = {"rsa": "not of Ed25519", "locked": "encrypted", "text": "not a private key", "gone": "cannot be read"}
    for name, words in wrong.items():
        for use in (lambda file: signing.sign(file, b""), signing.public_key):
            with pytest.raises(LedgerError, match=words) as told:
                use(tmp_path / f"{name}.pem")
            assert "\n" not in str(told.value)
            assert "MC4C" not in str(told.value)
    with pytest.raises(LedgerError, match="cannot be read"):
        signing.sign(tmp_path, b"")


def test_a_key_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    file = key_file(tmp_path)
    assert signing.exposed(file) == ""
    file.chmod(0o640)
    assert "chmod 600" in signing.exposed(file)
    assert signing.exposed(tmp_path / "gone.pem") == ""


def test_without_the_package_there_is_one_line() -> None:
    code = (
        "import sys; sys.modules['cryptography'] = sys.modules['cryptography.exceptions'] = None\n"
        "from wattledger.ledger import signing\n"
        "for call in (lambda: signing.sign('k', b''), lambda: signing.public_key('k'), lambda: signing.verify('', b'', '')):\n"
        "    try: call()\n"
        "    except signing.LedgerError as told: print(told)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["signing needs cryptography: pip install 'wattledger[books]'"] * 3


def _flipped(text: str, bit: int) -> str:
    data = bytearray.fromhex(text)
    data[bit // 8] ^= 1 << bit % 8
    return data.hex()
