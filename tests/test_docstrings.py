"""Public losses, ops and evaluations explain each of their arguments themselves; the examples of public functions are right."""

import doctest
import importlib
import inspect
import pkgutil
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment, data, evaluate, losses, networks, ops, optimizers, sequences

PUBLIC = {
    f"{folder.__name__}.{name}": getattr(folder, name) for folder in (losses, ops, evaluate) for name in folder.__all__
}
FUNCTIONS = {name: function for name, function in PUBLIC.items() if not inspect.isclass(function)}
EXPECTED = FUNCTIONS | {
    f"{folder.__name__}.{name}": function
    for folder in (networks, optimizers, data)
    for name, function in inspect.getmembers(folder, inspect.isfunction)
    if name in folder.__all__
}
OTHERS = {
    f"{function.__module__}.{name}": function
    for folder in (augment, ops, sequences)
    for module in pkgutil.iter_modules(folder.__path__, f"{folder.__name__}.")
    for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction)
    if function.__module__ == module.name and ">>>" in (function.__doc__ or "")
}
WITH_EXAMPLES = EXPECTED | OTHERS
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
