PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := .venv-sbom
comma := ,
# A file's tests share what they prepare. The slowest files come first (tests/support/slow.py).
WORKERS := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo install test check fuzz mutation lint docs architecture bench installation sbom dependencies clean

demo: $(STAMP)  ## Audit the embedded digits and say where the report is.
	$(BIN)/palimpsest audit digits --out runs/demo

install: $(STAMP)  ## Install, with Flower, Ray and the trackers if FLOWER is set.

test: $(STAMP)  ## Run the tests, on all cores.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(WORKERS)

check: lint  ## Lint, check types, and run the tests that are not slow: what a developer repeats.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(WORKERS) -m 'not slow' --durations=0 --durations-min=2

fuzz: $(STAMP)  ## Hold the promises of docs/trust.md at length: damaged files, kills. About half an hour.
	$(BIN)/python -m fuzz

mutation: $(STAMP)  ## Change the code in small ways, one at a time, and name each change that no test notices. About two hours.
	OMP_NUM_THREADS=1 $(BIN)/python -m mutation

lint: $(STAMP)  ## Check style, types, the direction of imports, spelling and wording.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/codespell $$(git ls-files)
	$(BIN)/python -m wording check

docs: $(STAMP)  ## Build the documentation in site/; a warning is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

architecture: $(STAMP)  ## Draw docs/architecture.svg from the imports, and the other diagrams.
	$(BIN)/python docs/architecture.py
	$(BIN)/python docs/diagrams.py

bench: $(STAMP)  ## Measure what is promised to be fast beside its rivals; print the table, write docs/benchmarks.md and .json.
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks

installation: $(STAMP)  ## Build the wheel, and install it with pip in an empty environment, without extras and then with each.
	$(BIN)/python -m installation

sbom: $(STAMP) $(TOOLS)/.installed  ## List everything that the program is made of, in dist/sbom.json (CycloneDX).
	$(BIN)/python -m sbom sbom

dependencies: sbom  ## Check the licenses of the dependencies, and ask whether weaknesses of them are known.
	$(BIN)/python -m sbom licenses
	$(BIN)/python -m sbom advisories

clean:
	rm -rf $(VENV) $(TOOLS) build dist src/*.egg-info

# torch goes first and pinned: constraints.txt names the build that has no CUDA packages where one is published.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs$(if $(FLOWER),$(comma)flower$(comma)tracking)]'
	touch $(STAMP)

$(TOOLS)/.installed: sbom/requirements.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check -r sbom/requirements.txt
	touch $(TOOLS)/.installed
