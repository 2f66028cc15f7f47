//! A generated policy as nexus-sel's compiler takes it. The bench program of the image uses
//! this file and `workload.rs` too, so that host and target answer the same questions.
use nexus_sel::authoring::{CapabilitySpec, Condition, Model, Rule, emit};
use nexus_sel::{AuditMode, Effect, Sensitivity};

use super::workload::World;

/// The compiled policy.
pub fn words(world: &World) -> Vec<u64> {
    let mut sorted: Vec<usize> = (0..world.names.len()).collect();
    sorted.sort_by_key(|at| &world.names[*at]);
    let mut position = vec![0_u32; sorted.len()];
    for (place, at) in (0..).zip(&sorted) {
        position[*at] = place;
    }
    let subjects = world.services.iter().enumerate();
    let mut model = Model {
        version: 1,
        subjects: subjects.map(|(at, s)| (format!("service-{at:05}"), s.id)).collect(),
        capabilities: sorted.iter().map(|at| spec(&world.names[*at])).collect(),
        ..Model::default()
    };
    let mut rules = Vec::new();
    for (row, service) in (0..).zip(&world.services) {
        for rule in &service.rules {
            let covered = (0..world.names.len()).filter(|name| rule.pattern.covers(*name));
            rules.push(Rule {
                effect: if rule.deny { Effect::Deny } else { Effect::Allow },
                rows: vec![row],
                caps: covered.map(|name| position[name]).collect(),
                when: Condition::default(),
            });
        }
    }
    model.fill(&rules).expect("no conditions, no crowd");
    emit(&model).expect("within the bounds")
}

fn spec(name: &str) -> CapabilitySpec {
    let (audit, sensitivity) = (AuditMode::Normal, Sensitivity::Low);
    CapabilitySpec { name: name.to_owned(), audit, sensitivity }
}
