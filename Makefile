# Each target first makes what it needs: .venv with the pinned versions of requirements.lock (.ci/environment does it).
# PYTHON=/path/to/python3 chooses the interpreter. ARGS="..." is passed on, as in make test ARGS="-k journal".

PY := .venv/bin/python
READY := .venv/ready
TYPINGS := .venv/typings/ready
PROMETHEUS := .venv/prometheus/usr/bin/prometheus
ARGS ?=
# Tests mostly wait, so four processes keep two cores busy. WORKERS=0 runs them in one process, as a debugger needs.
WORKERS ?= 4
export PYTHON
unexport PYTHONHOME PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help demo live test test-busy check lint types rooms fuzz soak machine prometheus bench doors conformance wheel deb deb-root lock clean FORCE

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## see a guest's first check-in, two refusals and an outage that heals
	@$(PY) -m sim demo $(ARGS)

live: $(READY) ## watch a site in a browser, with buttons for what may happen at its doors
	@$(PY) -m sim live $(ARGS)

test: $(READY) ## run the tests
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-busy: $(READY) ## run the tests while eight other processes keep the machine busy
	@$(PY) -m tests.support.busy -n $(WORKERS) --dist worksteal $(ARGS)

check: lint types rooms ## formatting, lint, spelling, types for both runtimes, and the rules of the rooms

lint: $(READY)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check --quiet .
	$(PY) -m codespell_lib

types: $(READY) $(TYPINGS)
	$(PY) -m mypy
	$(PY) -m mypy --config-file .ci/mypy-lock.ini

rooms: $(READY)
	$(PY) -m pytest tests/project/test_rooms.py

fuzz: $(READY) ## run the property tests alone, with forty times the examples
	HYPOTHESIS_PROFILE=long $(PY) -m pytest -m hypothesis $(ARGS)

soak: $(READY) ## tap hundreds of times through noise, cut the power at every operation, kill whatever can die; print tables
	@$(PY) -m sim soak $(ARGS)
	MOORING_SOAK=1 $(PY) -m pytest -o faulthandler_timeout=14400 tests/firmware/memory/test_power_cuts.py \
		tests/sim/test_many_visits.py tests/edge_agent/test_chaos.py

machine: $(READY) ## test the lock's assembler in an emulator with all published cases
	MOORING_MACHINE=1 $(PY) -m pytest tests/firmware/crypto/test_field_machine.py tests/firmware/crypto/test_field_published.py $(ARGS)

prometheus: $(READY) $(PROMETHEUS) ## load the alarms and the dashboard into a real Prometheus, which Debian has
	MOORING_PROMETHEUS=$(PROMETHEUS) $(PY) -m pytest tests/edge_agent/test_prometheus.py $(ARGS)

# Debian's package, unpacked and not installed: only this target needs it.
$(PROMETHEUS):
	mkdir -p .venv/prometheus
	cd .venv/prometheus && apt-get download -qq prometheus && dpkg -x prometheus_*.deb .

bench: $(READY) ## run the measurements
	@$(PY) -m pytest -m bench --capture=no $(ARGS)

doors: $(READY) ## let guests check in at 200 locks in one process, and print what that took
	@MOORING_DOORS=200 $(PY) -m pytest -o faulthandler_timeout=3600 tests/sim/test_many_doors.py $(ARGS)

conformance: $(READY) ## judge our own province and our own booking platform by the clauses for everybody's
	@$(PY) -m sim.conformance province --ours $(ARGS)
	@$(PY) -m sim.conformance platform --ours $(ARGS)

wheel: $(READY) ## build the wheel and the sdist of the edge agent into dist/
	$(PY) -m hatchling build

# One lock file for all platforms, with hashes, but without the address of the index that the versions came from.
COMPILE := .venv/uv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--system-certs --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

deb: $(READY) ## build Debian packages of the edge agent into dist/, for bookworm and trixie, amd64 and arm64
	$(PY) -m tools.deb

deb-root: $(READY) ## install the packages for amd64 into clean roots of Debian, and use them there; needs root and the network
	.ci/clean-root
	MOORING_DEB=1 $(PY) -m pytest tests/tools/test_deb_root.py $(ARGS)

lock: $(READY) ## update the lock files to the newest versions that pyproject.toml allows
	$(PY) -m pip install --quiet --upgrade --target .venv/uv 'uv>=0.13,<0.14'
	$(COMPILE) --group sim --group live --group test --group browser --group bench --group check \
		--output-file requirements.lock pyproject.toml
	$(COMPILE) --group typings --output-file requirements.typings.lock

clean: ## remove .venv and everything that was generated
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .demo build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that was moved, or whose interpreter is gone, is not ready, whatever the date of READY is.
ifneq ($(shell cat $(READY) 2>/dev/null && $(PY) -c 'print("runs")' 2>/dev/null),$(CURDIR) runs)
$(READY): FORCE
endif

$(READY): requirements.lock
	@.ci/environment

$(TYPINGS): requirements.typings.lock $(READY)
	@.ci/environment typings
