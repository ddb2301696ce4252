"""Eight CPU devices and no silent promotion: a broadcast or a cast that nobody wrote is an error in tests."""

import gc
import os
import shutil
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
import pytest

# Tests compile far more than they run: without optimizations, and with XLA's older and quicker code generator for fused loops,
# a training step compiles in a quarter of the time. `XLA_FLAGS= make test` compiles as users do. Processes that tests start
# inherit the flags.
_flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):  # Later ones have the newer generator alone.
    _flags += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", _flags)

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# Compiling is half of the tests' time. Programs are kept for the next session, by the version of jaxlib and the flags, and
# `make clean` removes them. The folder is emptied when it has become large, since changed code adds programs.
if "SSL_JAX_TEST_PROGRAMS" not in os.environ:
    _programs = Path(__file__).parents[1] / ".pytest_cache" / "programs"
    if sum(path.stat().st_size for path in _programs.glob("*")) > 2**30:
        shutil.rmtree(_programs)
    os.environ["SSL_JAX_TEST_PROGRAMS"] = str(_programs)
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", os.environ["SSL_JAX_TEST_PROGRAMS"]
)  # Of processes that tests start.
jax.config.update("jax_compilation_cache_dir", os.environ["SSL_JAX_TEST_PROGRAMS"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

# Help is kept in the user's cache, which tests leave alone.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parents[1] / ".pytest_cache" / "user")

# Tracing makes objects by the million, few of them garbage: a collection for every 700, the default, is a sixth of its time.
gc.set_threshold(50_000, 10, 10)


@pytest.fixture(autouse=True, scope="module")
def forgotten_programs():
    """Programs and traces of a file are forgotten after it: they would fill gigabytes, visited by every collection."""
    yield
    jax.clear_caches()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def generators(request):
    """NumPy generators at the top of a file of tests, with the state that they have after its import."""
    found = [value for value in vars(request.module).values() if isinstance(value, np.random.Generator)]
    return [(generator, generator.bit_generator.state) for generator in found]


@pytest.fixture(autouse=True)
def same_draws(generators):
    """A test draws the same numbers alone and after any other tests: workers share the tests out differently each time."""
    for generator, state in generators:
        generator.bit_generator.state = state
