# Two commands are all the set-up there is: `make demo` and `make test`. Both make .venv first; the second call starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Many a test starts a Python of its own: it need not compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint clean

demo: $(READY)
	@$(BIN)/satama demo $(ARGS)

# Half as many processes more than there are cores: many a test waits for real time. ARGS="-n 0 tests/firmware" runs a part in one process.
test: $(READY) lint
	@$(BIN)/python -m pytest -n $$($(BIN)/python -c 'import os; print((os.cpu_count() or 2) * 3 // 2)') --dist worksteal $(ARGS)

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

$(READY): requirements/lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "satama needs Python 3.11 or later: set PYTHON=/path/to/python3"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages into $(VENV) (only now and when they change) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/lock.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/satama fetch-umqtt
	@touch $(READY)

clean:
	rm -rf $(VENV) build dist
