#!/usr/bin/env bash
# Boots the test image over disks that are none, not ours, or fail: statefsd must say why, the
# selftest must miss what needs a store, and the disk must be left as it is. Then over a good one,
# so that the refusals mean something. Needs build/test/nexus.img.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAIL: $1" >&2
  tail -n 20 "$work/console" >&2
  exit 1
}

# boots QEMU-ARGUMENTS...: the console is kept.
boots() {
  timeout -s KILL 60 qemu-system-riscv64 -machine virt -cpu rv64 -m 128M -bios default -smp 1 \
    -kernel build/test/nexus.img -global virtio-mmio.force-legacy=false -global virtio-mmio.ioeventfd=off \
    -object rng-builtin,id=entropy \
    -device virtio-rng-device,rng=entropy,bus=virtio-mmio-bus.1 \
    -nographic -icount shift=0,sleep=off "$@" >"$work/console" 2>&1 </dev/null || true
}
with_disk() { boots "$@" -device virtio-blk-device,bus=virtio-mmio-bus.2,drive=state; }
raw() { echo "if=none,id=state,format=raw,cache=unsafe,file=$1"; }

# refused NAME TEXT: what the console of the last boot must show.
refused() {
  grep -q "^\[6\] statefsd: $2" "$work/console" || fail "$1: statefsd did not say: $2"
  grep -q "SELFTEST: policy deny ok" "$work/console" || fail "$1: the rest of the system suffered"
  grep -q "SELFTEST: end" "$work/console" || fail "$1: the run did not end"
  if grep -q "SELFTEST: statefs isolation ok" "$work/console"; then fail "$1: a store all the same"; fi
  echo "ok: $1: $2"
}

# untouched NAME FILE TEXT: over this disk, which must be the same afterwards.
untouched() {
  cp "$2" "$work/before"
  with_disk -drive "$(raw "$2")"
  refused "$1" "$3"
  cmp -s "$2" "$work/before" || fail "$1: the disk was written to"
}

cargo nx qemu --image test --timeout 90s >"$work/console" 2>&1 || fail "a good disk: the run failed"
grep -q "SELFTEST: statefs isolation ok" "$work/console" || fail "a good disk: no store"
echo "ok: a good disk"
good=build/test/state.img

boots
refused "no disk" "no disk, nothing is kept"

truncate -s 16M "$work/unseeded"
untouched "a blank disk without a seed" "$work/unseeded" "blank disk without a seed, not used"
head -c 2097152 /dev/urandom >"$work/garbage"
untouched "a disk full of something else" "$work/garbage" "the disk holds something else, not used"
head -c 300032 "$good" >"$work/truncated"
untouched "a truncated image" "$work/truncated" "the disk is too small, not used"
cp "$good" "$work/superblocks"
for at in 100 4196; do printf x | dd of="$work/superblocks" bs=1 seek=$at conv=notrunc 2>/dev/null; done
untouched "corrupt superblocks" "$work/superblocks" "the store is damaged, not used"

cp "$good" "$work/read-only"
with_disk -drive "$(raw "$work/read-only"),readonly=on"
refused "a read-only disk" "ready"
cmp -s "$good" "$work/read-only" || fail "a read-only disk was written to"

for kind in read write flush; do
  cp "$good" "$work/failing"
  with_disk -blockdev "driver=file,filename=$work/failing,node-name=disk" -blockdev \
    "driver=blkdebug,node-name=state,image=disk,inject-error.0.event=none,inject-error.0.iotype=$kind,inject-error.0.errno=5"
  refused "a disk whose ${kind}s fail" "the disk failed, nothing more is written"
done
