# Any Python 3.11 will do: `make PYTHON=/path/to/python3.11 ...` says which.
PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && command -v $$p && break; \
	done)
PYTHON_OR_STOP = $(or $(PYTHON),$(error Python 3.11 is not on the PATH: make PYTHON=/path/to/python3.11))
# Each command imports large libraries: let Python keep what it compiles.
unexport PYTHONDONTWRITEBYTECODE
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"
DEMO := results/demo
PROFILE := slurm

.DEFAULT_GOAL := help
.PHONY: help setup env-gpu env-analysis demo demo-quick first-hour pretrain real-questions test test-sabotage lint docs config lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

setup: ## create .venv from the locked versions (demo, test and lint do so themselves)
	@$(PYTHON_OR_STOP) envs/create.py

env-gpu: ## create .venv-gpu, for the real run: vLLM, ms-swift and Snakemake, for GPUs
	@$(PYTHON_OR_STOP) envs/create.py gpu

env-analysis: ## create .venv-analysis: Snakemake and the rules without models
	@$(PYTHON_OR_STOP) envs/create.py analysis

demo: setup ## run the whole pipeline on a CPU, with tiny models
	@$(IN_VENV) snakemake --profile profiles/demo
	@echo "Look at $(DEMO)/report.html and $(DEMO)/cases/index.html"

demo-quick: setup ## the same on fewer questions
	@$(IN_VENV) snakemake --profile profiles/demo \
		--configfile profiles/demo/experiment.yaml profiles/demo/quick.yaml
	@echo "Look at $(DEMO)-quick/report.html and $(DEMO)-quick/cases/index.html"

first-hour: env-gpu ## run the real models on 20 questions and 200 training rows (PROFILE=slurm or profiles/local)
	@PATH="$(CURDIR)/.venv-gpu/bin:$$PATH" snakemake --profile $(PROFILE) --configfile profiles/first-hour.yaml
	@PATH="$(CURDIR)/.venv-gpu/bin:$$PATH" snakemake rates --configfile profiles/first-hour.yaml

pretrain: setup ## train the demo's tiny models from nothing, into the package (about an hour with bfloat16)
	@$(IN_VENV) python -m evpv_prm.diagrams.pretrain --work results/pretraining \
		--weights evpv_prm/diagrams/weights

real-questions: setup ## run the same rules on real questions and images (DATA=FOLDER)
	@test -f "$(DATA)/benchmarks/benchmarks.jsonl" || \
		{ echo "error: DATA=$(DATA): no benchmarks/benchmarks.jsonl there; see docs/data.md" >&2; exit 2; }
	@mkdir -p data && { test -e data/benchmarks || ln -s "$(abspath $(DATA))/benchmarks" data/benchmarks; }
	@$(IN_VENV) snakemake --cores 2 --show-failed-logs --configfile tests/config/real_questions.yaml

test: setup ## run all tests, those with real models among them
	@$(IN_VENV) pytest --numprocesses 2 --dist loadgroup

test-sabotage: setup ## break the pipeline in three ways, to see that the tests would notice
	@$(IN_VENV) pytest -m sabotage

lint: setup ## check the style, the types and the rules
	@$(IN_VENV) ruff check
	@$(IN_VENV) ruff format --check
	@$(IN_VENV) mypy
	@$(IN_VENV) snakefmt --check Snakefile rules
	@$(IN_VENV) snakemake --lint

docs: setup ## build the documentation as a site that opens from disk, in site/
	@$(IN_VENV) NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict
	@echo "Look at site/index.html"

config: setup ## write config.yaml, its schema and the generated pages of docs/
	@$(IN_VENV) python -m evpv_prm.config_docs

lock: ## resolve pyproject.toml into envs/*.lock and envs/*.yaml
	@$(PYTHON_OR_STOP) envs/lock.py

clean: ## remove the environments, the caches and the demo's results
	rm -rf .venv .venv-gpu .venv-analysis $(DEMO) $(DEMO)-quick site .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
