//! A device of the tests: keys from fixed seeds, files as it would hand them out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nexus_keys::*;

pub(crate) const NONCE: [u8; 32] = [0xA5; 32];
pub(crate) const POLICY: [u8; 32] = [0x33; 32];

fn seed(number: u8) -> SecretSeed {
    SecretSeed::take(&mut [number; 32]).unwrap()
}

pub(crate) fn identity(generation: u32) -> SigningKey {
    let seed = seed(0x10 + generation as u8);
    SigningKey::new(&seed, Purposes::IDENTITY, Generation(generation)).unwrap()
}

pub(crate) fn purpose_key(purpose: Purpose, generation: u32) -> SigningKey {
    let seed = seed(0x40 + 8 * purpose.code().trailing_zeros() as u8 + generation as u8);
    SigningKey::new(&seed, Purposes::only(purpose), Generation(generation)).unwrap()
}

fn at(boot: u32) -> Moment {
    Moment { boot, ns: 1_000_000 }
}

/// Genesis in boot 1.
pub(crate) fn genesis(development: bool) -> Genesis {
    Genesis::sign(&identity(0), &identity(1).public(), at(1), development).unwrap()
}

pub(crate) fn device() -> PublicKey {
    identity(0).public()
}

/// From `from` to the next, in boot `from` + 2.
pub(crate) fn rotation(from: u32, reason: Reason) -> Certificate {
    let (old, new) = (identity(from), identity(from + 1));
    let made = at(from + 2);
    let overlap = match reason {
        Reason::Compromise => Window::none(made),
        _ => Window { from: made, boots: 2, ns: 3_600_000_000_000 },
    };
    let next = identity(from + 2).public();
    Certificate::sign((&device(), false), &old, &new, &next, (reason, overlap)).unwrap()
}

pub(crate) fn certified(
    issuer: u32,
    purpose: Purpose,
    generation: u32,
    development: bool,
) -> PurposeCertificate {
    let usage = Usage::unlimited(Purposes::only(purpose), at(issuer + 1));
    let key = purpose_key(purpose, generation);
    let revoked = (0, Generation(generation));
    let device = (&device(), development);
    PurposeCertificate::sign(device, &identity(issuer), &key, revoked, usage).unwrap()
}

pub(crate) fn body(boot: u32, identity: u32, flags: Flags) -> QuoteBody {
    QuoteBody {
        nonce: Nonce::new(&NONCE).unwrap(),
        caller: 20,
        device: device(),
        generation: Generation(identity),
        identity: Generation(identity),
        evidence: Evidence {
            flags: flags.with(Flags::NO_HARDWARE_ROOT),
            boot,
            resumes: 0,
            boot_id: [0x0b; 16],
            images: 9,
            measurements: [0x22; 32],
            policy: POLICY,
            policy_version: 4,
            audit_size: 1071,
            audit_head: [0x44; 32],
            rollback_floor: 17,
        },
    }
}

/// A whole answer of a device that rotated once, in this boot.
pub(crate) fn answer(boot: u32, flags: Flags) -> Vec<u8> {
    let quote = Quote::sign(&purpose_key(Purpose::Attest, 1), body(boot, 1, flags)).unwrap();
    let mut file = genesis(false).encode().to_vec();
    file.extend(rotation(0, Reason::Scheduled).encode());
    file.extend(certified(1, Purpose::Attest, 1, false).encode());
    file.extend(quote.encode());
    file
}

/// The same of a development build.
pub(crate) fn development_answer() -> Vec<u8> {
    let quote = body(1, 0, Flags::DEVELOPMENT_KEY);
    let quote = Quote::sign(&purpose_key(Purpose::Attest, 0), quote).unwrap();
    let mut file = genesis(true).encode().to_vec();
    file.extend(certified(0, Purpose::Attest, 0, true).encode());
    file.extend(quote.encode());
    file
}

/// Genesis, three rotations, the last but one for a compromise, and keys for two purposes.
pub(crate) fn chain() -> Vec<u8> {
    let mut file = genesis(false).encode().to_vec();
    for (from, reason) in
        [Reason::Scheduled, Reason::Compromise, Reason::Requested].iter().enumerate()
    {
        file.extend(rotation(from as u32, *reason).encode());
    }
    file.extend(certified(3, Purpose::Attest, 3, false).encode());
    file.extend(certified(2, Purpose::Checkpoint, 2, false).encode());
    file
}

/// A checkpoint signed for `caller`.
pub(crate) fn sealed(number: u64, digest: [u8; 32], caller: u64) -> Vec<u8> {
    let key = purpose_key(Purpose::Checkpoint, 0);
    let mut file = genesis(false).encode().to_vec();
    file.extend(certified(0, Purpose::Checkpoint, 0, false).encode());
    file.extend(Seal::sign(&key, (number, digest), (caller, 2), false).unwrap().encode());
    file
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nx-key");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    fs::write(&file, bytes).unwrap();
    file
}

pub(crate) fn nx(words: &[&str]) -> Output {
    let mut nx = Command::new(env!("CARGO_BIN_EXE_nx"));
    nx.arg("key").args(words).output().unwrap()
}
