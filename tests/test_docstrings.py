"""Public losses, ops and evaluations explain each of their arguments themselves, and their examples are right."""

import doctest
import importlib
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import evaluate, losses, ops

PUBLIC = {
    f"{folder.__name__}.{name}": getattr(folder, name) for folder in (losses, ops, evaluate) for name in folder.__all__
}
FUNCTIONS = {name: function for name, function in PUBLIC.items() if not inspect.isclass(function)}
GLOBALS = {"jax": jax, "jnp": jnp, "np": np, "sinkhorn": ops.sinkhorn}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_is_explained(name):
    _, _, explanations = inspect.getdoc(FUNCTIONS[name]).partition("Args:\n")
    explained = re.findall(r"^  (\w+(?:, \w+)*): ", explanations, re.M)
    missing = set(inspect.signature(FUNCTIONS[name]).parameters) - set(", ".join(explained).split(", "))
    assert not missing


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_example_prints_what_it_says(name):
    module = importlib.import_module(inspect.unwrap(FUNCTIONS[name]).__module__)
    globs = GLOBALS | vars(module)
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(FUNCTIONS[name]), globs, name, None, None)
    assert example.examples
    said = []
    assert doctest.DocTestRunner().run(example, out=said.append).failed == 0, "".join(said)
