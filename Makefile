# Every target builds its own virtual environment first. Needs python3 (3.10+), python3-venv and make, nothing else.
# Another interpreter: `make test PYTHON=python3.12` (the environment is rebuilt when the interpreter changes).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# pytest's options for one run: `make test-unit ARGS="-k overlay -x"`
ARGS ?=

TYPING_TESTS := $(wildcard tests/typing/*.py)

.DEFAULT_GOAL := help
.PHONY: help environment demo test test-unit test-integration test-queued test-kill test-crash test-seeds test-slow load test-judgement test-model test-differential test-oldest coverage mutants bench bench-quick growth lint format

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-18s %s\n", $$1, $$2 }'

# Decides by content (interpreter, pyproject.toml), not by time stamps, which a clone or a copy changes at will.
environment:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "$(PYTHON) was not found. Install it: sudo apt-get install python3 python3-venv" >&2; exit 1; }
	@"$(PYTHON)" tools/environment.py "$(VENV)"

demo: environment  ## an agent is killed and resumes, against a local server: no cluster, no keys
	@$(BIN)/python examples/demo.py

test: environment  ## unit, integration, faults, conformance and more, without a cluster, then a rehearsal of test-integration; no campaigns
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

# Needs npm at run time, which comes from a wheel and fetches Azurite, the emulator of Azure storage.
test-queued: environment  ## queued ingestion, over an Azurite that is fetched by npm (two minutes)
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE \
	  $(BIN)/python -m pytest tests/queued $(ARGS)

# Clients killed; three servers are killed for ten clients.
test-kill: ROUNDS ?= 100
test-kill: environment  ## clients and servers killed while they write (minutes); ROUNDS=100
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE PYTHONPATH=tests \
	  $(BIN)/python tests/faults/campaign.py --rounds $(ROUNDS)

# Ends with 1 when anything is found, or less was done than asked for.
test-crash: ROUNDS ?= 500
test-crash: OPERATIONS ?= 1000000
test-crash: SEED ?= 1
test-crash: environment  ## clients and servers killed under load, faults on, everything checked (an hour or more); ROUNDS=500 OPERATIONS=1000000 SEED=1
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE PYTHONPATH=tests \
	  $(BIN)/python -m crash.campaign --rounds $(ROUNDS) --operations $(OPERATIONS) --seed $(SEED) $(ARGS)

SEEDS ?= 50
FIRST ?= 1

test-seeds: environment  ## what Kusto leaves open, decided by many seeds (hours); SEEDS=50 FIRST=1
	@$(BIN)/python tools/seeds.py --seeds $(SEEDS) --first $(FIRST) -- $(ARGS)

# ROUNDS texts, spoilt from SEED on.
test-judgement: ROUNDS ?= 2000
test-judgement: SEED ?= 1
test-judgement: environment  ## spoilt queries: what Microsoft's binder rejects, the local server rejects
	@PYTHONPATH=tests:tools $(BIN)/python -m judgement.campaign $(ROUNDS) $(SEED)

test-slow: environment  ## states of 100 and 200 MB, 10,000 channels, 100,000 writes: exact, and what a client grows by (minutes)
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE PYTHONPATH=tests \
	  $(BIN)/python -m slow.large_states

load: environment  ## 50 durable calls a second for 5 minutes on a slow server that throttles; what they cost in memory
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE PYTHONPATH=tests \
	  $(BIN)/python -m slow.steady_load

# Sequences FIRST to FIRST + SEQUENCES - 1; one that fails alone is made small.
test-model: SEQUENCES ?= 2000
test-model: INGESTION ?= streaming
test-model: environment  ## random sequences of calls, compared with a reference after each (half an hour); SEQUENCES=2000 FIRST=1 INGESTION=inline
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE PYTHONPATH=tests \
	  $(BIN)/python -m model.campaign $(SEQUENCES) $(FIRST) $(INGESTION)

# `make test` runs a few examples, always the same ones. Needs PostgreSQL: sudo apt-get install postgresql
test-differential: EXAMPLES ?= 500
test-differential: SEED ?= 1
test-differential: INGESTION ?= streaming
test-differential: environment  ## the same generated operations on the Postgres saver; EXAMPLES=500 SEED=1 INGESTION=inline
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE DIFFERENTIAL_EXAMPLES=$(EXAMPLES) DIFFERENTIAL_INGESTION=$(INGESTION) \
	  $(BIN)/python -m pytest tests/differential --hypothesis-seed=$(SEED) --timeout=7200 $(ARGS)

# Each in an environment of its own: what tools/lines/ names, the oldest versions that are supported among them.
LINES := $(basename $(notdir $(wildcard tools/lines/*.txt)))

test-oldest: $(LINES:%=test-line-%)  ## unit, integration, conformance with older versions of LangGraph (many minutes)

test-line-%:
	@"$(PYTHON)" tools/environment.py "$(VENV)-$*" "tools/lines/$*.txt"
	@$(VENV)-$*/bin/python -m pip list --disable-pip-version-check | grep -E '^langgraph(-checkpoint)? '
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE \
	  $(VENV)-$*/bin/python -m pytest tests/unit tests/integration tests/conformance $(ARGS)

# Without the rehearsal and the tests of the environment, which run the same code once more. What was run is reported
# also when a test fails. The pure files are those that tests/test_house.py lists.
PURE = $(shell sed -n '/^PURE_FILES/,/^]/s|^ *"\(.*\)",|langgraph/checkpoint/kusto/\1|p' tests/test_house.py | paste -sd,)

coverage: environment  ## branches run by the tests: over 90 %, all of the pure files (many minutes)
	@$(BIN)/coverage erase
	@status=0; \
	env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE $(BIN)/coverage run -m pytest \
	  -m "not rehearsal" --ignore=tests/test_environment.py --timeout=600 $(ARGS) || status=1; \
	$(BIN)/coverage combine -q || exit 1; \
	$(BIN)/coverage report || status=1; \
	$(BIN)/coverage report --include="$(PURE)" --fail-under=100 || status=1; \
	exit $$status

mutants: environment  ## break the pure files one step at a time; their unit tests must notice (an hour or two); MODULES=_batch
	@$(BIN)/python tools/mutants.py $(MODULES)

# Every measurement is a process of its own. Without PostgreSQL its columns are missing: sudo apt-get install postgresql
BENCH = env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE PYTHONPATH=tests \
  $(BIN)/python -m benchmarks
OUT ?= build/bench

bench: RUNS ?= 3
bench: environment  ## this library's savers beside LangGraph's others, medians of RUNS=3 (an hour or less); OUT=build/bench
	@$(BENCH) --size full --runs $(RUNS) --out $(OUT) --plots $(ARGS)

bench-quick: environment  ## the same, small, once (minutes); ARGS="--workload chats_100"
	@$(BENCH) --size quick --runs 1 --out $(OUT)/quick $(ARGS)

growth: environment  ## what a read and a put cost as threads, histories, states, callers grow (ten minutes); ARGS="--axis threads"
	@env -u KUSTO_CLUSTER_URI -u KUSTO_DATABASE -u KUSTO_TEST_CREATE PYTHONPATH=tests \
	  $(BIN)/python -m benchmarks.growth --out $(OUT) --plots $(ARGS)

lint: environment  ## style, types, layers, and Microsoft's parser over every KQL text
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy langgraph
	@$(BIN)/mypy tools/kql_lint.py
	@$(BIN)/mypy benchmarks
	@# As a user's project would: no configuration of ours, from outside the tree, through the installed package.
	@[ -z "$(TYPING_TESTS)" ] || (cd tests/typing && ../../$(BIN)/mypy --config-file= --strict .)
	@$(BIN)/ty check --python $(VENV)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python tools/kql_lint.py

format: environment  ## rewrite the sources in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
