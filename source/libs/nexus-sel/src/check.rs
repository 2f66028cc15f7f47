//! The content checks behind `Policy::open`: names, rows, cells, chains, classes, facts.
use crate::bounds::{MAX_BURST, MAX_CHAIN, MAX_NAME_BYTES, MAX_NAME_WORDS};
use crate::layout::{
    BLOCK, CELL_CHAIN, CELL_DENY, CELL_RESERVED, Kind, LINK_DENY, LINK_LAST, LINK_LIMIT_SHIFT,
    LINK_LIMITED, LINK_RESERVED, NIBBLE, NO_NAME, NameHeader, ROW_BASE_SHIFT, TABLES, cell_value,
};
use crate::name::{is_name_byte, words_of};
use crate::open::{BlobError, Check, must};
use crate::policy::Policy;
use crate::table::{DISP_BITS, find, place};

impl<'p> Policy<'p> {
    /// Rows follow each other: one per subject in name order, then one per class.
    pub(crate) fn row_count(&self) -> usize {
        self.subjects.count.wrapping_add(self.classes.len())
    }

    /// Words per row: its name, then a word per ten capabilities.
    pub(crate) fn stride(&self) -> usize {
        self.caps.count.div_ceil(BLOCK).wrapping_add(1)
    }

    /// Where the numbers of row `number` begin.
    fn row_at(&self, number: usize) -> u64 {
        number.wrapping_mul(self.stride()).wrapping_add(1) as u64
    }

    /// Every name is well formed, in order, unique, and where its hash points. Each record
    /// claims one slot and the counts agree, so no slot points anywhere else.
    pub(crate) fn check_names(&self) -> Check {
        let mut walk: NameWalk<'p> = NameWalk { at: 0, seen: [0; TABLES], last: None };
        while let Some((header, rest)) = self.names.get(walk.at..).and_then(<[u64]>::split_first) {
            let header = NameHeader(*header);
            must(header.is_valid(), BlobError::Name)?;
            let kind = header.kind().ok_or(BlobError::Name)?;
            let words = rest.get(..words_of(header.len())).ok_or(BlobError::Name)?;
            check_spelling(words, header.len())?;
            walk.check_order(kind, words)?;
            self.check_place(&walk, kind, header, words)?;
            walk.step(kind, words);
        }
        must(
            walk.seen == [self.caps.count, self.subjects.count, self.facts.len()],
            BlobError::Name,
        )?;
        let caps = occupied(self.cap_slots, &[NO_NAME, 0, 0, 0]);
        let names =
            caps == self.caps.count && occupied(self.subject_slots, &[0]) == self.subjects.count;
        must(names, BlobError::Name)?;
        must(occupied(self.id_slots, &[0, 0]) == self.ids.count, BlobError::Subject)
    }

    fn check_place(
        &self,
        walk: &NameWalk<'_>,
        kind: Kind,
        header: NameHeader,
        words: &[u64],
    ) -> Check {
        let number = walk.number(kind);
        let pointer = walk.at.wrapping_add(1) as u64;
        match kind {
            Kind::Capability => {
                must(header.index() == number, BlobError::Name)?;
                let hash = self.caps.seed.hash_name(words);
                let [first, second, ..] = *words else { return Err(BlobError::Name) };
                let record = [header.0, first, second, pointer];
                must(find(hash, self.cap_slots).map(content) == Some(record), BlobError::Name)
            }
            Kind::Subject => {
                let slot = find(self.subjects.seed.hash_name(words), self.subject_slots);
                must(slot.map(content) == Some([pointer]), BlobError::Name)?;
                self.check_subject(header.position(), number, pointer)
            }
            Kind::Fact => {
                must(header.position() == number, BlobError::Name)?;
                let fact = self.facts.get(number).ok_or(BlobError::Fact)?;
                must(fact[1] == walk.at as u64, BlobError::Fact)
            }
        }
    }

    /// The id slot of the `number`th subject: right hash, its own row, its own name.
    fn check_subject(&self, slot: usize, number: usize, pointer: u64) -> Check {
        let [id, row] = self.id_slots.get(slot).map(content).ok_or(BlobError::Subject)?;
        let own = self.row_at(number);
        let name = (own as usize).checked_sub(1).and_then(|at| self.rows.get(at));
        let right = id != 0
            && row == own
            && name == Some(&pointer)
            && place(self.ids.seed.hash_id(id), self.id_slots) == Some(slot);
        must(right, BlobError::Subject)
    }

    /// Rows speak about existing capabilities only; cells are numbered without gaps.
    pub(crate) fn check_rows(&self) -> Check {
        let mut cells = 0_u64;
        for (number, row) in self.rows.chunks(self.stride()).enumerate() {
            let (name, words) = row.split_first().ok_or(BlobError::Row)?;
            must(number < self.subjects.count || *name == 0, BlobError::Row)?;
            for (block, word) in words.iter().enumerate() {
                must(word >> ROW_BASE_SHIFT == cells, BlobError::Row)?;
                let known = self.caps.count.saturating_sub(block.wrapping_mul(BLOCK));
                cells = cells.wrapping_add(count_cells(*word, known)?);
            }
        }
        let dummy = self.cells.first() == Some(&CELL_DENY);
        must(dummy && cells.wrapping_add(1) == self.cells.len() as u64, BlobError::Row)
    }

    /// Cells name rules that exist; conditional ones own their chain, in order.
    pub(crate) fn check_cells(&self) -> Check {
        let mut links = 0_usize;
        for cell in self.cells.iter().skip(1) {
            must(cell & CELL_RESERVED == 0, BlobError::Rule)?;
            let value = cell_value(*cell);
            if cell & CELL_CHAIN != 0 {
                must(cell & CELL_DENY == 0 && value as usize == links, BlobError::Rule)?;
                links = links.wrapping_add(self.check_chain(links)?);
            } else {
                self.check_rule(value)?;
            }
        }
        must(links == self.chains.len(), BlobError::Rule)
    }

    fn check_rule(&self, rule: u32) -> Check {
        must((1..=self.rules).contains(&rule), BlobError::Rule)
    }

    /// One chain: denials, then grants, the last marked. Returns its length.
    fn check_chain(&self, start: usize) -> Result<usize, BlobError> {
        let mut granting = false;
        for (index, link) in self.chains.iter().skip(start).take(MAX_CHAIN).enumerate() {
            let deny = link[0] & LINK_DENY != 0;
            must(link[0] & LINK_RESERVED == 0 && !(deny && granting), BlobError::Rule)?;
            granting = !deny;
            self.check_rule(link[0] as u32)?;
            let facts = 1_u64
                .checked_shl(self.facts.len() as u32)
                .map_or(u64::MAX, |bit| bit.wrapping_sub(1));
            let sane = (link[1] | link[2]) & !facts == 0 && link[1] & link[2] == 0 && link[3] != 0;
            must(sane, BlobError::Rule)?;
            let limit = (link[0] >> LINK_LIMIT_SHIFT) as usize;
            if link[0] & LINK_LIMITED != 0 {
                must(!deny && limit < self.limits.len(), BlobError::Rule)?;
            } else {
                must(limit == 0, BlobError::Rule)?;
            }
            if link[0] & LINK_LAST != 0 {
                return Ok(index.wrapping_add(1));
            }
        }
        Err(BlobError::Rule)
    }

    pub(crate) fn check_limits(&self) -> Check {
        let sane = self.limits.iter().all(|[burst, refill_ns]| {
            (1..=u64::from(MAX_BURST)).contains(burst) && *refill_ns != 0
        });
        must(sane, BlobError::Limit)
    }

    /// Classes are ordered, disjoint id ranges with the rows after the subjects'.
    pub(crate) fn check_classes(&self) -> Check {
        let mut free = 1_u64;
        for (number, [first, last, row]) in self.classes.iter().enumerate() {
            let own = self.row_at(self.subjects.count.wrapping_add(number));
            must(*first >= free && first <= last && *row == own, BlobError::Class)?;
            free = last.checked_add(1).ok_or(BlobError::Class)?;
        }
        Ok(())
    }

    /// Every fact has an owner; its name was matched in `check_names`.
    pub(crate) fn check_facts(&self) -> Check {
        must(self.facts.iter().all(|[owner, _]| *owner != 0), BlobError::Fact)
    }
}

/// Position in the names and what came before.
struct NameWalk<'w> {
    at: usize,
    seen: [usize; TABLES],
    last: Option<(Kind, &'w [u64])>,
}

impl<'w> NameWalk<'w> {
    fn number(&self, kind: Kind) -> usize {
        self.seen.get((kind as usize).wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// Kinds in order, names within a kind strictly ascending.
    fn check_order(&self, kind: Kind, words: &[u64]) -> Check {
        let Some((last, before)) = self.last else { return Ok(()) };
        let ascending = sort_key(before).lt(sort_key(words));
        must(last < kind || (last == kind && ascending), BlobError::Name)
    }

    fn step(&mut self, kind: Kind, words: &'w [u64]) {
        if let Some(seen) = self.seen.get_mut((kind as usize).wrapping_sub(1)) {
            *seen = seen.wrapping_add(1);
        }
        self.last = Some((kind, words));
        self.at = self.at.wrapping_add(words.len()).wrapping_add(1);
    }
}

/// Packed names in text order: bytes from the front, padding below every character.
fn sort_key(words: &[u64]) -> impl Iterator<Item = u64> + '_ {
    words.iter().map(|word| word.swap_bytes())
}

fn check_spelling(words: &[u64], len: usize) -> Check {
    let mut bytes = [0; MAX_NAME_BYTES];
    debug_assert!(words.len() <= MAX_NAME_WORDS);
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    let (name, padding) = bytes.split_at_checked(len).ok_or(BlobError::Name)?;
    let clean = name.iter().all(|b| is_name_byte(*b)) && padding.iter().all(|b| *b == 0);
    must(clean, BlobError::Name)
}

/// The cells of a row word: the numbers present count up from 1, for known capabilities.
fn count_cells(word: u64, known: usize) -> Result<u64, BlobError> {
    let mut count = 0_u64;
    for place in 0..BLOCK {
        let number = word.wrapping_shr(place.wrapping_mul(NIBBLE) as u32) & 0xf;
        if number != 0 {
            count = count.wrapping_add(1);
            must(number == count && place < known, BlobError::Row)?;
        }
    }
    Ok(count)
}

/// What a slot says itself: its last word ends in another bucket's displacement.
fn content<const N: usize>(slot: &[u64; N]) -> [u64; N] {
    let mut content = *slot;
    if let Some(last) = content.last_mut() {
        *last >>= DISP_BITS;
    }
    content
}

/// Slots that say anything but `empty`.
fn occupied<const N: usize>(slots: &[[u64; N]], empty: &[u64; N]) -> usize {
    slots.iter().filter(|slot| content(slot) != *empty).count()
}
