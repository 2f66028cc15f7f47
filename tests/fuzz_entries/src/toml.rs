//! Recipe files as somebody typed them.
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
    match compile(registry, vec![Input::new("base.toml", rules)], &system()) {
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

/// Services the shipped rules speak about.
fn system() -> SystemNames {
    let services = [
        ("nexus-init", 1),
        ("policyd", 2),
        ("logd", 3),
        ("selftest-client", 20),
        ("selftest-peer", 21),
        ("bench-client", 30),
        ("bench-server", 31),
        ("probe", 900),
    ];
    let providers = ["nexus-init", "policyd", "logd", "selftest-peer", "bench-server"];
    let services = services.map(|(name, id)| (name.to_owned(), id)).to_vec();
    SystemNames::new(services, providers.map(str::to_owned).to_vec())
}
