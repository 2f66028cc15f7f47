//! Every entry over random and mutated inputs: the same ones in every run, for a few seconds.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]
use fuzz_entries::{
    Mutator, key_objects, policy_blob, policy_signature, policy_toml, registry_toml, reseal,
    signed_policy, state_image, state_records, system, wire_frames, words,
};
use nexus_sel::Policy;
use nexus_sel::authoring::{Input, compile};
use nexus_wire::PROTOCOLS;

const BASE: &str = include_str!("../../../recipes/policy/base.toml");
const REGISTRY: &str = include_str!("../../../recipes/policy/capabilities.toml");

/// Small, with every kind of entry.
const SMALL: &str = r#"schema = 2
version = 7
[facts]
update = { owner = "logd", meaning = "m" }
[gates]
update = { when = "update", meaning = "m" }
[groups]
pair = ["logd", "policyd"]
[allow]
"*" = ["ipc.core"]
pair = ["fs.*", { capability = "audit.read", when = "update" }]
logd = [{ capability = "policy.delegate", limit = { count = 2, per = "1s" } }]
policyd = [{ capability = "log.read", until = 2030-01-01T00:00:00Z }]
[deny]
policyd = ["fs.verify"]
"#;

fn blobs() -> Vec<Vec<u8>> {
    let registry = Input::new("capabilities.toml", REGISTRY);
    let compiled = compile(registry, vec![Input::new("small.toml", SMALL)], system());
    vec![compiled.unwrap_or_else(|errors| panic!("\n{errors}")).blob]
}

#[test]
fn policy_blobs() {
    let seeds = blobs();
    let mut resealed = words(&seeds[0]);
    reseal(&mut resealed);
    assert_eq!(resealed, words(&seeds[0]), "the digest is where this test thinks it is");
    let mut mutator = Mutator::new(1);
    let mut opened = 0;
    for _ in 0..4_000 {
        let bytes = mutator.damaged(&seeds);
        policy_blob(&bytes);
        let mut words = words(&bytes);
        reseal(&mut words);
        opened += usize::from(Policy::open(&words).is_ok());
    }
    for _ in 0..4_000 {
        policy_blob(&mutator.bytes(4_096));
    }
    // Not everything may stop at the digest: the checks behind it are what is tested.
    assert!(opened > 0, "no mutation came through");
    println!("{opened} of 4000 mutated blobs open");
}

#[test]
fn policy_signatures() {
    let signed: Vec<u8> = signed_policy().iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(policy_signature(&signed), "the policy that was signed");
    let seeds = [signed, blobs().remove(0)];
    let mut mutator = Mutator::new(6);
    let believed = (0..1_000).filter(|_| policy_signature(&mutator.damaged(&seeds))).count();
    // Damage to the signature alone is healed by the good one; nothing else is.
    assert!(believed < 500, "{believed}");
    println!("{believed} of 1000 damaged blobs were the signed one");
}

#[test]
fn rule_files() {
    let seeds = [SMALL.as_bytes().to_vec(), BASE.as_bytes().to_vec()];
    let mut mutator = Mutator::new(2);
    policy_toml(SMALL.as_bytes());
    for _ in 0..400 {
        policy_toml(&mutator.damaged(&seeds));
    }
    for _ in 0..400 {
        policy_toml(&mutator.bytes(256));
    }
}

#[test]
fn registries() {
    let seeds = [REGISTRY.as_bytes().to_vec()];
    let mut mutator = Mutator::new(3);
    registry_toml(REGISTRY.as_bytes());
    for _ in 0..300 {
        registry_toml(&mutator.damaged(&seeds));
    }
}

/// Frames that begin as real ones do, with fields of random content.
fn frame(mutator: &mut Mutator) -> Vec<u8> {
    let protocol = PROTOCOLS[mutator.below(PROTOCOLS.len())];
    let row = &protocol.ops[mutator.below(protocol.ops.len())];
    let version = row.versions[mutator.below(row.versions.len())];
    let mut bytes = protocol.magic.to_vec();
    let reply = mutator.below(2) == 0;
    bytes.push(version);
    bytes.push(row.code | if reply { protocol.reply_bit } else { 0 });
    if protocol.versions.contains(&(version, true)) {
        bytes.extend((0..protocol.nonce_bytes).map(|_| b'n'));
    }
    if reply {
        bytes.push(mutator.word().to_le_bytes()[0] & 3);
    }
    for field in if reply { row.reply } else { row.request } {
        let spread = field.max.saturating_sub(field.min).min(24);
        let len = field.min + mutator.below(spread + 1);
        let mut part: Vec<u8> = (0..len).map(|_| b'a' + mutator.below(26) as u8).collect();
        if field.min != field.max && !part.is_empty() {
            part[0] = (len - 1) as u8;
        }
        bytes.extend(part);
    }
    bytes
}

#[test]
fn frames() {
    let mut mutator = Mutator::new(4);
    let mut taken = 0;
    for _ in 0..40_000 {
        let frame = frame(&mut mutator);
        wire_frames(&frame);
        wire_frames(&mutator.damaged(std::slice::from_ref(&frame)));
        let mut out = [0; nexus_wire::FRAME_MAX];
        taken += usize::from(PROTOCOLS.iter().any(|p| (p.reencode)(&frame, &mut out).is_some()));
    }
    for _ in 0..20_000 {
        wire_frames(&mutator.bytes(600));
    }
    assert!(taken > 4_000, "{taken} frames decoded: the generator makes only junk");
    println!("{taken} of 40000 generated frames are requests");
}

/// A record's piece for `state_records`: a batch with one put.
fn put_piece(key: &str, value: &[u8], sequence: u64) -> Vec<u8> {
    let mut body = vec![1, key.len() as u8];
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(3_u64.to_le_bytes());
    body.extend(sequence.to_le_bytes());
    body.extend(key.as_bytes());
    body.extend(value);
    let mut piece = vec![1, 1];
    piece.extend((body.len() as u16).to_le_bytes());
    piece.extend(body);
    piece
}

#[test]
fn state_disks() {
    let good = [put_piece("a", b"one", 1), put_piece("slot/0", &[7; 400], 2)].concat();
    let mut boot = put_piece("a", b"", 1);
    boot.extend([3, 1, 20, 0, 1, 0, 0, 0]);
    boot.extend([9; 16]);
    assert!(state_records(&good) && state_records(&boot), "tagged by the documented rules");
    let seeds = [good, boot];
    let mut mutator = Mutator::new(4);
    let mut mounted = 0;
    for _ in 0..4_000 {
        mounted += usize::from(state_records(&mutator.damaged(&seeds)));
    }
    for _ in 0..1_000 {
        state_records(&mutator.bytes(512));
        state_image(&mutator.bytes(41_000));
    }
    assert!(mounted > 100, "most mutations stop somewhere: {mounted}");
    println!("{mounted} of 4000 mutated logs mount");
}

/// The golden vectors of nexus-keys, as a file of keys and one by one.
fn key_files() -> Vec<Vec<u8>> {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = golden.join("../../source/libs/nexus-keys/golden");
    let read = |name: &str| {
        let text = std::fs::read_to_string(golden.join(format!("{name}.hex")));
        let text: String =
            text.unwrap_or_else(|e| panic!("{name}: {e}")).split_whitespace().collect();
        let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16);
        (0..text.len()).step_by(2).map(|at| digits(at).unwrap_or(0)).collect::<Vec<u8>>()
    };
    let names = ["genesis", "certificate", "purpose", "quote", "seal"];
    let mut files: Vec<Vec<u8>> = names.map(read).to_vec();
    files.push(files.concat());
    files.extend(["preimage", "sealed"].map(read));
    files
}

#[test]
fn key_files_and_records() {
    let seeds = key_files();
    let mut mutator = Mutator::new(5);
    for seed in &seeds {
        key_objects(seed);
    }
    for _ in 0..3_000 {
        key_objects(&mutator.damaged(&seeds));
    }
    for _ in 0..1_000 {
        key_objects(&mutator.bytes(1_024));
    }
}
