# shellcheck shell=bash
# The compiler for the image: rustup's, or Debian's with the core library built from source.

# A rustup that cannot reach its server must not hang the set-up.
readonly RUSTUP_LIMIT=${RUSTUP_LIMIT:-300}

# True if the compiler that answers here has the OS target's core library.
have_os_target() {
  local dir
  dir=$(rustc --print target-libdir --target "$OS_TARGET" 2>/dev/null) || return 1
  [ -n "$dir" ] && ls "$dir"/libcore-*.rlib >/dev/null 2>&1
}

# The pinned toolchain is what `rustc` in this directory answers for; rustup fetches it.
ensure_pinned_toolchain() {
  rustc --version >/dev/null 2>&1 || timeout "$RUSTUP_LIMIT" rustup toolchain install
}

# What to do about the compiler: there, rustup, debian or none.
rust_source() {
  if have rustc && have_os_target; then
    echo there
  elif have rustup; then
    echo rustup
  elif have apt-get; then
    echo debian
  else
    echo none
  fi
}

rust_from_rustup() {
  say "rustup: the pinned toolchain and its target $OS_TARGET"
  ensure_pinned_toolchain && timeout "$RUSTUP_LIMIT" rustup target add "$OS_TARGET" && have_os_target
}

# Debian's own compiler, its library sources and its linker: rust-lld is a link to an lld of some
# version, which is only recommended.
debian_compiler() {
  local package linker packages=(rustc-web cargo-web rust-web-src rust-web-llvm)
  if ! apt_has "${packages[@]}"; then
    have apt-get || return 1
    apt_update
    for package in "${packages[@]}"; do
      apt_offers "$package" || return 1
    done
    apt_install "${packages[@]}" || return 1
  fi
  linker=$(readlink "${DEBIAN_BIN:-/usr/bin}/rust-lld") || return 0
  apt_has "${linker##*/}" || apt_install "${linker##*/}"
}

# Debian's compiler stands beside rustup, first on PATH for what
# this script runs; `nx image` then builds core and alloc itself.
rust_from_debian() {
  local shims
  debian_compiler || return 1
  shims=${NEXUS_SHIMS:-$PWD/build/debian-rust}
  mkdir -p "$shims"
  ln -sfn "${DEBIAN_BIN:-/usr/bin}"/rustc "${DEBIAN_BIN:-/usr/bin}"/cargo \
    "${DEBIAN_BIN:-/usr/bin}"/rustdoc "$shims"
  export PATH="$shims:$PATH" NEXUS_BUILD_STD=1
  say "fallback: Debian's compiler, core built from source"
  say "for your own shell: export NEXUS_BUILD_STD=1 PATH=$shims:\$PATH"
}

ensure_rust() {
  case "$(rust_source)" in
    there) say "Rust with the target $OS_TARGET is there" ;;
    rustup)
      rust_from_rustup && return 0
      say "rustup cannot add $OS_TARGET here"
      rust_from_debian || fail "no way to a compiler for $OS_TARGET: rustup and apt both failed"
      ;;
    debian) rust_from_debian || fail "no rustup, and apt does not offer rustc-web" ;;
    none) fail "no rustup and no apt-get here: install Rust with the target $OS_TARGET yourself" ;;
  esac
}
