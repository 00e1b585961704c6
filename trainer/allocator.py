"""A memory allocator that suits training on a CPU.

glibc's malloc returns every large tensor to the system when it is freed, so that almost half of a
training step goes into page faults. tcmalloc keeps them. It has to be preloaded before Python
starts, so the training commands start themselves again with it.
"""

import ctypes.util
import os
import sys

ENV_DONE = "LATEXOCR_ALLOCATOR"
# Where tcmalloc is not installed: never map or trim, and grow the heap in large steps.
GLIBC_SETTINGS = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


def use_fast_allocator() -> None:
    """Start this very command again with tcmalloc, or with glibc tuned where that is missing.

    Does nothing when it has been done, when the user preloads something, or not on Linux. Call it
    first of all in a command's main(): whatever ran before runs twice."""
    if not sys.platform.startswith("linux") or ENV_DONE in os.environ or "LD_PRELOAD" in os.environ:
        return
    library = ctypes.util.find_library("tcmalloc") or ctypes.util.find_library("tcmalloc_minimal")
    settings = {"LD_PRELOAD": library} if library else GLIBC_SETTINGS
    environment = os.environ | settings | {ENV_DONE: library or "glibc"}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
