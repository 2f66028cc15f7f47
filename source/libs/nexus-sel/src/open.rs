//! Checks a blob once, as hostile bytes. Everything the evaluator relies on is established
//! here, in time linear in the blob. The form is canonical: no gaps, no unused entries, one
//! order, so what was checked is all there is.
use crate::bounds::{
    MAX_BLOB_WORDS, MAX_CAPABILITIES, MAX_CLASSES, MAX_FACTS, MAX_LIMITS, MAX_PADDING_WORDS,
    MAX_RULES, MAX_SUBJECTS,
};
use crate::layout::{
    AT_DIGEST, AT_FORMAT, AT_MAGIC, AT_RESERVED, AT_SECTIONS, AT_TOTAL, FORMAT, HEADER_WORDS,
    MAGIC, PARAMS_WORDS, SECTIONS, Section, digest_of,
};
use crate::policy::Policy;
use crate::table::{DISP_MASK, Seed, Shape};

/// Why a blob was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlobError {
    /// Shorter than its header.
    TooShort,
    /// Not a policy.
    Magic,
    /// A format this reader does not know.
    Format,
    /// The stated length disagrees with the words given, or exceeds the bound.
    Length,
    /// A reserved field is not zero, or the padding is not.
    Reserved,
    /// The digest does not match the content.
    Digest,
    /// The sections do not tile the blob, or one has an impossible size.
    Section,
    /// A table's parameters are out of range.
    Table,
    /// A name is malformed, out of order, or not where its hash says.
    Name,
    /// A subject entry is inconsistent.
    Subject,
    /// A row claims capabilities or cells that do not exist.
    Row,
    /// A cell or a conditional rule is malformed.
    Rule,
    /// A limit is out of range.
    Limit,
    /// A subject class is malformed.
    Class,
    /// A fact is malformed.
    Fact,
}

impl core::fmt::Display for BlobError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::TooShort => "shorter than a policy header",
            Self::Magic => "not a compiled policy",
            Self::Format => "a format this reader does not know",
            Self::Length => "the stated length is wrong",
            Self::Reserved => "a reserved field or the padding is not zero",
            Self::Digest => "the digest does not match the content",
            Self::Section => "the sections do not tile the blob",
            Self::Table => "a table's parameters are out of range",
            Self::Name => "a name is malformed or misplaced",
            Self::Subject => "a subject entry is inconsistent",
            Self::Row => "a row is inconsistent",
            Self::Rule => "a rule entry is malformed",
            Self::Limit => "a limit is out of range",
            Self::Class => "a subject class is malformed",
            Self::Fact => "a fact is malformed",
        })
    }
}

impl core::error::Error for BlobError {}

pub(crate) type Check = Result<(), BlobError>;

/// `Err(error)` unless `condition`.
pub(crate) const fn must(condition: bool, error: BlobError) -> Check {
    if condition { Ok(()) } else { Err(error) }
}

impl<'p> Policy<'p> {
    /// Checks `words` and returns the policy they hold. Up to a page of zero words may follow.
    ///
    /// # Errors
    /// The first fault found.
    pub fn open(words: &'p [u64]) -> Result<Self, BlobError> {
        let words = check_header(words)?;
        let policy = lay_out(words)?;
        policy.check_names()?;
        policy.check_rows()?;
        policy.check_cells()?;
        policy.check_limits()?;
        policy.check_classes()?;
        policy.check_facts()?;
        Ok(policy)
    }
}

/// Length, magic, format, reserved fields, padding, digest. Returns the blob without padding.
fn check_header(words: &[u64]) -> Result<&[u64], BlobError> {
    let word = |at: usize| words.get(at).copied().ok_or(BlobError::TooShort);
    must(words.len() >= HEADER_WORDS, BlobError::TooShort)?;
    must(word(AT_MAGIC)? == MAGIC, BlobError::Magic)?;
    must(word(AT_FORMAT)? == FORMAT, BlobError::Format)?;
    let total = usize::try_from(word(AT_TOTAL)?).map_err(|_| BlobError::Length)?;
    must((HEADER_WORDS..=MAX_BLOB_WORDS).contains(&total), BlobError::Length)?;
    let (blob, padding) = words.split_at_checked(total).ok_or(BlobError::Length)?;
    must(padding.len() <= MAX_PADDING_WORDS, BlobError::Length)?;
    let zero = word(AT_RESERVED)? == 0 && padding.iter().all(|word| *word == 0);
    must(zero, BlobError::Reserved)?;
    must(digest_of(blob) == crate::inspect::bytes_at(blob, AT_DIGEST), BlobError::Digest)?;
    Ok(blob)
}

/// Splits the blob into its sections, which must tile it exactly.
fn split(words: &[u64]) -> Result<[&[u64]; SECTIONS], BlobError> {
    let mut parts: [&[u64]; SECTIONS] = [&[]; SECTIONS];
    let table = words.get(AT_SECTIONS..HEADER_WORDS).ok_or(BlobError::Section)?;
    let mut rest = words.get(HEADER_WORDS..).ok_or(BlobError::Section)?;
    for (part, entry) in parts.iter_mut().zip(table) {
        let offset = words.len().wrapping_sub(rest.len()) as u64;
        must(entry & u64::from(u32::MAX) == offset, BlobError::Section)?;
        let len = usize::try_from(entry >> 32).map_err(|_| BlobError::Section)?;
        (*part, rest) = rest.split_at_checked(len).ok_or(BlobError::Section)?;
    }
    must(rest.is_empty(), BlobError::Section)?;
    Ok(parts)
}

/// Section sizes and table shapes; afterwards every index the evaluator computes from a
/// hash is in range.
fn lay_out(words: &[u64]) -> Result<Policy<'_>, BlobError> {
    let parts = split(words)?;
    let part = |section: Section| parts.get(section as usize).copied().unwrap_or(&[]);
    let params: &[u64; PARAMS_WORDS] =
        part(Section::Params).try_into().map_err(|_| BlobError::Section)?;
    let counts = params[9];
    let rules = counts as u32;
    must(counts >> 32 == 0 && rules as usize <= MAX_RULES, BlobError::Table)?;
    let params = |at: usize| params.get(at..).unwrap_or(&[]);
    let id_slots = records(part(Section::IdSlots))?;
    let subject_slots = records(part(Section::SubjectSlots))?;
    let cap_slots = records(part(Section::CapSlots))?;
    let policy = Policy {
        words,
        ids: shape(params(0), id_slots, MAX_SUBJECTS)?,
        id_slots,
        subjects: shape(params(3), subject_slots, MAX_SUBJECTS)?,
        subject_slots,
        caps: shape(params(6), cap_slots, MAX_CAPABILITIES)?,
        cap_slots,
        names: part(Section::Names),
        rows: part(Section::Rows),
        cells: part(Section::Cells),
        chains: records(part(Section::Chains))?,
        limits: records(part(Section::Limits))?,
        classes: records(part(Section::Classes))?,
        facts: records(part(Section::Facts))?,
        rules,
        tag: words.get(AT_DIGEST).copied().unwrap_or(0) as u32,
    };
    must(policy.ids.count == policy.subjects.count, BlobError::Table)?;
    must(policy.limits.len() <= MAX_LIMITS, BlobError::Limit)?;
    must(policy.classes.len() <= MAX_CLASSES, BlobError::Class)?;
    must(policy.facts.len() <= MAX_FACTS, BlobError::Fact)?;
    let rows = policy.row_count().wrapping_mul(policy.stride());
    must(policy.rows.len() == rows, BlobError::Row)?;
    Ok(policy)
}

/// A section as records of `N` words.
fn records<const N: usize>(words: &[u64]) -> Result<&[[u64; N]], BlobError> {
    let (records, rest) = words.as_chunks::<N>();
    must(rest.is_empty(), BlobError::Section)?;
    Ok(records)
}

/// Reads `[a, b, log2 slots | keys << 32]`; every displacement leads to a slot.
fn shape<const N: usize>(
    params: &[u64],
    slots: &[[u64; N]],
    bound: usize,
) -> Result<Shape, BlobError> {
    let [a, b, sizes, ..] = *params else { return Err(BlobError::Table) };
    let (slot_bits, count) = (sizes as u32, (sizes >> 32) as usize);
    must(b & 1 == 1 && (1..=16).contains(&slot_bits), BlobError::Table)?;
    must(slots.len() == 1_usize << (slot_bits & 31), BlobError::Table)?;
    must(count <= bound && count <= slots.len(), BlobError::Table)?;
    let inside = |slot: &[u64; N]| {
        slot.last().is_some_and(|last| ((last & DISP_MASK) as usize) < slots.len())
    };
    must(slots.iter().all(inside), BlobError::Table)?;
    Ok(Shape { seed: Seed { a, b }, count })
}
