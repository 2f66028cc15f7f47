#!/usr/bin/env bash
# Boots the start image and reads its audit through the control channel, as an operator would;
# then as a host would that is broken or hostile. Ends only what it started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
socket="$work/control.sock"
image=
cleanup() {
  # The image runs in a process group of its own: the group is QEMU and what started it.
  [ -z "$image" ] || kill -- "-$image" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
fail() {
  echo "FAIL: $1" >&2
  [ ! -f "$work/console" ] || tail -n 20 "$work/console" >&2
  exit 1
}
step() { echo "ok: $1"; }
nx() { timeout -s KILL 60 cargo nx "$@"; }
tail_audit() { nx audit tail --socket "$socket" "$@"; }
boot() {
  setsid cargo nx qemu --image start --interactive --control "$socket" \
    </dev/null >"$work/console" 2>&1 &
  image=$!
  for _ in $(seq 300); do
    grep -qs "controld: ready" "$work/console" && return 0
    sleep 0.2
  done
  fail "the image does not come up"
}
# What any program could write to the socket.
send() { timeout -s KILL 20 perl -MIO::Socket::UNIX -e '
  my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!";
  $s->autoflush(1);
  print $s eval($ARGV[1]);
  sleep 1;' "$socket" "$1"; }
answers() {
  tail_audit --count 3 --json >"$work/records" || fail "no records $1"
  [ "$(grep -c '"seq"' "$work/records")" = 3 ] || fail "not three records $1"
  step "records $1"
}

if tail_audit --count 1 2>"$work/said"; then fail "a tail without an image"; fi
grep -q "just start" "$work/said" || fail "no hint what to start"
step "without an image it says what to do"

boot
answers "from a running image"

# The reader is an ordinary subject: its questions are decided and audited under its own id.
tail_audit --own --subject controld --cap audit.read --count 2 >"$work/own" ||
  fail "controld's questions are not in the audit"
grep -q "allow .*controld.* audit.read (policy)" "$work/own" || fail "not decided: $(cat "$work/own")"
step "the reader's own questions are audited"

status=0
timeout -s INT --preserve-status 3 target/debug/nx \
  audit tail --socket "$socket" >"$work/live" 2>&1 || status=$?
[ "$status" = 130 ] || fail "Ctrl-C gave status $status"
[ -z "$(tail -c 1 "$work/live")" ] || fail "Ctrl-C cut a line"
step "Ctrl-C ends it between two lines"

send '"x" x 1_000_000'
answers "after a megabyte of garbage"
send '"NXC1\xff\xff" . "y" x 600'
answers "after an oversize frame"
send '"NXC1\x00\x02CT\x01\x02"'
answers "after half a frame and a disconnect"
send '("NXC1\x08\x00CT\x01\x7f\x01\x02\x03\x04") x 20_000'
answers "after twenty thousand unknown requests that nobody read the answers of"
if grep -q "died\|panic\|FAIL" "$work/console"; then fail "something died"; fi
step "nothing died"

kill -- "-$image"
wait "$image" 2>/dev/null || true
image=
if tail_audit --count 1 2>"$work/said"; then fail "a tail of a dead image"; fi
grep -q "just start" "$work/said" || fail "no hint after the image went"
step "a dead image is said to be gone"
