# The two commands of a newcomer. Everything happens in .venv; remove it to start afresh.
PYTHON ?= python3
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: demo test test-all lint site matrix clean

demo: .venv/installed
	.venv/bin/ssl-jax pretrain simclr

test: .venv/installed
	.venv/bin/pytest -m "not slow"

test-all: .venv/installed
	.venv/bin/pytest

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# The guide as a site: build/site/index.html, which needs no server.
site: .venv/documented
	.venv/bin/sphinx-build --fail-on-warning --quiet -c docs/site . build/site

# The lowest and the newest versions with each Python that is found, outside of .venv; the table of docs/install.md.
PYTHONS ?= python3.11 python3.12 python3.13
matrix:
	@for python in $(PYTHONS); do command -v $$python >/dev/null || { echo "no $$python"; continue; }; \
	  for end in lowest newest; do echo "== $$python $$end"; .ci/corner $$end $$python || exit 1; done; done

.venv/documented: .venv/installed
	.venv/bin/pip install --quiet --disable-pip-version-check -e '.[docs]' >&2
	@touch $@

# pip says little while it works, and nothing on standard output: that is left to the result of `make demo`.
.venv/installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv is missing: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv >&2
	.venv/bin/pip install --quiet --disable-pip-version-check -e '.[dev]' >&2
	@touch $@

clean:
	rm -rf .venv build docs/api *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
