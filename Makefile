# make demo: sets up, trains on dates, shows what it sees.   make test: sets up, passes the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench same-loss clean

demo: $(READY)
	$(BIN)/seq2see demo

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Hours, alone on the machine: what stands in docs/benchmarks.md. DATA: the data sets; WORK: room for peers and runs.
bench: $(READY)
	$(BIN)/python benchmarks/bench.py --data "$(DATA)" --work "$(WORK)"

# Is a change that should only be faster as good as before?
same-loss: $(READY)
	$(BIN)/python benchmarks/same_loss.py

# pip, not another installer: it is the one that every Python brings along.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
