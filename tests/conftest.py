"""Eight CPU devices and no silent promotion: a broadcast or a cast that nobody wrote is an error in tests."""

import os
import tempfile

import jax

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
