# Everything starts here: `make help`. Each target sets up what it needs.
PYTHON ?= python3
VENV ?= .venv
DOCKER ?= docker
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
ROOMS := proto engine handler client
EXTRAS_engine := [fetch]
EXTRAS_handler := [gpu,otel]
EXTRAS_client := [compare,ray,ui]
TYPED := $(foreach room,$(ROOMS),$(room)/flashvsr_$(room)) train bench integrations tests
INPUT ?=
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint type unit proto mar serve image load faults chaos bench soak train constraints clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Make the virtual environment and install the four packages and the tools into it

$(STAMP): pyproject.toml constraints.txt $(ROOMS:%=%/pyproject.toml)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/pip install --quiet --constraint constraints.txt --group dev $(foreach room,$(ROOMS),--editable './$(room)$(EXTRAS_$(room))')
	@touch $@

demo: setup ## Upscale a clip 4x over a real server; INPUT=file for your own video
	$(BIN)/python -m flashvsr_client.demo $(if $(INPUT),"$(INPUT)") $(ARGS)

test: lint type unit ## Lint, types and all tests that need no GPU

lint: setup ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup ## Check types
	$(BIN)/mypy $(TYPED)

# A process of pytest for each core, four at most, each of one thread: torch's threads would only wait for one another.
unit: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not gpu and not faults" $(ARGS)

proto: setup ## Generate the protobuf code anew
	$(BIN)/python proto/generate.py

mar: setup ## Build model_store/flashvsr.mar for a TorchServe of your own
	$(BIN)/python -m flashvsr_handler.archive model_store/flashvsr.mar

serve: setup ## Run the server in the foreground; options in ARGS
	$(BIN)/flashvsr-serve $(ARGS)

image: ## Build the server's image; ARGS="--build-arg BASE=debian:bookworm-slim" for CPUs; DOCKER=podman or buildah
	$(DOCKER) build --tag flashvsr-serve $(ARGS) .

load: setup ## Load by ghz against objectives, installing ghz by Go where it is not; ARGS="--quick" is shorter
	$(BIN)/python -m tests.load.run $(ARGS)

faults: setup ## Break a real server in every way, and keep how long it took to recover in bench/RESULTS.md
	$(BIN)/python -m bench.faults --write

chaos: setup ## Random faults for an hour, every frame checked; ARGS="--minutes 5" is shorter
	$(BIN)/python -m bench.chaos --write $(ARGS)

soak: setup ## Load a server for half an hour and draw its memory; ARGS="--minutes 5" is shorter
	$(BIN)/python -m bench.soak --picture docs/soak.svg $(ARGS)

bench: setup ## Measure the engine and the server on this machine
	$(BIN)/python -m bench.engine
	$(BIN)/python -m bench.serving

train: setup ## Train the built-in model on the photographs in PHOTOS, for as long as ARGS="--minutes 18" says
	$(BIN)/python -m train.run --photos "$(PHOTOS)" --out .train $(ARGS)

# Not CUDA's libraries, which torch chooses; nvidia-ml-py is ours.
constraints: setup ## Write down the versions that are installed now
	$(BIN)/python -m pip freeze --exclude-editable --all | grep -vE '^(nvidia-[^m]|cuda-)' > constraints.txt

clean: ## Remove the virtual environment and everything built
	rm -rf $(VENV) .demo .train .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis model_store/*.mar
