"""Eight CPU devices and no silent promotion: a broadcast or a cast that nobody wrote is an error in tests."""

import gc
import os
import tempfile

import jax

# Tests compile far more than they run: without optimizations, and with XLA's older and quicker code generator for fused loops,
# a training step compiles in a quarter of the time. `XLA_FLAGS= make test` compiles as users do. Processes that tests start
# inherit the flags.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false",
)

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# Many tests run the same small programs: each is compiled once a session, by whichever process of it comes first.
if "SSL_JAX_TEST_PROGRAMS" not in os.environ:
    _programs = tempfile.TemporaryDirectory(prefix="ssl_jax_tests_", ignore_cleanup_errors=True)
    os.environ["SSL_JAX_TEST_PROGRAMS"] = _programs.name
jax.config.update("jax_compilation_cache_dir", os.environ["SSL_JAX_TEST_PROGRAMS"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

# Tracing makes objects by the million, few of them garbage: a collection for every 700, the default, is a sixth of its time.
gc.set_threshold(50_000, 10, 10)
