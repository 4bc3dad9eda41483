# `make check` judges the documents of this repository, `make test` tests the toolkit.
# Needs Python 3.11 or newer with pip, and make; everything else is installed into .venv.
# `make test EXTRAS=reference` installs torch, transformers and peft too, and compares with them.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?=
BIN := $(VENV)/bin
# A Python without ensurepip makes an environment without pip; its own pip then installs into it.
PIP = $$($(BIN)/python -c 'import pip' 2>/dev/null && echo $(BIN)/python -m pip || echo $(PYTHON) -m pip --python $(BIN)/python)
INSTALL = $(PIP) install --quiet --disable-pip-version-check --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

.PHONY: check test lint bench schema clean

check: $(VENV)/.core
	$(BIN)/toolkit check specs/

test: $(VENV)/.dev$(EXTRAS)
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median,rounds $(ARGS)

schema: $(VENV)/.core
	$(BIN)/toolkit schema > spec.schema.json.new
	mv spec.schema.json.new toolkit/spec/spec.schema.json

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV) || $(PYTHON) -m venv --clear --without-pip $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.made $(INPUTS)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/.devreference: $(VENV)/.dev
	$(INSTALL) --editable '.[dev,reference]'
	@touch $@
