//! Writes the blob: same model, same bytes.
use crate::authoring::model::{Cell, Link, Model};
use crate::authoring::perfect::Table;
use crate::bounds::MAX_NAME_WORDS;
use crate::bounds::{
    MAX_BLOB_WORDS, MAX_CAPABILITIES, MAX_CELLS, MAX_CHAIN, MAX_CLASSES, MAX_FACTS, MAX_LIMITS,
    MAX_RULES, MAX_SUBJECTS,
};
use crate::decision::{AuditMode, Effect};
use crate::layout::{
    AT_DIGEST, BLOCK, CELL_CHAIN, CELL_DENY, CELL_VALUE_SHIFT, FOREVER, FORMAT, HEADER_WORDS, Kind,
    LINK_DENY, LINK_LAST, LINK_LIMIT_SHIFT, LINK_LIMITED, MAGIC, NIBBLE, NO_NAME, NameHeader,
    ROW_BASE_SHIFT, SECTIONS, Section, digest_of,
};
use crate::limits::LimitSpec;
use crate::name::{pack, stored};
use crate::policy::Policy;
use crate::table::Seed;

/// Why a model cannot become a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitError {
    /// More of something than its bound.
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The constant in [`crate::bounds`].
        bound: &'static str,
        /// Its value.
        limit: usize,
        /// What the model has.
        found: usize,
    },
    /// The model breaks a rule that `open` checks; a bug in the compiler.
    Refused(crate::BlobError),
    /// No seed separates the keys; a bug or 2^64 bad luck.
    NoSeed,
}

impl core::fmt::Display for EmitError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooMany { what, bound, limit, found } => {
                write!(f, "{found} {what}, but {bound} is {limit}")
            }
            Self::Refused(error) => write!(f, "the compiled policy was refused: {error}"),
            Self::NoSeed => f.write_str("no seed separates the names"),
        }
    }
}

/// The blob as words. It has passed [`Policy::open`].
///
/// # Errors
/// A bound exceeded, or a malformed model.
pub fn emit(model: &Model) -> Result<Vec<u64>, EmitError> {
    check_bounds(model)?;
    let ids: Vec<u64> = model.subjects.iter().map(|(_, id)| *id).collect();
    let subjects = pack_all(model.subjects.iter().map(|(name, _)| name))?;
    let caps = pack_all(model.capabilities.iter().map(|cap| &cap.name))?;
    let facts = pack_all(model.facts.iter().map(|(name, _)| name))?;

    let id_table = Table::build(&ids, |seed, id| seed.hash_id(*id))?;
    let subject_table = Table::build(&subjects, hash)?;
    let cap_table = Table::build(&caps, hash)?;

    let mut names = Names::default();
    for (index, (name, cap)) in caps.iter().zip(&model.capabilities).enumerate() {
        let audit = cap.audit == AuditMode::Required;
        names.push(NameHeader::capability(name.len, audit, cap.sensitivity as u8, index), name);
    }
    for (name, slot) in subjects.iter().zip(&id_table.slot_of) {
        names.push(NameHeader::new(name.len, Kind::Subject, *slot), name);
    }
    for (index, name) in facts.iter().enumerate() {
        names.push(NameHeader::new(name.len, Kind::Fact, index), name);
    }
    let (cap_at, rest) = names.at.split_at_checked(caps.len()).unwrap_or_default();
    let (subject_at, fact_at) = rest.split_at_checked(subjects.len()).unwrap_or_default();

    let blocks = model.capabilities.len().div_ceil(BLOCK);
    let (rows, cells, chains) = tables(model, subject_at, blocks);
    if cells.len() > MAX_CELLS {
        let (what, bound) = ("(subject, capability) pairs with a rule", "MAX_CELLS");
        return Err(EmitError::TooMany { what, bound, limit: MAX_CELLS, found: cells.len() });
    }
    let mut parts: [Vec<u64>; SECTIONS] = Default::default();
    let mut put = |section: Section, words: Vec<u64>| {
        if let Some(part) = parts.get_mut(section as usize) {
            *part = words;
        }
    };
    let mut params = Vec::new();
    for table in [&id_table.params, &subject_table.params, &cap_table.params] {
        params.extend(table);
    }
    params.push(u64::from(model.rules));
    put(Section::Params, params);
    put(Section::IdSlots, id_slots(&ids, &id_table, blocks));
    put(Section::SubjectSlots, subject_slots(&subject_table, subject_at));
    put(Section::CapSlots, cap_slots(&cap_table, &names.words, cap_at));
    put(Section::Rows, rows);
    put(Section::Cells, cells);
    put(Section::Chains, chains);
    put(Section::Limits, model.limits.iter().flat_map(limit_words).collect());
    put(Section::Classes, class_words(model, blocks));
    let facts = model.facts.iter().zip(fact_at).flat_map(|((_, owner), at)| [*owner, *at as u64]);
    put(Section::Facts, facts.collect());
    put(Section::Names, names.words);
    assemble(model.version, &parts)
}

/// Rebuilds a blob from an opened policy; byte-identical for every blob `emit` wrote.
///
/// # Errors
/// As [`emit`].
pub fn reemit(policy: &Policy<'_>) -> Result<Vec<u64>, EmitError> {
    emit(&Model::from_policy(policy))
}

/// Words as the bytes of a blob file.
#[must_use]
pub fn to_bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The bytes of a blob file as words; `None` unless they are a multiple of eight.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> Option<Vec<u64>> {
    let (words, rest) = bytes.as_chunks::<8>();
    rest.is_empty().then(|| words.iter().map(|word| u64::from_le_bytes(*word)).collect())
}

fn check_bounds(model: &Model) -> Result<(), EmitError> {
    let bound = |what, bound, limit, found| {
        if found > limit { Err(EmitError::TooMany { what, bound, limit, found }) } else { Ok(()) }
    };
    let chain = model.cells.values().map(|cell| cell.rules().count()).max().unwrap_or(0);
    bound("subjects", "MAX_SUBJECTS", MAX_SUBJECTS, model.subjects.len())?;
    bound("capabilities", "MAX_CAPABILITIES", MAX_CAPABILITIES, model.capabilities.len())?;
    bound("rules", "MAX_RULES", MAX_RULES, model.rules as usize)?;
    bound("facts", "MAX_FACTS", MAX_FACTS, model.facts.len())?;
    bound("limits", "MAX_LIMITS", MAX_LIMITS, model.limits.len())?;
    bound("subject classes", "MAX_CLASSES", MAX_CLASSES, model.classes.len())?;
    bound("conditional rules in one pair", "MAX_CHAIN", MAX_CHAIN, chain)
}

/// A name ready to be hashed and stored.
struct Packed {
    words: [u64; MAX_NAME_WORDS],
    len: usize,
}

impl Packed {
    fn stored(&self) -> &[u64] {
        stored(&self.words, self.len)
    }
}

fn pack_all<'a>(names: impl Iterator<Item = &'a String>) -> Result<Vec<Packed>, EmitError> {
    let refused = EmitError::Refused(crate::BlobError::Name);
    let packed = |name: &String| {
        pack(name.as_bytes()).map(|words| Packed { words, len: name.len() }).ok_or(refused)
    };
    names.map(packed).collect()
}

fn hash(seed: Seed, name: &Packed) -> u64 {
    seed.hash_name(name.stored())
}

pub(crate) fn low(value: usize) -> u64 {
    value as u64 & u64::from(u32::MAX)
}

/// Name records and where each starts.
#[derive(Default)]
struct Names {
    words: Vec<u64>,
    at: Vec<usize>,
}

impl Names {
    fn push(&mut self, header: NameHeader, name: &Packed) {
        self.at.push(self.words.len());
        self.words.push(header.0);
        self.words.extend(name.stored());
    }
}

/// Where the numbers of a row begin: behind the name in front of them.
fn row_at(row: usize, blocks: usize) -> u64 {
    row.saturating_mul(blocks.saturating_add(1)).saturating_add(1) as u64
}

fn id_slots(ids: &[u64], table: &Table, blocks: usize) -> Vec<u64> {
    let records = ids.iter().enumerate().map(|(row, id)| [*id, row_at(row, blocks)]);
    table.lay_out([0, 0], records)
}

fn subject_slots(table: &Table, starts: &[usize]) -> Vec<u64> {
    table.lay_out([0], starts.iter().map(|at| [low(at.saturating_add(1))]))
}

fn cap_slots(table: &Table, names: &[u64], starts: &[usize]) -> Vec<u64> {
    let record = |at: &usize| {
        let [header, first, second] = *names.get(*at..)?.first_chunk::<3>()?;
        Some([header, first, second, low(at.saturating_add(1))])
    };
    table.lay_out([NO_NAME, 0, 0, 0], starts.iter().filter_map(record))
}

fn limit_words(limit: &LimitSpec) -> [u64; 2] {
    [u64::from(limit.burst), limit.refill_ns]
}

fn class_words(model: &Model, blocks: usize) -> Vec<u64> {
    let rows = model.subjects.len()..;
    let classes = model.classes.iter().zip(rows);
    classes.flat_map(|((first, last), row)| [*first, *last, row_at(row, blocks)]).collect()
}

/// Rows, cells and chains, in the canonical order `open` expects.
fn tables(model: &Model, names: &[usize], blocks: usize) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
    let (mut rows, mut cells, mut chains) = (Vec::new(), vec![CELL_DENY], Vec::new());
    let row_count = model.subjects.len().saturating_add(model.classes.len());
    let mut rest = model.cells.iter().peekable();
    for row in 0..row_count {
        rows.push(names.get(row).map_or(0, |at| low(at.saturating_add(1))));
        for block in 0..blocks {
            let mut word = low(cells.len().saturating_sub(1)) << ROW_BASE_SHIFT;
            let mut number = 0_u64;
            let here = |at: &(u32, u32)| at.0 as usize == row && at.1 as usize / BLOCK == block;
            while let Some((at, cell)) = rest.next_if(|(at, _)| here(at)) {
                number = number.saturating_add(1);
                let place = (at.1 as usize % BLOCK).saturating_mul(NIBBLE);
                word |= number.wrapping_shl(place as u32);
                cells.push(cell_word(cell, &mut chains));
            }
            rows.push(word);
        }
    }
    (rows, cells, chains)
}

fn cell_word(cell: &Cell, chains: &mut Vec<u64>) -> u64 {
    match cell {
        Cell::Rule(Effect::Allow, rule) => u64::from(*rule) << CELL_VALUE_SHIFT,
        Cell::Rule(Effect::Deny, rule) => CELL_DENY | u64::from(*rule) << CELL_VALUE_SHIFT,
        Cell::Chain(links) => {
            let start = low(chains.len() / 4);
            let last = links.len().saturating_sub(1);
            for (index, link) in links.iter().enumerate() {
                chains.extend(link_words(link, index == last));
            }
            CELL_CHAIN | start << CELL_VALUE_SHIFT
        }
    }
}

fn link_words(link: &Link, last: bool) -> [u64; 4] {
    let mut head = u64::from(link.rule);
    if link.effect == Effect::Deny {
        head |= LINK_DENY;
    }
    if last {
        head |= LINK_LAST;
    }
    if let Some(limit) = link.limit {
        head |= LINK_LIMITED | u64::from(limit) << LINK_LIMIT_SHIFT;
    }
    [head, link.all, link.none, link.until.unwrap_or(FOREVER)]
}

fn assemble(version: u64, parts: &[Vec<u64>; SECTIONS]) -> Result<Vec<u64>, EmitError> {
    let body: usize = parts.iter().map(Vec::len).sum();
    let total = HEADER_WORDS.saturating_add(body);
    if total > MAX_BLOB_WORDS {
        let (what, bound) = ("words of compiled policy", "MAX_BLOB_WORDS");
        return Err(EmitError::TooMany { what, bound, limit: MAX_BLOB_WORDS, found: total });
    }
    let mut words = vec![MAGIC, FORMAT, total as u64, version];
    words.resize(crate::layout::AT_SECTIONS, 0);
    let mut offset = HEADER_WORDS;
    for part in parts {
        words.push(low(offset) | low(part.len()) << 32);
        offset = offset.saturating_add(part.len());
    }
    parts.iter().for_each(|part| words.extend(part));
    seal(&mut words);
    Policy::open(&words).map_err(EmitError::Refused)?;
    Ok(words)
}

/// Writes the digest of `words` into them.
pub(crate) fn seal(words: &mut [u64]) {
    let digest = digest_of(words);
    let (chunks, _) = digest.as_chunks::<8>();
    for (word, chunk) in words.iter_mut().skip(AT_DIGEST).zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
}
