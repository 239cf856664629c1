# Each target sets up what it needs from nothing: Python 3.11 or newer with venv is enough.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:

# Without files of bytecode every process that a test starts compiles our code anew.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
ARGS ?=
CHAOS_SECONDS ?= 600
CHAOS_SEED ?=
WARDEN_COMMIT ?= dfb5652

EXAMPLE := docs/examples/qrmi-example
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
DISTRIBUTIONS := . $(PLUGINS) $(EXAMPLE)
C_FILES := $(wildcard plugins/qrmi-c/CMakeLists.txt plugins/qrmi-c/include/* plugins/qrmi-c/c/*)
METADATA := setup.cfg qrmi_core/_version.py $(addsuffix /pyproject.toml,$(PLUGINS) $(EXAMPLE))
SOURCES := $(shell find qrmi_core plugins $(EXAMPLE) -name build -prune -o -name '*.egg-info' -prune -o -name __pycache__ -prune -o -print)

WORK := $(CURDIR)/.make
WHEELS := $(WORK)/wheels
WARDEN := $(WORK)/warden
ENVIRONMENTS := smoke outsider peers oldest experiments
UV := $(WORK)/uv/bin/uv
INSTALL := $(UV) pip install -q --system-certs --compile-bytecode

# What `make check P=NAME` runs: tests, README and the pages that name the distribution. Without a
# name the pages are left out, since most run simulators.
CHECKED = tests/core tests/packaging tests/plugins
ifeq ($(P),qrmi-core)
CHECKED = tests/core README.md docs/*.md
else ifdef P
CHECKED = tests/plugins/$(P) plugins/$(P) $(shell grep -lw -e '$(P)' docs/*.md)
endif

.PHONY: help
help:
	@echo 'make check        quick tests, in the development environment (P=qrmi-local: of one distribution)'
	@echo 'make test         all tests (ARGS="-k polling" passes arguments to pytest)'
	@echo 'make lint         ruff and mypy'
	@echo 'make format       format the code'
	@echo 'make demo         run jobs on the simulators of this machine'
	@echo 'make docs         build the documentation into docs/_build/html'
	@echo 'make docs-tutorials  run the tutorials that take minutes, and renew their plots'
	@echo 'make test-differential  thousands of generated circuits and sequences against a reference'
	@echo 'make test-peers   tests with Warden itself (QRMI_TEST_WARDEN=<folder of its source>)'
	@echo 'make test-c       programs in C and Rust on libqrmi'
	@echo 'make test-c-long  the same, under valgrind and sanitizers and with large texts'
	@echo 'make test-slurm   tests on a real Slurm cluster on this machine'
	@echo 'make chaos        clients of all drivers under random faults (CHAOS_SECONDS=60, CHAOS_SEED=7)'
	@echo 'make bench        benchmarks and their goals, in one table (ARGS="calls store", ARGS=--quick)'
	@echo 'make environments  prepare all that `make test` needs'
	@echo 'make constraints  renew constraints.txt'
	@echo 'make clean        remove everything that the other targets created'

# --- what people type ---------------------------------------------------------------------------

.PHONY: demo
demo: $(DEMO_VENV)/.ready
	@$(DEMO_VENV)/bin/python docs/examples/demo.py $(ARGS)

.PHONY: check
check: $(VENV)/.ready
	@$(VENV)/bin/python -m pytest -m 'not (native or packaging or peers or slow or slurm)' $(CHECKED) $(ARGS)

# Tests wait for about half of their time, so that two processors take four processes.
.PHONY: test
test: environments
	@QRMI_TEST_PREPARED=$(WORK) $(VENV)/bin/python -m pytest -n 4 --durations 20 -m 'not (native or slurm)' $(ARGS)

.PHONY: environments
environments:
	@$(MAKE) --no-print-directory -j 2 $(VENV)/.ready .munge $(ENVIRONMENTS:%=$(WORK)/%/.ready)

.PHONY: test-differential
test-differential: $(VENV)/.ready
	@QRMI_TEST_DIFFERENTIAL=long $(VENV)/bin/python -m pytest -n 0 tests/differential $(ARGS)

.PHONY: test-peers
test-peers: $(VENV)/.ready .munge $(if $(QRMI_TEST_WARDEN),$(WARDEN)/.ready)
	@$(if $(QRMI_TEST_WARDEN),QRMI_TEST_WARDEN=$(WARDEN)/source QRMI_TEST_WARDEN_VENV=$(WARDEN)/venv) \
	$(VENV)/bin/python -m pytest tests/plugins/qrmi-pasqal/local/test_real_warden.py $(ARGS)

.PHONY: test-c
test-c: $(VENV)/.ready .native
	@$(VENV)/bin/python -m pytest -m native tests/plugins/qrmi-c $(ARGS)

.PHONY: test-c-long
test-c-long: $(VENV)/.ready .native
	@QRMI_TEST_C=long $(VENV)/bin/python -m pytest -m native --timeout 900 tests/plugins/qrmi-c $(ARGS)

.PHONY: test-slurm
test-slurm: $(VENV)/.ready .slurm
	@$(VENV)/bin/python -m pytest tests/slurm docs/slurm $(ARGS)

.PHONY: chaos
chaos: $(VENV)/.ready .munge
	@PYTHONPATH=tests $(VENV)/bin/python -m chaos --seconds '$(CHAOS_SECONDS)' \
	    $(if $(CHAOS_SEED),--seed '$(CHAOS_SEED)') $(ARGS)

.PHONY: lint
lint: $(VENV)/.ready
	@echo 'ruff check'; $(VENV)/bin/ruff check -q .
	@echo 'ruff format'; $(VENV)/bin/ruff format -q --diff .
	@echo 'mypy --strict'; $(VENV)/bin/mypy --strict

.PHONY: format
format: $(VENV)/.ready
	@$(VENV)/bin/ruff check -q --fix .
	@$(VENV)/bin/ruff format .

.PHONY: docs
docs: $(VENV)/.ready
	@$(VENV)/bin/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo 'the documentation is docs/_build/html/index.html'

.PHONY: docs-tutorials
docs-tutorials: $(VENV)/.ready
	@QRMI_TEST_TUTORIALS=run $(VENV)/bin/python -m pytest --timeout 1800 docs/tutorials $(ARGS)

.PHONY: bench
bench: $(VENV)/.ready $(WORK)/smoke/.ready
	@$(MAKE) --no-print-directory $(WORK)/peers/.ready || echo 'without the published library' >&2
	@QRMI_TEST_PREPARED=$(WORK) $(VENV)/bin/python benchmarks $(ARGS)

.PHONY: clean
clean:
	@rm -rf $(WORK) $(VENV) $(DEMO_VENV) docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@for folder in $(DISTRIBUTIONS); do rm -rf "$$folder"/build "$$folder"/dist "$$folder"/*.egg-info "$$folder"/src/*.egg-info; done
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# --- what that needs ----------------------------------------------------------------------------

# An empty environment $(1).
define new_venv
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || { echo 'QRMI needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...' >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null \
    || { echo 'Python cannot create environments; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }; \
rm -rf $(1); mkdir -p $(dir $(1)); $(PYTHON) -m venv $(2) $(1)
endef

# A build takes leftovers of earlier ones into the wheel, with files that were deleted since.
define no_leftovers
for folder in $(DISTRIBUTIONS); do rm -rf "$$folder"/build; done
endef

# pip takes six minutes for all environments, uv one.
$(WORK)/uv/.ready:
	@$(call new_venv,$(WORK)/uv)
	@$(WORK)/uv/bin/python -m pip --disable-pip-version-check install -qq -c constraints.txt uv
	@touch $@

$(VENV)/.ready: $(WORK)/uv/.ready constraints.txt requirements-dev.txt $(METADATA) $(C_FILES)
	@echo 'preparing $(VENV) for development'
	@if [ ! -e $@ ] || [ -n '$(filter %.txt,$?)' ]; then $(call new_venv,$(VENV)); fi
	@$(INSTALL) --python $(VENV) -c constraints.txt -r requirements-dev.txt
	@$(INSTALL) --python $(VENV) -c constraints.txt --no-build-isolation \
	    -e . $(PLUGINS:%=-e './%[all]') -e $(EXAMPLE)
	@touch $@

# All anew when the dependencies may have changed, else only our own distributions.
$(DEMO_VENV)/.ready: $(WORK)/uv/.ready constraints.txt setup.cfg $(SOURCES)
	@$(no_leftovers)
	@if [ -n '$(filter constraints.txt setup.cfg %/pyproject.toml,$?)' ]; then \
	    echo 'preparing $(DEMO_VENV) for the demonstration'; \
	    $(call new_venv,$(DEMO_VENV),--without-pip); \
	fi
	@$(INSTALL) --python $(DEMO_VENV) -c constraints.txt \
	    --reinstall-package qrmi-core --reinstall-package qrmi-local . './plugins/qrmi-local[all]'
	@touch $@

# Built as for a release: a source archive of each folder, and the wheel from that archive.
$(WHEELS)/.ready: $(VENV)/.ready setup.cfg pyproject.toml LICENSE $(wildcard README.md) $(SOURCES)
	@echo 'building source archives and wheels'
	@$(no_leftovers)
	@rm -rf $(WHEELS); mkdir -p $(WHEELS)
	@printf '%s\n' $(DISTRIBUTIONS) | xargs -P 2 -I {} $(SHELL) -c \
	    'log=$$(mktemp); $(VENV)/bin/python -m build --no-isolation --outdir $(WHEELS) {} > $$log 2>&1 \
	        || { cat $$log >&2; exit 1; }; rm $$log'
	@log=$$(mktemp); for wheel in $(WHEELS)/*-linux_*.whl; do \
	    PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/auditwheel repair --wheel-dir $(WHEELS) "$$wheel" \
	        > $$log 2>&1 || { cat $$log >&2; exit 1; }; \
	    rm "$$wheel"; \
	done; rm $$log
	@touch $@

# The wheels are named by path, so that no index is asked for a distribution of ours.
$(WORK)/smoke/.ready: $(WHEELS)/.ready
	@echo 'preparing a clean environment with the wheels'
	@$(call new_venv,$(WORK)/smoke)
	@$(INSTALL) --python $(WORK)/smoke -c constraints.txt $$(ls $(WHEELS)/*.whl | grep -v /qrmi_example-)
	@touch $@

# The published clients that ours and the emulator are compared with, as published.
$(WORK)/peers/.ready: $(WORK)/uv/.ready constraints.txt requirements-peers.txt
	@echo 'preparing an environment with the published clients'
	@$(call new_venv,$(WORK)/peers,--without-pip)
	@$(INSTALL) --python $(WORK)/peers -c constraints.txt -r requirements-peers.txt
	@touch $@

# The oldest releases that qrmi-qiskit declares; everything else as pinned.
$(WORK)/oldest/.ready: $(WHEELS)/.ready constraints.txt requirements-oldest.txt
	@echo 'preparing an environment with the oldest Qiskit'
	@$(call new_venv,$(WORK)/oldest,--without-pip)
	@grep -vE '^(qiskit|qiskit-aer|qiskit-ibm-runtime)==' constraints.txt > $(WORK)/constraints-oldest.txt
	@$(INSTALL) --python $(WORK)/oldest -c $(WORK)/constraints-oldest.txt -r requirements-oldest.txt \
	    $(WHEELS)/qrmi_core-*.whl $(WHEELS)/qrmi_local-*.whl $(WHEELS)/qrmi_qiskit-*.whl
	@touch $@

$(WORK)/experiments/.ready: $(WHEELS)/.ready constraints.txt requirements-experiments.txt
	@echo 'preparing an environment with qiskit-experiments'
	@$(call new_venv,$(WORK)/experiments,--without-pip)
	@$(INSTALL) --python $(WORK)/experiments -c constraints.txt -r requirements-experiments.txt \
	    $(WHEELS)/qrmi_core-*.whl "qrmi-local[qiskit] @ file://$$(echo $(WHEELS)/qrmi_local-*.whl)" \
	    $(WHEELS)/qrmi_qiskit-*.whl
	@touch $@

# An environment as a plugin's author has it: pytest, the core's wheel and the plugin's own.
$(WORK)/outsider/.ready: $(WHEELS)/.ready
	@echo 'preparing an environment with the example plugin'
	@$(call new_venv,$(WORK)/outsider,--without-pip)
	@$(INSTALL) --python $(WORK)/outsider -c constraints.txt \
	    $(WHEELS)/qrmi_core-*.whl "qrmi-example[test] @ file://$$(echo $(WHEELS)/qrmi_example-*.whl)"
	@touch $@

# Warden's source at one commit, from a working tree or git's own folder, and what it needs.
$(WARDEN)/.ready: $(WORK)/uv/.ready $(wildcard $(QRMI_TEST_WARDEN)/requirements.txt $(QRMI_TEST_WARDEN)/HEAD)
	@echo 'preparing an environment with Warden'
	@rm -rf $(WARDEN); mkdir -p $(WARDEN)/source
	@store='$(QRMI_TEST_WARDEN)'; if [ -e "$$store/.git" ]; then store="$$store/.git"; fi; \
	if git --git-dir="$$store" cat-file -e '$(WARDEN_COMMIT)^{commit}' 2> /dev/null; then \
	    git --git-dir="$$store" archive '$(WARDEN_COMMIT)' | tar -x -C $(WARDEN)/source; \
	elif [ -f '$(QRMI_TEST_WARDEN)/requirements.txt' ]; then \
	    echo 'git knows no commit $(WARDEN_COMMIT) in $(QRMI_TEST_WARDEN): its files are taken as they are'; \
	    cp -R '$(QRMI_TEST_WARDEN)'/. $(WARDEN)/source; \
	else \
	    echo 'git knows no commit $(WARDEN_COMMIT) in $(QRMI_TEST_WARDEN)' >&2; exit 1; \
	fi
	@$(call new_venv,$(WARDEN)/venv,--without-pip)
	@$(INSTALL) --python $(WARDEN)/venv -r $(WARDEN)/source/requirements.txt
	@touch $@

# A daemon of the system: Warden's users prove by it who they are.
.PHONY: .munge
.munge:
	@mkdir -p $(WORK)
	@if command -v munged > /dev/null || [ -x /usr/sbin/munged ]; then \
	    :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    echo 'installing munge'; \
	    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install munge; } \
	        > $(WORK)/munge.log 2>&1 || echo 'munge could not be installed: $(WORK)/munge.log'; \
	else \
	    echo 'munge is not installed, so tests that need it are skipped (apt install munge)'; \
	fi

# Daemons, and what the SPANK plugin is compiled with.
.PHONY: .slurm
.slurm:
	@mkdir -p $(WORK)
	@if [ -x /usr/sbin/slurmctld ] && [ -x /usr/sbin/slurmd ] && [ -x /usr/sbin/munged ] \
	    && [ -e /usr/include/slurm/spank.h ] && command -v cc > /dev/null; then \
	    :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    echo 'installing Slurm'; \
	    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
	        --no-install-recommends slurm-wlm munge libslurm-dev gcc libc6-dev; } \
	        > $(WORK)/slurm.log 2>&1 || echo 'Slurm could not be installed: $(WORK)/slurm.log'; \
	else \
	    echo 'Slurm is not installed, so its tests are skipped' \
	        '(apt install slurm-wlm munge libslurm-dev gcc)'; \
	fi

# Compilers, and the crates of Debian that programs in Rust use.
.PHONY: .native
.native:
	@mkdir -p $(WORK)
	@packages=; \
	need() { [ -n "$$(compgen -G "$$1" || command -v "$$1")" ] || packages+=" $$2"; }; \
	need cc 'gcc libc6-dev'; need c++ g++; need musl-gcc musl-tools; need valgrind valgrind; need cargo cargo; \
	need '/usr/share/cargo/registry/tokio-1*' librust-tokio-dev; \
	need '/usr/share/cargo/registry/async-trait-*' librust-async-trait-dev; \
	if [ -z "$$packages" ]; then \
	    :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	    echo "installing$$packages"; \
	    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install \
	        --no-install-recommends $$packages; } \
	        > $(WORK)/native.log 2>&1 || echo 'they could not be installed: $(WORK)/native.log'; \
	else \
	    echo "tests are skipped for want of$$packages"; \
	fi

.PHONY: constraints
constraints: $(WORK)/uv/.ready
	@$(call new_venv,$(WORK)/constraints,--without-pip)
	@$(INSTALL) --python $(WORK)/constraints -r requirements-dev.txt . $(PLUGINS:%='./%[all]') './$(EXAMPLE)[test]' \
	    -r requirements-experiments.txt
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	    { $(UV) pip freeze --python $(WORK)/constraints; $(WORK)/uv/bin/python -m pip freeze --all | grep '^uv=='; } \
	        | grep -v ' @ file:' | sort -f -t= -k1,1; } > $(WORK)/constraints.txt
	@mv $(WORK)/constraints.txt constraints.txt
	@rm -rf $(WORK)/constraints
