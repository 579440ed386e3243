"""A BMC on this machine: Redfish resources by path, over HTTP, that a test may change between two questions."""

import base64
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.runtime.answers import Server, serving, told

from wattledger.core.model import Instant, Sample
from wattledger.core.ports import Host, Source
from wattledger.runtime.fetch import make_fetch

S = 1_000_000_000
CHASSIS = "/redfish/v1/Chassis"


class Bmc:
    """State: the resources, who may read them (``None``: everybody), and the server once there is one."""

    def __init__(self, resources: dict[str, Any]) -> None:
        self.resources = resources
        self.account: tuple[str, str] | None = None
        self.server: Server | None = None

    def answer(self, peer: socket.socket, request: bytes) -> None:
        head = request.decode()
        path = head.split(" ")[1]
        if self.account is not None:
            wanted = base64.b64encode(":".join(self.account).encode()).decode()
            if f"Authorization: Basic {wanted}\r\n" not in head:
                peer.sendall(told(b"{}", status="401 Unauthorized"))
                return
        if path not in self.resources:
            peer.sendall(told(b"{}", status="404 Not Found"))
            return
        body = self.resources[path]
        peer.sendall(told(body if isinstance(body, bytes) else json.dumps(body).encode()))

    @property
    def asked(self) -> list[str]:
        """Paths, in the order they were asked for."""
        assert self.server is not None
        return [request.split(b" ")[1].decode() for request in self.server.requests]

    def host(self, **options: object) -> Host:
        assert self.server is not None
        options = {"url": self.server.url("").rstrip("/"), "verify": True, "period_s": 10.0, **options}
        return Host("", "", {}, (), True, options, make_fetch())


@contextmanager
def standing(resources: dict[str, Any]) -> Iterator[Bmc]:
    bmc = Bmc(resources)
    with serving(bmc.answer) as bmc.server:
        yield bmc


def link(path: str) -> dict[str, str]:
    return {"@odata.id": path}


def listed(**chassis: Mapping[str, Any]) -> dict[str, Any]:
    """The resources of a BMC with these chassis; ``Power`` and ``EnvironmentMetrics`` in them become resources of their own."""
    found: dict[str, Any] = {CHASSIS: {"Members": [link(f"{CHASSIS}/{name}") for name in chassis]}}
    for name, body in chassis.items():
        path = f"{CHASSIS}/{name}"
        found[path] = {**body}
        for part in ("Power", "EnvironmentMetrics"):
            if part in body:
                found[f"{path}/{part}"] = body[part]
                found[path][part] = link(f"{path}/{part}")
    return found


def power(watts: object, name: str = "System Power Control", **more: object) -> dict[str, Any]:
    return {"PowerControl": [{"Name": name, "PowerConsumedWatts": watts, **more}]}


def inside(name: str) -> dict[str, Any]:
    return {"ContainedBy": link(f"{CHASSIS}/{name}")}


def read(source: Source, at_s: float) -> list[Sample]:
    return list(source.read(lambda: Instant(round(at_s * S), round(at_s * S)), True))
