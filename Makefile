# Each target sets up what it needs from nothing: Python 3.11 or newer with venv is enough.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
ARGS ?=
WARDEN_COMMIT ?= dfb5652

EXAMPLE := docs/examples/qrmi-example
DISTRIBUTIONS := . $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml)) $(EXAMPLE)
METADATA := setup.cfg qrmi_core/_version.py $(wildcard plugins/*/pyproject.toml) $(EXAMPLE)/pyproject.toml
SOURCES := $(shell find qrmi_core plugins $(EXAMPLE) -name build -prune -o -name '*.egg-info' -prune -o -name __pycache__ -prune -o -print)

WORK := $(CURDIR)/.make
WHEELS := $(WORK)/wheels
SMOKE_VENV := $(WORK)/smoke
OUTSIDER_VENV := $(WORK)/outsider
PEERS_VENV := $(WORK)/peers
WARDEN := $(WORK)/warden
OLDEST_VENV := $(WORK)/oldest
PIP := -m pip --disable-pip-version-check
INSTALL := $(PIP) install -qq --prefer-binary -c constraints.txt

export PIP_ROOT_USER_ACTION := ignore

.PHONY: help
help:
	@echo 'make demo         run jobs on the simulators of this machine'
	@echo 'make test         all tests (ARGS="-k polling" hands arguments to pytest)'
	@echo 'make test-peers   tests with Warden itself (QRMI_TEST_WARDEN=<folder of its source>)'
	@echo 'make test-slurm   tests on a real Slurm cluster on this machine'
	@echo 'make lint         ruff and mypy'
	@echo 'make format       format the code'
	@echo 'make docs         the documentation, into docs/_build/html'
	@echo 'make docs-tutorials  run the tutorials that take minutes, and renew their plots'
	@echo 'make bench        benchmarks'
	@echo 'make constraints  renew constraints.txt'
	@echo 'make clean        remove all that the others made'

# --- what people type ---------------------------------------------------------------------------

.PHONY: demo
demo: $(DEMO_VENV)/.ready
	@$(DEMO_VENV)/bin/python docs/examples/demo.py $(ARGS)

.PHONY: test
test: $(VENV)/.ready .munge $(WHEELS)/.ready $(SMOKE_VENV)/.ready $(OUTSIDER_VENV)/.ready $(PEERS_VENV)/.ready $(OLDEST_VENV)/.ready
	@QRMI_TEST_WHEELS=$(WHEELS) \
	QRMI_TEST_SMOKE_VENV=$(SMOKE_VENV) \
	QRMI_TEST_OUTSIDER_VENV=$(OUTSIDER_VENV) \
	QRMI_TEST_PEERS_VENV=$(PEERS_VENV) \
	QRMI_TEST_OLDEST_VENV=$(OLDEST_VENV) \
	$(VENV)/bin/python -m pytest $(ARGS)

.PHONY: test-peers
test-peers: $(VENV)/.ready .munge $(if $(QRMI_TEST_WARDEN),$(WARDEN)/.ready)
	@$(if $(QRMI_TEST_WARDEN),QRMI_TEST_WARDEN=$(WARDEN)/source QRMI_TEST_WARDEN_VENV=$(WARDEN)/venv) \
	$(VENV)/bin/python -m pytest tests/plugins/qrmi-pasqal/local/test_real_warden.py $(ARGS)

.PHONY: test-slurm
test-slurm: $(VENV)/.ready .slurm
	@QRMI_TEST_SLURM=1 $(VENV)/bin/python -m pytest tests/slurm docs/slurm $(ARGS)

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
bench: $(VENV)/.ready $(SMOKE_VENV)/.ready
	@for script in benchmarks/*.py; do \
	    echo "== $$script"; \
	    QRMI_TEST_SMOKE_VENV=$(SMOKE_VENV) $(VENV)/bin/python "$$script"; \
	done

.PHONY: clean
clean:
	@rm -rf $(WORK) $(VENV) $(DEMO_VENV) docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@for folder in $(DISTRIBUTIONS); do rm -rf "$$folder"/build "$$folder"/dist "$$folder"/*.egg-info "$$folder"/src/*.egg-info; done
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# --- what that needs ----------------------------------------------------------------------------

# A new environment $(1) with nothing in it.
define new_venv
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || { echo 'QRMI needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...' >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null \
    || { echo 'Python cannot make environments; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }; \
rm -rf $(1); mkdir -p $(dir $(1)); $(PYTHON) -m venv $(1)
endef

# Left by earlier builds in the tree, and would end up in new wheels with what was deleted since.
define no_leftovers
for folder in $(DISTRIBUTIONS); do rm -rf "$$folder"/build; done
endef

$(VENV)/.ready: constraints.txt requirements-dev.txt $(METADATA)
	@echo 'preparing $(VENV) for development (some minutes the first time)'
	@$(call new_venv,$(VENV))
	@$(VENV)/bin/python $(INSTALL) -r requirements-dev.txt
	@$(VENV)/bin/python $(INSTALL) --no-build-isolation -e . -e 'plugins/qrmi-local[all]' \
	    -e plugins/qrmi-ibm-common -e plugins/qrmi-ibm-da -e plugins/qrmi-ibm-runtime -e plugins/qrmi-pasqal \
	    -e 'plugins/qrmi-emulator[all]' -e 'plugins/qrmi-qiskit[pasqal]' -e plugins/qrmi-pulser \
	    -e plugins/qrmi-compat -e plugins/qrmi-slurm -e $(EXAMPLE)
	@touch $@

# All anew when the dependencies may have changed, else only what is ours.
$(DEMO_VENV)/.ready: constraints.txt setup.cfg $(SOURCES)
	@$(no_leftovers)
	@if [ -n '$(filter constraints.txt setup.cfg %/pyproject.toml,$?)' ]; then \
	    echo 'preparing $(DEMO_VENV) for the demonstration (some minutes the first time)'; \
	    $(call new_venv,$(DEMO_VENV)); \
	    $(DEMO_VENV)/bin/python $(INSTALL) . './plugins/qrmi-local[all]'; \
	else \
	    $(DEMO_VENV)/bin/python $(INSTALL) --no-deps --force-reinstall . ./plugins/qrmi-local; \
	fi
	@touch $@

# Built the way a release is: a source archive of each folder, and the wheel from that archive.
$(WHEELS)/.ready: $(VENV)/.ready setup.cfg pyproject.toml LICENSE $(wildcard README.md) $(SOURCES)
	@echo 'building source archives and wheels'
	@$(no_leftovers)
	@rm -rf $(WHEELS); mkdir -p $(WHEELS)
	@for folder in $(DISTRIBUTIONS); do \
	    $(VENV)/bin/python -m build --no-isolation --outdir $(WHEELS) "$$folder" > $(WORK)/build.log 2>&1 \
	        || { cat $(WORK)/build.log >&2; exit 1; }; \
	done
	@touch $@

# The wheels are named by path, so that none of that name comes from an index instead.
$(SMOKE_VENV)/.ready: $(WHEELS)/.ready
	@echo 'preparing a clean environment with the wheels'
	@$(call new_venv,$(SMOKE_VENV))
	@$(SMOKE_VENV)/bin/python $(INSTALL) $(WHEELS)/qrmi_core-*.whl $(WHEELS)/qrmi_local-*.whl \
	    $(WHEELS)/qrmi_ibm_common-*.whl $(WHEELS)/qrmi_ibm_da-*.whl \
	    $(WHEELS)/qrmi_ibm_runtime-*.whl $(WHEELS)/qrmi_pasqal-*.whl $(WHEELS)/qrmi_emulator-*.whl \
	    $(WHEELS)/qrmi_qiskit-*.whl $(WHEELS)/qrmi_pulser-*.whl $(WHEELS)/qrmi_compat-*.whl \
	    $(WHEELS)/qrmi_slurm-*.whl
	@touch $@

# The published clients that ours and the emulator are compared with, as published.
$(PEERS_VENV)/.ready: constraints.txt requirements-peers.txt
	@echo 'preparing an environment with the published clients'
	@$(call new_venv,$(PEERS_VENV))
	@$(PEERS_VENV)/bin/python $(INSTALL) -r requirements-peers.txt
	@touch $@

# Warden's source at one commit, from a working tree or git's own folder, and what it needs.
$(WARDEN)/.ready: $(wildcard $(QRMI_TEST_WARDEN)/requirements.txt $(QRMI_TEST_WARDEN)/HEAD)
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
	@$(call new_venv,$(WARDEN)/venv)
	@$(WARDEN)/venv/bin/python $(PIP) install -qq -r $(WARDEN)/source/requirements.txt
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

# The oldest releases that qrmi-qiskit declares; all else is as it is pinned.
$(OLDEST_VENV)/.ready: $(WHEELS)/.ready constraints.txt requirements-oldest.txt
	@echo 'preparing an environment with the oldest Qiskit'
	@$(call new_venv,$(OLDEST_VENV))
	@grep -vE '^(qiskit|qiskit-aer|qiskit-ibm-runtime)==' constraints.txt > $(WORK)/constraints-oldest.txt
	@$(OLDEST_VENV)/bin/python $(PIP) install -qq --prefer-binary -c $(WORK)/constraints-oldest.txt \
	    -r requirements-oldest.txt $(WHEELS)/qrmi_core-*.whl $(WHEELS)/qrmi_local-*.whl \
	    $(WHEELS)/qrmi_qiskit-*.whl
	@touch $@

# What somebody has who writes a plugin: pytest, the core's wheel and the plugin's own.
$(OUTSIDER_VENV)/.ready: $(WHEELS)/.ready
	@echo 'preparing an environment with the example plugin'
	@$(call new_venv,$(OUTSIDER_VENV))
	@$(OUTSIDER_VENV)/bin/python $(INSTALL) $(WHEELS)/qrmi_core-*.whl "$$(echo $(WHEELS)/qrmi_example-*.whl)[test]"
	@touch $@

.PHONY: constraints
constraints:
	@mkdir -p $(WORK)
	@$(call new_venv,$(WORK)/constraints)
	@$(WORK)/constraints/bin/python $(PIP) install -qq --prefer-binary \
	    -r requirements-dev.txt . './plugins/qrmi-local[all]' ./plugins/qrmi-ibm-common \
	    ./plugins/qrmi-ibm-da ./plugins/qrmi-ibm-runtime ./plugins/qrmi-pasqal \
	    './plugins/qrmi-emulator[all]' './plugins/qrmi-qiskit[pasqal]' ./plugins/qrmi-pulser \
	    ./plugins/qrmi-compat ./plugins/qrmi-slurm \
	    './$(EXAMPLE)[test]'
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	    $(WORK)/constraints/bin/python $(PIP) freeze --all --exclude pip --exclude qrmi-core \
	        --exclude qrmi-local --exclude qrmi-ibm-common --exclude qrmi-ibm-da --exclude qrmi-ibm-runtime \
	        --exclude qrmi-pasqal --exclude qrmi-emulator --exclude qrmi-qiskit --exclude qrmi-pulser \
	        --exclude qrmi-compat --exclude qrmi-slurm \
	        --exclude qrmi-example; } > $(WORK)/constraints.txt
	@mv $(WORK)/constraints.txt constraints.txt
	@rm -rf $(WORK)/constraints
