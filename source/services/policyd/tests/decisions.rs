//! Who may ask about whom, and what the record says about it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::{Bench, CLIENT, ENFORCER, INIT, PEER, control, from, policy};
use nexus_abi::Sender;
use nexus_sel::{
    AuditMode, Effect, Facts, LimitSpec, Policy, Sensitivity,
    authoring::{CapabilitySpec, Cell, Link, Model, emit},
};
use nexus_service::step;
use nexus_wire::{
    Capability, Name,
    audit::{self, Decision, Flags, Reason, Record},
    policy::{Op, Reply, Request, Response, Status},
};

const ALLOW: (Status, Decision) = (Status::Allow, Decision::Allow);
const DENY: (Status, Decision) = (Status::Deny, Decision::Deny);

fn bench() -> Bench {
    Bench::new(Some(policy()))
}

fn name(text: &str) -> Name<'_> {
    Name::new(text).unwrap()
}

fn cap(text: &str) -> Capability<'_> {
    Capability::new(text).unwrap()
}

/// policyd over a policy that no rule file says.
fn over(model: &Model) -> Bench {
    let words = emit(model).expect("a sound model").leak();
    Bench::new(Some(Policy::open(words).expect("what was emitted")))
}

/// A capability of no consequence.
fn plain(name: &str, audit: AuditMode) -> CapabilitySpec {
    CapabilitySpec { name: name.to_owned(), audit, sensitivity: Sensitivity::Low }
}

/// The answer and the record agree, and the record is about `subject`.
fn expect(
    (status, record): (Status, Record),
    (answer, decision): (Status, Decision),
    subject: u64,
    reason: Reason,
) -> Record {
    assert_eq!((status, record.decision), (answer, decision), "{record}");
    assert_eq!((record.subject, record.reason), (subject, reason), "{record}");
    record
}

#[test]
fn check_is_ipc_core_for_the_sender_itself() {
    let record = expect(
        bench().ask(from(PEER), 1, Op::Check { name: name("peer") }),
        ALLOW,
        PEER,
        Reason::Policy,
    );
    assert_eq!((record.op, record.cap.as_bytes()), (audit::Op::Check, &b"ipc.core"[..]));
    assert_ne!(record.rule, 0, "an allow names its rule");
}

#[test]
fn test_reject_check_under_another_name() {
    let record = expect(
        bench().ask(from(PEER), 1, Op::Check { name: name("client") }),
        DENY,
        PEER,
        Reason::Identity,
    );
    assert_eq!(record.args[1], CLIENT, "whom it claimed to be");
    let record = expect(
        bench().ask(from(PEER), 1, Op::Check { name: name("nobody") }),
        DENY,
        PEER,
        Reason::Identity,
    );
    assert_eq!(record.args[1], 0, "nobody");
}

#[test]
fn a_route_is_a_right_of_its_own_in_every_version() {
    for version in [1, 2] {
        let op = Op::Route { requester: name("client"), target: name("enforcer") };
        let record = expect(bench().ask(from(CLIENT), version, op), ALLOW, CLIENT, Reason::Policy);
        assert_eq!((record.target, record.cap.as_bytes()), (ENFORCER, &b"route.enforcer"[..]));
        let op = Op::Route { requester: name("client"), target: name("policyd") };
        expect(bench().ask(from(CLIENT), version, op), DENY, CLIENT, Reason::Default);
    }
    let op = Op::RouteId { requester: CLIENT, target: ENFORCER };
    expect(bench().ask(from(CLIENT), 3, op), ALLOW, CLIENT, Reason::Policy);
    let op = Op::RouteId { requester: PEER, target: ENFORCER };
    expect(bench().ask(from(PEER), 3, op), DENY, PEER, Reason::Default);
}

#[test]
fn test_reject_routes_to_what_is_no_service() {
    for target in [0, 4, u64::MAX] {
        let op = Op::RouteId { requester: CLIENT, target };
        let record = expect(bench().ask(from(CLIENT), 3, op), DENY, CLIENT, Reason::Unknown);
        assert_eq!(record.target, target);
    }
    let longest = "x".repeat(48);
    for target in ["client", "peer", "nobody", longest.as_str(), &longest[..42], &longest[..43]] {
        let op = Op::Route { requester: name("client"), target: name(target) };
        let record = expect(bench().ask(from(CLIENT), 2, op), DENY, CLIENT, Reason::Unknown);
        let known = [("client", CLIENT), ("peer", PEER)].into_iter().find(|(n, _)| *n == target);
        assert_eq!(record.target, known.map_or(0, |(_, id)| id), "{target}");
    }
}

/// A target whose name does not fit behind `route.` is not the one whose name is its beginning,
/// and one without a name is not the right `route.` itself.
#[test]
fn test_reject_routes_that_a_shorter_name_would_grant() {
    let longest = "x".repeat(42);
    let named = ["route.".to_owned(), format!("route.{longest}")];
    let mut model = Model {
        version: 1,
        subjects: vec![("client".to_owned(), CLIENT), (longest.clone(), PEER)],
        capabilities: named.map(|name| plain(&name, AuditMode::Normal)).to_vec(),
        rules: 1,
        ..Model::default()
    };
    model.cells.extend((0..2).map(|cap| ((0, cap), Cell::Rule(Effect::Allow, 1))));
    let mut bench = over(&model);
    let fits = Op::Route { requester: name("client"), target: name(&longest) };
    expect(bench.ask(from(CLIENT), 2, fits), ALLOW, CLIENT, Reason::Policy);
    let fits = Op::RouteId { requester: CLIENT, target: PEER };
    expect(bench.ask(from(CLIENT), 3, fits), ALLOW, CLIENT, Reason::Policy);
    let past = format!("{longest}x");
    let past = Op::Route { requester: name("client"), target: name(&past) };
    let nameless = Op::RouteId { requester: CLIENT, target: 4 };
    for (version, op) in [(2, past), (3, nameless)] {
        let record = expect(bench.ask(from(CLIENT), version, op), DENY, CLIENT, Reason::Unknown);
        assert!(record.cap.as_bytes().is_empty(), "no capability was asked about");
    }
}

/// Where the question is about no capability, no slot of any table may answer it: who holds
/// everything there is still has no route to nowhere.
#[test]
fn test_reject_routes_to_nowhere_under_policies_of_every_size() {
    for capabilities in 1..=64_u32 {
        let spec = |index| plain(&format!("cap.n{index:02}"), AuditMode::Normal);
        let mut model = Model {
            version: 1,
            subjects: vec![("client".to_owned(), CLIENT)],
            capabilities: (0..capabilities).map(spec).collect(),
            rules: 1,
            ..Model::default()
        };
        let all = (0..capabilities).map(|cap| ((0, cap), Cell::Rule(Effect::Allow, 1)));
        model.cells.extend(all);
        let mut bench = over(&model);
        let known = Op::CheckCap { subject: CLIENT, capability: cap("cap.n00") };
        expect(bench.ask(from(CLIENT), 1, known), ALLOW, CLIENT, Reason::Policy);
        let longest = "x".repeat(48);
        let nowhere = Op::Route { requester: name("client"), target: name(&longest) };
        expect(bench.ask(from(CLIENT), 2, nowhere), DENY, CLIENT, Reason::Unknown);
        let nobody = Op::RouteId { requester: CLIENT, target: 4 };
        expect(bench.ask(from(CLIENT), 3, nobody), DENY, CLIENT, Reason::Unknown);
    }
}

#[test]
fn exec_is_proc_spawn_and_names_the_image() {
    for version in [1, 2] {
        let op = Op::Exec { requester: name("client"), image: 9 };
        let record = expect(bench().ask(from(CLIENT), version, op), ALLOW, CLIENT, Reason::Policy);
        assert_eq!((record.args, record.cap.as_bytes()), ([9, 0], &b"proc.spawn"[..]));
    }
    let op = Op::ExecId { requester: PEER, image: 1 };
    expect(bench().ask(from(PEER), 3, op), DENY, PEER, Reason::Default);
}

#[test]
fn a_proxy_needs_the_right_and_the_private_capability() {
    let route = Op::RouteId { requester: CLIENT, target: ENFORCER };
    let record = expect(bench().ask(control(INIT), 3, route), ALLOW, CLIENT, Reason::Policy);
    assert_eq!((record.enforcer, record.args), (INIT, [0; 2]), "a claim with the right is none");
    assert!(record.flags.has(Flags::DELEGATED.or(Flags::CONTROL)));
    let exec = Op::Exec { requester: name("client"), image: 1 };
    expect(bench().ask(control(INIT), 1, exec), ALLOW, CLIENT, Reason::Policy);
    let check = Op::Check { name: name("peer") };
    expect(bench().ask(control(INIT), 1, check), ALLOW, PEER, Reason::Policy);
}

#[test]
fn test_reject_forged_service_id() {
    let ops = [
        (3, Op::RouteId { requester: CLIENT, target: ENFORCER }),
        (2, Op::Route { requester: name("client"), target: name("enforcer") }),
        (1, Op::Route { requester: name("client"), target: name("enforcer") }),
        (3, Op::ExecId { requester: CLIENT, image: 0 }),
        (2, Op::Exec { requester: name("client"), image: 0 }),
        (1, Op::Exec { requester: name("client"), image: 0 }),
        (1, Op::Check { name: name("client") }),
    ];
    // Without the private capability, without the right, and without either.
    for sender in [from(INIT), from(ENFORCER), control(PEER), from(PEER), control(99)] {
        for (version, op) in ops {
            let outcome = bench().ask(sender, version, op);
            let record = expect(outcome, DENY, sender.service.0, Reason::Identity);
            assert_eq!((record.enforcer, record.args[1]), (sender.service.0, CLIENT));
            assert!(!record.flags.has(Flags::DELEGATED), "a refused claim is no delegation");
        }
    }
}

#[test]
fn test_reject_a_requester_nobody_knows_even_from_the_proxy() {
    let op = Op::Route { requester: name("nobody"), target: name("enforcer") };
    let record = expect(bench().ask(control(INIT), 2, op), DENY, INIT, Reason::Unknown);
    assert_eq!(record.rule, 0, "the rule that lets the proxy ask decided nothing");
    let op = Op::RouteId { requester: 999, target: ENFORCER };
    expect(bench().ask(control(INIT), 3, op), DENY, 999, Reason::Unknown);
}

#[test]
fn check_cap_answers_for_the_sender() {
    let op = Op::CheckCap { subject: CLIENT, capability: cap("files.read") };
    let record = expect(bench().ask(from(CLIENT), 1, op), ALLOW, CLIENT, Reason::Policy);
    assert_eq!(record.cap.as_bytes(), b"files.read");
    assert!(
        record
            .text(&mut [0; audit::TEXT_MAX])
            .starts_with("audit v1 op=check_cap decision=allow subject=0x0000000000000014")
    );
}

/// It is gathered from the words of the frame, at another byte in every version.
#[test]
fn the_capability_on_record_is_the_one_asked_for_at_every_length() {
    let long = "abcdefghijklmnopqrstuvwxyz.0123456789_abcdefghij";
    let mut bench = bench();
    for len in 1..=long.len() {
        let (subject, capability) = (CLIENT, cap(&long[..len]));
        let asked = [
            (CLIENT, 1, Op::CheckCap { subject, capability }),
            (ENFORCER, 1, Op::CheckCapDelegated { subject, capability }),
            (ENFORCER, 2, Op::CheckCapDelegated { subject, capability }),
            (ENFORCER, 2, Op::Authorize { subject, capability }),
        ];
        for (sender, version, op) in asked {
            let (_, record) = bench.ask(from(sender), version, op);
            assert_eq!(record.cap.as_bytes(), &long.as_bytes()[..len], "version {version}");
        }
    }
}

#[test]
fn deny_by_default_and_deny_beats_allow() {
    let op = |capability| Op::CheckCap { subject: PEER, capability: cap(capability) };
    expect(bench().ask(from(PEER), 1, op("files.write")), DENY, PEER, Reason::Default);
    let denied = expect(bench().ask(from(PEER), 1, op("files.read")), DENY, PEER, Reason::Policy);
    assert_ne!(denied.rule, 0, "an explicit deny names its rule");
    expect(bench().ask(from(PEER), 1, op("files.erase")), DENY, PEER, Reason::Unknown);
    let stranger = Op::CheckCap { subject: 99, capability: cap("ipc.core") };
    expect(bench().ask(from(99), 1, stranger), DENY, 99, Reason::Unknown);
}

#[test]
fn a_gate_opens_with_its_fact_alone() {
    let op = Op::CheckCap { subject: CLIENT, capability: cap("files.gated") };
    let mut bench = bench();
    expect(bench.ask(from(CLIENT), 1, op), DENY, CLIENT, Reason::Gate);
    let open = policy().fact(b"open").unwrap();
    bench.outside.facts = Facts { bits: open.mask, ..Facts::NONE };
    expect(bench.ask(from(CLIENT), 1, op), ALLOW, CLIENT, Reason::Policy);
}

#[test]
fn test_reject_check_cap_for_somebody_else() {
    let op = Op::CheckCap { subject: CLIENT, capability: cap("files.read") };
    for sender in [from(PEER), control(PEER), from(99)] {
        let record = expect(bench().ask(sender, 1, op), DENY, sender.service.0, Reason::Identity);
        assert_eq!(record.args[1], CLIENT);
    }
    expect(bench().ask(from(ENFORCER), 1, op), ALLOW, CLIENT, Reason::Policy);
}

#[test]
fn a_delegate_asks_for_the_real_subject() {
    for version in [1, 2] {
        let op = |subject| Op::CheckCapDelegated { subject, capability: cap("files.read") };
        let record =
            expect(bench().ask(from(ENFORCER), version, op(CLIENT)), ALLOW, CLIENT, Reason::Policy);
        assert_eq!((record.enforcer, record.op), (ENFORCER, audit::Op::CheckCapDelegated));
        assert!(record.flags.has(Flags::DELEGATED));
        // The enforcer's own rights are nobody else's.
        expect(bench().ask(from(ENFORCER), version, op(PEER)), DENY, PEER, Reason::Policy);
    }
}

/// One AUTHORIZE about the client, as its reply says it.
fn authorize(bench: &mut Bench, sender: Sender, capability: &str) -> (Status, Option<u64>) {
    let op = Op::Authorize { subject: CLIENT, capability: cap(capability) };
    let mut frame = [0; 512];
    let len = Request { version: 2, nonce: Some(9), op }.encode(&mut frame);
    let reply = step(&mut bench.policyd, sender, &frame[..len], &mut bench.outside);
    let reply = Response::decode(reply.bytes()).expect("a reply of the protocol");
    match reply.body {
        Reply::Authorize { seq } => (reply.status, Some(seq)),
        body => (reply.status, (body.code() != op.code()).then_some(u64::MAX)),
    }
}

#[test]
fn an_authorization_tells_the_number_of_its_record() {
    let mut bench = bench();
    for seq in 0..3 {
        let told = authorize(&mut bench, from(ENFORCER), "files.read");
        assert_eq!(told, (Status::Allow, Some(seq)));
        let record = bench.outside.records[seq as usize];
        assert_eq!((record.op, record.nonce), (audit::Op::CheckCapDelegated, 9));
        assert_eq!((record.enforcer, record.subject), (ENFORCER, CLIENT));
    }
    // Allowed without a record: the number of the gap, which nothing else gets.
    let room = std::mem::replace(&mut bench.outside.room, 0);
    assert_eq!(authorize(&mut bench, from(ENFORCER), "files.read"), (Status::Allow, Some(3)));
    bench.outside.room = room;
    assert_eq!(authorize(&mut bench, from(ENFORCER), "files.read"), (Status::Allow, Some(4)));
}

#[test]
fn test_reject_authorizations_without_a_number() {
    let mut bench = bench();
    assert_eq!(authorize(&mut bench, from(PEER), "files.read"), (Status::Deny, None));
    assert_eq!(authorize(&mut bench, from(CLIENT), "files.read"), (Status::Deny, None), "own");
    assert_eq!(authorize(&mut bench, from(ENFORCER), "files.gated"), (Status::Deny, None));
    bench.outside.room = 0;
    assert_eq!(authorize(&mut bench, from(ENFORCER), "files.write"), (Status::Deny, None));
}

#[test]
fn test_reject_delegation_without_the_right() {
    for subject in [CLIENT, PEER] {
        let op = Op::CheckCapDelegated { subject, capability: cap("files.read") };
        let record = expect(bench().ask(from(PEER), 2, op), DENY, PEER, Reason::Identity);
        assert_eq!(record.args[1], subject);
    }
    let own = Op::CheckCapDelegated { subject: CLIENT, capability: cap("files.read") };
    expect(bench().ask(from(CLIENT), 2, own), DENY, CLIENT, Reason::Identity);
}

#[test]
fn the_profile_is_empty_and_only_for_its_subject() {
    let op = |subject| Op::AbiProfileGet { subject };
    expect(bench().ask(from(PEER), 2, op(PEER)), ALLOW, PEER, Reason::Default);
    let told = expect(bench().ask(from(ENFORCER), 2, op(PEER)), ALLOW, PEER, Reason::Default);
    assert_eq!(told.rule, 0, "the rule that lets the enforcer ask decided nothing");
    expect(bench().ask(from(PEER), 2, op(CLIENT)), DENY, PEER, Reason::Identity);
    let frame = [0x50, 0x4f, 2, 6, 1, 2, 3, 4, 21, 0, 0, 0, 0, 0, 0, 0];
    let (reply, _) = bench().frame(from(PEER), &frame);
    assert_eq!(reply, [0x50, 0x4f, 2, 0x86, 1, 2, 3, 4, 0, 0, 0, 0]);
    let (reply, _) = bench().frame(from(CLIENT), &frame);
    assert_eq!(reply, [0x50, 0x4f, 2, 0x86, 1, 2, 3, 4, 1, 0, 0, 0]);
}

#[test]
fn test_reject_everything_without_a_policy() {
    let senders: [Sender; 4] = [control(INIT), from(ENFORCER), from(CLIENT), from(0)];
    for sender in senders {
        let id = sender.service.0;
        let ops = [
            (3, Op::RouteId { requester: id, target: ENFORCER }),
            (3, Op::ExecId { requester: id, image: 0 }),
            (1, Op::CheckCap { subject: id, capability: cap("ipc.core") }),
            (2, Op::CheckCapDelegated { subject: CLIENT, capability: cap("ipc.core") }),
            (2, Op::AbiProfileGet { subject: id }),
            (1, Op::Check { name: name("client") }),
        ];
        for (version, op) in ops {
            expect(Bench::new(None).ask(sender, version, op), DENY, id, Reason::NoPolicy);
        }
    }
}

#[test]
fn test_reject_an_allow_that_must_be_recorded_and_cannot_be() {
    let check = |capability| Op::CheckCap { subject: CLIENT, capability: cap(capability) };
    let mut bench = bench();
    assert_eq!(bench.status(from(CLIENT), check("files.write")), Status::Allow);
    bench.outside.room = 0;
    assert_eq!(bench.status(from(CLIENT), check("files.write")), Status::Deny, "required");
    assert_eq!(bench.status(from(CLIENT), check("files.read")), Status::Allow, "counted");
    assert_eq!(bench.outside.lost, 2, "each loss is counted once");
    bench.outside.room = usize::MAX;
    assert_eq!(bench.status(from(CLIENT), check("files.write")), Status::Allow, "recovers");
}

/// Where two decisions lead to one answer, either may demand the record: who asks by a right that
/// must be on record gets no answer without one, whatever it asks about.
#[test]
fn test_reject_an_unrecorded_answer_to_a_delegate_whose_right_must_be_recorded() {
    let capabilities =
        vec![plain("files.read", AuditMode::Normal), plain("policy.delegate", AuditMode::Required)];
    let mut model = Model {
        version: 1,
        subjects: [("client", CLIENT), ("enforcer", ENFORCER), ("peer", PEER)]
            .map(|(name, id)| (name.to_owned(), id))
            .to_vec(),
        capabilities,
        rules: 2,
        ..Model::default()
    };
    model.cells.extend([(0, 0), (1, 1)].map(|pair| (pair, Cell::Rule(Effect::Allow, 1))));
    model.cells.insert((2, 1), Cell::Rule(Effect::Deny, 2));
    let mut bench = over(&model);
    let asked = Op::CheckCapDelegated { subject: CLIENT, capability: cap("files.read") };
    let record = expect(bench.ask(from(ENFORCER), 2, asked), ALLOW, CLIENT, Reason::Policy);
    assert!(record.flags.has(Flags::REQUIRED));
    let refused = expect(bench.ask(from(PEER), 2, asked), DENY, PEER, Reason::Identity);
    assert!(refused.flags.has(Flags::REQUIRED), "nor is a refusal of that right an ordinary one");
    assert_eq!(refused.rule, 2, "the rule that says so");
    bench.outside.room = 0;
    assert_eq!(bench.status(from(ENFORCER), asked), Status::Deny);
    let own = Op::CheckCap { subject: CLIENT, capability: cap("files.read") };
    assert_eq!(bench.status(from(CLIENT), own), Status::Allow, "without the delegate: counted");
}

/// Token buckets that policyd keeps.
const BUCKETS: u32 = 32;

#[test]
fn test_reject_grants_by_a_limit_beyond_the_buckets_kept() {
    let spec = |n| plain(&format!("cap.n{n:02}"), AuditMode::Normal);
    let grant = |n: u32| {
        let limit = Some(n as u16);
        let link = Link { effect: Effect::Allow, rule: 1, all: 0, none: 0, until: None, limit };
        ((0, n), Cell::Chain(vec![link]))
    };
    let model = Model {
        version: 1,
        subjects: vec![("client".to_owned(), CLIENT)],
        capabilities: (0..=BUCKETS).map(spec).collect(),
        limits: vec![LimitSpec { burst: 1, refill_ns: u64::MAX }; BUCKETS as usize + 1],
        rules: 1,
        cells: (0..=BUCKETS).map(grant).collect(),
        ..Model::default()
    };
    let mut bench = over(&model);
    for n in 0..=BUCKETS {
        let capability = format!("cap.n{n:02}");
        let op = Op::CheckCap { subject: CLIENT, capability: cap(&capability) };
        let first = if n < BUCKETS { (ALLOW, Reason::Policy) } else { (DENY, Reason::Gate) };
        expect(bench.ask(from(CLIENT), 1, op), first.0, CLIENT, first.1);
        expect(bench.ask(from(CLIENT), 1, op), DENY, CLIENT, Reason::Gate);
    }
}

#[test]
fn which_policy_is_in_force_is_the_first_record() {
    for (policy, decision, version) in
        [(Some(policy()), Decision::Allow, 7), (None, Decision::Deny, 0)]
    {
        let mut bench = Bench::new(None);
        let _policyd = policyd::Policyd::start(policy, common::loader(), &mut bench.outside);
        let record = bench.outside.records[0];
        assert_eq!((record.op, record.decision), (audit::Op::PolicyLoad, decision));
        let digest = policy.map(|policy| policy.digest());
        let head = digest.map_or(0, |d| u64::from_le_bytes(*d.first_chunk().unwrap()));
        assert_eq!(record.args, [version, head], "which one, beyond doubt");
        assert_eq!(record.policy, digest.map_or(0, |digest| audit::policy_tag(&digest)));
        assert_eq!(record.rule, policy.map_or(0, |policy| policy.rule_count()));
    }
}
