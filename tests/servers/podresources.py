"""A kubelet's PodResources service: gRPC v1 over a Unix socket, with messages compiled from a proto text by protoc.

The text is of our own words; names and numbers are those that k8s.io/kubelet publishes for podresources/v1, and none of it is taken
from the source under test, so the two can disagree.  ``Get`` is not served: a caller is told UNIMPLEMENTED.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

PROTO = """
syntax = "proto3";
package v1;

service PodResourcesLister {
    rpc List(ListPodResourcesRequest) returns (ListPodResourcesResponse);
    rpc Get(GetPodResourcesRequest) returns (GetPodResourcesResponse);
}
message ListPodResourcesRequest {}
message ListPodResourcesResponse { repeated PodResources pod_resources = 1; }
message GetPodResourcesRequest { string pod_name = 1; string pod_namespace = 2; }
message GetPodResourcesResponse { PodResources pod_resources = 1; }
message PodResources {
    string name = 1;
    string namespace = 2;
    repeated ContainerResources containers = 3;
    repeated int64 cpu_ids = 4;
    repeated ContainerMemory memory = 5;
}
message ContainerResources {
    string name = 1;
    repeated ContainerDevices devices = 2;
    repeated int64 cpu_ids = 3;
    repeated ContainerMemory memory = 4;
    repeated DynamicResource dynamic_resources = 5;
}
message ContainerMemory { string memory_type = 1; uint64 size = 2; TopologyInfo topology = 3; }
message ContainerDevices { string resource_name = 1; repeated string device_ids = 2; TopologyInfo topology = 3; }
message TopologyInfo { repeated NUMANode nodes = 1; }
message NUMANode { int64 ID = 1; }
message DynamicResource {
    reserved 1;
    string claim_name = 2;
    string claim_namespace = 3;
    repeated ClaimResource claim_resources = 4;
}
message ClaimResource {
    repeated CDIDevice cdi_devices = 1;
    string driver_name = 2;
    string pool_name = 3;
    string device_name = 4;
    optional string share_id = 5;
}
message CDIDevice { string name = 1; }
"""


class Given(NamedTuple):
    """What one container was given: device ids by resource, exclusive CPUs, and (driver, device) claimed dynamically."""

    namespace: str
    pod: str
    container: str
    devices: dict[str, list[str]] = {}  # noqa: RUF012 (never changed)
    cpu_ids: tuple[int, ...] = ()
    claims: tuple[tuple[str, str], ...] = ()


def compiled() -> Any:
    """The messages by name, as an attribute each."""
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name, "podresources.proto"), Path(name, "out")
        source.write_text(PROTO)
        assert protoc.main(["protoc", f"-I{name}", f"--descriptor_set_out={out}", str(source)]) == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(files.file[0])
    messages = message_factory.GetMessageClassesForFiles([files.file[0].name], pool)
    return type("Messages", (), {full.removeprefix("v1."): message for full, message in messages.items()})


class Kubelet:
    """State: what is given to whom, which a test may change, and the server while it is up."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.given: list[Given] = []
        self.calls = 0
        self._messages = compiled()
        self._server: grpc.Server | None = None

    def start(self) -> None:
        messages = self._messages
        listing = grpc.unary_unary_rpc_method_handler(
            self._list, messages.ListPodResourcesRequest.FromString, messages.ListPodResourcesResponse.SerializeToString
        )
        self._server = grpc.server(ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v1.PodResourcesLister", {"List": listing}),))
        self._server.add_insecure_port(f"unix:{self.socket}")
        self._server.start()

    def stop(self) -> None:
        """As a kubelet that ends: its socket goes with it."""
        if self._server is not None:
            self._server.stop(None).wait(10)
            self._server = None
        self.socket.unlink(missing_ok=True)

    def _list(self, request: Any, context: Any) -> Any:
        self.calls += 1
        reply = self._messages.ListPodResourcesResponse()
        pods: dict[tuple[str, str], Any] = {}
        for one in self.given:
            key = one.namespace, one.pod
            if key not in pods:
                pods[key] = reply.pod_resources.add(name=one.pod, namespace=one.namespace)
            container = pods[key].containers.add(name=one.container, cpu_ids=one.cpu_ids)
            for resource, ids in one.devices.items():
                devices = container.devices.add(resource_name=resource, device_ids=ids)
                devices.topology.nodes.add(ID=0)
            for driver, device in one.claims:
                claim = container.dynamic_resources.add(claim_name="gpu", claim_namespace=one.namespace)
                claim.claim_resources.add(driver_name=driver, pool_name="node", device_name=device)
        return reply


@contextlib.contextmanager
def serving() -> Iterator[Kubelet]:
    # A Unix socket's path has 107 characters at most, so not below pytest's folder.
    with tempfile.TemporaryDirectory(prefix="wlk8s") as name:
        kubelet = Kubelet(Path(name, "kubelet.sock"))
        kubelet.start()
        try:
            yield kubelet
        finally:
            kubelet.stop()
