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
# Built once: cargo would wait for whoever else builds in this tree.
cargo build --quiet --package nx
nx() { timeout -s KILL 60 target/debug/nx "$@"; }
tail_audit() { nx audit tail --socket "$socket" "$@"; }
boot() {
  # On a new disk: one that has keys has nothing to be provisioned.
  setsid target/debug/nx qemu --image start --interactive --fresh --control "$socket" \
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

# Questions of readers, which a tail hides, do not hide what they are about.
for _ in 1 2 3 4; do tail_audit --own --last 1000 --count 1 >/dev/null; done
answers "behind hundreds of own questions"

# The reader is an ordinary subject: its questions are decided and audited under its own id.
tail_audit --own --subject controld --cap audit.read --count 2 >"$work/own" ||
  fail "controld's questions are not in the audit"
grep -q "allow .*controld.* audit.read (policy)" "$work/own" || fail "not decided: $(cat "$work/own")"
step "the reader's own questions are audited"

# The export is a file that proves itself, or says where it was touched.
verify() {
  status=0
  nx audit verify "$@" >"$work/verdict" 2>&1 || status=$?
}
# Keys are made once; the journal then has its checkpoints signed by itself.
nx provision --socket "$socket" -o "$work/device.pub" 2>"$work/said" || fail "no keys: $(cat "$work/said")"
grep -q "keys made" "$work/said" || fail "no new keys: $(cat "$work/said")"
cp "$work/device.pub" "$work/first.pub"
nx provision --socket "$socket" -o "$work/device.pub" 2>"$work/said" || fail "keys not told"
grep -q "it has keys" "$work/said" || fail "keys made twice"
cmp -s "$work/device.pub" "$work/first.pub" || fail "other keys"
for _ in $(seq 20); do
  nx audit export --socket "$socket" --format native -o "$work/signed.nxa" 2>/dev/null || fail "no export"
  verify "$work/signed.nxa" --key "$work/device.pub"
  ! grep -q "signed with the key given" "$work/verdict" || break
  sleep 0.5
done
grep -q "signed with the key given" "$work/verdict" || fail "not signed: $(cat "$work/verdict")"
step "signed with the key of the device: $(grep "signed with the key given" "$work/verdict")"
# Another key proves nothing: a point of the curve that is nobody's.
echo "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" >"$work/other.pub"
verify "$work/signed.nxa" --key "$work/other.pub"
[ "$status" = 1 ] || fail "another key verifies: $(cat "$work/verdict")"
step "not signed with another key"

# Live: what comes after the tail has attached, with nothing shown of what was there before; the
# reader's own questions at once, another's record with the next checkpoint that is signed.
newest=$(grep -o '"seq":[0-9]*' "$work/records" | tail -n 1 | cut -d: -f2)
for own in --own ""; do
  tail_audit $own --last 0 --count 1 --interval 100ms --json >"$work/live" || fail "no live record"
  live=$(grep -o '"seq":[0-9]*' "$work/live" | cut -d: -f2)
  [ "$live" -gt "$newest" ] || fail "not a new record: $live after $newest"
  newest=$live
done
grep -q '"key.checkpoint"' "$work/live" || fail "not what was expected: $(cat "$work/live")"
step "records made after the tail attached, the last one number $live"
nx audit export --socket "$socket" --format native -o "$work/trail.nxa" 2>"$work/said" ||
  fail "no native export: $(cat "$work/said")"
verify "$work/trail.nxa"
[ "$status" = 3 ] || [ "$status" = 0 ] || fail "the export does not verify: $(cat "$work/verdict")"
grep -q "checkpoints hold" "$work/verdict" || fail "no checkpoint: $(cat "$work/verdict")"
newest=$(awk '$1 == "newest" { print $2 }' "$work/verdict")
step "a native export verifies offline: $(grep -o '[0-9]* records, [0-9]* to [0-9]*' "$work/verdict")"

# One flipped bit in the third record: lanes of 48 bytes come first, a record takes 168.
third=$(perl -e '
  open(my $f, "+<:raw", $ARGV[0]) or die; local $/; my $b = <$f>;
  my $at = 16; $at += 48 while ord(substr($b, $at, 1)) == 1;
  $at += 2 * 168;
  die "no record" unless ord(substr($b, $at, 1)) == 2;
  print unpack("Q<", substr($b, $at + 40, 8));
  substr($b, $at + 40 + 30, 1) ^= chr(1);
  open(my $o, ">:raw", $ARGV[1]) or die; print $o $b;' "$work/trail.nxa" "$work/flipped.nxa")
verify "$work/flipped.nxa"
[ "$status" = 1 ] || fail "a flipped bit verifies: $(cat "$work/verdict")"
grep -q "Record $third " "$work/verdict" || fail "not named: $third, $(cat "$work/verdict")"
step "a flipped bit fails, and names record $third"

nx audit export --socket "$socket" --format native -o "$work/later.nxa" 2>/dev/null
verify "$work/later.nxa" --anchor "$newest"
grep -q "is the one that was seen" "$work/verdict" || fail "anchor: $(cat "$work/verdict")"
later=$(awk '$1 == "newest" { print $2 }' "$work/verdict")
verify "$work/trail.nxa" --anchor "$later"
[ "$status" = 1 ] || fail "an old copy passes: $(cat "$work/verdict")"
step "an old copy is told from the newest"

for format in jsonl ocsf cef; do
  nx audit export "$work/later.nxa" --format "$format" -o "$work/trail.$format" 2>/dev/null ||
    fail "no $format"
done
perl -MJSON::PP -ne 'my $r = decode_json($_); die "jsonl" unless $r->{seq} && $r->{op}' \
  "$work/trail.jsonl" || fail "jsonl is not valid"
perl -MJSON::PP -ne 'my $r = decode_json($_);
  die "ocsf" unless $r->{class_uid} && $r->{type_uid} == $r->{class_uid} * 100 + $r->{activity_id}
    && exists $r->{time} && $r->{metadata}{version}' "$work/trail.ocsf" || fail "ocsf is not valid"
if grep -qvE '^CEF:0\|Nexus\|nexus-audit\|1\|[a-z_.-]+\|[^|]+\|[0-9]+\|' "$work/trail.cef"; then
  fail "cef is not valid"
fi
step "jsonl, ocsf and cef: $(wc -l <"$work/trail.cef") records each"

status=0
timeout -s INT --preserve-status 1 target/debug/nx \
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

# The orderly end: the journal's last word first, then the machine, with status 0.
nx stop --socket "$socket" || fail "no stop"
status=0
wait "$image" || status=$?
image=
[ "$status" = 0 ] || fail "the image ended with status $status"
grep -Eq "logd: last checkpoint signed [0-9]+:[0-9a-f]{64}" "$work/console" ||
  fail "no last checkpoint"
grep -q "init: end, verdict 0$" "$work/console" || fail "init did not say the end"
step "an orderly end: $(grep -o 'last checkpoint.*' "$work/console" | cut -c 1-48)"
if tail_audit --count 1 2>"$work/said"; then fail "a tail of a dead image"; fi
grep -q "just start" "$work/said" || fail "no hint after the image went"
step "a dead image is said to be gone"
