"""Compiled programs are kept for the next command, which then starts in a fraction of the time."""

import os
import platform
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from ssl_jax.files import cache_folder, make_own

MOST_BYTES = 2**30
LEVEL = "xla_backend_optimization_level"
SHORTEST = 0.1  # Seconds of compilation from which a program is kept.


def keep_programs() -> None:
    """Sets JAX's compilation cache to a folder of the user's cache, where neither the user nor the program has set it.

    `JAX_COMPILATION_CACHE_DIR` names another folder, `JAX_ENABLE_COMPILATION_CACHE=0` keeps nothing. Programs are what JAX
    would compile again, to the bit. Above 1 GiB those that were written first are removed. Those of several CPU devices are not
    kept, see `_lose_order`.
    """
    # Such as of a program whose writing a kill has interrupted: it is compiled again.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache entry")
    config: Any = jax.config
    if config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:
        return
    with suppress(OSError, RuntimeError):  # Without a home, or where it is read-only, nothing is kept.
        if _lose_order(jax.devices()):
            return
        folder = programs_folder()
        make_own(folder)  # Programs of others are not run.
        _trim(folder)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST)


def _lose_order(devices: Sequence[jax.Device]) -> bool:
    """Whether a program that is read again may end the process, or hang: one of several CPU devices (jaxlib 0.10.2).

    All collectives of a `shard_map` have one number, by which those of CPUs meet: they must run one after the other. XLA orders
    them by a resource that they share, of which each loop and each condition of a program that is read gets one of its own
    (`ThunkSequenceSerDesProtobuf::FromProto` in xla/backends/cpu/runtime). A sum over devices in a loop then runs beside one
    outside of it, and takes its numbers.
    """
    return len(devices) > 1 and devices[0].platform == "cpu"


def for_one_call(platform: str | None = None) -> dict[str, int]:
    """For `jax.jit(compiler_options=)` of a program that runs once: on CPUs it is compiled in a third to a half of the time.

    Random numbers and element-wise functions of it are equal to the bit; sums are not, and what runs often would be slower.

    platform: of the devices; the default backend's when None. Empty on others than CPUs, and where XLA_FLAGS names the option.
    """
    usual = (platform or jax.default_backend()) != "cpu" or LEVEL in os.environ.get("XLA_FLAGS", "")
    return {} if usual else {LEVEL: 1}


@contextmanager
def not_kept() -> Iterator[None]:
    """Programs that are compiled in this context are neither kept nor read: what is for other devices cannot be read again."""
    config: Any = jax.config
    before = config.jax_enable_compilation_cache
    try:
        config.update("jax_enable_compilation_cache", False)
        compilation_cache.reset_cache()  # JAX asks once in a process whether there is one.
        yield
    finally:
        config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


def programs_folder() -> Path:
    """A folder for each kind of processor and number of cores, since a home may be shared by machines.

    Programs use all instructions of a processor, and are divided over the cores of the process that has compiled them.
    """
    return cache_folder() / f"{platform.machine()}-{zlib.crc32(_instructions().encode()):08x}-{_cores()}"


def _instructions() -> str:
    """The processor's instruction sets, as the kernel lists them; empty where it does not."""
    with suppress(OSError), open("/proc/cpuinfo") as lines:
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return ""


def _cores() -> int:
    """Of this process, to which the system may leave a part of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _trim(folder: Path) -> None:
    files = [(file.stat().st_mtime, file.stat().st_size, file) for file in folder.iterdir() if file.is_file()]
    left = sum(size for _, size, _ in files) - MOST_BYTES
    for _, size, file in sorted(files):
        if left <= 0:
            return
        file.unlink(missing_ok=True)
        left -= size
