//! What every OS binary's build script does: link the program at the base that the manifest
//! gives its package. On the host it emits nothing.
#![forbid(unsafe_code)]

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use nexus_manifest::authoring::{self, LoadError, System};

/// Linker script of every service, relative to the workspace root.
const SCRIPT: &str = "source/libs/nexus-build/service.ld";

/// Why a program cannot be linked.
#[derive(Debug)]
pub enum BuildError {
    /// Not called from a build script.
    NoBuildScript,
    /// No directory above the package holds `recipes/system.toml`.
    NoWorkspace,
    /// The manifest is wrong.
    Manifest(LoadError),
    /// No stanza has this package.
    NoStanza(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::NoBuildScript => f.write_str("error: not called from a build script"),
            BuildError::NoWorkspace => {
                write!(f, "error: no {} here or in a directory above", authoring::SYSTEM)
            }
            BuildError::Manifest(error) => error.fmt(f),
            BuildError::NoStanza(package) => {
                write!(f, "error: no service in {} has package `{package}`", authoring::SYSTEM)
            }
        }
    }
}

impl std::error::Error for BuildError {}

/// For the `main` of a build script; a fault stops the build with its place in the recipe.
pub fn service() {
    if let Err(error) = emit() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn emit() -> Result<(), BuildError> {
    let variable = |name| env::var(name).map_err(|_| BuildError::NoBuildScript);
    let package = variable("CARGO_PKG_NAME")?;
    let root = workspace_root(Path::new(&variable("CARGO_MANIFEST_DIR")?))?;
    println!("cargo::rerun-if-changed=build.rs");
    if variable("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    for file in [authoring::SYSTEM, authoring::LOCK, SCRIPT] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    let system = System::load(&root).map_err(BuildError::Manifest)?;
    let base = link_base(&system, &package)?;
    println!("cargo::rustc-link-arg-bins=-T{}", root.join(SCRIPT).display());
    println!("cargo::rustc-link-arg-bins=--defsym=NEXUS_BASE={base:#x}");
    Ok(())
}

/// Where the binary of `package` is linked.
///
/// # Errors
/// [`BuildError::NoStanza`] if the manifest does not know the package.
pub fn link_base(system: &System, package: &str) -> Result<u64, BuildError> {
    let at = system.services.iter().position(|s| s.package == package);
    at.map(System::link_base).ok_or_else(|| BuildError::NoStanza(package.to_owned()))
}

/// The nearest directory at or above `from` that holds the manifest.
///
/// # Errors
/// [`BuildError::NoWorkspace`] if there is none.
pub fn workspace_root(from: &Path) -> Result<PathBuf, BuildError> {
    let found = from.ancestors().find(|dir| dir.join(authoring::SYSTEM).is_file());
    found.map(Path::to_path_buf).ok_or(BuildError::NoWorkspace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_its_own_base() {
        let root = workspace_root(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let system = System::load(&root).unwrap_or_else(|e| panic!("{e}"));
        let bases: Vec<u64> =
            system.services.iter().map(|s| link_base(&system, &s.package).unwrap()).collect();
        assert_eq!(bases[0], 0x1000_0000);
        assert!(bases.windows(2).all(|w| w[1] - w[0] == 64 << 20));
        assert!(matches!(link_base(&system, "nobody"), Err(BuildError::NoStanza(_))));
    }
}
