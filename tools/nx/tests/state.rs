//! `nx state check` as people use it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nexus_state::{
    Batch, FileDevice, Format, FramingKey, Memory, Mount, Quota, Store, format,
    limits::SECTOR_BYTES,
};
use serde_json::Value;

const HOW: Format = Format { id: [0xab; 16], salt: [7; 32], key: FramingKey::PUBLIC, force: false };

/// An image with three batches and a boot.
fn image(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, vec![0; 80 * SECTOR_BYTES]).expect("writes");
    let mut device = FileDevice::open_writable(&path).expect("opens");
    format(&mut device, &HOW).expect("formats");
    let how = Mount { key: HOW.key, expect: None, min_sequence: 0, quota: Quota::UNBOUNDED };
    let mut memory = Memory::new();
    let mut store = Store::mount(device, &mut memory, &how).expect("mounts");
    assert_eq!(store.begin_boot([5; 16]), Ok(1));
    for (namespace, key, value) in [(3, "slot/0", "seed"), (3, "slot/1", "x"), (77, "a", "")] {
        let mut batch = Batch::new();
        batch.put(namespace, key.as_bytes(), value.as_bytes()).expect("fits");
        store.commit(&batch).expect("commits");
    }
    path
}

fn check(path: &Path, more: &[&str]) -> (i32, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_nx"))
        .args(["state", "check"])
        .arg(path)
        .args(more)
        .output()
        .expect("runs");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn json(path: &Path, more: &[&str]) -> (i32, Value) {
    let (code, text) = check(path, &[&["--json"], more].concat());
    (code, serde_json::from_str(&text).expect("JSON"))
}

fn damage(path: &Path, sector: usize, byte: usize) {
    let mut bytes = fs::read(path).expect("reads");
    bytes[sector * SECTOR_BYTES + byte] ^= 1;
    fs::write(path, bytes).expect("writes");
}

#[test]
fn a_whole_store_is_listed() {
    let path = image("whole.img");
    let before = fs::read(&path).expect("reads");
    let (code, all) = json(&path, &["--values", "--min-sequence", "4"]);
    assert_eq!((code, &all["result"]), (0, &Value::from("whole")));
    let store = &all["store"];
    assert_eq!(store["id"], "ab".repeat(16));
    assert_eq!(store["sequence"], 4);
    assert_eq!(store["boots"], 1);
    assert_eq!(store["torn_at"], Value::Null);
    assert_eq!(store["keys"][0]["key"], "slot/0");
    assert_eq!(store["keys"][0]["value"], "73656564");
    assert_eq!(store["namespaces"][0]["bytes"], 17);
    assert_eq!(all["superblocks"][0]["state"], "open");
    let (code, text) = check(&path, &[]);
    assert_eq!(code, 0);
    assert!(text.contains("logd (0x3): 2 keys, 17 bytes"), "{text}");
    assert!(text.contains("slot/1"), "{text}");
    assert!(!text.contains("73656564"), "values only when asked for: {text}");
    assert_eq!(fs::read(&path).expect("reads"), before, "the image is not changed");
}

#[test]
fn damage_is_placed() {
    let path = image("damaged.img");
    damage(&path, 17, 50);
    let (code, all) = json(&path, &[]);
    assert_eq!((code, &all["result"], &all["sector"]), (1, &"damaged".into(), &17.into()));
    assert!(check(&path, &[]).1.contains("damage begins at sector 17 (byte 8704)"));
}

#[test]
fn the_last_record_damaged_is_told_with_an_anchor() {
    let path = image("tail.img");
    damage(&path, 19, 50);
    let (code, all) = json(&path, &[]);
    assert_eq!((code, &all["store"]["torn_at"]), (0, &19.into()));
    let (code, all) = json(&path, &["--min-sequence", "4"]);
    assert_eq!((code, &all["result"], &all["sequence"]), (1, &"rollback".into(), &3.into()));
}

#[test]
fn test_reject_what_is_not_the_store_asked_for() {
    let path = image("other.img");
    let (code, all) = json(&path, &["--framing-key", &"00".repeat(32)]);
    assert_eq!((code, &all["result"]), (1, &"foreign".into()));
    let (code, all) = json(&path, &["--expect", &"ac".repeat(16)]);
    assert_eq!((code, &all["result"]), (1, &"foreign".into()));
    assert_eq!(json(&path, &["--expect", &"ab".repeat(16)]).0, 0);
    for wrong in [&["--expect", "ab"][..], &["--framing-key", "zz"], &["--min-sequence", "x"]] {
        assert_eq!(check(&path, wrong).0, 2, "{wrong:?}");
    }
    let bytes = fs::read(&path).expect("reads");
    fs::write(&path, &bytes[..70 * SECTOR_BYTES]).expect("writes");
    assert_eq!(json(&path, &[]).1["result"], "truncated");
    fs::write(&path, [0; 100]).expect("writes");
    assert_eq!(json(&path, &[]).1["result"], "too small");
    fs::write(&path, vec![0; 80 * SECTOR_BYTES]).expect("writes");
    let (code, all) = json(&path, &[]);
    assert_eq!((code, &all["result"]), (3, &"blank".into()));
    fs::write(&path, vec![1; 80 * SECTOR_BYTES]).expect("writes");
    assert_eq!(json(&path, &[]).1["result"], "not a store");
    assert_eq!(check(Path::new("/nonexistent"), &[]).0, 2);
}
