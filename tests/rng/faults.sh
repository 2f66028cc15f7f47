#!/usr/bin/env bash
# Boots the start image over entropy devices that do not deliver: rngd must say why, and must
# not say ready. Then over one that does, so that the silence means something.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAIL: $1" >&2
  tail -n 20 "$work/console" >&2
  exit 1
}

# boots FILE TEXT: over that file, until that line; the console is kept.
boots() {
  timeout -s KILL 60 cargo nx qemu --image start --timeout 30s --until "$2" --entropy "$1" \
    >"$work/console" 2>&1 || true
}
refused() {
  boots "$1" "rngd: "
  grep -q "^\[5\] rngd: no entropy: $2" "$work/console" || fail "$3: not refused as $2"
  if grep -q "rngd: ready" "$work/console"; then fail "$3: ready"; fi
  echo "ok: $3 is refused as $2"
}

head -c 1048576 /dev/zero >"$work/zeros"
refused "$work/zeros" repetition "a file of zeros"
refused /dev/zero repetition "an endless source of zeros"

{ yes U || true; } | head -c 1048576 >"$work/alternating"
refused "$work/alternating" proportion "a source that alternates"

# A block of the device's 128 bytes, again and again.
head -c 128 /dev/urandom >"$work/block"
for _ in $(seq 64); do cat "$work/block"; done >"$work/repeating"
refused "$work/repeating" repeated "a source that repeats its block"

boots /dev/urandom "rngd: "
grep -q "^\[5\] rngd: ready" "$work/console" || fail "a good source is not ready"
echo "ok: a good source is ready"
