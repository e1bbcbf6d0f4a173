# Everything that a newcomer needs: `make demo` and `make test` set up .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo test format test-slow test-explore test-lowest test-gpu benchmark benchmark-gpu clean

help:
	@echo "make demo           train, prune, measure and draw four small networks (minutes, two CPU cores)"
	@echo "make test           every check: format, lint, types, layers, tests, docs, wheel"
	@echo "make test-slow      the checks that take minutes each"
	@echo "make test-explore   the laws that hold for any input, on new random ones"
	@echo "make test-lowest    the tests with the lowest versions that pyproject.toml allows"
	@echo "make test-gpu       the checks that need CUDA"
	@echo "make benchmark      speed and memory against named baselines"
	@echo "make benchmark-gpu  what an epoch costs on a GPU, and what it could"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup
	$(BIN)/graphtask demo --out demo

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test-slow: setup
	$(BIN)/pytest -m slow --timeout 3600

test-explore: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "hypothesis and not gpu" --hypothesis-profile explore --timeout 3600

# Old libraries warn of each other, which is not for us to mend.
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

clean:
	rm -rf .venv .venv-lowest build dist demo
