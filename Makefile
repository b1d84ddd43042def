PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run check test bench

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	touch $@

run: setup
	$(BIN)/python -m sparx_nas.search --space mamba_t

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	$(BIN)/python -m pytest

bench: setup
	mkdir -p runs/benchmarks
	$(BIN)/python tests/benchmarks/cost.py > runs/benchmarks/cost.json
	$(BIN)/python tests/benchmarks/ss2d.py > runs/benchmarks/ss2d.json
	$(BIN)/python tests/benchmarks/depthwise.py > runs/benchmarks/depthwise.json
	$(BIN)/python tests/benchmarks/network.py > runs/benchmarks/network.json
	$(BIN)/python tests/benchmarks/segmentation.py > runs/benchmarks/segmentation.json
