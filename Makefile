# `make` lists the targets.
SHELL := /bin/bash
PY := .venv/bin/python
PORT ?= 8000
LANGS ?= es,ca
export PORT

.DEFAULT_GOAL := help

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: ## Bring what running needs: programs, .venv, the front end.
	@deploy/setup/system.sh demo
	@deploy/setup/python.sh requirements/base.txt
	@deploy/setup/frontend.sh

setup-test: ## Bring what the tests need.
	@deploy/setup/system.sh test
	@deploy/setup/python.sh requirements/dev.txt
	@deploy/setup/frontend.sh

demo: setup ## Dub a talk into Spanish and Catalan (VIDEO=path, LANGS=es,ca, EXIT=1).
	@$(PY) -m cli.demo $(if $(VIDEO),--video "$(VIDEO)") --languages "$(LANGS)" $(if $(EXIT),--exit)

serve: setup ## Run everything on this machine (PORT=8000).
	@$(PY) manage.py serve --port $(PORT)

test: setup-test ## Run all tests, those of the office on SQLite and on PostgreSQL.
	@$(PY) -m pytest -n 2 --dist worksteal -q --ignore tests/e2e
	@$(PY) -m tests.on_postgres -n 2 --dist worksteal -q tests/accounts tests/admin tests/assets tests/config tests/dashboard tests/jobs
	@$(PY) -m pytest -q tests/e2e

test-fast: setup-test ## Leave out what is slow or needs a browser.
	@$(PY) -m pytest -n 2 --dist worksteal -q -m "not slow and not browser"

check: setup-test ## Lint, types, import contracts, templates, migrations, OpenAPI.
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	@if find templates -name '*.html' | grep -q .; then set -x; .venv/bin/djlint templates --check --lint --quiet; fi
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py check
	@$(MAKE) --no-print-directory check-openapi
	$(PY) -m pytest -q tests/jobs/metrics -k prometheus_accepts

check-openapi:
	@test ! -e docs/openapi.yaml || { mkdir -p .make && $(PY) manage.py spectacular --fail-on-warn --validate --file .make/openapi.yaml && diff -u docs/openapi.yaml .make/openapi.yaml; }

openapi: setup-test ## Write docs/openapi.yaml.
	$(PY) manage.py spectacular --fail-on-warn --validate --file docs/openapi.yaml

requirements: setup-test ## Compile requirements/*.in with hashes.
	.venv/bin/uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-header requirements/base.in -o requirements/base.txt
	.venv/bin/uv pip compile -q --generate-hashes --python-version 3.11 --no-emit-index-url --no-header requirements/base.in requirements/dev.in -o requirements/dev.txt

bench: setup-test ## Measure against RESULTS.md's targets; about an hour.
	$(PY) -m bench.dub_vs_oneshot
	$(PY) -m bench.tiny_stages --postgres
	$(PY) -m bench.recovery
	$(PY) -m bench.memory

clean: ## Remove what was made; var/ stays.
	rm -rf .venv .make node_modules static/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help setup setup-test demo serve test test-fast check check-openapi openapi requirements bench clean
