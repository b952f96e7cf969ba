# Targets of the project: `make` lists them. Each one makes what it needs first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
# Where `make stream` serves its feed and its page.
FEED_PORT := 5000
PAGE_PORT := 3001
# What BentoML would otherwise report to its makers at each start.
export BENTOML_DO_NOT_TRACK := True
# What is imported is compiled once, and kept, whatever the shell says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup train serve viz stream test check format docs docs-serve bento bench screenshots bench-quote bench-service bench-similar bench-traffic bench-training bench-streaming bench-kills bench-pages bench-scale lock

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-15s %s\n", $$1, $$2}'

setup: .venv/whole ## Make the environment in .venv, from requirements.lock

# uv takes a quarter of pip's time; pip steps in where uv, which does not read pip's settings, finds no index.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable '.[$(EXTRAS)]' \
  || $(BIN)/pip install --quiet --constraint requirements.lock --editable '.[$(EXTRAS)]'

# Enough to train, to serve and to learn from streams.
.venv/ready: EXTRAS := train,stream
.venv/ready: pyproject.toml requirements.lock src/diamonds/_walk.c
	python3 -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock uv
	$(INSTALL)
	@touch $@

# And what tests, checks, documentation and benchmarks want besides.
.venv/whole: EXTRAS := train,stream,dask,dev,mlflow
.venv/whole: .venv/ready
	$(INSTALL)
	@touch $@

train: .venv/ready ## Retrain: kedro run
	$(BIN)/kedro run

serve: .venv/ready ## Serve at http://127.0.0.1:3000; trains first if there is no champion yet
	@$(BIN)/bentoml models get diamonds:latest >/dev/null 2>&1 \
	|| { echo "No champion yet: training one."; $(BIN)/kedro run; }
	$(BIN)/bentoml serve --host 127.0.0.1

viz: .venv/ready ## Look at the pipelines and the figures of the last run
	$(BIN)/kedro viz run

# Both are children that are waited for, so that both end whichever way this does.
stream: .venv/ready ## Learn from a feed of invented employees, and look on at http://127.0.0.1:3001
	@trap 'kill $$feed $$learner 2>/dev/null; wait' EXIT; trap 'exit 0' INT TERM; \
	$(BIN)/diamonds feed promotions --rows 500 --grow 25 --port $(FEED_PORT) >/dev/null & feed=$$!; \
	$(BIN)/diamonds stream promotions --url http://127.0.0.1:$(FEED_PORT) --port $(PAGE_PORT) & learner=$$!; \
	wait $$learner

# In two processes, for most tests wait for one; tests/conftest.py says which stay together. One thread each, for more
# would wait for each other.
test: setup ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2

check: setup ## Check format, lint, types and layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Format the code and mend what lint can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# What MkDocs says of its makers' plans, and of what others' code calls, is not ours to mend.
MKDOCS := NO_MKDOCS_2_WARNING=1 PYTHONWARNINGS=ignore::DeprecationWarning $(BIN)/mkdocs

docs: setup ## Build the documentation as a site, its reference from the code: build/site
	$(MKDOCS) build --strict

docs-serve: setup ## Show the documentation at http://127.0.0.1:8000, and anew as it is written
	$(MKDOCS) serve --strict --dev-addr 127.0.0.1:8000

# Where the Bento finds its own requirements: those of the service, each at the version of the lock.
bento: .venv/ready ## Build a Bento of the service and the champion: build/diamonds.bento, and unpacked build/bento
	$(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --constraint requirements.lock \
	  --python $(BIN)/python --output-file src/bento-requirements.txt pyproject.toml
	$(BIN)/bentoml build src --bentofile bentofile.yaml
	@rm -rf build/diamonds.bento build/bento && mkdir -p build/bento
	$(BIN)/bentoml export diamonds:latest $(CURDIR)/build/diamonds.bento
	@tar -xf build/diamonds.bento -C build/bento

bench: bench-quote bench-similar bench-service bench-traffic bench-training bench-streaming bench-pages bench-kills bench-scale ## Run all benchmarks

bench-quote: setup ## How quickly stones are priced
	$(BIN)/python benchmarks/quote.py

bench-similar: setup ## How quickly similar stones are found
	$(BIN)/python benchmarks/similar.py

bench-service: setup ## How quickly the service answers, beside bare Starlette and stock BentoML; ten minutes
	$(BIN)/python -m benchmarks.service

bench-traffic: setup ## Whether the traffic log keeps its promises under kill -9 and outages, and its cost; fifteen minutes
	$(BIN)/python -m benchmarks.traffic

bench-training: setup ## What a run costs, and how quickly a search gets as good as a plain loop; ten minutes
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/training.py

bench-streaming: setup ## What is learned from a stream beside batch fits, under kill -9, a million rows, a hundred viewers
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.streaming

bench-pages: setup ## How soon pages are whole, and what they weigh, with a million exchanges in the log; five minutes
	$(BIN)/python -m benchmarks.pages

bench-kills: setup ## Whether a retraining can be killed at twenty random instants; five minutes
	$(BIN)/python -m benchmarks.kills

bench-scale: setup ## What more workers, tuners, memory and machines bring, up to 5.4 million stones; half an hour
	$(BIN)/python -m benchmarks.scale

screenshots: setup ## Take pictures of all pages into docs/images; five minutes
	$(BIN)/python docs/screenshots.py

# They hold for the oldest Python that is promised. Both builds of XGBoost are pinned: pyproject.toml says which one a machine takes.
lock: ## Choose versions anew
	rm -rf build/lock && python3 -m venv build/lock && build/lock/bin/pip install --quiet uv
	build/lock/bin/uv pip install --quiet --python-version 3.11 --python build/lock/bin/python '.[train,stream,dask,dev,mlflow]'
	{ build/lock/bin/uv pip freeze --python build/lock/bin/python --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' \
	  | grep -vE '^(diamonds|xgboost(-cpu)?)=='; \
	  build/lock/bin/python -c "import xgboost as x; print('xgboost==' + x.__version__); print('xgboost-cpu==' + x.__version__)"; } \
	| LC_ALL=C sort -f > requirements.lock
