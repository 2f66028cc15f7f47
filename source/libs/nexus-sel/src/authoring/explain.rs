//! Why a decision is what it is: the evaluator's own answer beside every rule that spoke.
use crate::authoring::Compiled;
use crate::authoring::diagnostics::Diagnostics;
use crate::authoring::model::Condition;
use crate::authoring::resolve::Written;
use crate::decision::{Decision, Effect, Facts, Reason, RuleId};
use crate::limits::Limits;
use crate::policy::Policy;

/// A rule as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSource {
    /// Its id in decisions and audit records.
    pub id: RuleId,
    /// Allow or deny.
    pub effect: Effect,
    /// Service, group, class or glob, as written.
    pub subject: String,
    /// Name or wildcard, as written.
    pub capability: String,
    /// The gates it needs, as written.
    pub gates: Vec<String>,
    /// When it is in force: its gates as facts, its expiry and its limit.
    pub when: Condition,
    /// Recipe file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// What a rule contributed to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It decided.
    Decided,
    /// It would have granted, had its condition held.
    WouldGrant,
    /// It speaks about the pair but did not decide.
    Lost,
}

/// A decision and the rules that speak about the pair.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// From the evaluator.
    pub decision: Decision,
    /// In rule order.
    pub rules: Vec<(RuleSource, Role)>,
}

impl Compiled {
    /// The compiled policy, ready to decide.
    ///
    /// # Errors
    /// Never for a `Compiled` as the compiler returned it.
    pub fn policy(&self) -> Result<Policy<'_>, crate::BlobError> {
        Policy::open(&self.words)
    }

    /// Asks the evaluator, then lists the rules about this subject and capability.
    ///
    /// # Errors
    /// As [`Compiled::policy`].
    pub fn explain<L: Limits>(
        &self,
        subject: u64,
        capability: &str,
        facts: Facts,
        limits: &mut L,
    ) -> Result<Explanation, crate::BlobError> {
        let decision = self.policy()?.decide_with(subject, capability.as_bytes(), facts, limits);
        let row = self.row(subject);
        let cap = self.model.capabilities.iter().position(|cap| cap.name == capability);
        let speaks = |index: usize| {
            let (Some(row), Some(cap)) = (row, cap) else { return false };
            let rule = self.resolved.get(index);
            rule.is_some_and(|r| r.rows.contains(&(row as u32)) && r.caps.contains(&(cap as u32)))
        };
        let rules = self.rules.iter().enumerate().filter(|(index, _)| speaks(*index));
        let rules = rules.map(|(_, rule)| (rule.clone(), role(rule.id, &decision))).collect();
        Ok(Explanation { decision, rules })
    }

    /// The services and classes that a group or glob of some rule stands for, by name.
    #[must_use]
    pub fn members(&self, written: &str) -> Option<Vec<&str>> {
        let at = self.rules.iter().position(|rule| rule.subject == written)?;
        let names = self.model.subjects.iter().map(|(name, _)| name.as_str());
        let names: Vec<&str> = names.chain(self.classes.iter().map(String::as_str)).collect();
        let rows = &self.resolved.get(at)?.rows;
        Some(rows.iter().filter_map(|row| names.get(*row as usize).copied()).collect())
    }

    /// The id of a service, or the first of a class: whoever may be asked about by this name.
    #[must_use]
    pub fn subject_id(&self, name: &str) -> Option<u64> {
        let service = self.model.subjects.iter().find(|(service, _)| service == name);
        let first = self.classes.iter().position(|class| class == name);
        let first = first.and_then(|at| self.model.classes.get(at));
        service.map(|(_, id)| *id).or_else(|| first.map(|(first, _)| *first))
    }

    fn row(&self, subject: u64) -> Option<usize> {
        let named = self.model.subjects.iter().position(|(_, id)| *id == subject);
        named.or_else(|| {
            let mut classes = self.model.classes.iter();
            let class = classes.position(|(first, last)| (*first..=*last).contains(&subject))?;
            class.checked_add(self.model.subjects.len())
        })
    }
}

fn role(rule: RuleId, decision: &Decision) -> Role {
    match (rule == decision.rule(), decision.reason()) {
        (true, Reason::GateClosed) => Role::WouldGrant,
        (true, _) => Role::Decided,
        (false, _) => Role::Lost,
    }
}

pub(crate) fn sources(written: &[Written], files: &Diagnostics) -> Vec<RuleSource> {
    let sources = (1_u32..).zip(written).map(|(id, Written { entry, rule })| {
        let at = files.position(&entry.capability.place);
        RuleSource {
            id: RuleId(id),
            effect: entry.effect,
            subject: entry.subject.text.clone(),
            capability: entry.capability.text.clone(),
            gates: entry.when.iter().map(|word| word.text.clone()).collect(),
            when: rule.when.clone(),
            file: files.file(&entry.capability.place).to_owned(),
            line: at.line,
            column: at.column,
        }
    });
    sources.collect()
}
