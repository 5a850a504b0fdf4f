# `make run` and `make test` set up everything they need: uv (in .uv/, unless the machine has it), Python 3.10 and
# the locked packages (in .venv/).

ROWS ?= 200000
OUTPUT ?= output/demo
PORT ?= 8500
WORKERS ?= 2

RUN := .venv/bin

export TF_USE_LEGACY_KERAS = 1
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Unset: what is in .venv is compiled once, and not at every start, which would take two thirds of it.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help setup run serve test lint format requirements docs clean

help: ## Show what can be made
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 24
	@echo
	@echo "  Variables: ROWS=$(ROWS) (rows of the demo log)  OUTPUT=$(OUTPUT)  PORT=$(PORT) (of make serve)"

setup: .venv/.locked ## Install Python and the locked packages

.venv/.locked: pyproject.toml uv.lock .python-version
	@uv=$$(tools/prepare_machine.sh .uv) && echo "$$uv sync --locked --extra pipeline" && $$uv sync --locked --extra pipeline --quiet
	@touch $@

run: setup ## Make the demo log, train, judge, ship, serve and score
	$(RUN)/crocodile data generate --output $(OUTPUT)/log --rows $(ROWS)
	$(RUN)/crocodile run --config configs/demo.yaml --data $(OUTPUT)/log --output $(OUTPUT)

serve: setup ## Serve the model that `make run` pushed
	$(RUN)/crocodile serve --model-base-path $(OUTPUT)/serving_model/crocodile --port $(PORT)

test: lint ## Check style and types, then run all tests
	@tools/prepare_browser.sh
	$(RUN)/pytest --numprocesses=$(WORKERS) --dist=loadgroup --no-loadscope-reorder

lint: setup ## Check style, types and that requirements.txt is the lock file's
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	@$(MAKE) --no-print-directory requirements TO=.venv/requirements.txt
	@diff -u requirements.txt .venv/requirements.txt || (echo "run 'make requirements'" >&2; exit 1)

format: setup ## Format the code
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

TO ?= requirements.txt
requirements: setup ## Export requirements.txt from the lock file
	@$$(tools/prepare_machine.sh .uv) export --locked --quiet --extra pipeline --no-dev --no-emit-project --no-hashes --no-header --output-file $(TO) >/dev/null

docs: setup ## Write docs/config.md from the config's classes
	$(RUN)/python -m pipeline.config_reference > docs/config.md

clean: ## Remove results, keep the environment
	rm -rf output .mypy_cache .ruff_cache .pytest_cache
