//! The evaluator: reads a checked blob in place.
use crate::bounds::MAX_CHAIN;
use crate::decision::{AuditMode, Decision, Facts, Reason, RuleId};
use crate::layout::{
    CELL_CHAIN, FOREVER, LINK_DENY, LINK_LAST, LINK_LIMIT_SHIFT, LINK_LIMITED, NIBBLE, NameHeader,
    ROW_BASE_SHIFT, cell_value,
};
use crate::limits::{LimitId, LimitSpec, Limits, NoLimits};
use crate::name::{MIDDLE_BYTES, pack_long, pack_short};
use crate::table::{DISP_BITS, Shape, find};

/// The bits of a number in a row word.
const NUMBER: u64 = (1 << NIBBLE) - 1;

/// How much harm a capability can do; decides what tools warn about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Sensitivity {
    /// Everyday.
    #[default]
    Low = 0,
    /// Touches other subjects' data or the machine.
    Medium = 1,
    /// Keys, identity, policy, raw devices.
    High = 2,
}

/// A subject found once, for repeated questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    row: u64,
    tag: u32,
}

/// A capability found once, for repeated questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub(crate) header: u64,
    pub(crate) tag: u32,
}

impl Capability {
    /// What audit has to guarantee for decisions about it.
    #[must_use]
    pub const fn audit(self) -> AuditMode {
        audit_of(NameHeader(self.header))
    }

    /// How much harm it can do.
    #[must_use]
    pub const fn sensitivity(self) -> Sensitivity {
        match NameHeader(self.header).sensitivity() {
            0 => Sensitivity::Low,
            1 => Sensitivity::Medium,
            _ => Sensitivity::High,
        }
    }

    /// Position among the capabilities, which are sorted by name.
    #[must_use]
    pub const fn index(self) -> usize {
        NameHeader(self.header).index()
    }
}

/// A fact: its bit in [`Facts::bits`] and the only service that may set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// A word with one bit set.
    pub mask: u64,
    /// Service id of the owner.
    pub owner: u64,
}

/// A checked policy over words that stay where they are. Copies are cheap handles.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'p> {
    pub(crate) words: &'p [u64],
    pub(crate) ids: Shape,
    pub(crate) id_slots: &'p [[u64; 2]],
    pub(crate) subjects: Shape,
    pub(crate) subject_slots: &'p [[u64; 1]],
    pub(crate) caps: Shape,
    pub(crate) cap_slots: &'p [[u64; 4]],
    pub(crate) names: &'p [u64],
    pub(crate) rows: &'p [u64],
    pub(crate) cells: &'p [u64],
    pub(crate) chains: &'p [[u64; 4]],
    pub(crate) limits: &'p [[u64; 2]],
    pub(crate) classes: &'p [[u64; 3]],
    pub(crate) facts: &'p [[u64; 2]],
    pub(crate) rules: u32,
    /// Low half of the digest's first word: ties [`Subject`] and [`Capability`] to this policy.
    pub(crate) tag: u32,
}

impl<'p> Policy<'p> {
    /// May `subject` use `capability`, now? Limited grants are spent: use
    /// [`Policy::decide_with`] where the policy has limits.
    #[inline]
    pub fn decide(&self, subject: u64, capability: &[u8], facts: Facts) -> Decision {
        self.decide_with(subject, capability, facts, &mut NoLimits)
    }

    /// As [`Policy::decide`], taking tokens from `limits`.
    #[inline]
    pub fn decide_with<L: Limits>(
        &self,
        subject: u64,
        capability: &[u8],
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        // Other ways end in calls of their own, so that the usual one keeps nothing across a
        // call and joins no two results.
        let Some(words) = pack_short(capability) else {
            return self.decide_long(subject, capability, facts, limits);
        };
        match self.find_short(&words, capability.len()) {
            Some(cap) => self.decide_capability(subject, cap, facts, limits),
            None => self.without_capability(subject),
        }
    }

    #[inline(never)]
    fn decide_long<L: Limits>(
        &self,
        subject: u64,
        capability: &[u8],
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        match self.find_long(capability) {
            Some(cap) => self.decide_capability(subject, cap, facts, limits),
            None => self.without_capability(subject),
        }
    }

    #[inline]
    pub(crate) fn decide_capability<L: Limits>(
        &self,
        subject: u64,
        cap: NameHeader,
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        match self.id_slot(subject) {
            Some(row) => self.decide_at(row, cap, facts, limits),
            None => self.decide_class(subject, cap, facts, limits),
        }
    }

    #[cold]
    fn decide_class<L: Limits>(
        &self,
        subject: u64,
        cap: NameHeader,
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        match self.find_class(subject) {
            Some(row) => self.decide_at(row, cap, facts, limits),
            None => Decision::new(Reason::UnknownSubject, audit_of(cap), RuleId::NONE),
        }
    }

    #[cold]
    pub(crate) fn without_capability(&self, subject: u64) -> Decision {
        unknown(match self.find_row(subject) {
            Some(_) => Reason::UnknownCapability,
            None => Reason::UnknownSubject,
        })
    }

    /// The same question for a subject and a capability that were looked up before. Handles
    /// of another policy (an older one, after a reload) are unknown.
    #[inline]
    pub fn decide_interned<L: Limits>(
        &self,
        subject: Subject,
        capability: Capability,
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        if subject.tag != self.tag {
            return unknown(Reason::UnknownSubject);
        }
        if capability.tag != self.tag {
            return unknown(Reason::UnknownCapability);
        }
        self.decide_at(subject.row, NameHeader(capability.header), facts, limits)
    }

    /// Finds a subject for [`Policy::decide_interned`].
    #[must_use]
    pub fn subject(&self, id: u64) -> Option<Subject> {
        self.find_row(id).map(|row| Subject { row, tag: self.tag })
    }

    /// Finds a capability for [`Policy::decide_interned`].
    #[must_use]
    pub fn capability(&self, name: &[u8]) -> Option<Capability> {
        let header = self.find_capability(name)?.0;
        Some(Capability { header, tag: self.tag })
    }

    /// The row of a subject, as a word offset into the rows.
    #[inline]
    pub(crate) fn find_row(&self, id: u64) -> Option<u64> {
        match self.id_slot(id) {
            Some(row) => Some(row),
            None => self.find_class(id),
        }
    }

    #[inline]
    pub(crate) fn id_slot(&self, id: u64) -> Option<u64> {
        let [key, last] = *find(self.ids.seed.hash_id(id), self.id_slots)?;
        let row = last >> DISP_BITS;
        // An empty slot has row 0 (and id 0, which is no subject).
        (key == id && row != 0).then_some(row)
    }

    #[cold]
    fn find_class(&self, id: u64) -> Option<u64> {
        let class = self.classes.iter().find(|[first, last, _]| (*first..=*last).contains(&id))?;
        Some(class[2])
    }

    /// The header of a capability: a hash finds the only candidate, every word decides.
    #[inline]
    fn find_capability(&self, name: &[u8]) -> Option<NameHeader> {
        match pack_short(name) {
            Some(words) => self.find_short(&words, name.len()),
            None => self.find_long(name),
        }
    }

    #[inline]
    pub(crate) fn find_short(&self, words: &[u64; 2], len: usize) -> Option<NameHeader> {
        let [header, first, second, _] = *find(self.caps.seed.hash_name(words), self.cap_slots)?;
        let header = NameHeader(header);
        let differ = (first ^ words[0]) | (second ^ words[1]) | (header.len() ^ len) as u64;
        (differ == 0).then_some(header)
    }

    #[inline]
    fn find_long(&self, name: &[u8]) -> Option<NameHeader> {
        self.find_six(&pack_long(name)?, name.len())
    }

    /// Of four words, or six; those behind the name are not looked at.
    #[inline(always)]
    pub(crate) fn find_six(&self, words: &[u64; 6], len: usize) -> Option<NameHeader> {
        match words.first_chunk::<{ MIDDLE_BYTES / 8 }>() {
            Some(middle) if len <= MIDDLE_BYTES => self.find_stored(middle, len),
            _ => self.find_stored(words, len),
        }
    }

    #[inline(always)]
    fn find_stored<const N: usize>(&self, words: &[u64; N], len: usize) -> Option<NameHeader> {
        let [header, _, _, last] = *find(self.caps.seed.hash_name(words), self.cap_slots)?;
        let (header, at) = (NameHeader(header), (last >> DISP_BITS) as usize);
        let stored = self.names.get(at..at.wrapping_add(N))?.first_chunk::<N>()?;
        let differ = stored.iter().zip(words).fold(0, |acc, (a, b)| acc | (a ^ b));
        (differ | (header.len() ^ len) as u64 == 0).then_some(header)
    }

    /// The header of the record at `at` if it has exactly this name. Words are compared with
    /// xor and or: `==` on slices would call `bcmp`.
    pub(crate) fn matches(&self, at: usize, name: &[u64], len: usize) -> Option<NameHeader> {
        let (header, words) = self.names.get(at..)?.split_first()?;
        let header = NameHeader(*header);
        let stored = words.get(..name.len())?;
        let differ = stored.iter().zip(name).fold(0, |acc, (a, b)| acc | (a ^ b));
        (header.len() == len && differ == 0).then_some(header)
    }

    #[inline]
    pub(crate) fn decide_at<L: Limits>(
        &self,
        row: u64,
        cap: NameHeader,
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        // `open` has checked that row and cell exist; were they missing, nothing permits it.
        let none = || Decision::new(Reason::NotPermitted, audit_of(cap), RuleId::NONE);
        let Some(word) = self.rows.get((row as usize).wrapping_add(cap.position())) else {
            return none();
        };
        let number = word.wrapping_shr(cap.shift()) & NUMBER;
        if number == 0 {
            return none();
        }
        let at = (word >> ROW_BASE_SHIFT).wrapping_add(number) as usize;
        let Some(cell) = self.cells.get(at) else { return none() };
        if cell & CELL_CHAIN != 0 {
            return self.walk(cell_value(*cell) as usize, audit_of(cap), facts, limits);
        }
        Decision::of_cell(*cell, cap)
    }

    /// Conditional rules of one pair: denials come first, the first rule in force decides.
    #[inline(never)]
    fn walk<L: Limits>(
        &self,
        start: usize,
        audit: AuditMode,
        facts: Facts,
        limits: &mut L,
    ) -> Decision {
        let mut would = RuleId::NONE;
        for link in self.chains.iter().skip(start).take(MAX_CHAIN) {
            let rule = RuleId(link[0] as u32);
            if link[0] & LINK_DENY != 0 {
                if holds(link, facts) && !is_over(link, facts, false) {
                    return Decision::new(Reason::DeniedByRule, audit, rule);
                }
            } else {
                if holds(link, facts) && !is_over(link, facts, true) && self.take(link, limits) {
                    return Decision::new(Reason::Allowed, audit, rule);
                }
                if would == RuleId::NONE {
                    would = rule;
                }
            }
            if link[0] & LINK_LAST != 0 {
                break;
            }
        }
        let closed = would != RuleId::NONE;
        let reason = if closed { Reason::GateClosed } else { Reason::NotPermitted };
        Decision::new(reason, audit, would)
    }

    fn take<L: Limits>(&self, link: &[u64; 4], limits: &mut L) -> bool {
        if link[0] & LINK_LIMITED == 0 {
            return true;
        }
        let id = LimitId((link[0] >> LINK_LIMIT_SHIFT) as u16);
        self.limit(id).is_some_and(|spec| limits.take(id, spec))
    }

    /// How many token buckets a daemon has to keep.
    #[must_use]
    pub fn limit_count(&self) -> usize {
        self.limits.len()
    }

    /// The rate of one bucket.
    #[must_use]
    pub fn limit(&self, id: LimitId) -> Option<LimitSpec> {
        let [burst, refill_ns] = *self.limits.get(usize::from(id.0))?;
        Some(LimitSpec { burst: burst as u32, refill_ns })
    }
}

/// All facts that must hold do, none that must not does.
fn holds(link: &[u64; 4], facts: Facts) -> bool {
    facts.bits & link[1] == link[1] && facts.bits & link[2] == 0
}

/// Past its time; `unknown` is the answer while nobody knows the time.
fn is_over(link: &[u64; 4], facts: Facts, unknown: bool) -> bool {
    match (link[3], facts.wall_s) {
        (FOREVER, _) => false,
        (_, 0) => unknown,
        (until, now) => now >= until,
    }
}

fn unknown(reason: Reason) -> Decision {
    Decision::new(reason, AuditMode::Normal, RuleId::NONE)
}

#[inline]
pub(crate) const fn audit_of(header: NameHeader) -> AuditMode {
    if header.audit_required() { AuditMode::Required } else { AuditMode::Normal }
}
