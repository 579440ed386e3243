"""Private keys for tests: RFC 8032's first test vector, and keys that are of no use."""

from pathlib import Path
from typing import Literal

# RFC 8032 section 7.1, TEST 1.
SECRET = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
KNOWN_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
KNOWN_SIGNATURE_OF_NOTHING = (
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)


def key_file(folder: Path, secret: str = SECRET) -> Path:
    """A PEM file, readable by its owner alone."""
    file = folder / f"{secret[:8]}.pem"
    file.write_bytes(pem("ed25519", secret=secret))
    file.chmod(0o600)
    return file


def pem(kind: Literal["ed25519", "rsa"], *, secret: str = SECRET, password: bytes | None = None) -> bytes:
    """A private key in PKCS 8, encrypted where there is a password."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

    hidden = NoEncryption() if password is None else BestAvailableEncryption(password)
    form = Encoding.PEM, PrivateFormat.PKCS8, hidden
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048).private_bytes(*form)
    return ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).private_bytes(*form)
