#!/usr/bin/env bash
# After a whole judged boot: the same on another new disk must give the same log, a second boot on
# that disk must find what the first one left there, and a boot from another hart must pass too. A partial run (RUN_PHASE, or a text in RUN_UNTIL_MARKER) has nothing to compare.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ -z "${RUN_PHASE:-}" ] || exit 0
case "${RUN_UNTIL_MARKER:-1}" in 0 | 1) ;; *) exit 0 ;; esac

./scripts/qemu-test.sh --same-as build/runs/latest/serial.log
./scripts/qemu-test.sh --again
cargo nx image --kind test --boot-hart 1 --out build/test-hart
RUN_IMAGE=test-hart ./scripts/qemu-test.sh --smp 2 --variant hart
