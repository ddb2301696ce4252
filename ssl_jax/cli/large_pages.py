"""Large pages of memory: with 2 MiB instead of 4 KiB a page, a training step on CPUs takes a sixth to a quarter less time.

XLA allocates the memory of a step anew at each step, and Linux provides it page by page, filled with zeros. The C library can
request large pages, but reads this setting before Python runs: the command starts once more, in the same process. Results are
equal to the bit. Milliseconds a step on two cores: SimCLR on digits 114 -> 83, MAE's ViT-Tiny at 48 pixels 546 -> 410, SimCLR's
ResNet-18 at 64 pixels 1,082 -> 908, in less memory.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from ssl_jax.cli.interrupts import held_back

TUNABLES, SETTING = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
SINCE = (2, 35)  # Of glibc: older ones ignore the setting.
CHOICE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def use_large_pages() -> None:
    """Starts the command again with large pages where Linux gives them on request, and GLIBC_TUNABLES does not decide it.

    `GLIBC_TUNABLES=glibc.malloc.hugetlb=0` keeps small pages. Call it before threads are started or output is written.
    """
    given = os.environ.get(TUNABLES, "")
    if SETTING in given or not sys.executable or not _on_request():
        return
    os.environ[TUNABLES] = ":".join(filter(None, (given, f"{SETTING}=1")))
    with suppress(OSError), held_back():  # The command goes on with small pages.
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _on_request() -> bool:
    with suppress(OSError, ValueError):  # Not Linux, or not glibc.
        library, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        new = tuple(map(int, version.split(".")[:2])) >= SINCE
        return library == "glibc" and new and "[madvise]" in CHOICE.read_text()
    return False
