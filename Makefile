# What mobium can do from its checkout. Every target does its own set-up: everything Python goes into .venv, and is
# only done again when what it was made from has changed. GNU make 3.81 suffices.

SHELL = /bin/sh
PYTHON = .venv/bin/python

# Random schedules that `make test-long` runs of each test that has them; make test runs about 20.
MOBIUM_SCHEDULES ?= 500

.PHONY: help run native desktop demo test test-long coverage lint bench bench-quick wheels wheel-pi docs clean

help:
	@echo 'make run        start a server on this machine; it says where clients connect'
	@echo 'make native     compile the hot kernels for the mobium command here, where Rust is found'
	@echo 'make desktop    the client in a window'
	@echo 'make demo       a server and two people who talk: what each sees, and what the server sees'
	@echo 'make test       every test, on both back ends'
	@echo 'make test-long  the long ones too, with $(MOBIUM_SCHEDULES) random schedules (MOBIUM_SCHEDULES=...)'
	@echo 'make coverage   what the tests of library and server reach; the table goes into docs/QUALITY.md'
	@echo 'make lint       style, types, who imports whom'
	@echo 'make bench      how fast it is; figures go into benches/RESULTS.md'
	@echo 'make bench-quick  only whether every bench runs: three minutes, nothing is written'
	@echo 'make wheels     everything that can be installed elsewhere, into dist/, and tried in fresh environments'
	@echo 'make wheel-pi   the wheel for a Raspberry Pi, into dist/, and run emulated; takes Debian'
	@echo 'make docs       the API reference as HTML, into build/docs'
	@echo 'make clean      remove what the other targets made, except data/ and .env'

run:
	@sh tools/setup.sh run
	@sh tools/run_server.sh

native:
	@sh tools/setup.sh native

desktop:
	@sh tools/setup.sh desktop
	@sh tools/system_packages.sh tk libopus libportaudio || true
	@$(PYTHON) -m mobium_client

demo:
	@sh tools/setup.sh dev
	@$(PYTHON) -m tools.demo

test:
	@sh tools/setup.sh dev
	@sh tools/system_packages.sh tests || true
	@$(PYTHON) tools/run_tests.py

test-long:
	@sh tools/setup.sh dev
	@sh tools/system_packages.sh tests || true
	@MOBIUM_SCHEDULES=$(MOBIUM_SCHEDULES) $(PYTHON) tools/run_tests.py --long

coverage:
	@sh tools/setup.sh dev
	@sh tools/system_packages.sh tests || true
	@$(PYTHON) tools/cover.py

lint:
	@sh tools/setup.sh dev
	@$(PYTHON) tools/checks.py

bench:
	@sh tools/setup.sh dev
	@$(PYTHON) benches/run.py

bench-quick:
	@sh tools/setup.sh dev
	@$(PYTHON) benches/run.py --quick

wheels:
	@sh tools/setup.sh dev
	@$(PYTHON) tools/wheels.py

wheel-pi:
	@sh tools/setup.sh dev
	@$(PYTHON) -m tools.pi

docs:
	@sh tools/setup.sh dev
	@$(PYTHON) tools/docs.py

clean:
	rm -rf .venv build dist target
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f python/mobium/_native*.so python/mobium/_native*.pyd
	find python server_app client_app tests tools benches native -name __pycache__ -prune -exec rm -rf '{}' +
