# Every target sets up what it needs; a second call costs nothing. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
MODEL ?= release
HOST ?= 127.0.0.1
PORT ?= 3000

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Idle OpenMP threads that spin make two busy processes many times slower than one.
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 0
export GX_ANALYTICS_ENABLED ?= false
export BENTOML_DO_NOT_TRACK ?= True
export DO_NOT_TRACK ?= 1

.PHONY: help setup repro release folds light wheel image serve page ui test test-all lint clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

setup: .venv/.ready ## Make .venv from exact pins (about 7 GB) and install ffmpeg
repro: .venv/.ready ## The main job: get the demo corpus, prepare, search, train, evaluate, package (dvc repro)
	dvc pull --quiet data.dvc
	dvc repro
	@python -m stages.summary

release: .venv/.ready ## Train the model of real people in release/ (hours on 2 cores; MMER_MIRROR names the corpora)
	cd release && dvc repro publish

folds: .venv/.ready ## Cross-validate its voices by speaker, of all its corpora in 7 classes and of RAVDESS in 8 (hours), and put that into its card
	cd release && dvc repro folds eight_classes && dvc repro --single-item --force publish

light: .venv/.ready ## Train the extra-light model for phones in release/light/, on what `make release` prepared (an hour)
	cd release/light && dvc repro

wheel: ## Build the package that installs, with the model of release/ in it, in dist/ (needs Python with pip)
	rm -rf build  # what an earlier build left, modules that are gone among it, would get in
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .
	rm -rf build
	@ls -l dist/*.whl

image: .venv/.images ## Build the service's container image without a daemon, by buildah: mmer:serve (needs root)
	scripts/image.sh serve

serve: .venv-serve/.ready ## Serve a model over HTTP: make serve MODEL=models PORT=3000; HOST=0.0.0.0 for other machines too
	@echo "serve: http://$(HOST):$(PORT) $(if $(filter 127.% localhost ::1,$(HOST)),(this machine alone; others too: make serve HOST=0.0.0.0),(whoever reaches $(HOST)))"
	MMER_MODEL=$(MODEL) .venv-serve/bin/bentoml serve service:svc --host $(HOST) --port $(PORT)

page: ## Let the page recognise on the visitor's device, without a server: fetches its runtime (needs Node)
	@command -v npm >/dev/null || { echo "page: npm is missing: install Node 20 or newer (Debian: apt-get install npm)"; exit 1; }
	cd web && npm ci --ignore-scripts --no-audit --no-fund
	gzip -9 --keep --force --no-name web/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm
	node -e 'const f = require("fs"), [, name] = process.argv; f.writeFileSync(name + ".br", require("zlib").brotliCompressSync(f.readFileSync(name)))' web/node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm

ui: .venv/.ready ## Look at the runs in MLflow
	mlflow ui --port 5000

test: .venv/.ready .venv/.tests web/node_modules/.package-lock.json ## Format, lint, types, and all tests but the slow ones
	$(lint)
	dvc pull --quiet data.dvc
	pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: .venv/.ready .venv/.tests-all web/node_modules/.package-lock.json ## All tests, also those that take minutes
	$(lint)
	dvc pull --quiet data.dvc
	pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: .venv/.ready web/node_modules/.package-lock.json ## Format, lint and types (ruff, mypy; eslint, tsc), nothing changed
	$(lint)

clean: ## Remove what was made: data, models, reports, checkpoints, runs (not .venv, not the DVC cache)
	rm -rf data/raw data/interim data/processed data/clips.parquet models reports .mmer mlflow.db mlruns
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis

define lint
ruff format --check .
ruff check .
mypy
@[ ! -d web/node_modules ] || { cd web && npm run --silent check; }
endef

.venv/.ready: requirements.txt requirements-no-deps.txt pyproject.toml setup.py scripts/setup.sh
	scripts/setup.sh packages ffmpeg:ffmpeg
	scripts/setup.sh venv .venv $(PYTHON) 9 -r requirements.txt
	.venv/bin/pip install --quiet --no-deps -r requirements-no-deps.txt
	.venv/bin/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv-serve/.ready: requirements-serve.txt scripts/setup.sh
	scripts/setup.sh packages ffmpeg:ffmpeg
	scripts/setup.sh venv .venv-serve $(PYTHON) 1 -r requirements-serve.txt
	touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	@if command -v npm >/dev/null; then $(MAKE) page && touch $@; else \
		echo "set-up: no npm, so the page's own checks and its mode \"On this device\" are left out (install Node, then: make page)"; fi

.venv/.tests: .venv/.ready
	scripts/setup.sh packages chromium:chromium firefox-esr:firefox-esr nginx:nginx-light pg_ctlcluster:postgresql
	touch $@

.venv/.images: .venv/.ready
	scripts/setup.sh packages buildah:buildah mmdebstrap:mmdebstrap
	touch $@

.venv-agents/.ready: examples/requirements.txt scripts/setup.sh
	scripts/setup.sh venv .venv-agents $(PYTHON) 1 -r examples/requirements.txt
	touch $@

.venv/.tests-all: .venv/.tests .venv/.images .venv-agents/.ready
	scripts/setup.sh packages runc:runc promtool:prometheus
	touch $@
