# make demo   set up everything, then open a room at http://localhost:8080; SFU=janus: a room of a Janus that it starts
# make test   set up everything, then run the tests
# Both do all of their own set-up, and only what is still missing.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
MODEL := worker/emotion/models/undertone-1
JUDGE = $(VENV)/bin/undertone lab evaluate --engine onnx
folders = $(foreach corpus,$(1),--corpus folder:$(DATA)/$(corpus))
KNOWN := crema_d emodb noise_esc10
OTHERS := ravdess savee tess deeply_nonverbal noise_misc
TEST_PACKAGES := chromium redis-server janus coturn espeak-ng fonts-dejavu-core

# pip takes the pins of what builds the package from the environment only; its name changed in pip 25.3.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt

.PHONY: setup demo test check bench judge fuzz soak clean

setup: $(VENV)/.base

demo: setup
	@$(if $(SFU),deploy/system-packages $(filter janus,$(SFU)))
	$(VENV)/bin/undertone demo $(if $(SFU),--sfu $(SFU)) $(ARGS)

test: $(VENV)/.dev
	@deploy/system-packages $(TEST_PACKAGES) || echo "Tests that need these packages are skipped."
	$(VENV)/bin/pytest -ra $(ARGS)

check: $(VENV)/.dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

bench: $(VENV)/.dev
	@deploy/system-packages $(TEST_PACKAGES)
	$(VENV)/bin/undertone bench all $(ARGS)

judge: $(VENV)/.base
	$(JUDGE) --splits $(MODEL).splits.csv --json judged.json --html judged.html $(call folders,$(KNOWN)) $(ARGS)
	$(JUDGE) --quick --json judged-others.json --html judged-others.html $(call folders,$(OTHERS))

fuzz: $(VENV)/.dev
	$(VENV)/bin/python -m tests.fuzz_rtp

soak: $(VENV)/.dev
	$(VENV)/bin/python -m tests.soak $(ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@deploy/new-venv "$(PYTHON)" "$(VENV)"

$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing the worker: about 110 MB, once."
	@$(PIP) install --quiet -c constraints.txt -e .
	@# Only the model file inside is read; the distribution's own dependencies are torch and 200 MB more.
	@$(PIP) install --quiet -c constraints.txt --no-deps silero-vad
	@touch $@
	@echo "Installed in $(VENV): $$(du -sh $(VENV) | cut -f1)."

$(VENV)/.dev: $(VENV)/.base
	@echo "Installing what tests and checks need: about 345 MB, once."
	@$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $@
