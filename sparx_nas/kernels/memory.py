"""Memory of a training on a CPU: what a step frees, the next one needs again."""

import ctypes
import sys
from functools import cache

# The numbers of glibc's mallopt; a threshold that is set no longer moves by itself.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES, MAPPED_BYTES = 2**30, 2**25
"""What stays with the process, and from which size on a piece of memory is mapped by itself."""


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep what is freed, up to a gibibyte; tell whether it can be told.

    It gives a large free end of the heap back to the system, and the next step then takes the same
    pages anew, a fault for every 4 KiB.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all([mallopt(TRIM_THRESHOLD, KEPT_BYTES), mallopt(MMAP_THRESHOLD, MAPPED_BYTES)])
