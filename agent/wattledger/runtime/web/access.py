"""Who may read: TLS, basic auth and headers by a Prometheus web configuration file (the convention of exporter-toolkit).

    tls_server_config: {cert_file, key_file, client_auth_type, client_ca_file, min_version, max_version}
    http_server_config: {http2, headers}
    basic_auth_users: {user: bcrypt hash}

File names in it are relative to its own folder.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from wattledger.runtime.config import ConfigError, nearest

KNOWN = {
    "tls_server_config": {"cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version", "max_version"},
    "http_server_config": {"http2", "headers"},
    "basic_auth_users": None,  # any name
}
# Known to others, and a setting about safety is not passed over in silence.
NOT_HERE = {"cipher_suites", "curve_preferences", "prefer_server_cipher_suites", "client_allowed_sans", "rate_limit"}
CLIENTS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
HEADERS = {
    "Content-Security-Policy", "Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "X-XSS-Protection",
}  # fmt: skip
# The salt's last character holds two bits only: another one is refused by bcrypt at every request, so it is refused here.
BCRYPT = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
COSTLIEST = 16  # 2^16 rounds take seconds; more would be a way to keep the agent from its work
BCRYPT_BYTES = 72  # of a password, the rest does not count


class Access(NamedTuple):
    """One file's content: no ``tls``: plain HTTP; no ``users``: anybody.  ``files``: those it was made of."""

    tls: ssl.SSLContext | None = None
    users: Mapping[str, bytes] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})
    files: tuple[Path, ...] = ()


def load(path: Path) -> Access:
    """Read a web configuration file and what it names.  Raises ConfigError; no message holds a hash or a key."""
    try:
        return _load(path)
    except ConfigError:
        raise
    except (ValueError, TypeError, RecursionError):  # of YAML that no person writes; what they say may hold a hash
        _wrong(path, "somewhere", "not understood: a name or a value of an odd kind")


def _load(path: Path) -> Access:
    try:
        words = _parsed(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as failure:
        raise ConfigError(f"agent.web_config: cannot read {path}: {getattr(failure, 'strerror', None) or 'not UTF-8'}") from failure
    _check_names(path, words, KNOWN, "")
    for section, names in KNOWN.items():
        inside = words.get(section) or {}
        if not isinstance(inside, dict):
            _wrong(path, section, "expected names and values below it")
        if names is not None:
            _check_names(path, inside, names, f"{section}.")
    tls, files = _tls(path, words.get("tls_server_config") or {})
    headers = _headers(path, (words.get("http_server_config") or {}).get("headers") or {})
    return Access(tls, _users(path, words.get("basic_auth_users") or {}), headers, (path, *files))


def _parsed(path: Path, source: str) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ConfigError(f"agent.web_config = {str(path)!r} needs PyYAML: pip install 'wattledger[web]'") from None
    try:
        words = yaml.safe_load(source)
    except yaml.YAMLError as failure:
        mark = getattr(failure, "problem_mark", None)
        # Where, but not what: the line may hold a hash.
        _wrong(path, f"line {mark.line + 1}" if mark is not None else "somewhere", "not YAML")
    if words is None:
        return {}
    if not isinstance(words, dict):
        _wrong(path, "the whole file", f"expected {', '.join(KNOWN)}")
    return words


def _check_names(path: Path, words: Mapping[Any, Any], names: Any, prefix: str) -> None:
    for name in words:
        if name in NOT_HERE:
            _wrong(path, f"{prefix}{name}", "is not supported here; leave it out")
        if name not in names:
            _wrong(path, f"{prefix}{name}", f"unknown{nearest(str(name), names, prefix)}")


def _wrong(path: Path, where: str, what: str) -> NoReturn:
    raise ConfigError(f"agent.web_config {path}: {where}: {what}")


def _one_of(path: Path, words: Mapping[str, Any], name: str, choices: Mapping[str, Any], default: str) -> Any:
    said = words.get(name) or default
    if said not in choices:
        close = nearest(str(said), choices) or f"; one of {', '.join(choices)}"
        _wrong(path, f"tls_server_config.{name}", f"{said!r} is not supported{close}")
    return choices[said]


def _tls(path: Path, words: Mapping[str, Any]) -> tuple[ssl.SSLContext | None, tuple[Path, ...]]:
    if not words:
        return None, ()
    for name in ("cert_file", "key_file"):
        if not isinstance(words.get(name), str):
            _wrong(path, f"tls_server_config.{name}", "missing: TLS needs cert_file and key_file")
    cert, key = path.parent / words["cert_file"], path.parent / words["key_file"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _one_of(path, words, "min_version", VERSIONS, "TLS12")
    context.maximum_version = _one_of(path, words, "max_version", VERSIONS, "TLS13")
    clients = _one_of(path, words, "client_auth_type", CLIENTS, "NoClientCert")
    if (clients == ssl.CERT_NONE) == bool(words.get("client_ca_file")):
        _wrong(path, "tls_server_config", "client_ca_file and a client_auth_type that verifies need each other")
    try:
        # An encrypted key would have OpenSSL ask on the terminal, for ever.
        context.load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError) as failure:
        _wrong(path, f"cert_file {cert}, key_file {key}", _reason(failure))
    if clients == ssl.CERT_NONE:
        return context, (cert, key)
    authority = path.parent / str(words["client_ca_file"])
    try:
        context.load_verify_locations(authority)
    except (OSError, ValueError) as failure:
        _wrong(path, f"client_ca_file {authority}", _reason(failure))
    context.verify_mode = clients
    return context, (cert, key, authority)


def _reason(failure: Exception) -> str:
    if isinstance(failure, ssl.SSLError) or not getattr(failure, "strerror", None):
        mismatch = getattr(failure, "reason", None) == "KEY_VALUES_MISMATCH"
        return "the key is not this certificate's" if mismatch else "not usable (no PEM, or an encrypted key)"
    return str(getattr(failure, "strerror", ""))


def _headers(path: Path, words: Any) -> dict[str, str]:
    if not isinstance(words, dict):
        _wrong(path, "http_server_config.headers", "expected names and values below it")
    for name, value in words.items():
        if name not in HEADERS:
            _wrong(path, f"http_server_config.headers.{name}", f"unknown{nearest(str(name), HEADERS)}")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            _wrong(path, f"http_server_config.headers.{name}", "expected one line of text")
    return dict(words)


def _users(path: Path, words: Mapping[Any, Any]) -> dict[str, bytes]:
    users = {}
    for user, said in words.items():
        found = BCRYPT.fullmatch(said) if isinstance(said, str) else None
        if found is None or not 4 <= int(found[1]) <= COSTLIEST:
            _wrong(path, f"basic_auth_users.{user}", f"expected a bcrypt hash of cost 4 to {COSTLIEST} (`htpasswd -nBC 10 {user}`)")
        users[str(user)] = said.encode()
    if users:
        verifier()  # said now, if it is missing, and not at the first request
    return users


def verifier() -> Callable[[bytes, bytes], bool]:
    """``(password, hash) -> whether it is right``, slowly, without holding the interpreter."""
    try:
        import bcrypt
    except ImportError:
        raise ConfigError("agent.web_config: basic_auth_users needs bcrypt: pip install 'wattledger[web]'") from None

    def right(password: bytes, known: bytes) -> bool:
        # A NUL is in no password that bcrypt has hashed; of a long one only the beginning counts, as everywhere.
        return b"\0" not in password and bcrypt.checkpw(password[:BCRYPT_BYTES], known)

    return right
