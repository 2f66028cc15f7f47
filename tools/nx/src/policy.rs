//! The policy of an image: compiled from `recipes/policy/`, checked against the manifest.

use std::path::Path;

use boot_image::{candidates::candidate, signing::Signer};

pub(crate) use boot_image::candidates::policy_names as names;
use nexus_manifest::authoring::{System, model::Image};
use nexus_sel::{Facts, Policy, authoring};

/// Where the policy is written, relative to the workspace root.
pub(crate) const POLICY_DIR: &str = "recipes/policy";

/// Compiles and signs the policy, and proves that it and the manifest agree about every route.
pub(crate) fn compile(root: &Path, system: &System) -> Result<Vec<u8>, String> {
    let compiled = authoring::compile_dir(&root.join(POLICY_DIR), &names(system))
        .map_err(|faults| refusal(&faults.to_string()))?;
    let warnings = compiled.warnings.to_string();
    if !warnings.is_empty() {
        eprintln!("{warnings}");
    }
    check_routes(system, &compiled.blob)?;
    Signer::bring_up(root)?.sign(&compiled.blob)
}

/// The files that services of `image` are granted, by name.
pub(crate) fn files(
    root: &Path,
    system: &System,
    image: &Image,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let names = names(system);
    let made = |name: &str| Ok((name.to_owned(), candidate(root, &names, name)?));
    system.files(image).into_iter().map(made).collect()
}

fn check_routes(system: &System, blob: &[u8]) -> Result<(), String> {
    let words = authoring::from_bytes(blob).ok_or("the compiled policy is not whole words")?;
    let policy =
        Policy::open(&words).map_err(|e| format!("the compiled policy is refused: {e:?}"))?;
    let permits = |from: u64, to: &str| {
        policy.decide(from, format!("route.{to}").as_bytes(), Facts::NONE).is_allow()
    };
    system.check_routes(&permits).map_err(|faults| faults.to_string())
}

fn refusal(faults: &str) -> String {
    if faults.is_empty() {
        return format!(
            "{POLICY_DIR}: the policy did not compile, and no image is made without one"
        );
    }
    faults.to_owned()
}
