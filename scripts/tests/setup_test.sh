# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # stand-ins expand later; $box is the harness's
# QEMU, just, root, and the whole of setup.sh.

ready_machine() {
  machine
  stub rustc "case \"\$*\" in *target-libdir*) echo $box/lib ;; esac"
  touch "$box/lib/libcore-1.rlib" "$box/firmware/fw_dynamic.bin"
  stub qemu-system-riscv64 :
  stub just 'echo "just ran: $*"'
}

ready_machine && stub apt-get 'exit 1' && stub sudo 'exit 1' && stub cargo 'exit 1'
on_machine ./scripts/setup.sh test-os
check "ready machine: runs the recipe" said "just ran: test-os"
check "ready machine: ends well" ended 0
check "ready machine: apt not called" not called apt-get
check "ready machine: cargo not called" not called "cargo install"

ready_machine && stub just 'exit 7'
on_machine ./scripts/setup.sh test
check "the recipe's status is setup's" ended 7

ready_machine && rm "$box/bin/qemu-system-riscv64"
stub apt-get : && stub apt-cache 'echo "  Candidate: 1"'
with_lib ensure_qemu
check "new release: qemu-system-riscv" called "qemu-system-riscv opensbi"

ready_machine && rm "$box/bin/qemu-system-riscv64" && stub apt-get :
stub apt-cache 'case "$*" in *misc*) echo "  Candidate: 1" ;; *) echo "  Candidate: (none)" ;; esac'
with_lib ensure_qemu
check "old release: qemu-system-misc" called "qemu-system-misc opensbi"

ready_machine && rm "$box/firmware/fw_dynamic.bin" && stub apt-get : && stub apt-cache :
with_lib ensure_qemu
check "QEMU without firmware: opensbi" called "opensbi"

ready_machine && rm "$box/bin/qemu-system-riscv64"
with_lib ensure_qemu
check "no QEMU, no apt: fails" ended 1

ready_machine && rm "$box/bin/cc" && stub apt-get : && stub apt-cache :
with_lib 'ensure_linker; ensure_qemu'
check "no linker: gcc" called "gcc libc6-dev"

ready_machine && rm "$box/bin/just" && stub apt-get : && stub apt-cache 'echo "  Candidate: 1.40"'
with_lib just_source
check "just: apt first" said apt

ready_machine && rm "$box/bin/just" && stub apt-get : && stub apt-cache 'echo "  Candidate: (none)"'
stub python3 : && stub cargo :
with_lib just_source
check "just: then pip" said pip

ready_machine && rm "$box/bin/just" && stub python3 'exit 1' && stub cargo :
with_lib just_source
check "just: then cargo" said cargo

ready_machine && rm "$box/bin/just" && stub python3 'exit 1'
stub cargo "mkdir -p \$HOME/.cargo/bin; printf '#!/bin/sh\n' >\$HOME/.cargo/bin/just; chmod +x \$HOME/.cargo/bin/just"
with_lib 'ensure_just; command -v just'
check "just by cargo is found" said "home/.cargo/bin/just"

ready_machine && rm "$box/bin/just"
stub python3 'for a; do [ "$p" = --target ] && t=$a; p=$a; done; [ -z "$t" ] || { mkdir -p $t/bin; echo "#!/bin/sh" >$t/bin/just; }'
with_lib 'ensure_just; command -v just'
check "just by pip is found" said "home/.cargo/bin/just"

ready_machine && mkdir -p "$box/home/.cargo/bin" && mv "$box/bin/just" "$box/home/.cargo/bin/just"
stub cargo 'exit 1'
with_lib ensure_just
check "just where an earlier run put it" ended 0
check "just where an earlier run put it: not again" not called cargo

ready_machine && rm "$box/bin/just"
with_lib ensure_just
check "no just from anywhere: fails" ended 1

ready_machine && stub id 'echo 1000' && stub sudo '"$@"' && stub apt-get :
with_lib 'as_root apt-get install x'
check "not root: sudo" called "sudo apt-get install x"

ready_machine && stub id 'echo 1000'
with_lib 'as_root apt-get install x'
check "not root, no sudo: fails" ended 1

ready_machine && stub id 'echo 0' && stub sudo 'exit 1' && stub apt-get :
with_lib 'as_root apt-get install x'
check "root: no sudo" not called sudo
