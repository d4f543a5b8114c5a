# Every target sets up what it needs; a second call costs nothing. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
MODEL ?= release
PORT ?= 3000

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Idle OpenMP threads that spin make two busy processes many times slower than one.
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 0
export GX_ANALYTICS_ENABLED ?= false
export BENTOML_DO_NOT_TRACK ?= True
export DO_NOT_TRACK ?= 1

.PHONY: help setup repro release serve ui test test-all lint clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

setup: .venv/.ready ## Make .venv from exact pins (about 7 GB) and install ffmpeg
repro: .venv/.ready ## The main job: get the demo corpus, prepare, search, train, evaluate, package (dvc repro)
	dvc pull --quiet data.dvc
	dvc repro
	@python -m stages.summary

release: .venv/.ready ## Train the model of real people in release/ (an hour on 2 cores; MMER_MIRROR names the corpora)
	cd release && dvc repro

serve: .venv-serve/.ready ## Serve a model over HTTP: make serve MODEL=models PORT=3000
	MMER_MODEL=$(MODEL) .venv-serve/bin/bentoml serve service:svc --port $(PORT)

ui: .venv/.ready ## Look at the runs in MLflow
	mlflow ui --port 5000

test: .venv/.ready .venv/.tests ## Format, lint, types, and all tests but the slow ones
	$(lint)
	dvc pull --quiet data.dvc
	pytest -m "not slow"

test-all: .venv/.ready .venv/.tests ## All tests, also those that take minutes
	$(lint)
	dvc pull --quiet data.dvc
	pytest

lint: .venv/.ready ## Format and lint (ruff) and types (mypy), nothing changed
	$(lint)

clean: ## Remove what was made: data, models, reports, checkpoints, runs (not .venv, not the DVC cache)
	rm -rf data/raw data/interim data/processed data/clips.parquet models reports .mmer mlflow.db mlruns
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis

define lint
ruff format --check .
ruff check .
mypy
endef

.venv/.ready: requirements.txt requirements-facenet.txt pyproject.toml scripts/setup.sh
	scripts/setup.sh packages ffmpeg:ffmpeg
	scripts/setup.sh venv .venv $(PYTHON) 9 -r requirements.txt
	.venv/bin/pip install --quiet --no-deps -r requirements-facenet.txt
	.venv/bin/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv-serve/.ready: requirements-serve.txt scripts/setup.sh
	scripts/setup.sh packages ffmpeg:ffmpeg
	scripts/setup.sh venv .venv-serve $(PYTHON) 1 -r requirements-serve.txt
	touch $@

.venv/.tests: .venv/.ready
	scripts/setup.sh packages chromium:chromium
	touch $@
