# The two commands a new user needs are `make demo` and `make test`; each makes its own environment, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo demo-fleet picture notebooks test check storm bench bench-storage bench-inspector scale simulate fleet mutate clean

demo: $(VENV)/.demo
	$(BIN)/python -m rxauth.demo $(ARGS)

# Nine processes on one sign-in, in Redis if there is one here, else in a file: ARGS="--storage file" to choose.
demo-fleet: $(VENV)/.demo
	$(BIN)/python -m rxauth.demo.fleet $(ARGS)

# The picture of the README, of fifty real calls against the demo's server.
picture: $(VENV)/.demo
	$(BIN)/python -m rxauth.demo --apart 0.013 --picture docs/fifty-calls.svg

# Runs the notebooks from top to bottom and saves what they show; NOTEBOOKS="notebooks/01-first-call.ipynb" for one.
notebooks: $(VENV)/.dev
	$(BIN)/python -m tests.system.notebooks $(NOTEBOOKS)

# Twice as many workers as there are cores, because much of it waits: for real servers, kernels and clocks.
WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
# They start many interpreters, which is slow where those have to compile everything anew: so bytecode is kept, always.
test: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# PEERS=1 measures other clients beside rxauth, from an environment of their own.
storm: $(VENV)/.dev $(if $(PEERS),$(VENV)-peers/.peers)
	$(BIN)/python -m benchmarks.storm $(if $(PEERS),--peers $(VENV)-peers/bin/python) $(ARGS)

# Seeded interleavings of the real session, on all cores: SEEDS=100000, or ARGS="--world fleet --first 42 --seeds 1" to replay one.
simulate: $(VENV)/.dev
	$(BIN)/python -m tests.system.simulation --seeds $(or $(SEEDS),10000) $(ARGS)

# Ten processes on one sign-in, twenty generations, ten times: STORAGE=file or redis, RUNS=10.
fleet: $(VENV)/.dev
	$(BIN)/python -m tests.storage.fleet --storage $(or $(STORAGE),file) --runs $(or $(RUNS),10) $(ARGS)

# Breaks the heart of the library on purpose, in a folder `mutants`; tests/MUTANTS.md says what lives and why. Takes long.
mutate: $(VENV)/.mutation
	$(BIN)/mutmut run $(ARGS) && $(BIN)/mutmut results

# Beside peers, from their environment. QUICK=1 to see that it runs; ARGS="gate store" for some of it.
bench: $(VENV)-peers/.bench
	$(VENV)-peers/bin/python -m benchmarks.bench $(if $(QUICK),--quick) $(ARGS)

# What a fleet does to its token endpoint, simulated: writes the tables and the picture of docs/scale.md.
scale: $(VENV)/.dev
	$(BIN)/python -m benchmarks.scale $(ARGS)

# A refresh with tokens in a file and in Redis, beside one in memory; ARGS="--folder DIR" for the disk of that folder.
bench-storage: $(VENV)/.dev
	$(BIN)/python -m benchmarks.storage $(ARGS)

# What the inspector costs, and how late it is, in JupyterLab in a real browser; needs Chromium.
bench-inspector: $(VENV)/.dev
	$(BIN)/python -m benchmarks.inspector $(ARGS)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rxauth needs Python 3.11 or later; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.demo

$(VENV)/.mutation: pyproject.toml | $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[mutation]'
	touch $@

$(VENV)-peers/.peers: benchmarks/peers-requirements.txt
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)-peers/.bench: pyproject.toml $(VENV)-peers/.peers
	$(VENV)-peers/bin/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-peers mutants .pytest_cache .mypy_cache .ruff_cache
