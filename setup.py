"""Everything is declared in pyproject.toml; this file lets older tools install the project too."""

from setuptools import setup

setup()
