# Everything runs in .venv, made by tools/venv.sh; nothing here needs root.
#
#   make demo    an example policy: check, prove, compile, simulate it, try it on a real kernel
#   make closed-loop  a service is profiled, gets a policy on trial, and the load changes (in QEMU)
#   make test    everything the tests need, then the tests: the quick ones first
#   make lint    ruff, mypy, import contracts
#   make fuzz    the campaign of a million sources (about an hour)
#   make campaign  the prover against ten million values, every mutant, and random policies with
#                  adversaries in the simulator (more than an hour)
#   make update  rewrite the golden files of the tests

VENV   = .venv
PYTEST = $(VENV)/bin/python -m pytest

.PHONY: demo closed-loop test test-fast test-vm lint fuzz campaign update dist clean help venv venv-dev

help:
	@sed -n 's/^#   //p' Makefile

venv:
	@tools/venv.sh run

venv-dev:
	@tools/venv.sh dev

demo: venv
	@tools/demo.sh

closed-loop: venv
	@$(VENV)/bin/python examples/closed_loop/run.py

test: venv-dev
	@rm -f build/skips
	@$(MAKE) --no-print-directory test-fast
	@$(MAKE) --no-print-directory test-vm
	@echo "skipped in all: $$(awk '{n += $$1} END {print n + 0}' build/skips 2>/dev/null || echo 0)"

test-fast: venv-dev
	$(PYTEST) -q -n 2 -m "not vm and not slow"

# A kernel, QEMU and guest tools come from the user's cache, or through apt into it. If they can't
# be had, the tests of this part are skipped, and the reason is printed. --bcc is the largest part
# of it: 70 MB, and 12 MB of headers for each kernel that the mirror still has.
# An emulated machine keeps one core busy, so two modules run side by side; those that measure times
# follow one by one.
test-vm: venv-dev
	-$(VENV)/bin/schedc vm fetch --python --bcc --kernel 6.16 --kernel 6.18 --kernel latest
	$(PYTEST) -q -n 2 --dist loadfile -m "vm and not slow and not quiet"
	$(PYTEST) -q -m "vm and quiet and not slow"

lint: venv-dev
	$(VENV)/bin/ruff check schedc tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

fuzz: venv-dev
	$(PYTEST) -q -n 2 -m slow --timeout 0 tests/fuzz

campaign: venv-dev
	$(PYTEST) -q -n 2 -m slow --timeout 0 tests/prove tests/model tests/sim/test_campaign.py

update: venv-dev
	$(PYTEST) -q --update tests/ui tests/stages

dist: venv-dev
	$(VENV)/bin/python -m build

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
