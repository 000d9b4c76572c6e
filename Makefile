# A verb a line. Everything happens in .venv; another one: make test VENV=/path/to/venv
VENV ?= .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo gate test test-docs docs check fix clean

install: $(STAMP)

# torch comes first and alone, within the range of pyproject.toml, so that pip takes a CPU build
# where one is at hand.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --progress-bar off "torch>=2.6,<2.14"
	$(BIN)/python -m pip install --quiet --progress-bar off -e ".[optimum,dev]"
	touch $(STAMP)

# The main job on the embedded encoder: prune, export, optimise, verify, benchmark, report.
demo: install
	$(BIN)/glp-export prune-and-export --config models/demo-encoder/demo.yaml --output out/demo --overwrite

# The demo artifact has to keep the budget that it was made with; made first where it is not there.
gate: install
	test -f out/demo/glp/budget.toml || $(MAKE) demo
	$(BIN)/glp-export gate out/demo --max-seconds 60

test: install
	$(BIN)/python -m pytest

# Every command and program of the README and of docs/, page by page; takes minutes.
test-docs: install
	$(BIN)/python -m pytest -m docs

# The pages as HTML, in out/docs/index.html.
docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs out/docs
	@echo "pages: out/docs/index.html"

$(VENV)/.installed-docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --progress-bar off -e ".[docs]"
	touch $@

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) out docs/_generated build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
