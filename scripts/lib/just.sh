# shellcheck shell=bash
# The command runner: the quickest source that works here.

# Known good with the justfile; newer ones are taken where a package manager decides.
readonly JUST_VERSION=1.59.0

# Directory of programs that cargo installs: on PATH wherever rustup set the machine up.
cargo_bin() { echo "${CARGO_HOME:-$HOME/.cargo}/bin"; }

# Where `just` would come from: there, apt, pip, cargo or none.
just_source() {
  if have just; then
    echo there
  elif have apt-get && apt_update >&2 && apt_offers just; then
    echo apt
  elif have python3 && python3 -m pip --version >/dev/null 2>&1; then
    echo pip
  elif have cargo; then
    echo cargo
  else
    echo none
  fi
}

# The wheel holds one self-contained program: take it out, leave no Python package behind.
just_from_pip() {
  local scratch bin
  scratch=$(mktemp -d)
  bin=$(cargo_bin)
  say "just $JUST_VERSION from the package rust-just (pip), into $bin"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$scratch" "rust-just==$JUST_VERSION" &&
    mkdir -p "$bin" &&
    install -m 755 "$scratch/bin/just" "$bin/just"
  local status=$?
  rm -rf "$scratch"
  return $status
}

just_from_cargo() {
  say "just $JUST_VERSION by cargo install (a few minutes)"
  # Outside the tree: its pinned toolchain and its .cargo/config.toml are for the image.
  (cd / && cargo install --quiet --locked --version "$JUST_VERSION" just)
}

ensure_just() {
  # An earlier run may have put it where this shell does not look.
  have just || PATH="$(cargo_bin):$PATH"
  case "$(just_source)" in
    there) say "just is there" ;;
    apt) apt_install just ;;
    pip) just_from_pip || just_from_cargo ;;
    cargo) just_from_cargo ;;
    none) fail "no just, and neither apt, pip nor cargo to get it with" ;;
  esac
  have just || fail "just was installed but is not on PATH"
}
