//! What else a policy can be asked: names, facts, what there is, and what it is.
use crate::layout::{AT_DIGEST, AT_VERSION, Kind, NameHeader};
use crate::name::{Name, pack_long, pack_short, words_of};
use crate::policy::{Capability, Fact, Policy};
use crate::table::{DISP_BITS, find};

impl<'p> Policy<'p> {
    /// The id of a subject by name, for frames that carry names.
    #[must_use]
    pub fn subject_id(&self, name: &[u8]) -> Option<u64> {
        let header = match pack_short(name) {
            Some(words) => self.find_subject(&words, name.len())?,
            None => {
                let words = pack_long(name)?;
                self.find_subject(words.get(..words_of(name.len()))?, name.len())?
            }
        };
        self.id_slots.get(header.position()).map(|slot| slot[0])
    }

    fn find_subject(&self, name: &[u64], len: usize) -> Option<NameHeader> {
        let [last] = find(self.subjects.seed.hash_name(name), self.subject_slots)?;
        let at = ((last >> DISP_BITS) as usize).checked_sub(1)?;
        self.matches(at, name, len)
    }

    /// The name of a subject, for text and for `route.<name>`.
    #[must_use]
    pub fn subject_name(&self, id: u64) -> Option<Name> {
        let before = (self.id_slot(id)? as usize).checked_sub(1)?;
        let at = (*self.rows.get(before)? as usize).checked_sub(1)?;
        self.name_at(at).map(|(_, name)| name)
    }

    pub(crate) fn name_at(&self, at: usize) -> Option<(NameHeader, Name)> {
        let (header, words) = self.names.get(at..)?.split_first()?;
        let header = NameHeader(*header);
        let words = words.get(..words_of(header.len()))?;
        Some((header, Name::from_words(words, header.len())))
    }

    /// Finds a fact by name.
    #[must_use]
    pub fn fact(&self, name: &[u8]) -> Option<Fact> {
        let mut mask = 1;
        for [owner, at] in self.facts {
            if self.name_at(*at as usize).is_some_and(|(_, found)| found.as_bytes() == name) {
                return Some(Fact { mask, owner: *owner });
            }
            mask <<= 1;
        }
        None
    }

    /// Every capability, sorted by name.
    pub fn capabilities(&self) -> impl Iterator<Item = (Name, Capability)> + use<'p> {
        let tag = self.tag;
        self.records()
            .filter(|(header, _)| header.kind() == Some(Kind::Capability))
            .map(move |(header, name)| (name, Capability { header: header.0, tag }))
    }

    /// Every named subject with its id, sorted by name.
    pub fn subjects(&self) -> impl Iterator<Item = (Name, u64)> + use<'p> {
        let slots = self.id_slots;
        self.records().filter(|(header, _)| header.kind() == Some(Kind::Subject)).filter_map(
            move |(header, name)| slots.get(header.position()).map(|slot| (name, slot[0])),
        )
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = (NameHeader, Name)> + use<'p> {
        let policy = *self;
        let mut at = 0_usize;
        core::iter::from_fn(move || {
            let record = policy.name_at(at)?;
            at = at.checked_add(1)?.checked_add(words_of(record.0.len()))?;
            Some(record)
        })
    }

    /// BLAKE3 of everything but digest, signature and key.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        bytes_at(self.words, AT_DIGEST)
    }

    /// The digest's first four bytes as a little-endian number: what records name the policy by.
    #[inline]
    #[must_use]
    pub const fn tag(&self) -> u32 {
        self.tag
    }

    /// The policy's own version: reload accepts only a higher one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.words.get(AT_VERSION).copied().unwrap_or(0)
    }

    /// Rules in the policy: rule ids run from 1 to this.
    #[must_use]
    pub const fn rule_count(&self) -> u32 {
        self.rules
    }
}

pub(crate) fn bytes_at<const N: usize>(words: &[u64], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words.get(at..).unwrap_or(&[])) {
        *chunk = word.to_le_bytes();
    }
    bytes
}
