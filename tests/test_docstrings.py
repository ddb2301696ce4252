"""Public losses, ops and evaluations explain each of their arguments themselves; the examples of public functions are right."""

import doctest
import importlib
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import data, evaluate, losses, networks, ops, optimizers

PUBLIC = {
    f"{folder.__name__}.{name}": getattr(folder, name) for folder in (losses, ops, evaluate) for name in folder.__all__
}
FUNCTIONS = {name: function for name, function in PUBLIC.items() if not inspect.isclass(function)}
WITH_EXAMPLES = FUNCTIONS | {
    f"{folder.__name__}.{name}": function
    for folder in (networks, optimizers, data)
    for name, function in inspect.getmembers(folder, inspect.isfunction)
    if name in folder.__all__
}
GLOBALS = {
    "jax": jax,
    "jnp": jnp,
    "np": np,
    "sinkhorn": ops.sinkhorn,
    "open_data": data.open_data,
    "sgd": optimizers.sgd,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_is_explained(name):
    _, _, explanations = inspect.getdoc(FUNCTIONS[name]).partition("Args:\n")
    explained = re.findall(r"^  (\w+(?:, \w+)*): ", explanations, re.M)
    missing = set(inspect.signature(FUNCTIONS[name]).parameters) - set(", ".join(explained).split(", "))
    assert not missing


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_every_example_prints_what_it_says(name):
    function = WITH_EXAMPLES[name]
    globs = GLOBALS | vars(importlib.import_module(inspect.unwrap(function).__module__))
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(function), globs, name, None, None)
    assert example.examples
    said = []
    assert doctest.DocTestRunner().run(example, out=said.append).failed == 0, "".join(said)
