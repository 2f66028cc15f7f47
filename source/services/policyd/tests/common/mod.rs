//! A small policy and an outside that keeps every record in memory.

use std::sync::LazyLock;

use nexus_abi::{Sender, ServiceId};
use nexus_sel::{
    Facts, Policy,
    authoring::{Compiled, Input, SystemNames, compile},
};
use nexus_service::step;
use nexus_wire::{
    audit::Record,
    policy::{BADGE_CONTROL, Op, Request, Response, Status},
};
use policyd::{Env, NoRoom, Policyd};

/// Holds `policy.delegate`, and in the image the control capability.
pub const INIT: u64 = 1;
/// Holds `policy.delegate` without the control capability.
pub const ENFORCER: u64 = 3;
/// May use `files.read` and nothing sensitive.
pub const CLIENT: u64 = 20;
/// May use nothing but `ipc.core`.
pub const PEER: u64 = 21;

const REGISTRY: &str = r#"
schema = 2
["ipc.core"]
meaning = "m"
enforcer = "policyd"
["route.*"]
expand = "providers"
meaning = "m"
enforcer = "init"
["proc.spawn"]
meaning = "m"
enforcer = "policyd"
audit = "required"
["policy.delegate"]
meaning = "m"
enforcer = "policyd"
["files.read"]
meaning = "m"
enforcer = "enforcer"
["files.write"]
meaning = "m"
enforcer = "enforcer"
audit = "required"
["files.gated"]
meaning = "m"
enforcer = "enforcer"
"#;

const RULES: &str = r#"
schema = 2
version = 7
[facts.open]
owner = "init"
meaning = "m"
[gates.open]
when = "open"
meaning = "m"
[allow]
init = ["ipc.core", "policy.delegate", "proc.spawn"]
enforcer = ["ipc.core", "policy.delegate"]
client = ["ipc.core", "proc.spawn", "files.*", "route.enforcer", { capability = "files.gated", when = "open" }]
peer = ["ipc.core"]
[deny]
peer = ["files.read"]
"#;

/// The policy as a blob.
pub fn compiled() -> Compiled {
    let services = [
        ("init", INIT),
        ("policyd", 2),
        ("enforcer", ENFORCER),
        ("client", CLIENT),
        ("peer", PEER),
    ];
    let services = services.map(|(name, id)| (name.to_owned(), id)).to_vec();
    let system = SystemNames::new(services, vec!["enforcer".to_owned(), "policyd".to_owned()]);
    let rules = RULES.replace("\"files.*\"", "\"files.read\", \"files.write\"");
    compile(
        Input::new("capabilities.toml", REGISTRY),
        vec![Input::new("base.toml", rules)],
        &system,
    )
    .unwrap_or_else(|errors| panic!("\n{errors}"))
}

/// The policy, checked.
pub fn policy() -> Policy<'static> {
    static COMPILED: LazyLock<Compiled> = LazyLock::new(compiled);
    Policy::open(&COMPILED.words).expect("the test policy is valid")
}

/// Everything outside policyd.
pub struct Outside {
    pub records: Vec<Record>,
    pub lost: u64,
    pub room: usize,
    pub now_ns: u64,
    pub facts: Facts,
}

impl Env for Outside {
    fn now_ns(&mut self) -> u64 {
        self.now_ns += 1;
        self.now_ns
    }
    fn facts(&mut self) -> Facts {
        self.facts
    }
    fn append(&mut self, record: &Record) -> Result<u64, NoRoom> {
        if self.records.len() >= self.room {
            self.lost += 1;
            return Err(NoRoom);
        }
        self.records.push(*record);
        Ok(self.records.len() as u64 - 1)
    }
}

/// policyd and its outside.
pub struct Bench {
    pub policyd: Policyd<'static>,
    pub outside: Outside,
}

impl Bench {
    pub fn new(policy: Option<Policy<'static>>) -> Bench {
        let room = usize::MAX;
        let mut outside =
            Outside { records: Vec::new(), lost: 0, room, now_ns: 0, facts: Facts::NONE };
        let policyd = Policyd::start(policy, &mut outside);
        outside.records.clear();
        Bench { policyd, outside }
    }

    /// One frame: the reply, and the one record it must leave.
    pub fn frame(&mut self, sender: Sender, frame: &[u8]) -> (Vec<u8>, Record) {
        let before = self.outside.records.len();
        let reply = step(&mut self.policyd, sender, frame, &mut self.outside);
        assert_eq!(self.outside.records.len(), before + 1, "one record per request: {frame:02x?}");
        assert!(reply.cap.is_none() && !reply.bytes().is_empty());
        (reply.bytes().to_vec(), self.outside.records[before])
    }

    /// One request in `version`: the status and the record.
    pub fn ask(&mut self, sender: Sender, version: u8, op: Op<'_>) -> (Status, Record) {
        let nonce = (version > 1).then_some(0x1234_5678);
        let request = Request { version, nonce, op };
        let mut frame = [0; 512];
        let len = request.encode(&mut frame);
        let (reply, record) = self.frame(sender, &frame[..len]);
        let reply = Response::decode(&reply).expect("a reply of the protocol");
        assert_eq!((reply.version, reply.nonce, reply.body.code()), (version, nonce, op.code()));
        assert_eq!(record.nonce, nonce.unwrap_or(0));
        (reply.status, record)
    }

    /// Only the answer, for a lane without room.
    pub fn status(&mut self, sender: Sender, op: Op<'_>) -> Status {
        let mut frame = [0; 512];
        let len = Request { version: 1, nonce: None, op }.encode(&mut frame);
        let reply = step(&mut self.policyd, sender, &frame[..len], &mut self.outside);
        Response::decode(reply.bytes()).expect("a reply of the protocol").status
    }
}

/// A caller over an ordinary capability.
pub fn from(service: u64) -> Sender {
    Sender { service: ServiceId(service), incarnation: 1, badge: 0 }
}

/// A caller over the supervisor's private capability.
pub fn control(service: u64) -> Sender {
    Sender { badge: BADGE_CONTROL, ..from(service) }
}
