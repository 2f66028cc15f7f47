//! Policies for the test image to load: the tree's own policy with a small overlay, compiled
//! and signed like any other, then spoilt in one way each.

use std::{fs, path::Path};

use nexus_manifest::authoring::System;
use nexus_sel::authoring::{
    self, Compiled, Input, REGISTRY, SystemNames, compile, emit, from_bytes, to_bytes,
};

use crate::signing::Signer;

/// The policy of the tree.
pub const POLICY_DIR: &str = "recipes/policy";
/// What the next policy has in addition.
pub const OVERLAY_DIR: &str = "recipes/policy-reload-test";
/// Seed of a key nobody trusts: not a secret, and not in `recipes/keys/`.
const FOREIGN: &[u8; 32] = b"a key that no image ever trusted";

/// What the policy of this system may name: its services, those that provide a protocol, and
/// installed bundles.
#[must_use]
pub fn policy_names(system: &System) -> SystemNames {
    let services = system.services.iter().map(|s| (s.name.value.clone(), s.id.value)).collect();
    let providers = system.services.iter().filter(|s| s.provides.is_some());
    SystemNames::new(services, providers.map(|s| s.name.value.clone()).collect()).with_bundles()
}

/// The file a service is granted under this name.
///
/// # Errors
/// Why there is none.
pub fn candidate(root: &Path, names: &SystemNames, name: &str) -> Result<Vec<u8>, String> {
    let base = read_dirs(root, &[POLICY_DIR], names)?;
    let first = base.model.version;
    let changed = read_dirs(root, &[POLICY_DIR, OVERLAY_DIR], names)?;
    let signer = Signer::bring_up(root)?;
    let next = || signer.sign(&versioned(&changed, first + 1)?);
    // Newer than the next one, so that age is never the reason for which it is refused.
    let newer = versioned(&changed, first + 2)?;
    match name {
        "policy-next" => next(),
        "policy-older" => signer.sign(&base.blob),
        "policy-foreign" => Signer::from_seed(FOREIGN).sign(&newer),
        "policy-unsigned" => Ok(newer),
        "policy-forged" => forged(&newer, &next()?),
        "policy-flipped" => {
            let mut blob = signer.sign(&newer)?;
            let last = blob.last_mut().ok_or("an empty policy")?;
            *last ^= 1;
            Ok(blob)
        }
        "policy-truncated" => {
            let mut blob = signer.sign(&newer)?;
            blob.truncate(blob.len() / 2);
            Ok(blob)
        }
        _ => Err(format!("no file `{name}`: known are policy-{{next,older,foreign,…}}")),
    }
}

/// The signature and key of `signed`, over other content.
fn forged(blob: &[u8], signed: &[u8]) -> Result<Vec<u8>, String> {
    let words = from_bytes(blob).ok_or("not whole words")?;
    let signed = from_bytes(signed).ok_or("not whole words")?;
    let policy = nexus_sel::Policy::open(&signed).map_err(|e| e.to_string())?;
    let (key, signature) = policy.signature().ok_or("not signed")?;
    Ok(to_bytes(&nexus_sel::with_signature(&words, &key, &signature)))
}

fn versioned(compiled: &Compiled, version: u64) -> Result<Vec<u8>, String> {
    let mut model = compiled.model.clone();
    model.version = version;
    emit(&model).map(|words| to_bytes(&words)).map_err(|e| e.to_string())
}

/// Compiles the rules of several directories as one policy; the first has the registry.
fn read_dirs(root: &Path, dirs: &[&str], names: &SystemNames) -> Result<Compiled, String> {
    let read = |path: &Path| {
        let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok::<_, String>(Input::new(path.display().to_string(), bytes))
    };
    let (mut registry, mut rules) = (None, Vec::new());
    for dir in dirs {
        let dir = root.join(dir);
        let listed = fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut paths: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "toml") && path.is_file());
        paths.sort();
        for path in paths {
            if path.file_name().is_some_and(|name| name == REGISTRY) {
                registry = Some(read(&path)?);
            } else {
                rules.push(read(&path)?);
            }
        }
    }
    let registry = registry.ok_or_else(|| format!("{POLICY_DIR} has no {REGISTRY}"))?;
    compile(registry, rules, names).map_err(|faults: authoring::Diagnostics| faults.to_string())
}
