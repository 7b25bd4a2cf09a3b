# `make run` and `make test` need git, make and Python 3.11 or later; they get the rest. `make help` lists the others.
# What was installed is remembered in .venv/.stamps, so that a second run is quick.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
STAMPS := .venv/.stamps
JS := tests/js/node_modules/.package-lock.json

.PHONY: help run test fuzz chaos soak lint fmt types imports clean autobahn bench bench-full bench-compare

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

run: $(STAMPS)/local  ## Start everything and print the pages to open: make run ARGS="--port 9000"
	@.ci/prepare packages libcurl
	@exec $(BIN)/hubbub dev $(ARGS)

test: $(STAMPS)/test  ## Run all tests, or some: make test ARGS="tests/storage -k order"
	@.ci/prepare packages libcurl node browser
	@$(MAKE) $(JS)
	@.ci/test $(ARGS)

fuzz: $(STAMPS)/test  ## Call everything in the API description, many times: make fuzz EXAMPLES=100
	@.ci/prepare packages libcurl
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),50) $(BIN)/python -m pytest tests/conformance/test_schemathesis.py

chaos: $(STAMPS)/test  ## Break a real cluster in every way there is: make chaos ARGS="F3 F9", ARGS=mutants, ARGS=--list
	@.ci/prepare packages libcurl
	@exec $(BIN)/python tests/chaos/run.py $(ARGS)

soak: $(STAMPS)/test  ## Break it at random: make soak SEED=7 MINUTES=30 (the same seed is the same schedule)
	@.ci/prepare packages libcurl
	@exec $(BIN)/python tests/chaos/run.py soak $(if $(SEED),--seed $(SEED)) --minutes $(or $(MINUTES),30) $(ARGS)

bench: $(STAMPS)/bench  ## Measure everything, small, in minutes; then a page with charts: make bench ARGS="fanout --rounds 7"
	@.ci/prepare packages libcurl node cc
	@$(MAKE) $(JS)
	@exec $(BIN)/python -m bench run --quick $(ARGS)

bench-full: $(STAMPS)/bench  ## The same at full size
	@.ci/prepare packages libcurl node cc
	@$(MAKE) $(JS)
	@exec $(BIN)/python -m bench run $(ARGS)

bench-compare: $(STAMPS)/bench  ## Two revisions, in turns, and whether they differ by more than chance: make bench-compare main~5 HEAD ARGS=fanout
	@.ci/prepare packages libcurl node cc
	@$(MAKE) $(JS)
	@exec $(BIN)/python -m bench compare $(REVISIONS) $(ARGS)

autobahn: $(STAMPS)/test  ## Try the frames of RFC 6455 with Autobahn|Testsuite, beside bare aiohttp; writes docs/autobahn.md
	@exec $(BIN)/python tests/conformance/autobahn/run.py

lint: $(STAMPS)/lint  ## Check style and format
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .

fmt: $(STAMPS)/lint  ## Format, and fix what can be fixed by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMPS)/lint  ## Check types
	$(BIN)/mypy

imports: $(STAMPS)/lint  ## Check that imports keep to the layers
	$(BIN)/lint-imports

clean:  ## Remove what was installed and built (not the data in .hubbub)
	rm -rf .venv build dist *.egg-info tests/js/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(STAMPS)/venv:
	@.ci/prepare venv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/local: pyproject.toml | $(STAMPS)/venv
	@printf 'Installing Hubbub with MongoDB and Redis (the first time: 70 MB)\n'
	@.ci/prepare python '.[local]'
	@touch $@

$(STAMPS)/test: pyproject.toml | $(STAMPS)/venv
	@printf 'Installing Hubbub and what its tests need\n'
	@.ci/prepare python '.[local,test]'
	@touch $@ $(STAMPS)/local

$(STAMPS)/bench: pyproject.toml | $(STAMPS)/venv
	@printf 'Installing Hubbub and what it is measured beside\n'
	@.ci/prepare python '.[local,test,bench]'
	@touch $@ $(STAMPS)/test $(STAMPS)/local

$(STAMPS)/lint: pyproject.toml | $(STAMPS)/venv
	@printf 'Installing Hubbub and its checkers\n'
	@.ci/prepare python '.[local,test,lint]'
	@touch $@ $(STAMPS)/test $(STAMPS)/local

$(JS): tests/js/package.json tests/js/package-lock.json
	@printf 'Installing the JavaScript clients for the tests\n'
	@npm ci --prefix tests/js --ignore-scripts --no-audit --no-fund --no-update-notifier
	@touch $@

# The words behind bench-compare are revisions, not targets.
ifeq (bench-compare,$(firstword $(MAKECMDGOALS)))
REVISIONS := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
.PHONY: $(REVISIONS)
$(REVISIONS):
	@:
endif
