# make app     installs what the app needs into .venv, then starts it   (ARGS="--port 8000")
# make test    installs what the tests need, then runs them             (ARGS="-k cli")
# make check   lint and format, as CI does;  make style   repairs what it can

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: app test check style

app: $(VENV)/app-installed
	$(BIN)/python app.py $(ARGS)

test: $(VENV)/dev-installed
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

style: $(VENV)/dev-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Installing again only happens when the requirements have changed.
$(VENV)/app-installed: requirements.txt | $(BIN)/pip
	$(BIN)/python -m pip install -r requirements.txt
	touch $@

$(VENV)/dev-installed: requirements.txt requirements-dev.txt pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install -r requirements-dev.txt
	touch $@ $(VENV)/app-installed

# pip, not python: without Debian's python3-venv the environment is made, but has no pip.
$(BIN)/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, as in: make app PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
