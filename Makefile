# make demo        the digits sweep and its report, which grows meanwhile, from a fresh clone
# make test        the tests that need no GPU, except the slow ones
# make test-slow   the slow tests: whole sweeps by agents, faults, kills, 1202 layers
# make soak        kills and starts again, sixty times; about half an hour
# make lint        style and types
# make docs        the documentation, in build/docs

# PYTEST="..." adds arguments, as in: make test PYTEST="--require-data -k resume"

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow soak lint docs env
.DELETE_ON_ERROR:

demo: .venv/made
	$(BIN)/python -m reports watch --runs=runs --out=build/demo -- \
		$(BIN)/python -m study sweep sweeps/digits.yaml --jobs=2 --runs=runs
	@echo "Open build/demo/report.html"

test: .venv/made
	mkdir -p build/coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow" $(PYTEST)
	$(BIN)/coverage combine --quiet
	@echo "Lines and branches of study and reports that the tests reach, in percent:"
	@$(BIN)/coverage report --format=total $(if $(findstring -k,$(PYTEST)),--fail-under=0)

test-slow: .venv/made
	$(BIN)/python -m pytest -m slow $(PYTEST)

soak: .venv/made
	$(BIN)/python -m tests.faults.soak $(SOAK)

lint: .venv/made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/oxlint --deny-warnings --silent reports/page/templates

docs: .venv/made
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open build/docs/index.html, or serve it: $(BIN)/python -m http.server --directory build/docs"

env: .venv/made

.venv/made: pyproject.toml setup.py constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; give one with: make PYTHON=python3.12 $(MAKECMDGOALS)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs,publish]'
	touch $@
