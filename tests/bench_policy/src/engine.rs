//! What every engine under test can do, and the one loop that is timed and counted.
use std::hint::black_box;

use crate::workload::{Question, World};

/// A policy engine in one form.
pub trait Engine: Sized {
    /// The policy as this engine loads it; making it is not measured.
    type Source;
    /// A question as this engine takes it. Making it is measured in the rows that start from
    /// an id and a name, see [`Fresh`].
    type Query;

    /// Writes the policy in the engine's form.
    fn source(world: &World) -> Self::Source;
    /// Loads it, until questions can be asked.
    fn load(source: &Self::Source) -> Self;
    /// Prepares a question.
    fn query(&self, question: &Question) -> Self::Query;
    /// Answers it.
    fn decide(&mut self, query: &Self::Query) -> bool;
    /// Bytes of a finished form that is used in place, where there is one.
    fn image_bytes(_: &Self::Source) -> Option<usize> {
        None
    }
}

/// One decision behind a call of its own, the same for every engine: nothing of it can be
/// moved out of the loop or kept for the next, and with an empty body all of this remains.
#[inline(never)]
fn once<E: Engine>(engine: &mut E, query: &E::Query) -> bool {
    black_box(engine.decide(black_box(query)))
}

/// The measured loop. It stays out of line and holds no closure, so that callgrind can be
/// told to count it by name.
#[inline(never)]
pub fn decision_loop<E: Engine>(engine: &mut E, queries: &[E::Query], rounds: usize) -> usize {
    let mut allowed = 0;
    for query in queries.iter().cycle().take(rounds) {
        allowed += usize::from(once(engine, query));
    }
    allowed
}

/// An engine asked from an id and a name: its request is built within the decision, as a
/// daemon would have to for every message.
pub struct Fresh<E>(E);

impl<E: Engine> Engine for Fresh<E> {
    type Source = E::Source;
    type Query = Question;

    fn source(world: &World) -> E::Source {
        E::source(world)
    }

    fn load(source: &E::Source) -> Self {
        Self(E::load(source))
    }

    fn query(&self, question: &Question) -> Question {
        question.clone()
    }

    #[inline]
    fn decide(&mut self, question: &Question) -> bool {
        let query = self.0.query(question);
        self.0.decide(&query)
    }
}
