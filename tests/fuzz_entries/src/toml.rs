//! Recipe files as somebody typed them.
use std::{path::Path, sync::LazyLock};

use boot_image::candidates::policy_names;
use nexus_manifest::authoring::System;
use nexus_sel::Policy;
use nexus_sel::authoring::{Diagnostics, Input, SystemNames, compile};

const REGISTRY: &str = include_str!("../../../recipes/policy/capabilities.toml");
const BASE: &str = include_str!("../../../recipes/policy/base.toml");

/// A rule file: diagnostics, or a policy that opens; never part of a policy.
pub fn policy_toml(bytes: &[u8]) {
    attempt(REGISTRY.as_bytes(), bytes);
}

/// The registry, beside the rules that ship.
pub fn registry_toml(bytes: &[u8]) {
    attempt(bytes, BASE.as_bytes());
}

fn attempt(registry: &[u8], rules: &[u8]) {
    let registry = Input::new("capabilities.toml", registry);
    match compile(registry, vec![Input::new("base.toml", rules)], system()) {
        Ok(compiled) => {
            let policy = Policy::open(&compiled.words).expect("what the compiler wrote");
            assert_eq!(policy.rule_count() as usize, compiled.rules.len());
            assert!(!compiled.warnings.has_errors());
            readable(&compiled.warnings);
        }
        Err(found) => {
            assert!(found.has_errors(), "refused without a reason");
            readable(&found);
        }
    }
}

/// Every message can be shown.
fn readable(found: &Diagnostics) {
    assert!(found.items.is_empty() || !found.to_string().is_empty());
}

/// What the shipped rules may name: the services of this tree.
pub fn system() -> &'static SystemNames {
    static NAMES: LazyLock<SystemNames> = LazyLock::new(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        policy_names(&System::load(&root).expect("recipes/system.toml"))
    });
    &NAMES
}
