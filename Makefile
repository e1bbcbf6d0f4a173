# `make demo` and `make test` set up .venv by themselves: the first with what the demo needs, the second with everything.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
BASE := .venv/.ready-base
DEV := .venv/.ready-dev
INPUTS := pyproject.toml constraints.txt

.PHONY: help setup demo test format docs links test-slow test-explore test-lowest test-gpu benchmark benchmark-gpu dist clean

help:
	@echo "make demo           train, prune, measure and draw four small networks (minutes, two CPU cores)"
	@echo "make test           every check: format, lint, spelling, types, layers, tests, docs, wheel"
	@echo "make docs           build the documentation site into docs/_build/html"
	@echo "make links          check the external links of the site"
	@echo "make test-slow      the checks that take minutes each"
	@echo "make test-explore   the property-based tests on new random examples"
	@echo "make test-lowest    the tests with the lowest versions that pyproject.toml allows"
	@echo "make test-gpu       the checks that need CUDA"
	@echo "make benchmark      speed and memory against named baselines"
	@echo "make benchmark-gpu  epoch times on a GPU and their lower bounds"
	@echo "make dist           wheel and source distribution, checked, in dist/"

# Without an NVIDIA GPU, PyTorch comes from its CPU index where that can be reached: about 1 GB instead of 6 GB.
$(BASE): $(INPUTS)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) $$($(BIN)/python tools/torch_index.py) -e .
	@touch $@

$(DEV): $(INPUTS)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) $$($(BIN)/python tools/torch_index.py) -e '.[dev]'
	@touch $(BASE) $@

setup: $(DEV)

demo: $(BASE)
	$(BIN)/graphtask demo -o demo

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2
	$(MAKE) --no-print-directory docs

# Needs the network.
links: setup
	$(BIN)/python -m sphinx -q -b linkcheck docs docs/_build/links

# Warnings are errors.
docs: setup
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-slow: setup
	$(BIN)/pytest -m slow --timeout 3600

test-explore: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "hypothesis and not gpu" --hypothesis-profile explore --timeout 3600

# Old libraries emit deprecation warnings about each other.
test-lowest:
	@test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e '.[dev]'
	OMP_NUM_THREADS=1 .venv-lowest/bin/pytest -n 2 -o filterwarnings=default

test-gpu: setup
	$(BIN)/pytest -m gpu

benchmark: setup
	$(BIN)/python -m tests.benchmarks
	$(BIN)/python -m tests.benchmarks.metrics

benchmark-gpu: setup
	$(BIN)/python -m tests.benchmarks.gpu

dist: setup
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

clean:
	rm -rf .venv .venv-lowest build dist demo docs/_build
