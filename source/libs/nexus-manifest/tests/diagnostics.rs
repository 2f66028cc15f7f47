//! What people read when a recipe is wrong: one golden file per fault, each made by one change
//! to a sound manifest. `BLESS=1 cargo test -p nexus-manifest` rewrites them; the diff is the
//! review.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use std::{env, fs, path::Path};

use nexus_manifest::authoring::{Lock, Markers, Source, System};

const BASE: &str = include_str!("base.toml");

/// Name of the golden file, text to replace (at its first place) and what stands there instead.
const CASES: &[(&str, &str, &str)] = &[
    ("unknown-key", "stack = \"8K\", frames = 64", "stak = \"8K\", frames = 64"),
    ("unknown-table", "[lane.audit]", "[lanes.audit]"),
    ("unknown-service", "[\"authority\", \"journal\"]\nsys", "[\"autority\", \"keystored\"]\nsys"),
    ("duplicate-id", "id = 20", "id = 3"),
    ("id-zero", "id = 20", "id = 0"),
    ("priority-inversion", "priority = 3", "priority = 5"),
    ("authority-calls", "provides = \"policy\"", "provides = \"policy\"\ncalls = [\"init\"]"),
    ("no-endpoint", "provides = \"log\"\n", ""),
    ("unknown-syscall", "\"recv\", ", "\"receive\", \"rcv\", "),
    ("unknown-set", "syscalls = \"server\"", "syscalls = \"servers\""),
    ("set-used-before", "client = [", "early = [\"@server\"]\nclient = ["),
    ("quota-overflow", "frames = 512", "frames = 1900"),
    ("factory-overflow", "frames = 256", "frames = 4096"),
    ("factory-units", "frames = 256, objects = 16", "frames = 250, objects = 20"),
    ("factory-range", "900..=907", "1..=6"),
    (
        "factory-ceiling",
        "priority = 2, syscalls = \"client\"",
        "priority = 1, syscalls = \"server\"",
    ),
    ("bad-type", "id = 20\npriority = 3", "id = \"20\"\npriority = true"),
    ("bad-size", "stack = \"16K\"", "stack = \"16\""),
    ("bad-duration", "\"10s\"", "\"ten\""),
    ("missing-key", "id = 20\n", ""),
    ("two-users-of-a-device", "notify = true", "devices = [\"uart\"]\nnotify = true"),
    ("dma-without-device", "notify = true", "dma = \"8K\"\nnotify = true"),
    ("overlapping-devices", "base = 0x1000_0000", "base = 0x10_0000"),
    ("device-over-ram", "base = 0x1000_0000", "base = 0x8000_0000"),
    ("lane-without-bell", "notify = true\n", ""),
    ("lane-to-nobody", "consumer = \"journal\"", "consumer = \"jurnal\""),
    (
        "image-incomplete",
        "[\"authority\", \"journal\", \"client\"]",
        "[\"authority\", \"client\", \"child\"]",
    ),
    ("id-changed", "id = 20", "id = 21"),
    ("id-reused", "[service.client]\nid = 20", "[service.newcomer]\nid = 20"),
    ("not-toml", "[image.test]", "[image.test"),
    (
        "several",
        "[service.journal]\nid = 3\npriority = 5",
        "[service.journal]\nid = 2\npriority = 9",
    ),
];

fn text_of(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

fn lock() -> Lock {
    let text = "init = 1\nauthority = 2\njournal = 3\nclient = 20\nchild = 900\n";
    Lock::parse(&text_of("recipes/system.lock", text)).expect("lock")
}

fn golden(name: &str, text: &str) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if env::var_os("BLESS").is_some() {
        fs::write(&path, text).expect("write");
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, want, "{} differs; BLESS=1 rewrites it", path.display());
}

#[test]
fn sound_manifest_passes_and_expands() {
    let system =
        System::parse(&text_of("system.toml", BASE), &lock()).unwrap_or_else(|e| panic!("{e}"));
    let slots: String = (system.services.iter())
        .flat_map(|s| s.slots.iter().map(|slot| format!("{} {:?}\n", s.name.value, slot)))
        .collect();
    golden("expanded-slots", &slots);
}

#[test]
fn every_fault_says_where_and_what_to_do() {
    for (name, find, replace) in CASES {
        assert!(BASE.contains(find), "{name}: nothing to change");
        let text = BASE.replacen(find, replace, 1);
        match System::parse(&text_of("recipes/system.toml", &text), &lock()) {
            Ok(_) => panic!("{name}: not refused"),
            Err(faults) => golden(name, &format!("{faults}\n")),
        }
    }
}

#[test]
fn routes_and_policy_must_agree() {
    let system = System::parse(&text_of("recipes/system.toml", BASE), &lock()).expect("sound");
    let agreed = |from: u64, to: &str| {
        matches!((from, to), (3, "authority") | (20, "authority") | (20, "journal"))
    };
    assert_eq!(system.check_routes(&agreed), Ok(()));
    let missing = |from: u64, to: &str| agreed(from, to) && to != "journal";
    golden("route-refused", &format!("{}\n", system.check_routes(&missing).expect_err("refused")));
    let dead = |from: u64, to: &str| agreed(from, to) || (from, to) == (900, "journal");
    golden("route-undeclared", &format!("{}\n", system.check_routes(&dead).expect_err("refused")));
}

#[test]
fn markers_are_checked() {
    let system = System::parse(&text_of("recipes/system.toml", BASE), &lock()).expect("sound");
    let parse = |text: &str| Markers::parse(&text_of("recipes/markers.toml", text), &system);
    let marker = |text: &str, emitter: &str, phase: &str| {
        format!(
            "[[marker]]\ntext = \"{text}\"\nemitter = \"{emitter}\"\nphase = \"{phase}\"\nproves = \"x\"\n"
        )
    };
    let phases = "phases = [\"one\", \"two\"]\n";
    let good = [
        phases,
        &marker("KSELFTEST: a ok", "kernel", "one"),
        &marker("SELFTEST: a ok", "client", "two"),
    ];
    let list = parse(&good.concat()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(list.markers[1].constant(), "SELFTEST_A");
    assert_eq!(list.markers[1].emitter.stamp(), "20");
    let bad = [
        phases,
        &marker("SELFTEST: b ok", "clint", "two"),
        &marker("SELFTEST: c ok", "client", "tow"),
        &marker("SELFTEST: d ok", "client", "two"),
        &marker("SELFTEST: d ok", "client", "one"),
        &marker("SELFTEST: e ok", "kernel", "two"),
        &marker("SELFTEST: f FAIL", "client", "two"),
    ];
    golden("markers", &format!("{}\n", parse(&bad.concat()).expect_err("refused")));
}

#[test]
fn lock_grows_and_never_shrinks() {
    let text = BASE.replacen(
        "[image.test]",
        "[service.new]\nid = 40\npriority = 1\nsyscalls = \"client\"\n\
        memory = { stack = \"4K\", frames = 16, objects = 1 }\n[image.test]",
        1,
    );
    let system =
        System::parse(&text_of("system.toml", &text), &lock()).unwrap_or_else(|e| panic!("{e}"));
    let retired = Lock::parse(&text_of("lock", "gone = 7\ninit = 1\n")).expect("lock");
    let updated = retired.updated(&system);
    assert!(updated.contains("gone = 7\n") && updated.contains("new = 40\n"), "{updated}");
    let bad =
        Lock::parse(&text_of("recipes/system.lock", "init = \"one\"\n")).expect_err("refused");
    golden("lock", &format!("{bad}\n"));
}

#[test]
fn test_reject_a_lane_too_many() {
    use nexus_manifest::boot::MAX_LANES;
    let with = |lanes: usize| {
        let more = (1..lanes).map(|n| {
            // A service holds sixteen capabilities: the lanes are spread.
            let from = if n % 2 == 0 { "authority" } else { "client" };
            let ends = format!("producer = \"{from}\"\nconsumer = \"journal\"");
            format!("[lane.more{n}]\n{ends}\nsize = \"4K\"\n")
        });
        let text = more.fold(BASE.to_owned(), |text, lane| text + "\n" + &lane);
        System::parse(&text_of("recipes/system.toml", &text), &lock())
    };
    assert_eq!(MAX_LANES, 8);
    let system = with(MAX_LANES).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(system.lanes.len(), MAX_LANES);
    let faults = with(MAX_LANES + 1).expect_err("refused").to_string();
    assert!(faults.contains("more than 8 lanes") && faults.contains("more8"), "{faults}");
}
