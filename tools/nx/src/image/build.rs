//! One cargo invocation for every program of an image.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

/// The only target programs of the image are built for.
const TARGET: &str = "riscv64imac-unknown-none-elf";
/// Set to 1 for compilers that come without that target: core and alloc are built from source.
const BUILD_STD: &str = "NEXUS_BUILD_STD";

/// A built program.
pub(super) struct Program {
    pub(super) package: String,
    pub(super) elf: Vec<u8>,
}

/// What cargo says about each thing it made; other messages have none of these fields.
#[derive(Deserialize)]
struct Artifact {
    #[serde(default)]
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
struct Target {
    name: String,
}

/// Builds the binaries of `packages`; cargo's progress and errors go to the terminal.
pub(super) fn build(root: &Path, packages: &[&str]) -> Result<Vec<Program>, String> {
    let output = command(root, packages)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    if !output.status.success() {
        return Err("a program of the image does not build".to_owned());
    }
    let made = executables(&String::from_utf8_lossy(&output.stdout));
    let mut programs = Vec::new();
    for package in packages {
        let Some((_, path)) = made.iter().find(|(name, _)| name == package) else {
            return Err(format!("package `{package}` has no binary of that name"));
        };
        let elf = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        programs.push(Program { package: (*package).to_owned(), elf });
    }
    Ok(programs)
}

/// Names and paths of the executables in cargo's JSON messages.
pub(super) fn executables(messages: &str) -> Vec<(String, PathBuf)> {
    let artifacts = messages.lines().filter_map(|l| serde_json::from_str::<Artifact>(l).ok());
    artifacts.filter_map(|a| Some((a.target.name, a.executable?))).collect()
}

fn command(root: &Path, packages: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--profile", "os", "--target", TARGET]);
    cargo.arg("--message-format=json-render-diagnostics");
    for package in packages {
        cargo.args(["-p", package]);
    }
    cargo.arg("--config").arg(remap(root));
    // What cargo set for nx itself must not reach the programs.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if env::var_os(BUILD_STD).is_some_and(|v| v == "1") {
        cargo.args(["-Zbuild-std=core,alloc", "-Zbuild-std-features=compiler-builtins-mem"]);
        cargo.env("RUSTC_BOOTSTRAP", "1");
    }
    cargo
}

/// Panic messages name source files: without this the image would hold, and depend on, the
/// folders of the machine it was built on. Of several that match, the compiler takes the last.
fn remap(root: &Path) -> String {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=.", root.display())];
    // Sources of core and alloc, when they are built.
    let sysroot = Command::new("rustc").current_dir(root).args(["--print", "sysroot"]).output();
    if let Some(sysroot) = sysroot.ok().and_then(|o| String::from_utf8(o.stdout).ok()) {
        flags.push(format!("--remap-path-prefix={}=rust", sysroot.trim()));
    }
    if let Some(home) = home {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
        let registries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
        let mut registries: Vec<PathBuf> = registries.map(|entry| entry.path()).collect();
        registries.sort();
        flags.extend(
            registries.iter().map(|r| format!("--remap-path-prefix={}=crates", r.display())),
        );
    }
    format!("target.{TARGET}.rustflags={}", serde_json::Value::from(flags))
}
