# Every recipe calls a tool; nothing happens here that a tool's --help does not explain.

os_target := "riscv64imac-unknown-none-elf"

# List the recipes
default:
    @just --list

# Build and boot the test image, judge it; again, and from another hart
test-os:
    cargo nx image --kind test
    ./scripts/qemu-test.sh
    ./scripts/qemu-again.sh

# Boot the start image on this terminal (leave with Ctrl-A X)
start:
    cargo nx image --kind start
    cargo nx qemu --image start --interactive

# Boot the start image and read its audit through the control channel
test-control:
    cargo nx image --kind start
    ./tests/control/tail.sh

# All host tests
test: test-host test-os-lite test-scripts

# Unit, contract and cross-crate tests
test-host:
    cargo test --workspace --quiet

# The daemons as they are built for the image, tested on the host
test-os-lite:
    RUSTFLAGS='--cfg nexus_env="os"' cargo test --quiet --target-dir target/os-lite -p policyd --no-default-features --features os-lite
    RUSTFLAGS='--cfg nexus_env="os"' cargo test --quiet --target-dir target/os-lite -p logd --no-default-features --features os-lite
    RUSTFLAGS='--cfg nexus_env="os"' cargo test --quiet --target-dir target/os-lite -p keystored --no-default-features --features os-lite
    RUSTFLAGS='--cfg nexus_env="os"' cargo test --quiet --target-dir target/os-lite -p statefsd --no-default-features --features os-lite
    RUSTFLAGS='--cfg nexus_env="os"' cargo test --quiet --target-dir target/os-lite -p rngd --no-default-features --features os-lite

# Boot over entropy devices that do not deliver: rngd must refuse, and say why
test-rng-faults:
    cargo nx image --kind start
    ./tests/rng/faults.sh

# Cut the power of a recorded boot everywhere: mount every remainder, boot on 50 of them
test-powercut:
    cargo nx image --kind test
    cargo nx powercut

# Boot over disks that are none, not ours, or fail: statefsd must refuse, and say why
test-disk-faults:
    cargo nx image --kind test
    ./tests/state/disks.sh

# The scripts, with stand-ins for the commands they call
test-scripts:
    ./scripts/tests/all.sh

# The pages of `nx audit report` and `nx policy matrix`, used in headless Chromium (not part of `just test`)
test-html:
    ./tests/html/check.sh

# Boot the bench image and hold its instruction counts against tests/bench/budget.toml
bench-os:
    cargo nx image --kind bench
    cargo nx bench --image bench

# Write the measured counts as the new blessed ones; the diff is the review
bench-os-bless:
    cargo nx image --kind bench
    cargo nx bench --image bench --bless

# nexus-sel and Cedar answer alike on random policies (compiles Cedar: minutes the first time)
test-policy-diff:
    cargo test --manifest-path tests/policy_diff/Cargo.toml --target-dir target/bench-policy -- --nocapture

# Policy decisions beside Cedar, Rego and casbin; writes docs/bench-policy.* (`--quick`: no docs)
bench-policy *args:
    cargo build --release --manifest-path tests/bench_policy/Cargo.toml --target-dir target/bench-policy
    cargo build --release --manifest-path tests/bench_policy/run/Cargo.toml --target-dir target/bench-policy
    ./target/bench-policy/release/bench_policy_run run {{args}}

# Format everything
fmt:
    cargo fmt --all

# Lints, for the host and for the image
lint:
    cargo clippy --workspace --all-targets --quiet -- -D warnings
    cargo clippy $(cargo nx image --kind test --packages) --target {{os_target}} --quiet -- -D warnings

# Rewrite what is derived from recipes/
gen:
    cargo nx gen

# Everything CI runs
check:
    ./.ci/run
