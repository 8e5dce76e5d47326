# Each target is one script in scripts/. `make` lists them.

.DEFAULT_GOAL := help
.PHONY: help demo test run bench lint fmt build libchdb fuzz-build lab-capture count clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build libchdb ## replay a capture through the live pipeline and ask what happened; DEMO_DATA=DIR takes another
	@scripts/demo.sh

test: ## every test there is; ARGS='-p netfault-engine' narrows it
	@scripts/test.sh $(ARGS)

run: build libchdb ## start the collector service; CONFIG=FILE takes another configuration
	@target/release/netfault run $(if $(CONFIG),-c $(CONFIG))

bench: build libchdb ## speed and memory, as ratios in one run
	@scripts/bench.sh

lint: ## rustfmt, clippy, licences and bans, shellcheck
	@scripts/lint.sh

fmt: ## format the Rust sources
	@cargo fmt --all

build: ## the release binary, target/release/netfault
	@scripts/setup.sh build
	@cargo build --release --bin netfault

libchdb: ## the embedded ClickHouse engine (LIBCHDB=FILE uses one you have)
	@scripts/libchdb/get.sh

fuzz-build: ## build the fuzz targets
	@cargo build --manifest-path tests/fuzz/Cargo.toml --target-dir target

lab-capture: ## make examples/lab-capture again with real routing daemons (root, 13 minutes)
	@scripts/setup.sh lab
	@scripts/lab-capture.py

count: ## count the outages of the real day again, without netfault (bgpdump, python3; two minutes)
	@scripts/independent-count.py $(or $(NETFAULT_SHARED_DATA),../shared/data)/route-views2-20080224 \
		> tests/truth/route-views2-20080224.count.csv

clean: ## remove what was built
	@cargo clean
