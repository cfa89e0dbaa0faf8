PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint format models clean

demo: $(VENV)/.runtime  ## start the playground on http://127.0.0.1:7860
	$(RUN) app.py

test: $(VENV)/.test  ## run the whole suite
	bash tests/browser/install_chromium.sh $(RUN)
	bash tests/train/evaluate/install_languages.sh
	bash tests/app/shares/install_postgres.sh
	$(RUN) -m pytest -n 2 --dist loadscope --no-loadscope-reorder

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

models: $(VENV)/.test  ## train the models in checkpoints/ again
	$(RUN) -m train.embedded

clean:
	rm -rf $(VENV) test-results

$(VENV)/.runtime: requirements.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python 3.10 or newer is needed; name one with: make PYTHON=python3.12')"
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.test: $(VENV)/.runtime requirements-test.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	# asks for an old huggingface_hub, but works with any
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps text-generation==0.7.0
	touch $@
