# `make check` judges the documents of this repository, `make test` tests the toolkit.
# Needs Python 3.11 or newer with pip, and make; everything else is installed into .venv.
# `make test EXTRAS=reference,pages,browser` installs torch, transformers and peft too, and compares with them, and
# what builds the site and opens it in a browser (Chromium itself comes from the system).
# `make site` builds the site into build/site, `make serve` shows it and follows every change.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?=
BIN := $(VENV)/bin
# A Python without ensurepip makes an environment without pip; the pip of that Python then installs into it.
PIP = $$($(BIN)/python -c 'import pip' 2>/dev/null && echo $(BIN)/python -m pip || echo $(PYTHON) -m pip --python $(BIN)/python)
INSTALL = $(PIP) install --quiet --disable-pip-version-check --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

# Each set of extras has a stamp of its own: .dev+pages+browser.
COMMA := ,
DEV = $(VENV)/.dev$(if $(EXTRAS),+$(subst $(COMMA),+,$(EXTRAS)))

.PHONY: check test lint bench corpus accuracy measure schema site serve clean

check: $(VENV)/.core
	$(BIN)/toolkit check specs/

# Runs a process for each core (at most 8), each with up to 2 GB; `make test ARGS="-n 0"` runs one, for a debugger.
test: $(DEV)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-columns=min,median,rounds $(ARGS)

# How well `toolkit scan` reads documents whose every number is labelled; `make corpus ARGS=-v` names what it gets wrong.
corpus: $(VENV)/.core
	$(BIN)/python -m tests.documents.corpus.score $(ARGS)

# Measures every scenario of the specs on the GPU of this machine; without a GPU all are skipped, with the reason.
measure: $(DEV)
	$(BIN)/python -m pytest -m gpu specs/ $(ARGS)

# The tables of errors against published readings; `toolkit accuracy --refresh` updates the committed errors.
accuracy: $(VENV)/.core
	@mkdir -p build
	$(BIN)/toolkit accuracy --check
	$(BIN)/toolkit accuracy --traced --check
	$(BIN)/toolkit accuracy --format json --output build/accuracy.json
	$(BIN)/toolkit accuracy --format markdown --output build/accuracy.md
	$(BIN)/toolkit accuracy --traced --format markdown --output build/accuracy-traced.md
	$(BIN)/toolkit accuracy
	$(BIN)/toolkit accuracy --traced

schema: $(VENV)/.core
	$(BIN)/toolkit schema > spec.schema.json.new
	mv spec.schema.json.new toolkit/spec/spec.schema.json

site: $(VENV)/.dev+pages
	$(BIN)/toolkit pages specs/documents --accuracy specs/published
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pages are plain files: one process rewrites them when a spec, a template or a hand-written page changes, the
# other serves them.
serve: $(VENV)/.dev+pages
	$(BIN)/toolkit pages specs/documents
	@$(BIN)/toolkit pages specs/documents --watch & watcher=$$!; trap "kill $$watcher" EXIT INT TERM; \
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve $(ARGS)

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

$(VENV)/.dev+%: $(VENV)/.dev
	$(INSTALL) --editable '.[dev,$(subst +,$(COMMA),$*)]'
	@touch $@
