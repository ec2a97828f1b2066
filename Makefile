# nunchi: `make help` lists what can be made. Everything lives in .venv; nothing outside this folder changes.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
KERNELS := $(shell find src -name '*.pyx' -o -name '*.pxd')
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help up test check bench fmt kernels

help:  ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

up: .venv/server kernels  ## watch this machine: install if needed, start, print the address
	@exec $(BIN)/nunchi up

test: .venv/test kernels  ## from nothing to a green test run
	@$(BIN)/pytest -n auto -q

check: .venv/test kernels  ## lint, types and import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: .venv/test kernels  ## run the benchmarks (minutes); results go to benchmarks/results
	@for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

fmt: .venv/test  ## format the code
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

kernels: .venv/kernels

.venv/tools: constraints.txt
	@tools/prerequisites "$(PYTHON)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) setuptools Cython wheel
	@touch $@

.venv/server: .venv/tools pyproject.toml setup.py
	@echo "installing nunchi into .venv ..."
	@$(PIP) --no-build-isolation --editable '.[server]'
	@touch $@ .venv/kernels

.venv/test: .venv/server pyproject.toml
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["test"], sep="\n")' > $@.txt
	@$(PIP) --requirement $@.txt
	@touch $@

# Installing compiles every kernel: so it is done once. Here only what changed is compiled again.
.venv/kernels: $(KERNELS) | .venv/server
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@
