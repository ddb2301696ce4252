"""Everything is declared in pyproject.toml; this file lets older tools install the project too."""

import sys

import setuptools

if int(setuptools.__version__.split(".")[0]) < 77:  # Older ones cannot read the licences in pyproject.toml (PEP 639).
    sys.exit(
        f"setup.py: setuptools {setuptools.__version__} is too old, expected 77 or newer: use `pip install .`, which brings "
        "its own, or `pip install --upgrade setuptools` first."
    )
setuptools.setup()
