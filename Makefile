# `make run` needs Python 3.10 or newer and make, nothing else; `make test` says what it installs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test bench torture lint format lock audit clean

run: $(VENV)/.local-stamp
	@$(BIN)/fraudapp local $(ARGS)

test: $(VENV)/.test-stamp
	$(BIN)/python -m tests.servers.install
	$(BIN)/python -m pytest --numprocesses $(or $(JOBS),3) --dist loadfile $(ARGS)

# `make torture MINUTES=30 SEED=1`: everything is broken again and again, and nothing may be lost.
torture: $(VENV)/.test-stamp
	@$(BIN)/python -m tests.servers.install
	@$(BIN)/python -m tests.torture --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1) $(ARGS)

# `QUICK=1` for under ten minutes. In an environment of its own: its contenders have their own needs.
bench: .cache/bench-venv/.stamp
	@.cache/bench-venv/bin/python -m tests.servers.install
	@.cache/bench-venv/bin/python -m tests.benchmarks --plan $(if $(QUICK),quick,full) $(ARGS)

lint: $(VENV)/.test-stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

format: $(VENV)/.test-stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What the image is built from, with hashes, for the Python that docker/Dockerfile names. A dependency
# stays at its version until `make lock ARGS=--upgrade`, or ARGS='--upgrade-package NAME'.
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 \
	--python-platform linux --custom-compile-command 'make lock'
lock: $(VENV)/.test-stamp
	$(LOCK) setup.cfg --output-file docker/requirements.lock $(ARGS)
	$(LOCK) docker/build.in --output-file docker/build.lock $(ARGS)

# Known vulnerabilities in the lock, but for those in docker/accepted-vulnerabilities.yaml.
audit: $(VENV)/.test-stamp
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

clean:
	rm -rf $(VENV) .cache .fraudapp build dist *.egg-info
