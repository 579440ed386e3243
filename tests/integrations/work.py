"""Work of a known length, for runs whose energy is to be more than nothing."""

import time


def burn(cpu_s: float) -> None:
    """Keep one core of this process busy for so many seconds of CPU time."""
    began = time.process_time()
    while time.process_time() - began < cpu_s:
        pass
