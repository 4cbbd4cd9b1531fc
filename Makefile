# Everything a developer or CI runs. `make` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
# The oldest supported Python first: the locks are cut for it.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
STAMP := $(VENV)/.installed
FULL := $(STAMP)-dev
DEMO := $(STAMP)-demo
# Airflow, and what benchmarks compare with, pin other versions of much: they have environments of their own.
AIRFLOW := .venv-airflow/.installed
PEERS := .venv-peers/.installed
STREAM_PEERS := .venv-stream-peers/.installed
SOURCES := $(wildcard bench engine examples foretable jobs online services streaming tests)
REQUIRE_SERVICES ?= $(if $(filter true,$(CI)),1,)
export REQUIRE_SERVICES

# One line for `pip install`: only locked files, checked against their hashes.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
LOCKED := $(PIP_INSTALL) --require-hashes

# $(call in-java,COMMAND): runs COMMAND with JAVA_HOME set to a Java that Spark can use, where there is one.
in-java = home="$$(scripts/ensure_java.sh $(if $(REQUIRE_SERVICES),--require))"; \
	if [ -n "$$home" ]; then export JAVA_HOME="$$home"; fi; $(1)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {sub(/%/, "NAME", $$1); printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup venv setup-demo
setup: $(FULL) ## Make .venv from the locked, hashed requirements
venv: setup

setup-demo: ## Make .venv with only what the demo needs (no linters, no tests)
	@$(MAKE) --no-print-directory $(if $(wildcard $(FULL)),$(FULL),$(DEMO))

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "make: Python 3.11 or newer must be on PATH; found none. Debian, Ubuntu: apt-get install python3 python3-venv" >&2; exit 64; fi
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) must have the venv module; got none. Debian, Ubuntu: apt-get install python3-venv" >&2; exit 64; }
	$(PYTHON) -m venv $(VENV)

# 1. The build tools first, so that 2. builds source distributions with exactly these.
# 3. The project itself, editable, with nothing resolved anew.
$(STAMP)-%: requirements/%.txt requirements/build.txt setup.cfg | $(BIN)/python
	@echo "setup: installing requirements/$*.txt into $(VENV)"
	$(LOCKED) --only-binary :all: -r requirements/build.txt
	$(LOCKED) --no-build-isolation -r requirements/$*.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: airflow peers stream-peers
airflow: $(AIRFLOW) ## Make .venv-airflow, in which a test loads and runs the example's DAG
peers: $(PEERS) ## Make .venv-peers, with the servers that bench-online compares with
stream-peers: $(STREAM_PEERS) ## Make .venv-stream-peers, with Quix Streams, which bench-stream compares with

# Compiling all of it to bytecode would take longer than all that is done with it.
$(AIRFLOW) $(PEERS) $(STREAM_PEERS): .venv-%/.installed: requirements/%.txt | $(BIN)/python
	@echo "$*: installing $< into $(@D)"
	@[ -x $(@D)/bin/python ] || $(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
		--require-hashes --only-binary :all: -r $<
	@touch $@

.PHONY: java maven
java: ## Find Java 17 or 21 for Spark; install it where missing and allowed
	@scripts/ensure_java.sh --require

maven: ## Find Maven for the services' jars; install it where missing and allowed
	@scripts/ensure_maven.sh --require

.PHONY: services-up services-down
services-up: setup java maven ## Start HDFS, YARN and Kafka on this machine; print how to use them
	@$(BIN)/python -m services up

services-down: setup ## Stop them; data stays (`python -m services down --wipe` removes it)
	@$(BIN)/python -m services down

.PHONY: demo
demo: setup-demo ## Train, precompute, publish, serve and ask, on real flights
	@$(call in-java,$(BIN)/foretable demo)

.PHONY: test test-unit
test: test-unit $(if $(REQUIRE_SERVICES),airflow) ## Run every test
	@layers=(); for layer in contract integration e2e; do \
		if [ -n "$$(find tests/$$layer -name 'test_*.py' -print -quit 2>/dev/null)" ]; then layers+=("tests/$$layer"); fi; done; \
	if [ "$${#layers[@]}" -gt 0 ]; then $(call in-java,scripts/ensure_maven.sh >/dev/null; \
		scripts/ensure_qemu.sh >/dev/null; $(BIN)/python -m pytest "$${layers[@]}"); fi

test-unit: setup ## Run the unit tests, in parallel
	@$(BIN)/python -m pytest tests/unit -n auto

.PHONY: soak-batch
soak-batch: setup maven ## Break HDFS, YARN and S3 under scoring jobs at every point; ROUNDS=N repeats it
	@for round in $$(seq $(or $(ROUNDS),1)); do echo "soak-batch: round $$round"; \
		$(call in-java,SOAK_BATCH=1 $(BIN)/python -m pytest tests/integration/test_faults_*.py); done

.PHONY: soak-stream
soak-stream: setup maven ## Kill 100 stream members of each Kafka client, and the brokers; KILLS=N as many
	@$(call in-java,SOAK_STREAM=$(or $(KILLS),100) $(BIN)/python -m pytest -s --timeout 3600 \
		tests/integration/test_stream_chaos.py)

.PHONY: lint format types
lint: setup types ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy $(SOURCES)

format: setup ## Rewrite the sources in the project's format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: parity
parity: setup ## Check that every path gives the same bytes
	@$(call in-java,$(BIN)/python -m bench.parity)

bench-online: peers
bench-stream: stream-peers maven
# The explicit rule of bench-report is found before this pattern.
bench-%: setup ## Measure bench/NAME.py into bench/results/NAME.json
	@$(call in-java,$(BIN)/python -m bench.$(subst -,_,$*))

.PHONY: bench-report bench-check
bench-report: setup ## Print each figure beside its goal; fill the tables of README and docs/measured.md
	@$(BIN)/python -m bench.report

bench-check: setup ## Check that these tables show the recorded figures
	@$(BIN)/python -m bench.report --check

.PHONY: lock
lock: ## Resolve the requirements anew (UPGRADE=1 takes the newest)
	@PYTHON="$(PYTHON)" scripts/lock.sh $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## Remove caches, builds and all environments
	rm -rf .venv .venv-airflow .venv-peers .venv-stream-peers .venv-lock build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
