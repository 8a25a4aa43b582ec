# One page of targets. Each needs Python 3.11 or later, make and git; no environment must be active.
SHELL := /bin/bash
PYTHON ?= python3
PRESET ?= earth
PEERS := .venv-peers/.installed
S3 := .venv-s3/.installed
CORES ?= 4
UV := uv==0.13.8
READY := .venv/.installed
ifeq ($(origin FROM),command line)
FOLDER := $(FROM)
endif
# the name of FROM= before; on the command line it hides every program
ifeq ($(origin PATH),command line)
FOLDER := $(PATH)
override PATH := /usr/local/bin:/usr/bin:/bin
endif
override PATH := $(CURDIR)/.venv/bin:$(PATH)
export PATH
export UV_NO_PROGRESS := 1
REPOSITORY := python -m reprise.engines.repository

.DEFAULT_GOAL := help
.PHONY: help install slurm s3 onnx push pull run sync repro clean baseline show times page exps compare plots export bundle replay gc plan search preset dvc.yaml data weights test test-all test-times test-s3 test-peers faults lint verify rulegraph docs edits schema readme bench coverage study ranking bench-gpu

help: ## list these targets
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z0-9.-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

##@ Run
install: $(READY) ## the environment in .venv, with every package pinned

$(READY): requirements/lock.txt requirements/data.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Reprise needs Python 3.11 or later; name one: make PYTHON=python3.11 install" if sys.version_info < (3, 11) else 0)'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
	.venv/bin/uv pip install --quiet --python .venv --compile-bytecode -r requirements/lock.txt
	.venv/bin/uv pip install --quiet --python .venv --no-deps -r requirements/data.txt
	.venv/bin/uv pip install --quiet --python .venv --no-deps --no-build-isolation -e .
	$(REPOSITORY) vega
	$(REPOSITORY) schema
	@touch $@

slurm: $(READY) ## the packages that profiles/slurm needs, in .venv too; see docs/cluster.md
	.venv/bin/uv pip install --quiet --python .venv --no-deps -r requirements/slurm.txt

s3: $(READY) ## DVC's client for S3, in .venv too; see docs/share.md
	.venv/bin/uv pip install --quiet --python .venv --no-deps -r requirements/s3.txt

onnx: $(READY) ## the packages with which `make export` also writes ONNX, in .venv too
	.venv/bin/uv pip install --quiet --python .venv --no-deps -r requirements/onnx.txt

run: $(READY) ## everything in params.yaml: from prepared images to the tables and the report
	@snakemake --cores $(CORES)
	@reprise show stamped
	@reprise show tables

sync: $(READY) ## let Snakemake and DVC agree on results/; restores what DVC's cache has
	python -m reprise.engines.sync

repro: sync ## `dvc repro`, after a kill too: sync first brings dvc.lock back; ARGS="--force"
	dvc repro $(ARGS)

baseline: $(READY) ## commit this machine's results: what `dvc metrics diff` then compares with
	@python -m reprise.engines.baseline

push: $(READY) ## results and the run cache to a remote of DVC; see docs/share.md
	@python -m reprise.engines.share push

pull: $(READY) ## what others pushed, so that neither engine has anything to do
	@python -m reprise.engines.share pull

clean: ## delete results and logs (not the environment, nor what Git or DVC's cache keeps)
	git clean -fdXq results logs live

##@ Look
show: $(READY) ## print the tables of the last run
	@reprise show tables

times: $(READY) ## how long each training took, next to the times that a homework prints
	@python -m reprise.engines.training_times

page: $(READY) ## tables, figures and report from the files that exist, e.g. after a failed run
	@reprise show page

exps: $(READY) ## experiments of DVC: only the values and numbers that differ
	@reprise exps $(ARGS)

compare: $(READY) ## two results on one page, compare.html: A=results-before B=results; Git revisions too
	@reprise compare "$(A)" "$(B)" --html

plots: $(READY) ## curves and confusion matrices of a run, or of two: ARGS="diff HEAD"; needs no network
	@$(REPOSITORY) vega
	@dvc plots $(or $(ARGS),show)

export: $(READY) ## a trained run as a folder for use elsewhere: RUN=classify/baseline/cnn/0 OUT=folder
	@reprise export "$(RUN)" --out "$(OUT)"

bundle: $(READY) ## the results of a commit as an archive that others replay: OUT=bundle.tar
	@reprise bundle $(if $(OUT),--out "$(OUT)")

replay: $(READY) ## compute the results of an archive anew, in its folder, and compare them
	@reprise bundle --replay . --cores $(CORES)

gc: $(READY) ## what no commit and no parameter needs, and its size; ARGS=--force deletes it
	@reprise gc $(ARGS)

##@ Change
preset: $(READY) ## write params.yaml and dvc.yaml: PRESET=earth, study, methods, labels, own, smoke, dlcv2021 to dlcv2024, cs6550, course; FORCE=1 drops your changes
	reprise preset $(PRESET) $(if $(FORCE),--force)
	@reprise data

plan: $(READY) ## what would run, and why
	@reprise plan

search: $(READY) ## the best of DVC's experiments on val, of how many: RUN=finetune.earth.B
	@reprise search "$(RUN)"

dvc.yaml: $(READY) ## derive the stages of dvc.yaml, after a change of tasks or rules
	$(REPOSITORY) dvc.yaml

##@ Your data
data: $(READY) ## check and register images: FROM=/where/it/is; your own: NAME=mine, KIND=..., see docs/your-images.md
	@reprise data $(if $(FOLDER),"$(FOLDER)") $(if $(NAME),--name "$(NAME)") \
	    $(if $(ACCEPT),--accept-counts) $(if $(ALL),--all) $(if $(KIND),--kind "$(KIND)") \
	    $(if $(TASK),--task "$(TASK)") $(if $(START),--start "$(START)") \
	    $(if $(LEGEND),--legend "$(LEGEND)") $(if $(SIZE),--size "$(SIZE)") \
	    $(if $(RESIZE),--resize "$(RESIZE)") $(if $(ORIGIN),--origin "$(ORIGIN)") \
	    $(if $(LICENCE),--licence "$(LICENCE)")

weights: $(READY) ## download and verify published weights by their name in params.yaml: NAME=resnet101
	@reprise weights "$(NAME)"
	@reprise data

##@ Develop
test: $(READY) ## the test suite
	pytest -n 2 --dist loadfile --no-loadscope-reorder -q

test-all: $(READY) ## with the long form of the tests, and those that need a GPU
	pytest -n 2 --dist loadfile --no-loadscope-reorder -q -m ""

test-times: $(READY) ## the test suite, and its CPU seconds by file, in CONTRIBUTING.md
	pytest -n 2 --dist loadfile --no-loadscope-reorder -q --cpu-times CONTRIBUTING.md

faults: $(READY) ## bad inputs and kills by the thousand, for docs/reliability.md; continues where it stopped
	@# 5: every test has passed before
	REPRISE_FAULTS_LOG=logs/faults.jsonl pytest -n 2 --dist loadfile -q -m "" tests/faults || test $$? = 5

test-peers: $(PEERS) ## our BYOL against byol-pytorch and lightly, in a separate environment
	PYTHONPATH=src .venv-peers/bin/python -m pytest -q tests/peers

$(PEERS): $(READY) requirements/peers.txt requirements/data.txt
	test -x .venv-peers/bin/python || uv venv --quiet --python .venv/bin/python .venv-peers
	uv pip install --quiet --python .venv-peers --compile-bytecode -r requirements/peers.txt
	uv pip install --quiet --python .venv-peers --no-deps -r requirements/data.txt
	@touch $@

test-s3: $(S3) ## results on a server with the protocol of S3, in a separate environment
	pytest -q tests/workflow/test_share.py

$(S3): $(READY) requirements/s3.txt requirements/s3-test.txt
	test -x .venv-s3/bin/python || uv venv --quiet --python .venv/bin/python .venv-s3
	uv pip install --quiet --python .venv-s3 --compile-bytecode -r requirements/lock.txt
	uv pip install --quiet --python .venv-s3 --no-deps -r requirements/data.txt \
	    -r requirements/s3.txt -r requirements/s3-test.txt
	@touch $@

lint: $(READY) ## style, types, rules of the workflow, derived files
	ruff check .
	ruff format --check .
	hadolint Dockerfile
	mypy
	snakefmt --check Snakefile workflow/rules
	@# one locked environment serves all rules
	@! snakemake --lint 2>&1 | grep '^ *\* ' | grep -v 'Specify a conda environment or container'
	$(REPOSITORY) dvc.yaml --check
	$(REPOSITORY) readme --check
	$(REPOSITORY) edits --check
	$(REPOSITORY) rulegraph --check

verify: $(READY) ## rebuild smoke with each engine in a clone and compare every file; or ARGS="--help"
	reprise verify $(ARGS)

rulegraph: $(READY) ## draw the rules in docs/rulegraph.md
	$(REPOSITORY) rulegraph

docs: $(READY) ## the documentation as a site, site/README.html; a wrong link is an error
	.venv/bin/uv pip install --quiet --python .venv --no-deps -r requirements/docs.txt
	python -m sphinx -q -W --keep-going -b html -c docs -d .cache/docs . site

edits: $(READY) ## what an edit of a source file makes stale, in docs/engines.md
	$(REPOSITORY) edits

schema: $(READY) ## the JSON schema of params.yaml for editors, in workflow/schemas/
	$(REPOSITORY) schema

readme: $(READY) ## put the tables of the last run into README.md
	$(REPOSITORY) readme

bench: $(PEERS) ## speed against byol-pytorch, lightly, torchmetrics; ONLY=row, QUICK=1
	PYTHONPATH=src .venv-peers/bin/python -m bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

coverage: $(READY) ## how often intervals hold the truth on simulated data, for docs/coverage.md
	PYTHONPATH=src python -m bench.coverage

study: $(READY) ## docs/study/ from the tables of the last run, which must be of PRESET=study
	PYTHONPATH=src python -m bench.study

ranking: $(READY) ## docs/methods/ from the tables of the last run, which must be of PRESET=methods
	PYTHONPATH=src python -m bench.ranking $(ARGS)

bench-gpu: $(READY) ## tests, speed and repeatability on a GPU, in nine minutes; ARGS="--help"
	bench/gpu_check.sh $(ARGS)
	$(if $(ARGS),,cp logs/gpu/benchmarks-gpu.md docs/)
