//! Every bound: fine at the bound, refused with its name one past it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
use nexus_sel::authoring::{
    CapabilitySpec, Cell, Condition, EmitError, Input, Model, Rule, SystemNames, compile, emit,
    reemit,
};
use nexus_sel::bounds::*;
use nexus_sel::{
    AuditMode, Effect, Facts, LimitSpec, NoLimits, PackedName, Policy, Reason, Sensitivity,
};

fn caps(count: usize) -> Vec<CapabilitySpec> {
    let spec = |i| CapabilitySpec {
        name: format!("cap.n{i:05}"),
        audit: AuditMode::Normal,
        sensitivity: Sensitivity::Low,
    };
    (0..count).map(spec).collect()
}

fn model(subjects: usize, capabilities: usize) -> Model {
    Model {
        version: 1,
        subjects: (0..subjects).map(|i| (format!("svc-{i:05}"), (i as u64 + 1) << 17)).collect(),
        capabilities: caps(capabilities),
        ..Model::default()
    }
}

fn refusal(model: &Model) -> &'static str {
    match emit(model) {
        Err(EmitError::TooMany { bound, .. }) => bound,
        other => panic!("{:?}", other.map(|words| words.len())),
    }
}

#[test]
fn test_reject_more_subjects() {
    let mut at = model(MAX_SUBJECTS, 2);
    at.rules = 1;
    for row in 0..MAX_SUBJECTS as u32 {
        at.cells.insert((row, row % 2), Cell::Rule(Effect::Allow, 1));
    }
    let words = emit(&at).unwrap();
    let policy = Policy::open(&words).unwrap();
    for (row, (name, id)) in at.subjects.iter().enumerate() {
        let caps: [&[u8]; 2] = [b"cap.n00000", b"cap.n00001"];
        assert!(policy.decide(*id, caps[row % 2], Facts::NONE).is_allow(), "{name}");
        assert!(!policy.decide(*id, caps[1 - row % 2], Facts::NONE).is_allow(), "{name}");
        assert_eq!(policy.subject_id(name.as_bytes()), Some(*id));
        assert_eq!(policy.decide(id + 1, caps[0], Facts::NONE).reason(), Reason::UnknownSubject);
    }
    assert_eq!(reemit(&policy).unwrap(), words);
    assert_eq!(refusal(&model(MAX_SUBJECTS + 1, 2)), "MAX_SUBJECTS");
}

#[test]
fn test_reject_more_capabilities() {
    let mut at = model(3, MAX_CAPABILITIES);
    at.rules = 1;
    for cap in (0..MAX_CAPABILITIES as u32).step_by(3) {
        at.cells.insert((1, cap), Cell::Rule(Effect::Allow, 1));
    }
    let words = emit(&at).unwrap();
    let policy = Policy::open(&words).unwrap();
    for (cap, spec) in at.capabilities.iter().enumerate() {
        let decision = policy.decide(2 << 17, spec.name.as_bytes(), Facts::NONE);
        assert_eq!(decision.is_allow(), cap % 3 == 0, "{}", spec.name);
    }
    assert_eq!(refusal(&model(3, MAX_CAPABILITIES + 1)), "MAX_CAPABILITIES");
}

#[test]
fn test_reject_more_rules_facts_limits_classes() {
    let with = |edit: fn(&mut Model, usize), count: usize| {
        let mut model = model(1, 1);
        edit(&mut model, count);
        model
    };
    let rules = |m: &mut Model, n: usize| m.rules = n as u32;
    let facts =
        |m: &mut Model, n: usize| m.facts = (0..n).map(|i| (format!("f{i:02}"), 1)).collect();
    let limits = |m: &mut Model, n: usize| m.limits = vec![LimitSpec { burst: 1, refill_ns: 1 }; n];
    let classes = |m: &mut Model, n: usize| {
        m.classes = (0..n as u64).map(|i| (1000 + 10 * i, 1005 + 10 * i)).collect();
    };
    type Edit = fn(&mut Model, usize);
    let table: [(Edit, usize, &str); 4] = [
        (rules, MAX_RULES, "MAX_RULES"),
        (facts, MAX_FACTS, "MAX_FACTS"),
        (limits, MAX_LIMITS, "MAX_LIMITS"),
        (classes, MAX_CLASSES, "MAX_CLASSES"),
    ];
    for (edit, bound, name) in table {
        let words = emit(&with(edit, bound)).unwrap();
        assert_eq!(reemit(&Policy::open(&words).unwrap()).unwrap(), words, "{name}");
        assert_eq!(refusal(&with(edit, bound + 1)), name);
    }
}

#[test]
fn all_64_facts_can_gate() {
    let mut model = model(1, MAX_FACTS);
    model.facts = (0..MAX_FACTS).map(|i| (format!("f{i:02}"), 1)).collect();
    let rules: Vec<Rule> = (0..MAX_FACTS as u32)
        .map(|cap| Rule {
            effect: Effect::Allow,
            rows: vec![0],
            caps: vec![cap],
            when: Condition { all: 1 << cap, ..Condition::default() },
        })
        .collect();
    model.fill(&rules).unwrap();
    let words = emit(&model).unwrap();
    let policy = Policy::open(&words).unwrap();
    for bit in 0..MAX_FACTS {
        let facts =
            Facts { bits: policy.fact(format!("f{bit:02}").as_bytes()).unwrap().mask, wall_s: 0 };
        assert_eq!(facts.bits, 1 << bit);
        let allowed = policy
            .capabilities()
            .filter(|(n, _)| policy.decide(1 << 17, n.as_bytes(), facts).is_allow());
        assert_eq!(allowed.map(|(_, cap)| cap.index()).collect::<Vec<_>>(), [bit]);
    }
}

#[test]
fn test_reject_more_conditional_rules_in_one_pair() {
    let rules = |count: usize| -> Vec<Rule> {
        let rule = |i| Rule {
            effect: if i % 2 == 0 { Effect::Deny } else { Effect::Allow },
            rows: vec![0],
            caps: vec![0],
            when: Condition { until: Some(1 + i as u64), ..Condition::default() },
        };
        (0..count).map(rule).collect()
    };
    let mut at = model(1, 1);
    at.fill(&rules(MAX_CHAIN)).unwrap();
    let words = emit(&at).unwrap();
    let policy = Policy::open(&words).unwrap();
    let last = Facts { wall_s: MAX_CHAIN as u64 - 1, ..Facts::NONE };
    assert_eq!(policy.decide(1 << 17, b"cap.n00000", last).rule().0, MAX_CHAIN as u32);
    let mut past = model(1, 1);
    let crowded = past.fill(&rules(MAX_CHAIN + 1)).unwrap_err();
    assert_eq!((crowded.len(), crowded[0].row, crowded[0].cap), (1, 0, 0));
    assert_eq!(refusal(&past), "MAX_CHAIN");
}

/// The first `cells` pairs of a policy with every capability allowed.
fn dense(subjects: usize, cells: usize) -> Model {
    let mut dense = model(subjects, MAX_CAPABILITIES);
    dense.rules = 1;
    let pairs = (0..cells).map(|i| ((i / MAX_CAPABILITIES) as u32, (i % MAX_CAPABILITIES) as u32));
    dense.cells = pairs.map(|at| (at, Cell::Rule(Effect::Allow, 1))).collect();
    dense
}

#[test]
fn test_reject_more_cells() {
    // One of them is the dummy in front.
    let at = emit(&dense(1_024, MAX_CELLS - 1)).unwrap();
    let policy = Policy::open(&at).unwrap();
    assert!(policy.decide(1 << 17, b"cap.n01023", Facts::NONE).is_allow());
    assert!(policy.decide(1_024 << 17, b"cap.n01022", Facts::NONE).is_allow());
    assert!(!policy.decide(1_024 << 17, b"cap.n01023", Facts::NONE).is_allow());
    assert_eq!(refusal(&dense(1_024, MAX_CELLS)), "MAX_CELLS");
}

/// One cell is one word, so that cells fill a blob to its last word.
#[test]
fn test_reject_more_blob_words() {
    let empty = emit(&dense(MAX_SUBJECTS, 0)).unwrap().len();
    let room = MAX_BLOB_WORDS - empty;
    assert!(room < MAX_CELLS, "{room}");
    let at = emit(&dense(MAX_SUBJECTS, room)).unwrap();
    assert_eq!(at.len(), MAX_BLOB_WORDS);
    assert!(Policy::open(&at).unwrap().decide(1 << 17, b"cap.n00007", Facts::NONE).is_allow());
    assert_eq!(refusal(&dense(MAX_SUBJECTS, room + 1)), "MAX_BLOB_WORDS");
}

#[test]
fn test_reject_names_of_49_bytes() {
    let mut model = model(1, 0);
    model.subjects = vec![("s".repeat(MAX_NAME_BYTES), 5)];
    model.capabilities = caps(1);
    model.capabilities[0].name = "c".repeat(MAX_NAME_BYTES);
    model.cells.insert((0, 0), Cell::Rule(Effect::Allow, 1));
    model.rules = 1;
    let words = emit(&model).unwrap();
    let policy = Policy::open(&words).unwrap();
    let long = "c".repeat(MAX_NAME_BYTES + 1);
    assert!(policy.decide(5, &long.as_bytes()[1..], Facts::NONE).is_allow());
    assert_eq!(policy.decide(5, long.as_bytes(), Facts::NONE).reason(), Reason::UnknownCapability);
    assert_eq!(
        policy.decide(5, &long.as_bytes()[2..], Facts::NONE).reason(),
        Reason::UnknownCapability
    );
    assert_eq!(policy.subject_name(5).unwrap().as_str().len(), MAX_NAME_BYTES);
    let past: [fn(&mut Model); 3] = [
        |m| m.subjects[0].0.push('s'),
        |m| m.capabilities[0].name.push('c'),
        |m| m.facts = vec![("f".repeat(MAX_NAME_BYTES + 1), 1)],
    ];
    for edit in past {
        let mut model = model.clone();
        edit(&mut model);
        assert!(matches!(emit(&model), Err(EmitError::Refused(_))));
    }
}

/// A name that is none must not meet a slot that holds none: over many tables some do.
#[test]
fn test_reject_packed_names_without_bytes_or_with_49() {
    for capabilities in 1..=64 {
        let mut at = model(1, capabilities);
        at.rules = 1;
        for cap in 0..capabilities as u32 {
            at.cells.insert((0, cap), Cell::Rule(Effect::Allow, 1));
        }
        let words = emit(&at).unwrap();
        let policy = Policy::open(&words).unwrap();
        for len in [0, MAX_NAME_BYTES + 1, 0xff, 0x100, usize::MAX] {
            let name = PackedName::padded([0; MAX_NAME_WORDS], len);
            let decision = policy.decide_packed(1 << 17, &name, Facts::NONE, &mut NoLimits);
            assert_eq!(decision.reason(), Reason::UnknownCapability, "{len} of {capabilities}");
        }
    }
}

#[test]
fn an_empty_policy_denies() {
    let words = emit(&Model::default()).unwrap();
    let policy = Policy::open(&words).unwrap();
    assert_eq!(policy.decide(1, b"ipc.core", Facts::NONE).reason(), Reason::UnknownSubject);
    assert_eq!((policy.subjects().count(), policy.capabilities().count()), (0, 0));
    let words = emit(&model(2, 0)).unwrap();
    let policy = Policy::open(&words).unwrap();
    assert_eq!(
        policy.decide(1 << 17, b"ipc.core", Facts::NONE).reason(),
        Reason::UnknownCapability
    );
}

#[test]
fn test_reject_malformed_models() {
    type Edit = fn(&mut Model);
    let edits: [Edit; 9] = [
        |m| m.subjects.swap(0, 1),
        |m| m.subjects[1].1 = m.subjects[0].1,
        |m| m.subjects[0].1 = 0,
        |m| m.capabilities[1].name = m.capabilities[0].name.clone(),
        |m| m.capabilities[0].name = "Cap".into(),
        |m| m.classes = vec![(9, 5)],
        |m| m.facts = vec![("f".into(), 0)],
        |m| m.limits = vec![LimitSpec { burst: MAX_BURST + 1, refill_ns: 1 }],
        |m| drop(m.cells.insert((0, 0), Cell::Rule(Effect::Allow, 2))),
    ];
    for (index, edit) in edits.iter().enumerate() {
        let mut model = model(2, 2);
        model.rules = 1;
        assert!(emit(&model).is_ok());
        edit(&mut model);
        let refused = matches!(emit(&model), Err(EmitError::Refused(_) | EmitError::NoSeed));
        assert!(refused, "edit {index}");
    }
}

// ---- the text side ---------------------------------------------------------------------------

fn refused(base: Vec<Input>, bound: &str) {
    let system = SystemNames::new(vec![("a".to_owned(), 1)], Vec::new());
    let registry = "[\"x.y\"]\nmeaning = \"m\"\nenforcer = \"a\"\n";
    let errors = compile(Input::new("capabilities.toml", registry), base, &system).unwrap_err();
    let codes = ["too-many", "too-large", "out-of-range"];
    assert!(codes.contains(&errors.items[0].code), "{errors}");
    assert!(errors.to_string().contains(bound), "{errors}");
}

fn accepted(base: Vec<Input>) {
    let system = SystemNames::new(vec![("a".to_owned(), 1)], Vec::new());
    let registry = "[\"x.y\"]\nmeaning = \"m\"\nenforcer = \"a\"\n";
    let built = compile(Input::new("capabilities.toml", registry), base, &system);
    assert!(built.is_ok(), "{}", built.unwrap_err());
}

#[test]
fn test_reject_more_files() {
    let files =
        |count: usize| (0..count).map(|i| Input::new(format!("{i}"), "[allow]\n")).collect();
    accepted(files(MAX_FILES));
    refused(files(MAX_FILES + 1), "MAX_FILES");
}

#[test]
fn test_reject_more_file_bytes() {
    let file = |len: usize| vec![Input::new("base.toml", "#".repeat(len))];
    accepted(file(MAX_FILE_BYTES));
    refused(file(MAX_FILE_BYTES + 1), "MAX_FILE_BYTES");
}

#[test]
fn test_reject_more_definitions() {
    let groups = |count: usize| {
        let lines: String = (0..count).map(|i| format!("g{i} = [\"a\"]\n")).collect();
        vec![Input::new("base.toml", format!("schema = 2\n[groups]\n{lines}"))]
    };
    accepted(groups(MAX_DEFINITIONS));
    refused(groups(MAX_DEFINITIONS + 1), "MAX_DEFINITIONS");
}

/// One capability, this many rules about it that hold until different times.
fn conditional(count: usize) -> Vec<Input> {
    let rule =
        |i: usize| format!("  {{ capability = \"x.y\", until = 2030-01-01T00:00:{i:02}Z }},\n");
    let rules: String = (0..count).map(rule).collect();
    vec![Input::new("base.toml", format!("schema = 2\n[allow]\na = [\n{rules}]\n"))]
}

#[test]
fn test_reject_more_conditional_rules_in_a_file() {
    accepted(conditional(MAX_CHAIN));
    refused(conditional(MAX_CHAIN + 1), "MAX_CHAIN");
}

#[test]
fn test_reject_larger_bursts() {
    let limited = |count: u32| {
        let limit = format!("limit = {{ count = {count}, per = \"1s\" }}");
        let text = format!("schema = 2\n[allow]\na = [{{ capability = \"x.y\", {limit} }}]\n");
        vec![Input::new("base.toml", text)]
    };
    accepted(limited(MAX_BURST));
    refused(limited(MAX_BURST + 1), "MAX_BURST");
}

#[test]
fn test_reject_more_limits_than_policyd_keeps() {
    let limited = |count: usize| {
        let limit = |i: usize| format!("limit = {{ count = {}, per = \"1s\" }}", i + 1);
        // As many pairs as needed: four limited rules on each name, and one name less.
        let rule =
            |i: usize| format!("  {{ capability = \"cap.n{:05}\", {} }},\n", i / 4, limit(i % 4));
        let rules: String = (0..count).map(rule).collect();
        let text = format!("schema = 2\n[allow]\na = [\n{rules}]\n");
        let system = SystemNames::new(vec![("a".to_owned(), 1)], Vec::new());
        let registry =
            caps(MAX_BUCKETS).iter().map(|cap| registered(&cap.name)).collect::<String>();
        let registry = Input::new("capabilities.toml", registry);
        compile(registry, vec![Input::new("base.toml", text)], &system)
    };
    let built = limited(MAX_BUCKETS).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(built.policy().unwrap().limit_count(), MAX_BUCKETS);
    let errors = limited(MAX_BUCKETS + 1).unwrap_err();
    assert_eq!((errors.items[0].code, errors.items[0].labels.len()), ("too-many", 1), "{errors}");
    assert!(errors.to_string().contains("MAX_BUCKETS"), "{errors}");
}

fn registered(name: &str) -> String {
    format!("[\"{name}\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\n")
}

/// Rules are counted before they are multiplied out: two lists of a thousand are a million.
#[test]
fn test_reject_more_rules_in_a_file() {
    let list = |count: usize| vec!["\"x.y\""; count].join(", ");
    let text = |caps: usize, targets: usize| {
        let (caps, targets) = (list(caps), list(targets));
        let rule = format!("{{ capability = [{caps}], target = [{targets}] }}");
        vec![Input::new("base.toml", format!("schema = 2\n[allow]\na = [{rule}]\n"))]
    };
    refused(text(10_000, 10_000), "MAX_RULES");
    refused(text(MAX_RULES + 1, 1), "MAX_RULES");
    let plain = vec!["\"x.y\""; MAX_RULES / 2 + 1].join(",\n");
    let file = |name: &str| Input::new(name, format!("[allow]\na = [\n{plain}]\n"));
    refused(vec![file("a.toml"), file("b.toml")], "MAX_RULES");
}

#[test]
fn test_reject_more_registered_capabilities() {
    let system = SystemNames::new(vec![("a".to_owned(), 1)], Vec::new());
    let compiled = |count: usize| {
        let registry = caps(count).iter().map(|cap| registered(&cap.name)).collect::<String>();
        let rules = vec![Input::new("base.toml", "[allow]\na = []\n")];
        compile(Input::new("capabilities.toml", registry), rules, &system)
    };
    assert!(compiled(MAX_CAPABILITIES).is_ok());
    let errors = compiled(MAX_CAPABILITIES + 1).unwrap_err();
    assert_eq!(errors.items.len(), 1, "{errors}");
    assert!(errors.to_string().contains("MAX_CAPABILITIES"), "{errors}");
    assert_eq!(compiled(40_000).unwrap_err().items.len(), 1, "and in time");
}

/// Ten thousand subjects and a hundred thousand rules through the whole compiler.
#[test]
fn ten_thousand_subjects() {
    let services: Vec<(String, u64)> =
        (0..10_000_u64).map(|i| (format!("svc-{i:05}"), i.wrapping_mul(0x9e37_79b9) + 1)).collect();
    let registry: String = caps(256)
        .iter()
        .map(|cap| format!("[\"{}\"]\nmeaning = \"m\"\nenforcer = \"kernel\"\n", cap.name))
        .collect();
    let pick = |i: usize, k: usize| (i * 31 + k * k * 7 + k) % 256;
    let mut base = String::from("[allow]\n");
    for (i, (name, _)) in services.iter().enumerate() {
        let list: std::collections::BTreeSet<usize> = (0..10).map(|k| pick(i, k)).collect();
        let list: Vec<String> = list.iter().map(|cap| format!("\"cap.n{cap:05}\"")).collect();
        base += &format!("{name} = [{}]\n", list.join(", "));
    }
    let system = SystemNames::new(services.clone(), Vec::new());
    let input = vec![Input::new("base.toml", base)];
    let built = compile(Input::new("capabilities.toml", registry), input, &system);
    let built = built.unwrap_or_else(|errors| panic!("{errors}"));
    let policy = built.policy().unwrap();
    println!("{} rules, {} bytes", built.rules.len(), built.blob.len());
    for (i, (_, id)) in services.iter().enumerate().step_by(97) {
        let allowed = policy
            .capabilities()
            .filter(|(n, _)| policy.decide(*id, n.as_bytes(), Facts::NONE).is_allow());
        let expected: std::collections::BTreeSet<usize> = (0..10).map(|k| pick(i, k)).collect();
        assert!(allowed.map(|(_, cap)| cap.index()).eq(expected));
    }
}
