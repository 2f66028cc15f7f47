//! The policy that ships, and what hostile hands can do to its blob.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
use std::path::{Path, PathBuf};

use nexus_manifest::authoring::System;
use nexus_sel::authoring::{Compiled, Input, SystemNames, compile_dir, expect, from_bytes, reemit};
use nexus_sel::{Facts, Policy, Reason};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn manifest() -> System {
    System::load(&root()).unwrap_or_else(|faults| panic!("\n{faults}"))
}

/// The names and ids of the real manifest, as the image builder hands them over.
fn system() -> SystemNames {
    let manifest = manifest();
    let services = manifest.services.iter().map(|s| (s.name.value.clone(), s.id.value)).collect();
    let providers = manifest.services.iter().filter(|s| s.provides.is_some());
    SystemNames::new(services, providers.map(|s| s.name.value.clone()).collect()).with_bundles()
}

fn real() -> Compiled {
    let dir = root().join("recipes/policy");
    let mut built = compile_dir(&dir, &system()).unwrap_or_else(|errors| panic!("\n{errors}"));
    let report = expect::run_dir(&built, &dir.join("tests"));
    built.lint_tests(&report);
    built
}

#[test]
fn compiles_without_warnings_and_fits() {
    let real = real();
    assert!(real.warnings.items.is_empty(), "\n{}", real.warnings);
    assert!(real.blob.len() < 8 * 1024, "{} bytes", real.blob.len());
    assert_eq!(from_bytes(&real.blob).unwrap(), real.words);
    println!("blob: {} bytes, {} rules", real.blob.len(), real.rules.len());
}

#[test]
fn decides() {
    let real = real();
    let policy = real.policy().unwrap();
    let bring_up = policy.fact(b"bring-up").unwrap();
    assert_eq!(bring_up.owner, 1);
    let on = Facts { bits: bring_up.mask, ..Facts::NONE };
    for (subject, capability, facts, expected) in [
        (20, "audit.read", Facts::NONE, Reason::Allowed),
        (20, "crypto.sign", Facts::NONE, Reason::Allowed),
        (21, "crypto.sign", Facts::NONE, Reason::NotPermitted),
        (20, "fs.read", Facts::NONE, Reason::Allowed),
        (20, "fs.verify", Facts::NONE, Reason::DeniedByRule),
        (20, "device.key.reload", Facts::NONE, Reason::GateClosed),
        (20, "device.key.reload", on, Reason::Allowed),
        (20, "route.bench-server", Facts::NONE, Reason::NotPermitted),
        (20, "fs.delete", Facts::NONE, Reason::UnknownCapability),
        (99, "ipc.core", Facts::NONE, Reason::UnknownSubject),
        (0, "ipc.core", Facts::NONE, Reason::UnknownSubject),
        (20, "", Facts::NONE, Reason::UnknownCapability),
    ] {
        let decision = policy.decide(subject, capability.as_bytes(), facts);
        assert_eq!(decision.reason(), expected, "{subject} {capability}");
        assert_eq!(decision.is_allow(), expected == Reason::Allowed);
    }
    assert_eq!(policy.subject_id(b"logd"), Some(3));
    assert_eq!(policy.subject_name(20).unwrap().as_str(), "selftest-client");
    assert_eq!(policy.subject_id(b"logd\0"), None);
}

/// Every channel the manifest declares is allowed, and nothing else a manifest could wire up.
#[test]
fn routes_are_those_of_the_manifest() {
    let (manifest, real) = (manifest(), real());
    let policy = real.policy().unwrap();
    let providers = manifest.services.iter().filter(|service| service.provides.is_some());
    let providers: Vec<&str> = providers.map(|service| service.name.value.as_str()).collect();
    let mut allowed = 0;
    for service in &manifest.services {
        assert_eq!(policy.subject_id(service.name.value.as_bytes()), Some(service.id.value));
        let calls = service.calls.iter().map(|call| &manifest.services[call.value].name.value);
        let calls: Vec<&String> = calls.collect();
        for provider in &providers {
            let route = format!("route.{provider}");
            let decision = policy.decide(service.id.value, route.as_bytes(), Facts::NONE);
            // The supervisor makes the channels; it holds its own without asking.
            let supervisor =
                service.name.value == manifest.services[manifest.supervisor].name.value;
            let expected = calls.iter().any(|call| call.as_str() == *provider) && !supervisor;
            assert_eq!(decision.is_allow(), expected, "{} {route}", service.name.value);
            allowed += usize::from(expected);
        }
    }
    assert!(allowed >= 5, "{allowed} routes");
}

#[test]
fn reemits_byte_identical() {
    let real = real();
    let policy = real.policy().unwrap();
    assert_eq!(reemit(&policy).unwrap(), real.words);
    assert_eq!(self::real().blob, real.blob, "same input, same bytes");
    let _ = Policy::open(&real.words).unwrap();
}

#[test]
fn expected_decisions_hold_and_touch_every_rule() {
    let report = expect::run_dir(&real(), &root().join("recipes/policy/tests"));
    assert!(report.asked > 40 && report.faults.items.is_empty(), "\n{}", report.faults);
    assert!(report.untested.is_empty(), "no test touches {:#?}", report.untested);
}

#[test]
fn test_reject_unmet_and_misspelled_expectations() {
    for (code, text) in [
        ("expectation-failed", "[[expect]]\nsubject = \"logd\"\nallow = [\"audit.read\"]\n"),
        ("expectation-failed", "[[expect]]\nsubject = \"logd\"\ndeny = [\"ipc.core\"]\n"),
        ("unknown-key", "[[expect]]\nsubject = \"logd\"\nalow = [\"ipc.core\"]\n"),
        ("unknown-key", "[[expct]]\n"),
        ("unknown-fact", "[[expect]]\nsubject = \"logd\"\nfacts = [\"dusk\"]\n"),
        ("unknown-value", "[[expect]]\nsubject = \"logd\"\nreason = \"because\"\n"),
        ("missing-key", "[[expect]]\nallow = [\"ipc.core\"]\n"),
    ] {
        let report = expect::run(&real(), vec![Input::new("t.toml", text)]);
        let codes: Vec<&str> = report.faults.items.iter().map(|item| item.code).collect();
        assert_eq!(codes, [code], "\n{}", report.faults);
    }
}
