# Everything a person or a CI machine does here. It needs make, Python >= 3.11 with venv, and the package registries.

PYTHON ?= python3
CONFIG ?= config/watcher.toml
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: help demo run check test lint bench bench-compare fuzz lock schema package clean
.DEFAULT_GOAL := help

help:
	@echo "make demo              the whole pipe on a private chain with real parts (DEMO_SECONDS=60 ends it by itself)"
	@echo "make run CONFIG=FILE   the daemon, in the foreground"
	@echo "make check             format, lint, types, import directions, fast tests"
	@echo "make test              everything CI checks"
	@echo "make bench | fuzz      measurements | the long random tests"
	@echo "make lock | schema     the hashed dependency locks | config/schema.json"
	@echo "make package           dist/treasury-watcher-VERSION.tar.gz, to install offline under systemd"

demo: .venv/installed
	@exec $(BIN)/python -m tests.stack.demo

run: .venv/installed
	@exec $(BIN)/watcher --config "$(CONFIG)" run

check: lint
	$(PYTEST) -m "not real and not fuzz and not slow"

test: lint
	$(PYTEST) -m "not fuzz"

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed
	$(BIN)/python -m tests.bench

bench-compare: .venv/installed
	$(BIN)/python -m tests.bench compare "$(OLD)" "$(NEW)"

fuzz: .venv/installed
	$(PYTEST) -m fuzz

# The hashes of every file of every release chosen, for all Python versions and platforms at once.
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock"
lock: .venv/installed
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --group dev --output-file requirements-dev.lock

schema: .venv/installed
	$(BIN)/python -m watcher.config.schema > config/schema.json

package: .venv/installed
	@PYTHON="$(CURDIR)/$(BIN)/python" sh deploy/package.sh dist

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/installed: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: Python 3.11 or newer is needed: name one with PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -m venv .venv >/dev/null 2>&1 || \
		{ rm -rf .venv; echo "make: $(PYTHON) cannot make a virtual environment: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
