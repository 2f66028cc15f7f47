//! nexus-sel, from bytes and from handles.
use nexus_sel::{Capability, Facts, NoLimits, PackedName, Policy, Subject};

use crate::compile::words;
use crate::engine::Engine;
use crate::workload::{Question, World};

fn open(source: &[u64]) -> Policy<'static> {
    Policy::open(source.to_vec().leak()).expect("what emit wrote")
}

/// From an id and a name, as policyd gets them.
pub struct Sel(Policy<'static>);

impl Engine for Sel {
    type Source = Vec<u64>;
    type Query = (u64, String);

    fn source(world: &World) -> Vec<u64> {
        words(world)
    }

    fn load(source: &Vec<u64>) -> Self {
        Self(open(source))
    }

    fn query(&self, question: &Question) -> Self::Query {
        (question.subject, question.name.clone())
    }

    #[inline]
    fn decide(&mut self, (subject, name): &Self::Query) -> bool {
        self.0.decide(*subject, name.as_bytes(), Facts::NONE).is_allow()
    }

    fn image_bytes(source: &Vec<u64>) -> Option<usize> {
        Some(source.len() * 8)
    }
}

/// From an id and a name of the longest kind: every name of the vocabulary has 48 bytes.
pub struct Long(Sel);

impl Engine for Long {
    type Source = Vec<u64>;
    type Query = (u64, String);

    fn source(world: &World) -> Vec<u64> {
        words(&world.with_long_names())
    }

    fn load(source: &Vec<u64>) -> Self {
        Self(Sel::load(source))
    }

    fn query(&self, question: &Question) -> Self::Query {
        (question.subject, World::long_name(&question.name))
    }

    #[inline]
    fn decide(&mut self, query: &Self::Query) -> bool {
        self.0.decide(query)
    }

    fn image_bytes(source: &Vec<u64>) -> Option<usize> {
        Some(source.len() * 8)
    }
}

/// From an id and a name that was packed into words at the edge, as policyd gathers it from
/// the words of a frame.
pub struct Packed(Policy<'static>);

impl Engine for Packed {
    type Source = Vec<u64>;
    type Query = (u64, PackedName);

    fn source(world: &World) -> Vec<u64> {
        words(world)
    }

    fn load(source: &Vec<u64>) -> Self {
        Self(open(source))
    }

    fn query(&self, question: &Question) -> Self::Query {
        let name = PackedName::new(question.name.as_bytes()).expect("a name of 1 to 48 bytes");
        (question.subject, name)
    }

    #[inline]
    fn decide(&mut self, (subject, name): &Self::Query) -> bool {
        self.0.decide_packed(*subject, name, Facts::NONE, &mut NoLimits).is_allow()
    }

    fn image_bytes(source: &Vec<u64>) -> Option<usize> {
        Some(source.len() * 8)
    }
}

/// From handles looked up before, as on a channel that agreed on them.
pub struct Interned(Policy<'static>);

impl Engine for Interned {
    type Source = Vec<u64>;
    type Query = Option<(Subject, Capability)>;

    fn source(world: &World) -> Vec<u64> {
        words(world)
    }

    fn load(source: &Vec<u64>) -> Self {
        Self(open(source))
    }

    fn query(&self, question: &Question) -> Self::Query {
        Some((self.0.subject(question.subject)?, self.0.capability(question.name.as_bytes())?))
    }

    #[inline]
    fn decide(&mut self, query: &Self::Query) -> bool {
        let Some((subject, capability)) = query else { return false };
        self.0.decide_interned(*subject, *capability, Facts::NONE, &mut NoLimits).is_allow()
    }

    fn image_bytes(source: &Vec<u64>) -> Option<usize> {
        Some(source.len() * 8)
    }
}
