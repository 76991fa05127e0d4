# Everything a person types. `make help` lists it.
SHELL := /bin/bash
CARGO ?= cargo
# Functions that came out the same are kept once, where Rust links with lld by default.
FOLD_x86_64 = -C link-arg=-Wl,--icf=all
FOLD = $(FOLD_$(shell uname -m))
# With the linker's map beside it: who owns which megabyte (make bench).
RELEASE = $(CARGO) rustc -p otternauts --release --locked --bin otter -- -C link-arg=-Wl,-Map=$(CURDIR)/target/release/otter.map $(FOLD)
# The client commands alone, as CI systems want them.
MINIMAL = $(CARGO) rustc -p otternauts --release --locked --bin otter --no-default-features --features minimal -- $(FOLD) && \
	rm -f target/release/otter-minimal && mv target/release/otter target/release/otter-minimal

.PHONY: help build minimal demo test test-nightly bench generate lint fmt clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

minimal: ## the client commands alone, target/release/otter-minimal
	@tests/setup rust
	$(MINIMAL)

build: ## the release binary, target/release/otter
	@tests/setup rust
	$(RELEASE)

demo: ## from nothing to a stack on two real servers; DEMO_ONCE=1 checks, tears down and ends
	@tests/setup rust lab kubectl python
	@tests/demo

test: ## format, lints, all tests, the lab's stories; ends with a line of totals
	@tests/setup rust lab mail metrics etcd kubectl sdk s3 faults
	@tests/run

test-nightly: ## the same with the long numbers
	@tests/setup rust lab mail metrics etcd kubectl sdk s3 faults
	@tests/run nightly

bench: ## what it costs and how fast it is; COMPARE=KUBECONFIG measures another server beside it
	@tests/setup rust lab kubectl
	$(MINIMAL)
	$(RELEASE)
	$(CARGO) run --release --locked -p otternauts-bench -- --otter target/release/otter --minimal target/release/otter-minimal $(if $(COMPARE),--compare $(COMPARE)) --json target/bench.json $(BENCH)
	@if tests/lab/lab doctor >/dev/null 2>&1; then \
		OTTER=$$PWD/target/release/otter tests/idle; \
	else echo 'SKIPPED, NOT MEASURED: idle with 10 servers and 20 stacks (needs the lab of real hosts)'; fi

generate: ## what is made and committed: the client profile, the SDKs' models; from the table of metrics: docs, rules, dashboards
	$(CARGO) run --locked --quiet -p otternauts-generate
	$(CARGO) run --locked --quiet -p otternauts-dashboards

lint: ## format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

fmt: ## format the code
	$(CARGO) fmt --all

clean: ## forget build results and the lab's bases
	$(CARGO) clean
	-tests/lab/lab down --purge
