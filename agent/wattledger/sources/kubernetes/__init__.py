"""A Kubernetes node: what its pods and containers are called, and which GPUs and CPUs were allotted to them.

``pods`` reads the kubelet's pod list, ``logs`` the names of its log folders, ``podresources`` its allotments (the one file that
knows grpc), ``names`` puts the names together, ``gpus`` and ``holdings`` say what is held, ``source`` tells what changed.
"""

from collections.abc import Iterable

from wattledger.core.model import Finding
from wattledger.core.ports import Host, Source
from wattledger.sources.kubernetes.source import open_node


def open(host: Host) -> Source:
    """The node's source.  ``SourceGone`` where nothing of a kubelet can be seen."""
    return open_node(host)


def examine(host: Host) -> Iterable[Finding]:
    """One finding for each place that names or allotments come from; never raises."""
    from wattledger.sources.kubernetes.doctor import findings

    return findings(host)
