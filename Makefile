# make run: the app on 127.0.0.1:8501.  make test: everything that CI checks.
PORT ?= 8501
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint clean

run: .venv/run.stamp
	$(BIN)/genecanvas app --server.port $(PORT)

# Two processes share the files.
test: .venv/test.stamp browser lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.venv/bin/python:
	$(PYTHON) -m venv .venv

# The project installs what requirements.txt lists, and the command genecanvas.
.venv/run.stamp: requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/test.stamp: requirements.txt requirements-signin.txt requirements-ray.txt requirements-dev.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -e .
	touch $@ .venv/run.stamp

# Debian's Chromium where packages can be installed, else the one that Playwright brings.
.PHONY: browser
browser: .venv/test.stamp
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq chromium; \
	else \
		$(BIN)/playwright install chromium; \
	fi

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
