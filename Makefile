# The Python that everything runs on: make PYTHON=python3.13 test. Another one makes .venv anew.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# make LOCKED=1 run: install just the files whose hashes stand in requirements.lock.
LOCKED ?=
STAMP := $(VENV)/.installed-$(VERSION)$(if $(LOCKED),-locked)
SUPPLY := .venv-supply
# Tests write in memory where there is room: SQLite waits for the disk at each commit.
SCRATCH := $(shell test "$$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)" -gt 4000000 2>/dev/null && echo TMPDIR=/dev/shm)
TEST := OMP_NUM_THREADS=1 $(SCRATCH) $(BIN)/pytest -n auto --no-loadscope-reorder

.PHONY: run test test-services lint audit lock docs reproduce gpu bench bench-statistics bench-comparison bench-networks catalogue clean

run: $(STAMP)  ## search stages x ratios on Fashion-MNIST: 200 trainings, then the front
	$(BIN)/se-search run --space stages_ratio --trials 200

reproduce: $(STAMP)  ## carry out all studies at desk scale: trainings of an hour on two cores
	$(BIN)/se-search reproduce all

gpu: $(STAMP)  ## check on this machine's GPU what no CPU can show: numbers, resuming, sharing, memory, speed, five minutes
	$(BIN)/python benchmarks/gpu_check/check.py

test: $(STAMP)
	$(TEST) --dist loadfile

test-services: $(STAMP)  ## what needs a browser, a server, a cluster, notebooks or many processes: about nine minutes
	$(TEST) --dist load tests/services -rs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(SUPPLY)/.installed  ## ask for known vulnerabilities of the locked packages
	$(SUPPLY)/bin/python .ci/audit.py $(SUPPLY)/bin/pip-audit requirements.lock

lock: $(SUPPLY)/.installed  ## write requirements.lock anew: constraints.txt for each platform, with hashes
	$(SUPPLY)/bin/uv pip compile --quiet --universal --python-version 3.11.5 --generate-hashes --no-annotate \
	    --custom-compile-command 'make lock' --constraint constraints.txt --extra dev --extra docs \
	    --output-file requirements.lock pyproject.toml

docs: $(VENV)/.docs-installed  ## build the site: docs/_build/html/index.html
	$(BIN)/sphinx-build -W --keep-going -n -q docs docs/_build/html

bench: $(STAMP)  ## measure what a trial costs beyond its training, and what a decision takes
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/proposals.py

bench-statistics: $(STAMP)  ## hold intervals, answers and verdicts against known truths and real trainings, an hour and a half of CPU: calibration/
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/calibration/measure.py --processes 2 --output calibration

bench-comparison: $(STAMP)  ## count the trainings that samplers take to a good front of NAS-Bench-SE 2, an hour of CPU: comparison/
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/comparison/measure.py --processes 2 --output comparison

bench-networks: $(STAMP)  ## hold networks and costs against traces and two steps of training; fuzz what reads files
	$(BIN)/python benchmarks/check_networks.py
	$(BIN)/python benchmarks/check_costs.py --candidates 300
	$(BIN)/python benchmarks/fuzz_parsers.py

catalogue: $(STAMP)  ## measure the shipped backbones anew
	$(BIN)/python -m se_search.models.catalogue

$(STAMP): pyproject.toml constraints.txt $(if $(LOCKED),requirements.lock)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "se-search needs Python 3.11 or newer")'
	test -x $(BIN)/python$(VERSION) || rm -rf $(VENV)
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
ifdef LOCKED
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
else
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
endif
	touch $(STAMP)

$(VENV)/.docs-installed: $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

$(SUPPLY)/.installed:
	$(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/pip install --quiet 'pip-audit>=2.9' 'uv>=0.9'
	touch $@

clean:
	rm -rf $(VENV) .venv-* build dist docs/_build
