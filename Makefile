# demo   the main job on real input: generate a store, verify it, train on it, draw the result
# test   lint, types, tests
# check  lint and types only
# slow   the tests that take minutes: kills, clusters, tutorials, the wheel with each extra alone
# bench  every benchmark beside its rival or its limit

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_QUIET = 2

.PHONY: demo test check tests slow bench docs clean

demo: $(VENV)/ready
	@PATH="$(CURDIR)/$(BIN):$$PATH" pipelines/demo.sh $(DEMO)

test: check tests

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

tests: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -q --durations=12

slow: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -q -m slow --durations=20

bench: $(VENV)/ready
	@for each in cli generate portable labels read loader scale memory flow estimate; do $(BIN)/python -m benchmarks.$$each || exit; done

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -c constraints.txt pip
	$(BIN)/pip install -c constraints.txt --group dev -e '.[all]'
	@touch $@

docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache
