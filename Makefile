# Two commands set everything up: `make demo` and `make test`. A second run of either installs nothing.
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready

LOWEST := .venv-lowest
LOWEST_READY := $(LOWEST)/.ready

.PHONY: demo test test-lowest test-long lint lock

demo: $(READY)
	$(BIN)/showme generate src/showme/assets/examples/push_left.png "$$(cat src/showme/assets/examples/push_left.txt)" \
		--task image,video --out showme-out/demo

# Two processes with a thread each: most tests wait for one thread, whatever the machine has.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# The tests on the lowest versions that pyproject.toml allows: a bound is true only where they pass.
test-lowest: $(LOWEST_READY)
	$(LOWEST)/bin/python -m pytest

# What takes too long for every change: all frames of 100 kinds of videos against the ffmpeg command, ten minutes, and
# trainings that are killed or launched in several processes.
test-long: $(READY)
	$(BIN)/python scripts/decoding_matrix.py
	$(BIN)/python -m pytest -m long -o timeout=0

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v.major}.{v.minor}: make PYTHON=python3.11 ...")'
	@echo "Setting up .venv: 5 GB, a minute on a fast line, many on a slow one. It is done once."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(READY)

$(LOWEST_READY): pyproject.toml overrides.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
		--override overrides.txt --editable ".[dev]"
	@touch $(LOWEST_READY)

# Pins what pyproject.toml asks for; run it after changing the dependencies.
lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras \
		--no-header --no-annotate --no-emit-index-url --constraint constraints.txt --override overrides.txt --output-file requirements.lock pyproject.toml
