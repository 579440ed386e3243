"""Questions to one BMC: GET, JSON, a password from a file."""

import json
import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urljoin

from wattledger.core.ports import Host, Request, SourceFailed

NAME = "redfish"
LIMIT_BYTES = 2_000_000

Json = Mapping[str, Any]


class Bmc:
    """Questions to one BMC; no state but the notes.  Every failure is SourceFailed with one line."""

    def __init__(self, host: Host) -> None:
        self._host, self._options = host, host.options
        self.url = str(host.options.get("url", ""))
        self.notes: tuple[str, ...] = ()

    def get(self, path: str) -> Json:
        """One resource.  The password is read each time: it may have been changed."""
        if not path.startswith("/redfish/"):
            raise SourceFailed(f"{NAME}: {self.url} refers to {path[:80]!r}, which is no Redfish resource")
        user, verify = str(self._options.get("user", "")), bool(self._options.get("verify", True))
        auth = (user, self._password()) if user else None
        trusted: bool | str = str(self._options.get("ca_file", "")) or True
        headers = {"Accept": "application/json", "OData-Version": "4.0"}
        url = urljoin(self.url, path)
        body = self._host.fetch(Request(url, headers, auth, trusted if verify else False, limit_bytes=LIMIT_BYTES))
        try:
            found = json.loads(body, parse_float=Decimal)
        except (ValueError, RecursionError, ArithmeticError):  # an exponent of twenty digits is no Decimal
            found = None
        if not isinstance(found, dict):
            raise SourceFailed(f"{NAME}: {path} at {self.url} is not Redfish: expected a JSON object")
        return found

    def _password(self) -> str:
        path = str(self._options.get("password_file", ""))
        if not path:
            raise SourceFailed(f"{NAME}: user is set but password_file is not: name the file that holds the BMC's password")
        try:
            with open(path, encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_mode & 0o004:
                    self.notes = (f"{NAME}: {path} holds a password and everybody may read it; chmod 0600 {path}",)
                return str(file.readline()).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text"
            raise SourceFailed(f"{NAME}: cannot read the password in {path}: {why}") from None
