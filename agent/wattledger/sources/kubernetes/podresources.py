"""The kubelet's allotments, by its PodResources service (gRPC v1 over a Unix socket).  The one file that knows grpc and protobuf.

The messages are made at run time from the published field numbers (k8s.io/kubelet, podresources/v1/api.proto), and only the fields
that are used; protobuf passes over the rest.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from wattledger.core.ports import SourceFailed, SourceGone

METHOD = "/v1.PodResourcesLister/List"
TIMEOUT_S = 5.0
MOST_BYTES = 64_000_000
INSTALL = "pip install 'wattledger[kubernetes]'"

# Message to fields: number, name, what it holds (a message's name, or a plain type), all repeated but the plain strings.
MESSAGES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "ListPodResourcesRequest": (),
    "ListPodResourcesResponse": ((1, "pod_resources", "PodResources"),),
    "PodResources": ((1, "name", "string"), (2, "namespace", "string"), (3, "containers", "ContainerResources")),
    "ContainerResources": (
        (1, "name", "string"),
        (2, "devices", "ContainerDevices"),
        (3, "cpu_ids", "int64s"),
        (5, "dynamic_resources", "DynamicResource"),
    ),
    "ContainerDevices": ((1, "resource_name", "string"), (2, "device_ids", "strings")),
    "DynamicResource": ((4, "claim_resources", "ClaimResource"),),
    "ClaimResource": ((2, "driver_name", "string"), (4, "device_name", "string")),
}


class Allotment(NamedTuple):
    """What one container was given: (resource or driver, device id) pairs as the device plugin wrote them, and exclusive CPUs."""

    namespace: str
    pod: str
    container: str
    devices: tuple[tuple[str, str], ...]
    cpus: int


def lister(socket: str) -> Callable[[], list[Allotment]]:
    """What asks the kubelet, once at each call, over a connection of its own: a socket that went and came back needs no care.

    ``SourceGone`` without grpc; the call raises ``SourceFailed``.
    """
    try:
        import grpc
    except ImportError:
        raise SourceGone(f"kubernetes: GPUs of pods are not known without grpc; {INSTALL}") from None
    request, response = _messages()
    options = [
        ("grpc.default_authority", "localhost"),  # a Go server refuses the socket's path as an authority
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_receive_message_length", MOST_BYTES),
    ]

    def ask() -> list[Allotment]:
        try:
            with grpc.insecure_channel(f"unix:{socket}", options=options) as channel:
                call = channel.unary_unary(METHOD, request.SerializeToString, response.FromString)
                reply = call(request(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            # grpc tells a chain of causes, each with the path; the last is the one that helps.
            words = " ".join(str(error.details()).split()).rpartition(" error: ")[2][:200]
            raise SourceFailed(f"kubernetes: the kubelet does not answer at {socket}: {error.code().name}: {words}") from None
        return list(_allotments(reply))

    return ask


def _allotments(reply: Any) -> Iterator[Allotment]:
    for pod in reply.pod_resources:
        for one in pod.containers:
            devices = [(kind.resource_name, device_id) for kind in one.devices for device_id in kind.device_ids]
            # Dynamic resource allocation: a claim's device goes by the name that its driver gave it.
            claimed = [resource for claim in one.dynamic_resources for resource in claim.claim_resources]
            devices += [(resource.driver_name, resource.device_name) for resource in claimed]
            if devices or one.cpu_ids:
                yield Allotment(pod.namespace, pod.name, one.name, tuple(devices), len(set(one.cpu_ids)))


def _messages() -> tuple[Any, Any]:
    """The request's and the reply's class, in a pool of their own: nothing is registered for the whole process."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="podresources.proto", package="v1", syntax="proto3")
    plain = {"string": field.TYPE_STRING, "strings": field.TYPE_STRING, "int64s": field.TYPE_INT64}
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field_name, holds in fields:
            label = field.LABEL_OPTIONAL if holds == "string" else field.LABEL_REPEATED
            added = message.field.add(name=field_name, number=number, label=label, type=plain.get(holds, field.TYPE_MESSAGE))
            if holds not in plain:
                added.type_name = f".v1.{holds}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request, response = (pool.FindMessageTypeByName(f"v1.ListPodResources{word}") for word in ("Request", "Response"))
    return message_factory.GetMessageClass(request), message_factory.GetMessageClass(response)
