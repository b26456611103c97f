# `make demo` and `make test` do all of their own set-up on Debian 12 or 13, Ubuntu or Raspberry Pi OS.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready

.PHONY: help demo deb test test-clients test-faults test-vm test-system test-package image lint-image-rpios test-image test-soak soak fuzz check bench bench-room bench-peers tables notices lock clean
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

demo: $(READY)  ## a conversation in a simulated room, in under a minute; LIVE=1 talks to Google
	$(BIN)/speakerd demo $(if $(LIVE),--live) --output demo-out

deb: $(READY)  ## dist/speakerd_…_arm64.deb and _amd64.deb, for Debian 13 (root, amd64; mmdebstrap; minutes); ARCH=arm64
	$(foreach arch,$(or $(ARCH),arm64 amd64),packaging/build $(arch) &&) true

test: $(READY)  ## unit and integration tests, with branch coverage
	$(BIN)/python -m pytest --cov --cov-report=term $(TESTS)

test-clients: $(READY)  ## other people's clients against the stand-in (needs npm; downloads them; a few minutes)
	$(BIN)/python -m pytest -o addopts= tests/clients

test-faults: $(READY)  ## every fault there is against the daemon, as a table (half an hour); ONLY='close*', JOBS=4
	$(BIN)/python -m tests.faults --only '$(or $(ONLY),*)' --jobs $(or $(JOBS),4) --output faults-out

test-vm: $(READY)  ## all of it on a real kernel, in a virtual machine (root; QEMU, mmdebstrap; 40 minutes); ONLY=name CUTS=5
	$(BIN)/python -m tests.vm $(if $(ONLY),--only $(ONLY)) $(if $(CUTS),--cuts $(CUTS)) $(if $(SEED),--seed $(SEED))

test-system: $(READY)  ## of that, the package under a real systemd (a quarter of an hour); ONLY=name
	$(BIN)/python -m tests.vm --only $(or $(ONLY),service.,package.)

test-package: $(READY)  ## both packages, built twice, judged, and installed in a Debian 13 (root; five minutes)
	$(BIN)/python -m pytest -o addopts= tests/system/test_package.py

image: $(VENV)/.image  ## dist/image/speakerd-…-debian.img.xz, to be flashed (root, amd64; a quarter of an hour); BASE=rpios RPI_IMAGE_GEN=directory, URL=…
	image=$$(RPI_IMAGE_GEN='$(RPI_IMAGE_GEN)' image/build $(or $(BASE),debian) $(PACKAGE)) && image/pack "$$image" $(if $(URL),--url '$(URL)')

lint-image-rpios: $(VENV)/.image  ## judge what rpi-image-gen reads for BASE=rpios; RPI_IMAGE_GEN=directory of a copy of it
	PATH="$(CURDIR)/$(BIN):$$PATH" image/rpios/lint $(RPI_IMAGE_GEN)

test-image: $(VENV)/.image  ## judges that card, boots it under QEMU, cuts its power (root; QEMU, mtools; an hour); ONLY=name, CUTS=20, SEED=1, RPI_IMAGER=directory
	PYTHON=$(PYTHON) scripts/prerequisites qemu-system-arm mtools genimage dosfstools e2fsprogs fdisk xz-utils bmap-tools openssh-client
	$(BIN)/python -m pytest -o addopts= tests/system/test_rpios.py tests/system/test_card_papers.py $(if $(RPI_IMAGER),,--deselect tests/system/test_card_papers.py::test_imagers_own_schema_agrees)
	$(BIN)/python -m tests.image --only '$(ONLY)' --cuts $(or $(CUTS),20) --seed $(or $(SEED),1)

test-soak: $(READY)  ## 500 turns in one process: memory, threads and descriptors stay (a quarter of an hour)
	$(BIN)/python -m pytest -o addopts= -s tests/system/test_soak.py

soak: $(READY)  ## random faults at random moments under a hurried clock: a line a minute, a table at the end; HOURS=1
	$(BIN)/python -m tests.faults.soak --hours $(or $(HOURS),1) $(if $(SEED),--seed $(SEED)) --output soak-out

fuzz: $(VENV)/.fuzz  ## whatever comes from outside, made up: messages, settings, callers, files … (x86-64; half an hour); MINUTES=10 each, ONLY=messages
	$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),10) $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) --output fuzz-out

check: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## delays, CPU and memory beside a bare loop; prints a table, writes bench-out/bench.json
	$(BIN)/python -m bench

bench-room: $(READY)  ## echo, interruptions and silence in four simulated kitchens: half an hour each (more than an hour in all)
	$(BIN)/python -m bench.room $(ROOM)

bench-peers: $(READY)  ## beside what people use today: a table, and bench-out/peers.json (65 minutes, on a machine that rests)
	PYTHON=$(PYTHON) scripts/prerequisites portaudio19-dev
	$(BIN)/python -m bench.peers $(PEERS)

tables: $(READY)  ## what the benches found (bench/results) into README.md, bench/README.md and docs/*.svg
	$(BIN)/python -m bench.tables

# Build tools come first and by themselves: the source packages are then built with them, and with nothing unpinned.
# The files name all there is (--no-deps), or pip would look for newer ones of what is wanted with an extra, and refuse them.
$(INSTALLED): pyproject.toml requirements/build.txt requirements/all.txt scripts/prerequisites
	PYTHON=$(PYTHON) scripts/prerequisites
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/build.txt
	PYPI=1 $(BIN)/pip install -q --disable-pip-version-check --no-build-isolation --use-pep517 --no-deps --require-hashes -r requirements/all.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	$(BIN)/pip check -q
	touch $@

$(VENV)/.image: $(READY) requirements/image.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/image.txt
	touch $@

$(VENV)/.fuzz: $(READY) requirements/fuzz.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/fuzz.txt
	touch $@

notices: $(READY)  ## let a synthesiser speak the notices again (speakerd/sound/notices.yaml)

$(READY): $(INSTALLED) scripts/notices.py speakerd/sound/notices.yaml
	$(BIN)/python scripts/notices.py
	touch $@

LOCK = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# Debian has the first two as we need them; the others only serve what an API key does not need, or builds.
LEFT_OUT := numpy systemd-python cryptography setuptools

lock: $(READY)  ## pin the newest versions of everything anew
	$(BIN)/pip install -q uv
	$(LOCK) --upgrade --group build -o requirements/build.txt
	$(LOCK) --upgrade --extra demo --group dev -o requirements/all.txt pyproject.toml
	$(LOCK) --upgrade --group fuzz -o requirements/fuzz.txt
	$(LOCK) --upgrade --group image -c requirements/all.txt -o requirements/image.txt
	for one in bench/peers/requirements/*.in; do $(LOCK) --upgrade -o $${one%.in}.txt $$one || exit; done
	$(LOCK) -c requirements/all.txt $(LEFT_OUT:%=--no-emit-package %) -o packaging/requirements.txt pyproject.toml

clean:  ## remove everything that the above made
	rm -rf $(VENV) speakerd/sound/spoken demo-out bench-out faults-out soak-out fuzz-out vm-out image-out .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -prune -exec rm -rf {} +
