//! From `recipes/policy/*.toml` to the blob (host only).
mod emit;
mod model;
mod reopen;

use std::path::Path;

pub use emit::{EmitError, emit, from_bytes, reemit, to_bytes};
pub use model::{CapabilitySpec, Cell, Condition, Crowded, Link, Model, Rule};

/// Names the policy may mention, taken from the boot manifest by the caller.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SystemNames {
    /// Every service: name and assigned id.
    pub services: Vec<(String, u64)>,
    /// Services that provide an endpoint: `route.<name>` exists for each.
    pub providers: Vec<String>,
    /// Subject classes: name and id range (installed bundles).
    pub classes: Vec<(String, u64, u64)>,
}

impl SystemNames {
    /// Services with ids, and those of them that answer calls.
    #[must_use]
    pub fn new(services: Vec<(String, u64)>, providers: Vec<String>) -> Self {
        Self { services, providers, classes: Vec::new() }
    }
}

/// A finished policy.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The blob; a multiple of eight bytes.
    pub blob: Vec<u8>,
    /// Rendered warnings.
    pub warnings: Diagnostics,
}

/// Findings with place and remedy; `Display` renders them all.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {}

impl core::fmt::Display for Diagnostics {
    fn fmt(&self, _f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Compiles the policy tree.
///
/// # Errors
/// Every error of every file, in one run.
pub fn compile_dir(policy_dir: &Path, system: &SystemNames) -> Result<Compiled, Diagnostics> {
    let _ = (policy_dir, system);
    Err(Diagnostics::default())
}
