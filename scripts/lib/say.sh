# shellcheck shell=bash
# Small words shared by the scripts.

# Where the compiled parts of the image run; the one place in the scripts that names it.
# shellcheck disable=SC2034 # used by the scripts that source this file
readonly OS_TARGET=riscv64imac-unknown-none-elf

say() { printf 'setup: %s\n' "$*"; }

fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root: directly, or through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    fail "need root or sudo for: $*"
  fi
}
