# Everything a checkout is used for. Each target sets up what it needs in .venv from the lock files under vendor/.
#   make serve ARGS="--port 9000"        arguments for the server
#   make test ARGS="-k config -x"        arguments for pytest
#   make PYTHON=/usr/bin/python3.12 ...  another interpreter
.DEFAULT_GOAL := help
export PYTHON
VENV := .venv
RUN := $(VENV)/bin/python
PYTEST := $(RUN) -m scripts.steady $(ARGS)

.PHONY: help setup serve test test-slow chaos fuzz frozen check format binary bench bench-durable docs lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 15

setup: ## Create or update .venv, and .venv-a2a03 for the old A2A client, with all that development needs
	@scripts/setup $(VENV) requirements.txt requirements-dev.txt
	@scripts/setup .venv-a2a03 requirements-a2a03.txt

serve: ## Start the server; without a key or an Ollama it fetches a small local model first
	@scripts/setup $(VENV) requirements.txt
	@$(RUN) scripts/fetch_local_model.py --if-needed $(ARGS)
	@exec $(RUN) -m hector serve $(ARGS)

test: setup ## Run the test-suite (all but the slow, the chaos and the frozen tests)
	$(PYTEST) -n 2 --dist worksteal -m "not slow and not frozen and not chaos"

# The second run has nothing beside it. ARGS may leave a run without tests: 5 says so, and is no failure.
test-slow: setup ## Run the tests that take long: local model, many restarts
	$(PYTEST) -n 2 --dist worksteal -m "slow and not frozen and not chaos and not alone" $(if $(ARGS),|| [ $$? -eq 5 ])
	$(PYTEST) -m "slow and not frozen and not chaos and alone" $(if $(ARGS),|| [ $$? -eq 5 ])

chaos: setup ## Kill, freeze and cut off servers and databases: what is lost, doubled, stuck, repeated
	@$(RUN) -m tests.chaos --json dist/chaos.json $(ARGS)

fuzz: setup ## Hold a running server against its own OpenAPI document (schemathesis, a few minutes)
	@scripts/setup .venv-fuzz requirements-fuzz.txt
	@$(RUN) -m tests.admin.fuzz $(ARGS)

frozen: setup ## Run the front-door tests against dist/ (make binary first)
	$(PYTEST) -m "frozen and not slow"

check: setup ## Format, lint, types, and the test-suite with branch coverage
	@scripts/check

format: setup ## Rewrite the sources in the house's format
	@$(RUN) -m ruff format --quiet . && $(RUN) -m ruff check --quiet --fix .

binary: ## Build dist/hector (one file), dist/hector-slim (without the embedding model), dist/hector-onedir
	@scripts/binary

bench: setup ## Measure speed against two references (see bench/)
	@$(RUN) -m bench $(ARGS)

bench-durable: setup ## Measure what durability costs, jobs per second, and a million events
	@$(RUN) -m bench.durable $(ARGS)

docs: setup ## Write the generated pages of the documentation again
	@$(RUN) scripts/cli_reference.py && $(RUN) -m scripts.reference

lock: ## Write the lock files again (ARGS=--upgrade for the newest versions)
	@scripts/lock $(ARGS)

clean: ## Remove what was built; keeps your .hector data
	rm -rf dist .venv .venv-a2a03 .venv-bench .venv-binary .venv-fuzz .venv-lock .venv-servers .mypy_cache .ruff_cache .pytest_cache .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
