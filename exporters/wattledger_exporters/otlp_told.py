"""Why a request did not arrive, in plain words.  Pure.

The exporters tell it by log lines that hold their libraries' own: urllib3's, OpenSSL's, gRPC's, each wrapped in the next.  What the
reader needs is the innermost, and where; what nobody shall read is a key in a URL.
"""

import re
from urllib.parse import urlsplit

MOST = 300  # characters

# The innermost cause has words of its own, whoever wraps it; the first that is found is it.
PLAIN = tuple((re.compile(pattern, re.IGNORECASE), words) for pattern, words in (
    (r"batch code: (\d+), reason: (.*)", r"HTTP \1 \2"),  # whatever the receiver makes of it, it has answered
    (r"certificate verify failed: ([\w' -]+)", r"its certificate is not trusted: \1"),
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", "its certificate is not trusted"),
    (r"WRONG_VERSION_NUMBER", "it does not answer by TLS"),
    (r"Misformatted domain name", "this is no address"),
    (r"Failed parsing HTTP/2|Expected SETTINGS frame|connect an http1", "it does not speak gRPC"),
    (r"NameResolutionError|Domain name not found|Name or service not known|name resolution|DNS resolution failed", "no such host"),
    (r"Connection refused", "connection refused"),
    (r"Connection reset|Broken pipe|Socket closed|Connection aborted|RemoteDisconnected", "hung up without an answer"),
    (r"No route to host|(?:Network|Host) is unreachable", "unreachable"),
    (r"timed out|timeout occurred|Deadline Exceeded|DEADLINE_EXCEEDED", "no answer in time"),
    (r"due to timeout, max retries or shutdown", "not taken in time"),
    (r"error code: StatusCode\.(\w+), error details: (.*)", r"\1: \2"),
    (r"Transient error StatusCode\.(\w+) .*Error details: (.*)", r"\1: \2"),
    (r"Transient error (?:StatusCode\.)?(.*?) encountered while exporting.*", r"\1"),
))  # fmt: skip


def why(failure: object, endpoint: str) -> str:
    """``http://127.0.0.1:4318: connection refused``."""
    return f"{place(endpoint)}: {cause(failure)}"


def place(endpoint: str) -> str:
    """Scheme, host and port: user, path and query are where keys travel."""
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the endpoint"
    if not host or "@" in parts.path:  # a password with a slash: what stands before it is not the host
        return "the endpoint"
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    return f"{scheme}{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"


def cause(failure: object) -> str:
    """The innermost cause, or the first line of what was said where it is none that we know."""
    text = told(failure, most=10_000)
    found = ((match, words) for pattern, words in PLAIN if (match := pattern.search(text)))
    match, words = next(found, (None, ""))
    if match is None:
        return _short(text)
    proxy = "its proxy: " if "ProxyError" in text else ""
    return _short(proxy + match.expand(words).strip(" .:"))


def told(failure: object, most: int = MOST) -> str:
    """One line, without the user, path and query of a URL: keys travel there."""
    text = " ".join((str(failure) or repr(failure)).split())
    text = re.sub(r"\b(https?://)(?:[^\s'\"]*@)?([^/?\s'\"),]+)[^\s'\"),]*", r"\1\2", text)
    text = re.sub(r"[^\s/'\"]+@(?=[\w\[])", "", text)  # gRPC leaves out the scheme, and tells the rest
    text = re.sub(r"(with url:? )\S+", r"\1…", text)
    return _short(text, most)


def _short(text: str, most: int = MOST) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
