# Every target builds its own virtual environment first. Needs python3 (3.10+), python3-venv and make, nothing else.
# Another interpreter: `make test PYTHON=python3.12` (the environment is rebuilt when the interpreter changes).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# pytest's options for one run: `make test-unit ARGS="-k overlay -x"`
ARGS ?=

TYPING_TESTS := $(wildcard tests/typing/*.py)

.DEFAULT_GOAL := help
.PHONY: help environment demo test test-unit test-integration lint format

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-18s %s\n", $$1, $$2 }'

# Decides by content (interpreter, pyproject.toml), not by time stamps, which a clone or a copy changes at will.
environment:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "$(PYTHON) was not found. Install it: sudo apt-get install python3 python3-venv" >&2; exit 1; }
	@"$(PYTHON)" tools/environment.py "$(VENV)"

demo: environment  ## an agent is killed and resumes, against a local server: no cluster, no keys
	@$(BIN)/python examples/demo.py

test: environment  ## everything that needs no cluster, then a rehearsal of test-integration
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE $(BIN)/python -m pytest $(ARGS)

test-unit: environment  ## the pure tests, a few seconds
	@$(BIN)/python -m pytest tests/unit $(ARGS)

test-integration:  ## against the cluster in KUSTO_CLUSTER_URI, database KUSTO_DATABASE
	@if [ -z "$$KUSTO_CLUSTER_URI" ] || [ -z "$$KUSTO_DATABASE" ]; then \
	  echo "make test-integration talks to a live database. Set both variables first:" >&2; \
	  echo "  KUSTO_CLUSTER_URI   e.g. https://<cluster>.<region>.kusto.windows.net" >&2; \
	  echo "  KUSTO_DATABASE      the database that provision.kql was run in" >&2; \
	  echo "(KUSTO_TEST_CREATE=1 lets the tests run provision.kql themselves.)" >&2; \
	  exit 2; \
	fi
	@$(MAKE) --no-print-directory environment
	@$(BIN)/python -m pytest tests/integration $(ARGS)

lint: environment  ## style, types, layers, and Microsoft's parser over every KQL text
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy langgraph
	@$(BIN)/mypy tools/kql_lint.py
	@# As a user's project would: no configuration of ours, from outside the tree, through the installed package.
	@[ -z "$(TYPING_TESTS)" ] || (cd tests/typing && ../../$(BIN)/mypy --config-file= --strict .)
	@$(BIN)/ty check --python $(VENV)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python tools/kql_lint.py

format: environment  ## rewrite the sources in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
