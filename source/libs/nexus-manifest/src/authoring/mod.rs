//! `recipes/*.toml` on the host: read, checked, expanded.

mod check;
mod check_image;
mod compact;
pub mod diag;
pub mod lock;
pub mod markers;
pub mod model;
mod parse;
pub mod read;
mod routes;
mod sets;
pub mod slots;
mod units;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

pub use diag::{Diagnostic, Diagnostics, Source};
pub use lock::Lock;
pub use markers::Markers;
pub use model::System;

/// The manifest, relative to the workspace root.
pub const SYSTEM: &str = "recipes/system.toml";
/// Its lock file.
pub const LOCK: &str = "recipes/system.lock";
/// The marker list.
pub const MARKERS: &str = "recipes/markers.toml";

/// Why the recipes could not be used.
#[derive(Debug)]
pub enum LoadError {
    /// A file could not be read.
    Io(PathBuf, io::Error),
    /// A file is wrong.
    Faults(Diagnostics),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Io(path, error) => write!(f, "error: {}: {error}", path.display()),
            LoadError::Faults(faults) => faults.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Diagnostics> for LoadError {
    fn from(faults: Diagnostics) -> LoadError {
        LoadError::Faults(faults)
    }
}

/// Reads one recipe file.
///
/// # Errors
/// [`LoadError::Io`] with the path.
pub fn source(root: &Path, name: &str) -> Result<Source, LoadError> {
    let path = root.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Source { name: name.to_owned(), text }),
        Err(error) => Err(LoadError::Io(path, error)),
    }
}

impl System {
    /// Reads and checks the manifest of the workspace at `root`, against its lock file.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn load(root: &Path) -> Result<System, LoadError> {
        let lock = Lock::parse(&source(root, LOCK)?)?;
        Ok(System::parse(&source(root, SYSTEM)?, &lock)?)
    }

    /// As [`System::load`], from texts.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn parse(source: &Source, lock: &Lock) -> Result<System, Diagnostics> {
        let sink = diag::Sink::new(source);
        let mut system = parse::system(source, &sink);
        if let Some(system) = &mut system {
            check::services(system, &sink);
            check_image::devices(system, &sink);
            check_image::images(system, &sink);
            lock::check(system, lock, &sink);
            slots::assign(system, &sink);
        }
        sink.finish(system)
    }
}

impl Markers {
    /// Reads and checks the marker list of the workspace at `root`.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn load(root: &Path, system: &System) -> Result<Markers, LoadError> {
        Ok(Markers::parse(&source(root, MARKERS)?, system)?)
    }
}
