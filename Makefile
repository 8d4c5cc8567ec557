# The commands of this repository. `make help` lists them.

DIR ?= ../shop
TOOLS := target/tools

.PHONY: help quickstart test check bless tools bench fuzz nightly services

help: ## Lists the commands.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

quickstart: ## Generates the quick-start service into DIR, builds it and serves it.
	cargo run --bin potter-gen -- init --proto examples/quickstart/catalogue.proto --module catalogue --output "$(DIR)"
	cd "$(DIR)" && CARGO_TARGET_DIR="$(CURDIR)/target/quickstart" cargo run

test: tools ## Runs every test; installs what they need first.
	scripts/with-servers postgres nats redis -- cargo test --workspace --quiet
	scripts/test-services

services: ## Generates services; builds, tests, lints, starts and calls each.
	scripts/test-services

check: ## Format, lints, docs: what must hold before a commit.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	for feature in "" grpc nats postgres redis rest sqlite; do \
	  cargo clippy -p potter --no-default-features --features "$$feature" --quiet -- -D warnings || exit 1; \
	done
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	scripts/check-text

bless: ## Rewrites the expected outputs of the case directories; read the diff.
	BLESS=1 cargo test --quiet --test generator
	BLESS=1 cargo test --quiet -p potter-validate --test cases

bench: ## Runs the benchmarks of docs/benchmarks.md.
	scripts/bench

fuzz: ## Fuzzes what reads bytes from outside, a minute each.
	scripts/fuzz

nightly: ## Simulates thousands of seeds of faults: lost answers, frozen and dead processes; kills a broker 20 times.
	POTTER_SEEDS=5000 cargo test --quiet -p potter-core --test service simulation
	POTTER_NATS_KILLS=20 scripts/with-servers nats -- cargo test --quiet -p potter-messaging --test killed

tools: ## Installs the compilers that the tests drive: Debian's protoc, a current one, buf.
	scripts/install-tools "$(TOOLS)"
