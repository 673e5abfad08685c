# The words of the project: demo build test newest one bench lint types coverage sanitize soak simulate fuzz wheels clean.
# `make demo` and `make test` are enough in a fresh clone: each prepares what it misses, then shows or checks.

PYTHON ?= python3
BIN := .venv/bin
# cython-lint calls pycodestyle by name.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
EXTENSION_SOURCES := $(shell find src -name '*.pyx' -o -name '*.pxd')
CYTHON_FILES := $(shell find src $(wildcard examples benches tests) -name '*.pyx' -o -name '*.pxd')
COMPILED := $(shell find src -name '*.pyx' | sed -e 's,^src/,,' -e 's,\.pyx$$,,' | tr / .)

# The demo is for visitors too, who need none of the developers' tools.
EXTRA := $(if $(filter demo,$(MAKECMDGOALS)),demo,dev)

.PHONY: demo build test newest one bench lint types coverage sanitize soak simulate fuzz wheels system clean
.DELETE_ON_ERROR:

# Options go in OPTIONS, as in make demo OPTIONS="--fault stop".
demo: build
	$(BIN)/python -m mcroute demo $(OPTIONS)

# A file's tests run one after the other, files beside each other: many wait for servers more than they compute.
PYTEST = $(BIN)/python -m pytest -p no:benchmark --numprocesses auto --maxprocesses 4 --dist loadfile

test: system lint types
	$(PYTEST)
	$(MAKE) simulate
	$(MAKE) newest

# The acceptance tests that a memcached's version matters to, once more on the newest that can be had: flushes and some
# replies are not what they were.
NEWEST := client counters differential duplicates ejections embedded_conversations model_conversations model_server proxy pauses renames restarts returns server_stats soak traps unix_returns
newest: build
	if newest=$$(.ci/newest-memcached); then \
		MEMCACHED="$$newest" $(PYTEST) $(NEWEST:%=tests/acceptance/test_%.py); fi

# One file, one test, one pattern: make one T="tests/kernel -k ketama"
one: build
	$(BIN)/python -m pytest -x $(T)

bench: build
	$(BIN)/python -m pytest benches --benchmark-only -o python_files='bench_*.py' -o timeout=0

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(if $(CYTHON_FILES),$(BIN)/cython-lint $(CYTHON_FILES))

# mypy and pyright read the stubs, and the code of the documentation and the examples as those do who copy it;
# stubtest asks the compiled modules whether the stubs tell the truth.
EXAMPLES := build/snippets examples/*.py examples/own_driver tests/typed_uses.py
types: export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
types: build
	$(BIN)/mypy
	$(BIN)/python docs/extract_snippets.py build/snippets
	$(BIN)/mypy --config-file= --strict --disable-error-code=import-untyped $(EXAMPLES)
	$(if $(COMPILED),PYTHONPATH=src $(BIN)/stubtest --allowlist tests/stubtest_allowlist.txt --ignore-unused-allowlist --ignore-disjoint-bases $(COMPILED))
	$(BIN)/pyright $(EXAMPLES)
	$(BIN)/python .ci/known-types

# Lines of .py, .pyx and .pxd that the tests of kernel, policy and engine run: build/coverage/index.html.
coverage: build
	.ci/coverage

# By gcc's sanitizers: memory errors and undefined behaviour; races among the native loop's threads. A quarter of an
# hour and half of that; .ci/sanitize says what runs.
SANITIZERS ?= address thread
sanitize: build
	for sanitizer in $(SANITIZERS); do .ci/sanitize $$sanitizer || exit 1; done

# The proxy under load while servers are killed, stopped and return; options as in SOAK="--driver asyncio --seed 2"
SOAK_SECONDS ?= 600
soak: build
	$(BIN)/python -m tests.acceptance.soak --seconds $(SOAK_SECONDS) $(SOAK)

# Random faults on a simulated network, by seed: make simulate SEEDS=10000 SIMULATE="--first 5000"
SEEDS ?= 200
simulate: build
	$(BIN)/python -m mcroute.simulation --seeds $(SEEDS) $(SIMULATE)

# Guided by coverage; needs clang. Ten minutes each, or as said: make fuzz TARGETS=engine FUZZ_SECONDS=60
TARGETS ?= requests replies engine rings
FUZZ_SECONDS ?= 600
fuzz: build
	for target in $(TARGETS); do .ci/fuzz $$target $(FUZZ_SECONDS) || exit 1; done

# A wheel for every Python at hand, tested in an empty environment of that Python.
wheels:
	.ci/wheels

build: .venv/.built

.venv/.built: .venv/.with-$(EXTRA) $(EXTENSION_SOURCES) setup.py
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

# No build isolation: the package is compiled by the very Cython that later rebuilds it. Not here but above, where the
# next change finds what did not change.
.venv/.with-$(EXTRA): pyproject.toml setup.py | system
	@echo "preparing .venv and compiling; this takes a minute or two"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "setuptools>=77" "Cython>=3.1"
	MCROUTE_ONLY=nothing $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
		-e '.[$(EXTRA)]'
	touch $@

system:
	.ci/system

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src -name '*.so' -delete
	rm -f .venv/.with-* .venv/.built
