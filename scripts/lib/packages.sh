# shellcheck shell=bash
# Debian packages: only what is missing, package lists fetched only when something is.

apt_updated=no

# Fetches package lists once per run.
apt_update() {
  [ "$apt_updated" = no ] || return 0
  say "apt-get update (package lists)"
  as_root apt-get update -qq
  apt_updated=yes
}

# True if every one of these packages is installed.
apt_has() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || return 1
  done
}

# True if the archive offers the package.
apt_offers() {
  local candidate
  candidate=$(apt-cache policy "$1" 2>/dev/null | awk '/Candidate:/ { print $2 }')
  [ -n "$candidate" ] && [ "$candidate" != '(none)' ]
}

apt_install() {
  say "apt-get install $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# The package that brings qemu-system-riscv64: its own on newer releases, `misc` on older ones.
qemu_package() {
  if apt_offers qemu-system-riscv; then echo qemu-system-riscv; else echo qemu-system-misc; fi
}

# OpenSBI as QEMU's `-bios default` looks for it.
have_opensbi() {
  local dir
  for dir in ${OPENSBI_DIRS:-/usr/share/qemu /usr/local/share/qemu /usr/lib/riscv64-linux-gnu/opensbi/generic}; do
    [ ! -e "$dir/opensbi-riscv64-generic-fw_dynamic.bin" ] && [ ! -e "$dir/fw_dynamic.bin" ] || return 0
  done
  return 1
}

# QEMU for riscv64 with its firmware, to boot the image.
ensure_qemu() {
  if have qemu-system-riscv64 && have_opensbi; then
    say "QEMU for riscv64 and OpenSBI are there"
    return 0
  fi
  have apt-get || fail "no apt-get here: install qemu-system-riscv64 and OpenSBI yourself, then run this again"
  apt_update
  apt_install "$(qemu_package)" opensbi
}

# A C compiler driver: rustc links host programs with it.
ensure_linker() {
  if have cc; then
    say "a linker (cc) is there"
    return 0
  fi
  have apt-get || fail "no cc and no apt-get here: install a C compiler yourself, then run this again"
  apt_update
  apt_install gcc libc6-dev
}
