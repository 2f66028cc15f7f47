# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # stand-ins expand later; $box is the harness's
# The compiler: rustup works, rustup fails, no rustup, no apt.

# A rustc whose OS target is there once $box/lib/libcore-1.rlib exists.
rustc_stub() { stub rustc "case \"\$*\" in *target-libdir*) echo $box/lib ;; esac"; }

# An apt that offers Debian's compiler, and installs it.
apt_with_rust() {
  stub apt-get "case \"\$*\" in *install*) mkdir -p $box/debian; echo >$box/debian/rustc; chmod +x $box/debian/rustc; ln -sf lld-9 $box/debian/rust-lld ;; esac"
  ln -sf "$(command -v touch)" "$box/bin/touch"
  stub apt-cache 'echo "  Candidate: 1.96"'
}

apt_without_rust() {
  stub apt-get :
  stub apt-cache 'echo "  Candidate: (none)"'
}

machine && rustc_stub && touch "$box/lib/libcore-1.rlib" && stub rustup 'exit 1'
with_lib ensure_rust
check "target there: nothing is done" ended 0
check "target there: says so" said "is there"
check "target there: rustup not called" not called rustup

machine && rustc_stub && stub rustup "case \"\$*\" in 'target add'*) touch $box/lib/libcore-1.rlib ;; esac"
ln -sf "$(command -v touch)" "$box/bin/touch"
with_lib 'ensure_rust; echo "std=${NEXUS_BUILD_STD:-no}"'
check "rustup works: ends well" ended 0
check "rustup works: adds the target" called "rustup target add riscv64imac-unknown-none-elf"
check "rustup works: no fallback" said "std=no"

machine && rustc_stub && stub rustup 'exit 1' && apt_with_rust
with_lib 'ensure_rust; echo "std=${NEXUS_BUILD_STD:-no} rustc=$(command -v rustc)"'
check "rustup fails: ends well" ended 0
check "rustup fails: tried" called "rustup target add"
check "rustup fails: Debian's compiler" called "rustc-web cargo-web rust-web-src"
check "rustup fails: builds core" said "std=1"
check "rustup fails: the linker's package too" called "install -y -qq --no-install-recommends lld-9"
check "rustup fails: Debian's rustc is first" said "rustc=$box/shims/rustc"

machine && rustc_stub && stub rustup : && apt_with_rust
with_lib 'ensure_rust; echo "std=${NEXUS_BUILD_STD:-no}"'
check "rustup says yes but adds nothing: fallback" said "std=1"

machine && rustc_stub && stub rustup 'exit 1' && apt_without_rust
with_lib ensure_rust
check "rustup fails, apt has no compiler: fails" ended 1
check "rustup fails, apt has no compiler: says why" said "rustup and apt both failed"

machine && rustc_stub && stub rustup 'exit 1'
with_lib ensure_rust
check "rustup fails, no apt: fails" ended 1

machine && apt_with_rust
with_lib 'ensure_rust; echo "std=${NEXUS_BUILD_STD:-no}"'
check "no rustup: Debian's compiler" said "std=1"

machine && apt_without_rust
with_lib ensure_rust
check "no rustup, apt has no compiler: fails" ended 1

machine
with_lib ensure_rust
check "no rustup, no apt: fails" ended 1
check "no rustup, no apt: says what to do" said "install Rust with the target"

machine && stub rustc 'exit 1' && stub rustup 'exit 1' && apt_with_rust
with_lib 'ensure_rust; echo "std=${NEXUS_BUILD_STD:-no}"'
check "pinned toolchain cannot be had: asked for" called "rustup toolchain install"
check "pinned toolchain cannot be had: fallback" said "std=1"

machine && rustc_stub && stub rustup 'exit 1' && stub apt-get 'exit 1'
stub dpkg-query 'echo "install ok installed"'
with_lib 'ensure_rust; echo "std=${NEXUS_BUILD_STD:-no}"'
check "Debian's compiler there: fallback again" said "std=1"
check "Debian's compiler there: apt not called" not called apt-get
