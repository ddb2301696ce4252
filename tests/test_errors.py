"""Which faults become a sentence about chosen values, and which keep their traceback."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import RunError, UsageError, memory_errors, usage_errors, writing
from ssl_jax.ops import queue
from ssl_jax.ops.moving_average import cosine_momentum

CHOSEN = {"batch_size": 100, "epochs": 0.5}
VALUES = {
    "multiple of the keys, got 16 and 3": partial(queue.push, queue.fresh(jax.random.key(0), 16, 4), jnp.ones((3, 4))),
    "cosine_momentum: steps must be a whole number of at least 1": partial(
        cosine_momentum, 0, start=0.9, end=1.0, steps=0
    ),
    "contracting": partial(jnp.matmul, jnp.ones((2, 3)), jnp.ones((2, 3))),
    "cannot reshape array of size 6": partial(np.reshape, np.ones((2, 3)), 5),
    "Unable to allocate": partial(np.empty, 2**45),
}


@pytest.mark.parametrize("sentence", VALUES)
def test_a_fault_about_chosen_values_names_them_and_the_reason(sentence):
    with pytest.raises(UsageError) as raised, usage_errors(CHOSEN):
        VALUES[sentence]()
    message = str(raised.value)
    assert message.startswith("batch_size=100, epochs=0.5: ") and message.endswith(": change one of these values.")
    assert sentence in message and "\n" not in message and raised.value.__cause__ is not None


@pytest.mark.parametrize("sentence", VALUES)
def test_it_keeps_its_traceback_where_nothing_was_chosen(sentence):
    with pytest.raises((ValueError, TypeError, MemoryError)) as raised, usage_errors({}):
        VALUES[sentence]()
    assert not isinstance(raised.value, UsageError)


def own_augmentation(image):
    return image.reshape(7)


CODE = {
    "code outside the package": (partial(own_augmentation, np.ones((2, 3))), ValueError),
    "also where a library calls it": (partial(jax.eval_shape, own_augmentation, jnp.ones((2, 3))), TypeError),
    "a value that is traced": (partial(jax.eval_shape, bool, jnp.ones(())), TypeError),
    "a name that is missing": (partial(getattr, queue, "no_such_function"), AttributeError),
}


@pytest.mark.parametrize("case", CODE)
def test_faults_of_code_keep_their_traceback(case):
    call, kind = CODE[case]
    with pytest.raises(kind) as raised, usage_errors(CHOSEN):
        call()
    assert not isinstance(raised.value, UsageError)


@pytest.mark.parametrize("kind", [UsageError, RunError])
def test_sentences_pass_unchanged(kind):
    def stop():
        raise kind("a sentence.")

    with pytest.raises(kind, match=r"^a sentence\.$"), usage_errors(CHOSEN):
        stop()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (MemoryError("Unable to allocate 2 GiB"), "Unable to allocate 2 GiB"),
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.\nmore"), "Out of memory"),
    ],
)
def test_too_little_memory_is_a_sentence(fault, reason):
    with pytest.raises(
        RunError, match=rf"memory: the run needs more than is available \(.*{reason}.*\): lower --batch-size"
    ):
        with memory_errors():
            raise fault
    with pytest.raises(RuntimeError, match=r"^INTERNAL$"), memory_errors():
        raise jax.errors.JaxRuntimeError("INTERNAL")


def test_a_place_that_cannot_be_written_is_named_with_a_remedy(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"output: cannot write .*/file/x \(Not a directory\): name another\.$"):
        with writing("output", tmp_path / "file/x", "name another"):
            (tmp_path / "file/x").write_text("")
