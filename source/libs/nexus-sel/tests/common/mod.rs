//! A small policy with every kind of entry, and tools to take its blob apart and put it together
//! again as somebody would who knows the format: lengths, offsets and digest right.
#![allow(dead_code, reason = "each test crate uses its part")]
use nexus_sel::authoring::{Compiled, Input, SystemNames, compile};
use nexus_sel::{BlobError, Policy};

/// Small, but with every kind of entry: gates, limits, expiry, a class, a family, a deny.
pub(crate) fn sample() -> Compiled {
    let registry = "\
[\"ipc.core\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\n\
[\"fs.read\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\n\
[\"fs.verify-a-long-name\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\naudit = \"required\"\n\
[\"key.use\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\nsensitivity = \"high\"\n\
[\"route.*\"]\nexpand = \"providers\"\nmeaning = \"m\"\nenforcer = \"logd\"\n";
    let base = "schema = 2\nversion = 7\n\
[facts]\nupdate = { owner = \"logd\", meaning = \"m\" }\nnight = { owner = \"init\", meaning = \"m\" }\n\
[gates]\nupdate = { when = \"update\", unless = \"night\", meaning = \"m\" }\n\
[allow]\ninit = [\"ipc.core\", \"fs.*\", { capability = \"key.use\", when = \"update\" }]\n\
logd = [\"route.logd\", { capability = \"key.use\", limit = { count = 2, per = \"1s\" } }]\n\
bundle = [\"ipc.core\", { capability = \"fs.read\", until = 2030-01-01T00:00:00Z }]\n\
[deny]\ninit = [\"fs.verify-a-long-name\"]\n\
\"*\" = [{ capability = \"key.use\", until = 2027-01-01T00:00:00Z }]\n";
    let services = vec![("init".to_owned(), 1), ("logd".to_owned(), 3)];
    let mut system = SystemNames::new(services, vec!["logd".to_owned()]);
    system.classes.push(("bundle".to_owned(), 1024, 4095));
    compile(Input::new("capabilities.toml", registry), vec![Input::new("base.toml", base)], &system)
        .unwrap_or_else(|errors| panic!("\n{errors}"))
}

/// Writes the right digest into mutated words, so that the structural checks have to answer.
pub(crate) fn reseal(words: &mut [u64]) {
    let bytes = |part: &[u64]| part.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let covered = [bytes(&words[..5]), bytes(&words[21..])].concat();
    let digest = blake3::hash(&covered);
    for (word, chunk) in words[5..9].iter_mut().zip(digest.as_bytes().as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*chunk);
    }
}

/// Where a section begins, and how many words it has.
pub(crate) fn section_of(words: &[u64], index: usize) -> (usize, usize) {
    let entry = words[21 + index];
    (entry as u32 as usize, (entry >> 32) as usize)
}

/// Words of the header, of which the last eleven say where the sections are.
const HEADER: usize = 32;

/// Section numbers, in file order.
pub(crate) const PARAMS: usize = 0;
pub(crate) const ID_SLOTS: usize = 1;
pub(crate) const SUBJECT_SLOTS: usize = 2;
pub(crate) const CAP_SLOTS: usize = 3;
pub(crate) const NAMES: usize = 4;
pub(crate) const ROWS: usize = 5;
pub(crate) const CELLS: usize = 6;
pub(crate) const CHAINS: usize = 7;
pub(crate) const LIMITS: usize = 8;
pub(crate) const CLASSES: usize = 9;
pub(crate) const FACTS: usize = 10;

/// A blob by its sections.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) head: Vec<u64>,
    pub(crate) of: [Vec<u64>; 11],
}

impl Parts {
    pub(crate) fn new(words: &[u64]) -> Self {
        let section = |index| {
            let (at, len) = section_of(words, index);
            words[at..at + len].to_vec()
        };
        Self { head: words[..21].to_vec(), of: std::array::from_fn(section) }
    }

    /// The blob of these sections.
    pub(crate) fn blob(&self) -> Vec<u64> {
        let mut words = self.head.clone();
        let mut at = HEADER;
        for part in &self.of {
            words.push(at as u64 | (part.len() as u64) << 32);
            at += part.len();
        }
        words.extend(self.of.iter().flatten());
        words[2] = words.len() as u64;
        reseal(&mut words);
        words
    }

    /// Changes the header of a capability's name where it stands and in its slot, so that only the
    /// header itself can be what is wrong.
    pub(crate) fn change_capability(&mut self, index: usize, change: impl Fn(u64) -> u64) {
        let at = self.name_at(index);
        let old = self.of[NAMES][at];
        let slots = self.of[CAP_SLOTS].chunks_mut(4);
        for slot in slots.filter(|slot| slot[0] == old) {
            slot[0] = change(old);
        }
        self.of[NAMES][at] = change(old);
    }

    /// Where the `index`th name record begins.
    pub(crate) fn name_at(&self, index: usize) -> usize {
        let mut at = 0;
        for _ in 0..index {
            at += 1 + match self.of[NAMES][at] & 0xff {
                0..=16 => 2,
                17..=32 => 4,
                _ => 6,
            };
        }
        at
    }
}

/// What is done to a sound blob.
pub(crate) type Edit = fn(&mut Parts);

pub(crate) fn refusal(words: &[u64]) -> Option<BlobError> {
    Policy::open(words).err()
}

/// Each edit of the sample, alone, is refused for its own reason.
pub(crate) fn refuse_each(table: &[(&str, Edit, BlobError)]) {
    let whole = Parts::new(&sample().words);
    assert_eq!(refusal(&whole.blob()), None, "what is edited is sound");
    for (what, edit, error) in table {
        let mut parts = whole.clone();
        edit(&mut parts);
        assert_eq!(refusal(&parts.blob()), Some(*error), "{what}");
    }
}
