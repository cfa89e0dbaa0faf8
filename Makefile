PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check
# OpenMP threads that wait actively hold up other processes on the same cores
export GOMP_SPINCOUNT ?= 0
# the suite starts many processes, each of which would compile all modules again
unexport PYTHONDONTWRITEBYTECODE
# not in the lock files, because the build depends on the machine; pip's settings select it
TORCH := $(shell sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)
LOCK := uv pip compile pyproject.toml --universal --python-version 3.10 --generate-hashes --no-annotate --quiet \
	--custom-compile-command "make lock"
# what a server needs only for models without graphs and for training; on a CPU its graphs need the smaller runtime
NOT_TO_SERVE := onnx onnxruntime-gpu pyarrow rensa tensorboard torch tree-sitter tree-sitter-java tree-sitter-javascript \
	tree-sitter-python
WITHOUT_TORCH := awk '/^[a-z]/ {of_torch = /^(torch|triton|cuda-|nvidia-)/} !of_torch'

.PHONY: demo test slow heavy lint format lock models clean

demo: $(VENV)/.runtime  ## start the playground on http://127.0.0.1:7860
	$(RUN) app.py

test: $(VENV)/.test  ## run the whole suite
	bash tests/browser/install_chromium.sh $(RUN)
	bash tests/web/install_packages.sh
	bash tests/train/evaluate/install_languages.sh
	bash tests/app/shares/install_postgres.sh
	$(RUN) -m pytest -n 2 --dist loadscope --no-loadscope-reorder

slow: $(VENV)/.test  ## the tests that take longest
	bash tests/browser/install_chromium.sh $(RUN)
	bash tests/browser/install_firefox.sh
	bash tests/web/install_packages.sh
	bash tests/train/evaluate/install_languages.sh
	$(RUN) -m pytest -m slow -n 2

heavy: $(VENV)/.test  ## the tests that need gigabytes, a cluster or an hour
	bash tests/train/evaluate/install_languages.sh
	$(RUN) -m pytest -m heavy

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	bash tests/web/install_packages.sh
	bash tests/web/lint.sh

format: $(VENV)/.test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock:  ## write the lock files again; needs uv. With LOCK_FLAGS=--upgrade, to the newest versions
	$(LOCK) $(LOCK_FLAGS) --all-extras --group test --group lint --output-file requirements-test.lock
	$(LOCK) --constraint requirements-test.lock --output-file requirements.lock
	excluded=$$(mktemp) && printf '%s\n' $(NOT_TO_SERVE) > $$excluded && echo onnxruntime | $(LOCK) - \
		--constraint requirements-test.lock --excludes $$excluded --output-file requirements-serve.lock && rm $$excluded
	for file in requirements.lock requirements-test.lock; do \
		$(WITHOUT_TORCH) $$file > $$file.new && mv $$file.new $$file; \
	done
	$(MAKE) requirements.txt

requirements.txt: requirements.lock pyproject.toml  ## for a Space, which installs this file alone: without hashes, since torch has none
	{ echo "# Written by make lock, from requirements.lock."; echo "$(TORCH)"; \
		sed -n 's/^\([a-z][^\]*[^ \]\) *\\*$$/\1/p' requirements.lock; } > $@

models: $(VENV)/.test  ## train the models in checkpoints/ again
	$(RUN) -m train.embedded

clean:
	rm -rf $(VENV) test-results

$(VENV)/.runtime: requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14) and 'Python 3.10 to 3.13 is needed; name one with: make PYTHON=python3.12')"
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@echo "Downloading and installing the dependencies, PyTorch among them. This takes a minute or more, without further output."
	$(INSTALL) --no-deps --require-hashes -r requirements.lock
	$(INSTALL) $(TORCH)
	touch $@

$(VENV)/.test: $(VENV)/.runtime requirements-test.lock
	$(INSTALL) --no-deps --require-hashes -r requirements-test.lock
	touch $@
