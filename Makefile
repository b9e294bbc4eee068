# Everything works on a fresh clone: each target makes the virtual environment it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_OUT ?= grokkit-demo
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/src/*.cpp native/src/*/* native/include/*)

.PHONY: demo test lint types layers unit doctest docs sanitize package wheels oldest soak fuzz bench clean help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/lab ## train 256 networks, crystallize, prove and expand them; writes a page with figures
	$(BIN)/grokkit demo --out $(DEMO_OUT)

test: lint types layers unit doctest docs sanitize package ## the whole suite

lint: $(VENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/deptry --no-ansi src

types: $(VENV)/test
	$(BIN)/pyright

layers: $(VENV)/test
	$(BIN)/lint-imports

unit: $(VENV)/test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

doctest: $(VENV)/test
	$(BIN)/python -m pytest --doctest-modules src

docs: $(VENV)/test ## the documentation, as a site in build/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

sanitize: $(VENV)/test ## the native core under sanitizers, and for NEON under emulation
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/check_native.py

package: $(VENV)/test ## build both wheels, install each alone, use it without torch
	$(BIN)/python tools/wheels.py --dist build/package

wheels: $(VENV)/test ## what a release consists of, in dist: wheels, source, SBOM; tried with the laboratory
	$(BIN)/python tools/wheels.py --lab

oldest: $(VENV)/test ## the tests of the product with the lowest versions that are allowed
	$(BIN)/python tools/oldest.py

soak: $(VENV)/test ## hours of random products, killed sweeps and damaged files
	$(BIN)/python tools/soak.py

fuzz: $(VENV)/test ## read 10,000 mutated scheme files of every kind
	$(BIN)/python tests/fuzz_readers.py

bench: $(VENV)/test ## the measurements of docs/measurements.md (hours)
	$(BIN)/python benchmarks/run_all.py

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "grokkit needs Python 3.11 or later; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/lab: $(VENV)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lab]'
	touch $@

$(VENV)/test: $(VENV)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[lab,test,docs]'
	touch $@ $(VENV)/lab

clean: ## remove the virtual environment and everything that was built
	rm -rf $(VENV) build dist $(DEMO_OUT)
