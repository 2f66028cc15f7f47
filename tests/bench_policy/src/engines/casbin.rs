//! casbin: grants as role links, as policy lines, and lines behind its cache of answers.
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use casbin::{
    CachedApi, CachedEnforcer, CoreApi, DefaultCache, DefaultModel, Enforcer, MemoryAdapter,
    MgmtApi, Model,
};

use super::regorus::{Row, rows};
use crate::engine::Engine;
use crate::workload::{QUESTIONS, Question, World};

/// Nothing here waits for anything: the interface is async, the memory adapter is not.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

fn model(request: &str, policy: &str, effect: &str, matcher: &str) -> DefaultModel {
    let mut model = DefaultModel::default();
    model.add_def("r", "r", request);
    model.add_def("p", "p", policy);
    model.add_def("e", "e", effect);
    model.add_def("m", "m", matcher);
    model
}

/// casbin's own tables: every grant and denial is a role link, which its role manager finds by
/// hash; there is no policy line, so the matcher runs once.
pub struct Linked<E>(E);

/// The plain enforcer.
pub type Links = Linked<Enforcer>;
/// The same behind casbin's cache of answers, every question asked before.
pub type Cached = Linked<CachedEnforcer>;

/// What differs between the two.
pub trait Warm: CoreApi + MgmtApi {
    /// Once, before any question.
    fn prepare(&mut self) {}
    /// For every question, before it is measured.
    fn warm(&self, _: (&str, &str, &str)) {}
}

impl Warm for Enforcer {}

impl Warm for CachedEnforcer {
    /// Its own bound is 200 answers: a round over more questions would never find one.
    fn prepare(&mut self) {
        self.set_cache(Box::new(DefaultCache::new(4 * QUESTIONS)));
    }

    fn warm(&self, asked: (&str, &str, &str)) {
        let _ = self.enforce(asked);
    }
}

impl<E: Warm> Engine for Linked<E> {
    type Source = Vec<Row>;
    type Query = (String, String, String);

    fn source(world: &World) -> Vec<Row> {
        rows(world)
    }

    fn load(source: &Vec<Row>) -> Self {
        let matcher = "g(r.sub, r.act) && !g(r.sub, r.no)";
        let mut model =
            model("sub, act, no", "sub, act, no", "some(where (p.eft == allow))", matcher);
        model.add_def("g", "g", "_, _");
        let mut enforcer = now(E::new(model, MemoryAdapter::default())).expect("a sound model");
        enforcer.prepare();
        let mut links = Vec::new();
        for row in source {
            let id = row.id.to_string();
            let allow = row.allow.iter().map(|name| vec![id.clone(), format!("+{name}")]);
            links.extend(allow);
            links.extend(row.deny.iter().map(|name| vec![id.clone(), format!("-{name}")]));
        }
        now(enforcer.add_grouping_policies(links)).expect("new links");
        Self(enforcer)
    }

    fn query(&self, question: &Question) -> Self::Query {
        let name = &question.name;
        let query = (question.subject.to_string(), format!("+{name}"), format!("-{name}"));
        self.0.warm((&query.0, &query.1, &query.2));
        query
    }

    #[inline]
    fn decide(&mut self, (subject, grant, denial): &Self::Query) -> bool {
        let asked = (subject.as_str(), grant.as_str(), denial.as_str());
        self.0.enforce(asked).unwrap_or(false)
    }
}

/// One policy line per rule, deny overrides, families by `keyMatch`.
pub struct Lines(Enforcer);

type Written = (Vec<Vec<String>>, Vec<String>);

fn lines(world: &World) -> Written {
    let mut lines = Vec::new();
    for service in &world.services {
        for rule in &service.rules {
            let effect = if rule.deny { "deny" } else { "allow" };
            let text = world.text(rule.pattern);
            lines.push(vec![service.id.to_string(), text, effect.to_owned()]);
        }
    }
    (lines, world.names.clone())
}

fn line_model() -> DefaultModel {
    let effect = "some(where (p.eft == allow)) && !some(where (p.eft == deny))";
    let matcher = "r.sub == p.sub && keyMatch(r.act, p.act)";
    model("sub, act", "sub, act, eft", effect, matcher)
}

/// casbin has no closed vocabulary; the caller has to look the name up first. That lookup is
/// not charged to it: a name nobody knows is asked as the empty name.
fn asked(question: &Question, names: &[String]) -> (String, String) {
    let known = names.contains(&question.name);
    let name = if known { question.name.clone() } else { String::new() };
    (question.subject.to_string(), name)
}

impl Engine for Lines {
    type Source = Written;
    type Query = (String, String);

    fn source(world: &World) -> Written {
        lines(world)
    }

    fn load((lines, _): &Written) -> Self {
        let made = now(Enforcer::new(line_model(), MemoryAdapter::default()));
        let mut enforcer = made.expect("a sound model");
        now(enforcer.add_policies(lines.clone())).expect("new lines");
        Self(enforcer)
    }

    fn query(&self, question: &Question) -> Self::Query {
        asked(question, &World::generate(1, 0).names)
    }

    #[inline]
    fn decide(&mut self, (subject, name): &Self::Query) -> bool {
        self.0.enforce((subject.as_str(), name.as_str())).unwrap_or(false)
    }
}
