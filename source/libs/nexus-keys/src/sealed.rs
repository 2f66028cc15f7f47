//! Records at rest: encrypted, bound to their slot, each under a key of its own.
//!
//! | off | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `NXKSEAL1` |
//! | 8 | 1 | flags: bit 0, a development secret |
//! | 9 | 3 | zero |
//! | 12 | 4 | generation |
//! | 16 | 8 | owner: the service whose record this is |
//! | 24 | 8 | counter: grows with each write of the slot |
//! | 32 | 40 | [`Usage`] |
//! | 72 | 32 | salt, fresh for each record |
//! | 104 | 2 | length of the payload |
//! | 106 | 6 | zero |
//! | 112 | n | payload, ChaCha20 |
//! | 112 + n | 16 | tag, Poly1305, over the first 112 bytes, the name's digest, and the payload |
//!
//! The name of the slot is not in the record, not even as a digest: who opens knows it, and the
//! tag says whether it is the one.
//!
//! The key is BLAKE3 `derive_key` over the root secret, the salt and the counter, and is used for
//! this one record; the nonce is zero. A counter alone would repeat after the disk was rolled
//! back, and two records under one key stream would give each other away.
//!
//! What it gives: secrecy and integrity against whoever holds the disk and not the root secret.
//! What it does not: an older record of the same slot opens as it did. The counter against a
//! floor kept elsewhere ([`open`]'s `floor`) is what tells.

use chacha20poly1305::{
    AeadInOut, ChaCha20Poly1305, KeyInit,
    aead::{Tag, inout::InOutBuf},
};
use zeroize::Zeroize;

use crate::{
    Counter, Error, Generation, Purposes, SecretSeed, Usage,
    layout::{In, Out},
    scrub::scrubbed,
};

const MAGIC: [u8; 8] = *b"NXKSEAL1";
const DEVELOPMENT: u8 = 1;
const KEY: &str = "nexus-keys 2026-11 key of a sealed record v1";
const NAME: &str = "nexus-keys 2026-11 name of a slot v1";
const HEADER: usize = 112;
/// Header and digest of the name: what the tag covers besides the payload.
const BOUND: usize = HEADER + 32;
const TAG: usize = 16;

/// Longest payload.
pub const PAYLOAD_MAX: usize = 256;
/// Longest record; a value of the state store holds 400 bytes.
pub const RECORD_MAX: usize = HEADER + PAYLOAD_MAX + TAG;

/// Whose record, which one, and what for: what the opener knows without looking at the disk.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'n> {
    /// The stamped identity of the service it belongs to.
    pub owner: u64,
    /// Its name for it.
    pub name: &'n [u8],
    /// What for.
    pub purposes: Purposes,
}

/// What stands beside the payload, authenticated and readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether a development secret sealed it.
    pub development: bool,
    /// Generation of the key inside.
    pub generation: Generation,
    /// Grows with each write of the slot.
    pub counter: Counter,
    /// What the key inside may do.
    pub usage: Usage,
}

/// What opening gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What stood beside the payload.
    pub header: Header,
    /// Bytes of payload.
    pub len: usize,
}

struct Full {
    header: Header,
    owner: u64,
    salt: [u8; 32],
    len: u16,
}

impl Full {
    fn encode(&self) -> [u8; HEADER] {
        let header = &self.header;
        let flags = if header.development { DEVELOPMENT } else { 0 };
        let out = Out::new().put(&MAGIC).u8(flags).put(&[0; 3]).u32(header.generation.0);
        let out = out.u64(self.owner).u64(header.counter.0);
        let out = out.put(&header.usage.encode()).put(&self.salt).u16(self.len);
        out.put(&[0; 6]).finish()
    }

    fn decode(bytes: &[u8; HEADER]) -> Result<Full, Error> {
        let mut input = In::new(bytes, HEADER, MAGIC)?;
        let flags = input.u8()?;
        input.zero::<3>()?;
        let generation = Generation(input.u32()?);
        let (owner, counter) = (input.u64()?, Counter(input.u64()?));
        let usage = Usage::read(&mut input)?;
        let (salt, len) = (input.array()?, input.u16()?);
        input.zero::<6>()?;
        if flags & !DEVELOPMENT != 0 {
            return Err(Error::Malformed);
        }
        let development = flags == DEVELOPMENT;
        Ok(Full { header: Header { development, generation, counter, usage }, owner, salt, len })
    }

    fn is_of(&self, slot: &Slot<'_>) -> bool {
        self.owner == slot.owner && self.header.usage.purposes == slot.purposes
    }
}

/// What the tag covers besides the payload.
fn bound(head: &[u8; HEADER], slot: &Slot<'_>) -> [u8; BOUND] {
    Out::new().put(head).put(&blake3::derive_key(NAME, slot.name)).finish()
}

/// The cipher under the key of one record.
fn cipher(root: &SecretSeed, salt: &[u8; 32], counter: Counter) -> ChaCha20Poly1305 {
    let mut input: [u8; 72] =
        root.expose(|secret| Out::new().put(secret).put(salt).u64(counter.0).finish());
    let mut key = blake3::derive_key(KEY, &input);
    let cipher = ChaCha20Poly1305::new(&key.into());
    input.zeroize();
    key.zeroize();
    cipher
}

/// Writes the record of `payload` into `out` and gives its length.
///
/// `salt` must be fresh random bytes for every call.
///
/// # Errors
/// [`Error::TooLong`]; [`Error::WrongPurpose`] if slot and usage disagree; [`Error::BadSeed`] for
/// a salt of zeros.
pub fn seal(
    root: &SecretSeed,
    slot: &Slot<'_>,
    header: &Header,
    salt: &[u8; 32],
    payload: &[u8],
    out: &mut [u8; RECORD_MAX],
) -> Result<usize, Error> {
    if header.usage.purposes != slot.purposes {
        return Err(Error::WrongPurpose);
    }
    if *salt == [0; 32] {
        return Err(Error::BadSeed);
    }
    let len = u16::try_from(payload.len()).map_err(|_| Error::TooLong)?;
    let full = Full { header: *header, owner: slot.owner, salt: *salt, len };
    let head = full.encode();
    let (front, rest) = out.split_first_chunk_mut::<HEADER>().ok_or(Error::TooLong)?;
    let (body, tail) = rest.split_at_mut_checked(payload.len()).ok_or(Error::TooLong)?;
    let place = tail.first_chunk_mut::<TAG>().ok_or(Error::TooLong)?;
    *front = head;
    body.copy_from_slice(payload);
    let sealed = scrubbed(|| {
        let bound = bound(&head, slot);
        let place = InOutBuf::from(&mut *body);
        let cipher = cipher(root, salt, header.counter);
        cipher.encrypt_inout_detached(&[0; 12].into(), &bound, place)
    });
    match sealed {
        Ok(tag) => {
            *place = tag.into();
            Ok(HEADER.saturating_add(payload.len()).saturating_add(TAG))
        }
        Err(_) => {
            body.zeroize();
            Err(Error::TooLong)
        }
    }
}

/// Opens a record into `payload`, whose bytes behind [`Opened::len`] are zero; all of it is zero
/// after an error.
///
/// # Errors
/// [`Error::Unsealed`] for every record that is not this slot's own, unaltered;
/// [`Error::Rollback`] for one that is, with a counter below `floor`.
pub fn open(
    root: &SecretSeed,
    slot: &Slot<'_>,
    floor: Counter,
    record: &[u8],
    payload: &mut [u8; PAYLOAD_MAX],
) -> Result<Opened, Error> {
    payload.zeroize();
    let opened = scrubbed(|| decrypt(root, slot, record, payload));
    let checked = opened.and_then(|full| {
        if !full.is_of(slot) {
            return Err(Error::Unsealed);
        }
        full.header.counter.at_least(floor)?;
        Ok(Opened { header: full.header, len: usize::from(full.len) })
    });
    if checked.is_err() {
        payload.zeroize();
    }
    checked
}

fn decrypt(
    root: &SecretSeed,
    slot: &Slot<'_>,
    record: &[u8],
    payload: &mut [u8; PAYLOAD_MAX],
) -> Result<Full, Error> {
    let (head, rest) = record.split_first_chunk::<HEADER>().ok_or(Error::Unsealed)?;
    let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(Error::Unsealed)?;
    let full = Full::decode(head).map_err(|_| Error::Unsealed)?;
    if usize::from(full.len) != body.len() {
        return Err(Error::Unsealed);
    }
    let place = payload.get_mut(..body.len()).ok_or(Error::Unsealed)?;
    place.copy_from_slice(body);
    let tag = Tag::<ChaCha20Poly1305>::from(*tag);
    cipher(root, &full.salt, full.header.counter)
        .decrypt_inout_detached(&[0; 12].into(), &bound(head, slot), InOutBuf::from(place), &tag)
        .map_err(|_| Error::Unsealed)?;
    Ok(full)
}

#[cfg(test)]
#[path = "sealed_tests.rs"]
mod tests;
