# `make run` needs Python 3.10 or newer and make, nothing else; `make test` says what it installs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Images set it for themselves; here, hundreds of processes would compile all modules for nothing.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test unit coverage bench torture lint format lock audit release clean
.DEFAULT_GOAL := help

help: ## Show these targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.local-stamp ## Start everything on this machine, and send it sample transactions.
	@$(BIN)/fraudapp local $(ARGS)

test: $(VENV)/.test-stamp ## Run every test, against real servers; installs them.
	$(BIN)/python -m tests.servers.install
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),4) --dist loadfile $(ARGS)

COVERAGE := --cov --cov-report=term:skip-covered

unit: $(VENV)/.test-stamp ## Run the unit tests that need no server and train no model.
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m 'not slow' tests/unit $(ARGS)

coverage: $(VENV)/.test-stamp ## Measure the branches that unit tests reach, and hold them to a floor.
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m 'not slow' $(COVERAGE) tests/unit $(ARGS)

# `make torture MINUTES=30 SEED=1`: everything is broken again and again, and nothing may be lost.
torture: $(VENV)/.test-stamp ## Break everything under load, and look for what is lost (MINUTES=, SEED=).
	@$(BIN)/python -m tests.servers.install
	@$(BIN)/python -m tests.torture --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1) $(ARGS)

# `QUICK=1` for under ten minutes. In an environment of its own: its contenders have their own needs.
bench: .cache/bench-venv/.stamp ## Measure against peers (QUICK=1 for a look).
	@.cache/bench-venv/bin/python -m tests.servers.install
	@.cache/bench-venv/bin/python -m tests.benchmarks --plan $(if $(QUICK),quick,full) $(ARGS)

lint: $(VENV)/.test-stamp ## Check style, format and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

format: $(VENV)/.test-stamp ## Format, and fix what can be fixed.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What the image is built from, with hashes, for the Python that docker/Dockerfile names. A dependency
# stays at its version until `make lock ARGS=--upgrade`, or ARGS='--upgrade-package NAME'.
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 \
	--python-platform linux --custom-compile-command 'make lock'
lock: $(VENV)/.test-stamp ## Pin what the image is built from.
	$(LOCK) setup.cfg --output-file docker/requirements.lock $(ARGS)
	$(LOCK) docker/build.in --output-file docker/build.lock $(ARGS)

# Known vulnerabilities in the lock, but for those in docker/accepted-vulnerabilities.yaml.
audit: $(VENV)/.test-stamp ## Look up known vulnerabilities of the lock.
	$(BIN)/python -m docker.audit

$(VENV)/.local-stamp: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[local]'
	@touch $@

$(VENV)/.test-stamp: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[local,test,dev]'
	@touch $@

.cache/bench-venv/.stamp: setup.cfg pyproject.toml
	$(PYTHON) -m venv .cache/bench-venv
	.cache/bench-venv/bin/pip install --quiet --disable-pip-version-check --editable '.[test,bench]'
	@touch $@

release: $(VENV)/.test-stamp ## Make a release: VERSION=X.Y.Z; tests, changelog, tag, wheel.
	$(BIN)/python .ci/release.py $(VERSION)

clean: ## Remove what these targets made.
	rm -rf $(VENV) .cache .fraudapp build dist *.egg-info
