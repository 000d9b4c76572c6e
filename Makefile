# A verb a line. Everything happens in .venv, with transformers 4.57; another one: make test VENV=/path/to/venv
VENV ?= .venv
PYTHON ?= python3.11
# The exporter's extra; the second stack has another.
EXTRA ?= optimum
# Tests run in so many processes of one thread each; some wait for others' processes.
WORKERS ?= 3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SECOND := VENV=.venv-transformers5 EXTRA=transformers5

.PHONY: install install-second demo demo-layers gate test test-second test-all test-docs test-consumers test-browser test-faults test-cluster support docs reference check fix clean

install: $(STAMP)

# torch comes first and alone, within the range of pyproject.toml, so that pip takes a CPU build
# where one is at hand.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --progress-bar off "torch>=2.6,<2.14"
	$(BIN)/python -m pip install --quiet --progress-bar off -e ".[$(EXTRA),dev]"
	touch $(STAMP)

# The environment with the other major of transformers; make -j2 install install-second makes both at once.
install-second:
	$(MAKE) install $(SECOND)

# The main job on the embedded encoder: prune, export, optimise, verify, benchmark, report.
DEMO := models/demo-encoder
demo-layers: install
	$(BIN)/glp-export prune-and-export --config $(DEMO)/demo.yaml --output out/demo --overwrite

# The same once more by structure, and which of the two to take. A target of speed that is missed says
# so and ends the run (exit 5). On a busy machine it may be the measurement: what was made is measured
# once more, and if that does not help, structure is chosen once more.
STRUCTURE := $(BIN)/glp-export prune-and-export --config $(DEMO)/structure.yaml --output out/demo-structure
demo: demo-layers
	$(STRUCTURE) --overwrite || { test $$? -eq 5 && $(STRUCTURE) --resume; } \
	  || { test $$? -eq 5 && $(STRUCTURE) --overwrite; }
	$(BIN)/glp-export report out/demo out/demo-structure --output out/demo.html
	$(BIN)/glp-export compare out/demo out/demo-structure --task demo --seq-lens 64 --batch-sizes 8 --bench-seconds 2 --threads 1

# An artifact has to keep the budget that it was made with. Made first where it is not there: as the
# demo, but by a rule and in one pass, since speed does not depend on what was learned.
GATED ?= out/gate
gate: install
	test -f $(GATED)/glp/budget.toml || $(BIN)/glp-export prune-and-export --config $(DEMO)/demo.yaml \
	  --search alternate --epochs 1 --distilled none --output $(GATED) --overwrite
	$(BIN)/glp-export gate $(GATED) --max-seconds 60

test: install
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 0
	$(BIN)/python -m pytest -m alone

# On the other major of transformers: the rooms that touch a model, and whole jobs. What is left out
# reads files, flags and numbers, the same on both.
MODEL_TESTS := tests/encoder tests/artifact tests/compress tests/precision \
	tests/end_to_end/test_kinds.py tests/end_to_end/test_teacher.py \
	tests/end_to_end/test_export_as_it_is.py tests/end_to_end/test_structure.py

test-second: install-second
	.venv-transformers5/bin/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 0 $(MODEL_TESTS)

# Every test on both majors, each in an environment of its own.
test-all:
	$(MAKE) test
	$(MAKE) test $(SECOND)

# docs/support.md anew: the tests that stand behind it, on both majors.
support: install install-second
	rm -f docs/support.json
	$(BIN)/python -m pytest -n $(WORKERS) --support=docs/support.json
	.venv-transformers5/bin/python -m pytest -n $(WORKERS) --support=docs/support.json
	$(BIN)/python -m tests.support docs/support.json docs/support.md

# The parts of docs/reference/ that the package itself says, anew; a test holds the pages to them.
reference: install
	cd docs && ../$(BIN)/python -m generate

# Every command and program of the README and of docs/, page by page.
test-docs: install
	$(BIN)/python -m pytest -m docs

# The pages as HTML, in out/docs/index.html.
docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs out/docs
	@echo "pages: out/docs/index.html"

$(VENV)/.installed-docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --progress-bar off -e ".[docs]"
	touch $@

# Every library that loads an artifact, each in an environment below .consumers, made on first use.
test-consumers: install
	$(BIN)/python -m pytest -m consumers tests/consumers

# Kills, full disks, two processes on one output, damaged files; GLP_EXPORT_FAULTS=1 for every point,
# a larger number for that many of each kind, GLP_EXPORT_FAULTS_DONE=N to go on after the first N.
test-faults: install
	$(BIN)/python -m pytest -m faults tests/faults

# Trials on a Ray cluster of this machine, on whose daemons no other test should depend.
test-cluster: install
	$(BIN)/python -m pytest -m cluster tests/compress/search/workers

# Reports in a real Chromium; GLP_EXPORT_CHROMIUM names one that is not on the path.
test-browser: install
	$(BIN)/python -m pip install --quiet --progress-bar off -e ".[browser]"
	$(BIN)/python -m pytest -m browser tests/browser

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-transformers5 .consumers out docs/_generated build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
