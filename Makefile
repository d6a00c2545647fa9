# Everything sets itself up: Python 3.11 or later is all that is needed.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := .
# Many images forbid byte code beside sources. Hundreds of processes start in here: what one has compiled the others find.
ifdef PYTHONDONTWRITEBYTECODE
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/bytecode
endif

.PHONY: demo test test-fast coverage explore bench lint infra-check lock setup clean

# The whole story on this laptop: no cloud, no account.
demo: setup
	@$(BIN)/python -m infra.local demo

# Every test that this machine can run.
test: setup
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Half a minute, while one works: the core, the use cases on fakes, the house rules.
test-fast: setup
	$(BIN)/python -m pytest tests/core tests/use_cases tests/house $(PYTEST_ARGS)

# The core's rule 6: every line and branch of it is reached by tests/core, and by tables: the generated input is left out.
coverage: setup
	@mkdir -p build
	$(BIN)/python -m coverage run --data-file=build/coverage --source=token_refresh/core -m pytest -p no:cacheprovider tests/core -m "not hypothesis"
	$(BIN)/python -m coverage report --data-file=build/coverage --skip-covered --show-missing --fail-under=100

# Every interleaving and fault of the refresher, deeper than the tests go; says how far it came.
# EXPLORE="--seconds 3600" for longer, "--scene 3" for one scene; `python -m tests.explorer replay N` tells a story.
explore: setup
	@$(BIN)/python -m tests.explorer explore $(EXPLORE)

# Counted and measured against baselines of the same run, beside the goals (docs/benchmarks.md): a quarter of an hour.
# BENCH="--only idle,due" for some rows, "--json" for machines.
bench: setup
	@$(BIN)/python -m tests.bench $(BENCH)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy main.py token_refresh infra/local infra/costs.py tests

# Terraform, IAM, schedules, Cloud Build: see infra/check.
infra-check: setup
	@infra/check

setup: $(VENV)/installed

$(VENV)/installed: tests/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.13 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV): half a minute, once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.txt
	@touch $@

# Pin the ranges of pyproject.toml with hashes: the function's room, the laptop's, the tests'.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml
lock:
	$(LOCK) -o requirements.txt
	$(LOCK) --group local -c requirements.txt -o infra/local/requirements.txt
	$(LOCK) --group local --group test -c infra/local/requirements.txt -o tests/requirements.txt

clean:
	rm -rf $(VENV) .venv-infra .pytest_cache .mypy_cache .ruff_cache .hypothesis build
