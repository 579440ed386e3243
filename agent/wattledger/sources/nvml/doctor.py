"""What ``wattledger doctor`` says of NVIDIA GPUs."""

from collections.abc import Iterator

from wattledger.core.model import Finding
from wattledger.core.ports import Host, SourceGone
from wattledger.sources.nvml.driver import Driver, NvmlError
from wattledger.sources.nvml.gpu import Gpu
from wattledger.sources.nvml.inventory import find
from wattledger.sources.nvml.source import NO_PIDS, WHOLE_MODULE

NAME = "nvml"


def examine_gpus(host: Host) -> list[Finding]:
    """One finding per GPU, and one for each thing that stands in the way; never raises."""
    try:
        driver = Driver()
    except SourceGone as gone:
        why, _, remedy = str(gone).removeprefix("nvml: ").partition("; ")
        # Without the library there is no driver here; with it, something of it is broken.
        return [Finding(NAME, "GPU", "absent" if why.startswith("no lib") else "broken", why, remedy)]
    try:
        return list(_findings(driver, host))
    except NvmlError as error:
        return [Finding(NAME, "GPU", "broken", f"the NVIDIA driver fails: {error}", "nvidia-smi")]
    finally:
        driver.close()


def _findings(driver: Driver, host: Host) -> Iterator[Finding]:
    gpus, dead, notes = find(driver, host)
    for gpu in gpus:
        yield _finding(gpu)
    for line in dead:
        yield Finding(NAME, "GPU", "broken", line, "nvidia-smi --gpu-reset, or a reboot")
    if not gpus and not dead:
        hidden = "CUDA_VISIBLE_DEVICES or NVIDIA_VISIBLE_DEVICES hides every GPU"
        yield Finding(NAME, "GPU", "absent", hidden, "unset CUDA_VISIBLE_DEVICES (in a container: --gpus all)")
    for note in notes:
        yield Finding(NAME, "GPU order", "estimate", note, "export CUDA_DEVICE_ORDER=PCI_BUS_ID")
    if gpus and not host.pids_match:
        remedy = "share the host's PIDs: docker run --pid=host, or hostPID: true"
        yield Finding(NAME, "processes", "estimate", NO_PIDS, remedy)


def _finding(gpu: Gpu) -> Finding:
    sensor = f"{gpu.name} {gpu.uuid}"
    if gpu.board is not gpu.device:
        return Finding(NAME, sensor, "usable", WHOLE_MODULE)
    if gpu.register is None:
        return Finding(NAME, sensor, "usable", "no energy register: power is read 50 times a second and integrated")
    if gpu.slices is not None:
        how = "size and activity" if gpu.gpm is not None else "size (sources.nvml.dcgm_url: a dcgm-exporter tells their activity)"
        return Finding(NAME, sensor, "usable", f"energy register of the whole board; its MIG slices share it by {how}")
    return Finding(NAME, sensor, "usable", "energy register")
