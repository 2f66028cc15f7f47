# shellcheck shell=bash
# Tests of the scripts on a machine made of stand-ins: PATH holds only what a test puts there and
# a few harmless tools. Every stand-in notes its call in $CALLS.

passed=0
failed=0
top=$PWD
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

# Tools the scripts may always use.
readonly HARMLESS="bash env cat mkdir ln ls rm mktemp install awk grep readlink dirname chmod sh id"

# A new, empty machine.
machine() {
  rm -rf "${box:?}"/*
  mkdir -p "$box/bin" "$box/home" "$box/lib" "$box/firmware"
  CALLS=$box/calls
  : >"$CALLS"
  local tool
  for tool in $HARMLESS; do ln -s "$(command -v "$tool")" "$box/bin/$tool"; done
  stub id 'echo 0'
  stub timeout 'shift; "$@"'
  stub cc :
  stub dpkg-query 'exit 1'
}

# stub NAME BODY: a command that notes its call and runs BODY.
stub() {
  rm -f "$box/bin/$1"
  printf '#!/bin/sh\necho "%s $*" >>"%s"\n%s\n' "$1" "$CALLS" "$2" >"$box/bin/$1"
  chmod +x "$box/bin/$1"
}

# Runs a command on the stand-in machine; its output is in $out, its status in $status.
on_machine() {
  status=0
  out=$(cd "$top" && env -i PATH="$box/bin" HOME="$box/home" CALLS="$CALLS" box="$box" \
    DEBIAN_BIN="$box/debian" NEXUS_SHIMS="$box/shims" OPENSBI_DIRS="$box/firmware" \
    "$@" 2>&1) || status=$?
}

# Runs shell text with all of setup.sh's functions at hand.
with_lib() {
  on_machine bash -c "set -euo pipefail
    for f in say packages just rust; do . scripts/lib/\$f.sh; done
    $1"
}

called() { grep -qF -- "$1" "$CALLS"; }

# check NAME COMMAND...: one test.
check() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s\n  status: %s\n  output: %s\n  calls:\n' "$name" "${status:-}" "${out:-}"
    sed 's/^/    /' "$CALLS"
  fi
}

not() { ! "$@"; }
said() { [[ $out == *"$1"* ]]; }
ended() { [ "$status" = "$1" ]; }

finish() {
  printf 'scripts: %d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}
