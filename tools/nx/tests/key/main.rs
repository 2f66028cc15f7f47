//! `nx key` as people use it. `NX_BLESS=1` writes the golden files.
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests"
)]

mod fixture;

use std::{fs, path::Path};

use fixture::*;
use nexus_audit::{Checkpoint, Writer};
use nexus_keys::*;

const LOGD: u64 = 3;

/// What a command prints, with its exit status, against a golden file.
fn golden(name: &str, file: &[u8], words: &[&str], exit: i32) {
    let path = write(&format!("{name}.keys"), file).display().to_string();
    let words: Vec<&str> = words.iter().map(|w| if *w == "FILE" { &path } else { *w }).collect();
    let output = nx(&words);
    let text = format!(
        "{}{}[exit {}]\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap()
    );
    // The digest of a checkpoint hangs on the layout of the trail, which is tested elsewhere.
    let digest = hex(&trail(7, false).1.digest());
    let text = text.replace(&path, "FILE").replace(&digest, "DIGEST");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/key/golden/{name}.txt"));
    if std::env::var_os("NX_BLESS").is_some() {
        fs::write(&golden, &text).unwrap();
    }
    let wanted = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(text, wanted, "{}: NX_BLESS=1 writes it", golden.display());
    assert_eq!(output.status.code(), Some(exit), "{text}");
}

fn status(words: &[&str]) -> i32 {
    nx(words).status.code().unwrap()
}

fn key() -> String {
    hex(device().bytes())
}

fn quote(name: &str, file: &[u8], more: &[&str], exit: i32) {
    let (key, nonce) = (key(), hex(&NONCE));
    let mut words = vec!["verify-quote", "FILE", "--device", &key, "--nonce", &nonce];
    words.extend(more);
    golden(name, file, &words, exit);
}

#[test]
fn help_teaches() {
    for command in ["verify-quote", "verify-chain", "verify-checkpoint", "show"] {
        golden(&format!("help-{command}"), b"", &[command, "--help"], 0);
    }
    golden("help", b"", &["--help"], 0);
}

#[test]
fn a_genuine_quote() {
    let file = answer(5, Flags::NONE);
    quote("quote", &file, &[], 0);
    quote("quote-json", &file, &["--json"], 0);
    let (policy, measurements) = (hex(&POLICY), hex(&[0x22; 32]));
    let kept = write("kept.keys", &answer(4, Flags::NONE)).display().to_string();
    let all = ["--policy", &policy, "--measurements", &measurements, "--kept", &kept];
    quote("quote-all", &file, &all, 0);
    let text = format!("# as text\n{}\n", hex(&file));
    quote("quote-text", text.as_bytes(), &[], 0);
}

#[test]
fn test_reject_quotes_that_prove_something_else() {
    let file = answer(5, Flags::NONE);
    let key = key();
    let words = ["verify-quote", "FILE", "--device", &key, "--nonce", &hex(&[0x5A; 32])];
    golden("quote-other-nonce", &file, &words, 1);
    let other = hex(identity(7).public().bytes());
    let words = ["verify-quote", "FILE", "--device", &other, "--nonce", &hex(&NONCE)];
    golden("quote-other-device", &file, &words, 1);
    quote("quote-other-policy", &file, &["--policy", &hex(&[9; 32])], 1);
    let kept = write("newer.keys", &answer(6, Flags::NONE)).display().to_string();
    quote("quote-rolled-back", &file, &["--kept", &kept], 1);
    // The certificate to generation 1 was cut, which the quote knows of.
    let mut cut = file.clone();
    cut.drain(152..152 + 304);
    quote("quote-cut", &cut, &[], 1);
    quote("quote-chain-only", &chain(), &[], 1);
    // A generation of the attestation key that two keys claim.
    let usage =
        Usage::unlimited(Purposes::only(Purpose::Attest), Moment { boot: 2, ns: 2_000_000 });
    let second = SecretSeed::take(&mut [0x78; 32]).unwrap();
    let second = SigningKey::new(&second, Purposes::only(Purpose::Attest), Generation(1)).unwrap();
    let by = (0, Generation(1));
    let twice =
        PurposeCertificate::sign((&device(), false), &identity(1), &second, by, usage).unwrap();
    let mut twofold = file.clone();
    twofold.extend(twice.encode());
    quote("quote-two-keys", &twofold, &[], 1);
}

#[test]
fn test_reject_every_flipped_byte_of_an_answer() {
    let file = answer(5, Flags::NONE);
    let (key, nonce) = (key(), hex(&NONCE));
    // One process each: every 13th byte, coprime to all field lengths.
    for at in (0..file.len()).step_by(13) {
        let mut flipped = file.clone();
        flipped[at] ^= 0x10;
        let path = write("flipped.keys", &flipped).display().to_string();
        let words = ["verify-quote", &path, "--device", &key, "--nonce", &nonce];
        assert_eq!(status(&words), 1, "byte {at}");
    }
}

#[test]
fn test_reject_k28_a_development_key_unless_allowed() {
    let file = development_answer();
    quote("quote-development", &file, &[], 1);
    quote("quote-development-allowed", &file, &["--allow-dev"], 3);
}

#[test]
fn test_reject_the_development_identity_that_hides_itself() {
    let identity = |generation| {
        let mut seed = [0; 32];
        development_seeds(Generation(generation), &mut seed);
        let seed = SecretSeed::take(&mut seed).unwrap();
        SigningKey::new(&seed, Purposes::IDENTITY, Generation(generation)).unwrap()
    };
    let made = Moment { boot: 1, ns: 0 };
    let hidden = Genesis::sign(&identity(0), &identity(1).public(), made, false).unwrap();
    let device = hex(&DEVELOPMENT_DEVICE);
    let words = ["verify-chain", "FILE", "--device", &device];
    golden("chain-hidden-development", &hidden.encode(), &words, 1);
}

#[test]
fn a_quote_that_admits_something_is_not_proven() {
    let flags = Flags::STORAGE_VOLATILE.with(Flags::ROLLBACK_DETECTED);
    quote("quote-admits", &answer(5, flags), &[], 3);
}

#[test]
fn test_reject_k24_nonces_and_other_usage() {
    let path = write("usage.keys", &answer(5, Flags::NONE)).display().to_string();
    let key = key();
    for nonce in ["", "00", &"01".repeat(31), &"01".repeat(65), &"00".repeat(32), "xy"] {
        let words = ["verify-quote", &path, "--device", &key, "--nonce", nonce];
        assert_eq!(status(&words), 2, "{nonce}");
    }
    assert_eq!(status(&["verify-quote", &path, "--device", &key]), 2);
    assert_eq!(status(&["verify-chain", &path, "--device", &format!("01{}", "0".repeat(62))]), 2);
    assert_eq!(status(&["show", "no-such-file"]), 1);
}

#[test]
fn chains() {
    let key = key();
    golden("chain", &chain(), &["verify-chain", "FILE", "--device", &key], 0);
    golden("chain-nobody", &chain(), &["verify-chain", "FILE"], 3);
    let words = ["verify-chain", "FILE", "--device", &key, "--at-least", "3", "--json"];
    golden("chain-at-least-json", &chain(), &words, 0);
    let words = ["verify-chain", "FILE", "--device", &key, "--at-least", "4"];
    golden("chain-cut", &chain(), &words, 1);
    golden("show", &chain(), &["show", "FILE"], 0);
    golden("show-quote", &answer(5, Flags::STORAGE_VOLATILE), &["show", "FILE"], 0);
    golden("show-json", &sealed(7, [7; 32], LOGD), &["show", "FILE", "--json"], 0);
}

#[test]
fn test_reject_chains_that_break() {
    let key = key();
    let words = ["verify-chain", "FILE", "--device", &key];
    let mut skipped = genesis(false).encode().to_vec();
    skipped.extend(rotation(1, Reason::Scheduled).encode());
    golden("chain-skipped", &skipped, &words, 1);
    // A thief of key 0 names a successor of their own.
    let thief = SecretSeed::take(&mut [0x77; 32]).unwrap();
    let thief = SigningKey::new(&thief, Purposes::IDENTITY, Generation(1)).unwrap();
    let overlap = Window::none(Moment { boot: 9, ns: 0 });
    let by = (Reason::Scheduled, overlap);
    let next = identity(2).public();
    let stolen = Certificate::sign((&device(), false), &identity(0), &thief, &next, by).unwrap();
    let mut taken = genesis(false).encode().to_vec();
    taken.extend(stolen.encode());
    golden("chain-not-committed", &taken, &words, 1);
    // The attestation key was certified by an identity key that was given up.
    let mut file = genesis(false).encode().to_vec();
    file.extend(rotation(0, Reason::Compromise).encode());
    file.extend(certified(0, Purpose::Attest, 0, false).encode());
    golden("chain-compromised", &file, &words, 1);
    let pinned = hex(&[1; 32]);
    let words = ["verify-chain", "FILE", "--device", &key, "--genesis", &pinned];
    golden("chain-other-genesis", &chain(), &words, 1);
    let mut twice = genesis(false).encode().to_vec();
    twice.extend(genesis(false).encode());
    golden("chain-two-geneses", &twice, &["verify-chain", "FILE"], 1);
    golden("chain-damaged", &chain()[..500], &["verify-chain", "FILE"], 1);
    golden("chain-nothing", b"# nothing\n", &["verify-chain", "FILE"], 1);
}

/// An export with one checkpoint of that number, signed or not.
fn trail(number: u64, sign: bool) -> (Vec<u8>, Checkpoint) {
    let mut checkpoint = Checkpoint { number, last_seq: 9, ..Checkpoint::default() };
    if sign {
        let file = sealed(number, checkpoint.digest(), LOGD);
        let Some(Ok(Object::Seal(seal))) = Objects::new(&file).last() else { panic!("no seal") };
        checkpoint.seal = nexus_audit::Seal::Ed25519(nexus_audit::Signature {
            generation: seal.generation.0,
            boot: seal.boot,
            bytes: seal.signature,
        });
    }
    let mut file = Vec::new();
    let mut writer = Writer::new(1, |bytes: &[u8]| file.extend_from_slice(bytes));
    writer.checkpoint(&checkpoint.encode());
    writer.finish();
    (file, checkpoint)
}

#[test]
fn checkpoints() {
    let key = key();
    let (export, checkpoint) = trail(7, false);
    let file = sealed(7, checkpoint.digest(), LOGD);
    let export = write("trail.nxa", &export).display().to_string();
    let words = ["verify-checkpoint", "FILE", "--device", &key];
    golden("checkpoint-no-trail", &file, &words, 3);
    let words = ["verify-checkpoint", "FILE", "--device", &key, "--trail", &export];
    golden("checkpoint", &file, &words, 0);
    golden("checkpoint-other", &sealed(7, [1; 32], LOGD), &words, 1);
    golden("checkpoint-missing", &sealed(8, checkpoint.digest(), LOGD), &words, 1);
    // Signed for somebody who is not the journal.
    golden("checkpoint-other-caller", &sealed(7, checkpoint.digest(), 20), &words, 1);
    let digest = hex(&checkpoint.digest());
    let words = ["verify-checkpoint", "FILE", "--device", &key, "--digest", &digest];
    golden("checkpoint-digest", &file, &words, 0);
    golden("checkpoint-none", &chain(), &words, 1);
}

#[test]
fn checkpoints_that_the_trail_itself_carries() {
    let key = key();
    let mut keys = genesis(false).encode().to_vec();
    keys.extend(certified(0, Purpose::Checkpoint, 0, false).encode());
    let (export, _) = trail(7, true);
    let path = write("signed.nxa", &export).display().to_string();
    let words = ["verify-checkpoint", "FILE", "--device", &key, "--trail", &path];
    golden("checkpoint-in-trail", &keys, &words, 0);
    // The certificate is for attestation: nothing certifies who signed the trail.
    let mut other = genesis(false).encode().to_vec();
    other.extend(certified(0, Purpose::Attest, 0, false).encode());
    golden("checkpoint-uncertified", &other, &words, 1);
    let flipped = export.iter().position(|byte| *byte == 9).unwrap();
    let mut altered = export;
    altered[flipped] = 8;
    let path = write("altered.nxa", &altered).display().to_string();
    let words = ["verify-checkpoint", "FILE", "--device", &key, "--trail", &path];
    golden("checkpoint-in-altered-trail", &keys, &words, 1);
}
