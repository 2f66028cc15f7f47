//! Instructions per decision. Run under `valgrind --tool=callgrind` (or `--tool=none` with a
//! counter) with two values of ROUNDS: the difference of the totals is the decisions' own.
//!
//! `decide_cost SUBJECTS ROUNDS [string|interned|unknown|long|empty]`
//! `empty` measures the loop and the call alone (18). Measured with rustc 1.95 less the loop, at 10
//! and 10 000 subjects alike: string 76, interned 18, unknown 97, long (48 bytes) 143. On rv64imac
//! see the rows `policy_decide.*` of tests/bench/budget.toml.
#![allow(clippy::arithmetic_side_effects, reason = "a measuring tool")]
use nexus_sel::authoring::{CapabilitySpec, Condition, Model, Rule, emit};
use nexus_sel::{AuditMode, Effect, Facts, NoLimits, Policy, Sensitivity};

const CAPABILITIES: usize = 256;

/// Names like the real ones: 8 to 16 bytes; `long` makes them 48.
fn name(index: usize, long: bool) -> String {
    const VERBS: [&str; 8] =
        ["read", "write", "verify", "keygen", "admin", "query", "delegate", "sign"];
    let verb = VERBS.get(index % 8).copied().unwrap_or("x");
    let short = format!("dev{:02x}.{verb}", index / 8);
    if long { format!("{short:-<48}") } else { short }
}

fn model(subjects: usize, long: bool) -> Result<Model, String> {
    let mut capabilities: Vec<CapabilitySpec> = (0..CAPABILITIES)
        .map(|index| CapabilitySpec {
            name: name(index, long),
            audit: AuditMode::Normal,
            sensitivity: Sensitivity::Low,
        })
        .collect();
    capabilities.sort_by(|a, b| a.name.cmp(&b.name));
    let mut model = Model {
        version: 1,
        subjects: (0..subjects).map(|i| (format!("service-{i:05}"), id(i))).collect(),
        capabilities,
        ..Model::default()
    };
    let rules: Vec<Rule> = (0..subjects as u32)
        .flat_map(|row| {
            (0..10).map(move |k| Rule {
                effect: if k == 9 { Effect::Deny } else { Effect::Allow },
                rows: vec![row],
                caps: vec![(row * 31 + k * k * 7 + k) % CAPABILITIES as u32],
                when: Condition::default(),
            })
        })
        .collect();
    model.fill(&rules).map_err(|fault| format!("conditions: {fault:?}"))?;
    Ok(model)
}

fn id(index: usize) -> u64 {
    (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn main() -> Result<(), String> {
    let mut args = std::env::args().skip(1);
    let subjects: usize = args.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let rounds: usize = args.next().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let kind = args.next().unwrap_or_else(|| "string".to_owned());
    let model = model(subjects, kind == "long")?;
    let words = emit(&model).map_err(|fault| format!("unsound model: {fault:?}"))?;
    let policy = Policy::open(&words).map_err(|fault| format!("what emit wrote: {fault:?}"))?;
    let questions: Vec<(u64, Vec<u8>)> = (0..4_096_usize)
        .map(|i| {
            let subject = if kind == "unknown" { 5 } else { id(i * 7 % subjects) };
            (subject, name(i * 13 % CAPABILITIES, kind == "long").into_bytes())
        })
        .collect();
    let handles: Vec<_> = questions
        .iter()
        .filter_map(|(subject, name)| Some((policy.subject(*subject)?, policy.capability(name)?)))
        .collect();
    let mut allowed = 0_usize;
    if kind == "empty" {
        for (subject, capability) in questions.iter().cycle().take(rounds) {
            allowed += usize::from(nothing(&policy, *subject, capability));
        }
    } else if kind == "interned" {
        for (subject, capability) in handles.iter().cycle().take(rounds) {
            let decision =
                policy.decide_interned(*subject, *capability, Facts::NONE, &mut NoLimits);
            allowed += usize::from(decision.is_allow());
        }
    } else {
        for (subject, capability) in questions.iter().cycle().take(rounds) {
            let decision = decide(&policy, *subject, capability);
            allowed += usize::from(decision);
        }
    }
    println!("{subjects} subjects, {rounds} {kind} decisions, {allowed} allowed");
    Ok(())
}

/// Kept out of line, so that the count includes the call a daemon would make.
#[inline(never)]
fn decide(policy: &Policy<'_>, subject: u64, capability: &[u8]) -> bool {
    policy.decide(subject, capability, Facts::NONE).is_allow()
}

#[inline(never)]
fn nothing(policy: &Policy<'_>, subject: u64, capability: &[u8]) -> bool {
    std::hint::black_box(policy);
    subject == capability.len() as u64
}
