#!/usr/bin/env bash
# Makes a fresh Debian machine ready for this tree, then runs `just RECIPE...`.
#
#   ./scripts/setup.sh            set up, list the recipes
#   ./scripts/setup.sh test-os    set up, boot and judge the image
#
# Says what it does and why; installs only what is missing; safe to run again. Works as root or
# with sudo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/lib/say.sh
. scripts/lib/say.sh
# shellcheck source=scripts/lib/packages.sh
. scripts/lib/packages.sh
# shellcheck source=scripts/lib/just.sh
. scripts/lib/just.sh
# shellcheck source=scripts/lib/rust.sh
. scripts/lib/rust.sh

ensure_linker
ensure_rust
ensure_qemu
ensure_just
exec just "$@"
