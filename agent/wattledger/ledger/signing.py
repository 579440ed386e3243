"""Ed25519 signatures with a key of the user's own.  The only file that knows ``cryptography``.

Make a key with ``openssl genpkey -algorithm ed25519 -out KEY.pem`` and name it in ``[ledger] sign_key_file``.  The private key is
read at each signature, kept nowhere, and no message quotes the file.  Public keys and signatures are lower-case hex.
"""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from wattledger.ledger.engine import LedgerError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAKE = "openssl genpkey -algorithm ed25519 -out KEY.pem"
LARGEST_KEY_BYTES = 64 * 1024


def sign(key_file: Path | str, data: bytes) -> str:
    """The signature of ``data``, 128 hex digits.  Raises LedgerError: no package, no such file, not such a key."""
    return _private(key_file).sign(data).hex()


def public_key(key_file: Path | str) -> str:
    """The public key of a private key's file, 64 hex digits: what others check by.  Raises LedgerError as ``sign`` does."""
    return _private(key_file).public_key().public_bytes_raw().hex()


def verify(public_hex: str, data: bytes, signature_hex: str) -> bool:
    """Whether who holds the key's private half signed ``data``; false, too, where either is no such thing.

    Raises LedgerError where the package is not installed: that is not the signature's fault.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise _no_package() from None
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex)).verify(bytes.fromhex(signature_hex), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def exposed(key_file: Path | str) -> str:
    """One line of warning where others than its owner may read the private key, else empty."""
    try:
        mode = stat.S_IMODE(os.stat(key_file).st_mode)
    except OSError:
        return ""
    return f"{key_file}: others may read this private key (mode {mode:03o}): chmod 600 {key_file}" if mode & 0o077 else ""


def _private(key_file: Path | str) -> "Ed25519PrivateKey":
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise _no_package() from None
    try:
        with open(key_file, "rb") as file:
            pem = file.read(LARGEST_KEY_BYTES)
    except OSError as wrong:
        raise LedgerError(f"{key_file}: the signing key cannot be read ({wrong.strerror}); make one: {MAKE}") from None
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise LedgerError(f"{key_file}: the signing key is encrypted and nobody is there to ask: use one that is not") from None
    except (ValueError, UnsupportedAlgorithm):
        raise LedgerError(f"{key_file}: not a private key in PEM form; make one: {MAKE}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise LedgerError(f"{key_file}: a private key, but not of Ed25519; make one: {MAKE}")
    return key


def _no_package() -> LedgerError:
    return LedgerError("signing needs cryptography: pip install 'wattledger[books]'")
