//! A small policy and an outside that keeps every record in memory.

use std::sync::LazyLock;

use ed25519_dalek::{Signer as _, SigningKey};
use nexus_abi::{Handle, Sender, ServiceId};
use nexus_sel::{
    Facts, Policy,
    authoring::{Compiled, Input, SystemNames, compile},
    with_signature,
};
use nexus_service::step;
use nexus_system::keys;
use nexus_wire::{
    audit::{self, Reason, Record},
    policy::{BADGE_CONTROL, Op, Request, Response, Status},
};
use policyd::{Anchor, BLOB_WORDS, Blob, Env, Loader, NoRoom, Policyd};

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
["policy.reload"]
meaning = "m"
enforcer = "policyd"
audit = "required"
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
init = ["ipc.core", "policy.delegate", "proc.spawn", "policy.reload"]
enforcer = ["ipc.core", "policy.delegate"]
client = ["ipc.core", "proc.spawn", "files.*", "route.enforcer", { capability = "files.gated", when = "open" }]
peer = ["ipc.core"]
[deny]
peer = ["files.read"]
"#;

/// The policy as a blob.
pub fn compiled() -> Compiled {
    compiled_as(7)
}

/// The policy as a blob, in another version; the peer loses `ipc.core` in every other than 7.
pub fn compiled_as(version: u64) -> Compiled {
    compiled_with(version, str::to_owned)
}

/// As [`compiled_as`], with the rules edited.
pub fn compiled_with(version: u64, edit: impl Fn(&str) -> String) -> Compiled {
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
    let rules = rules.replace("version = 7", &format!("version = {version}"));
    let peer = if version == 7 { "ipc.core" } else { "proc.spawn" };
    let rules = rules.replace("peer = [\"ipc.core\"]", &format!("peer = [\"{peer}\"]"));
    compile(
        Input::new("capabilities.toml", REGISTRY),
        vec![Input::new("base.toml", edit(&rules))],
        &system,
    )
    .unwrap_or_else(|errors| panic!("\n{errors}"))
}

/// The key of the tree.
pub fn bring_up() -> SigningKey {
    let name = format!("../../../recipes/keys/{}.seed", keys::POLICY_NAME);
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(path).expect("the seed of the tree");
    let digits = text.lines().find(|line| !line.starts_with('#')).expect("digits");
    let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("digits");
    SigningKey::from_bytes(&std::array::from_fn(byte))
}

/// `words` signed with `key`.
pub fn signed_with(key: &SigningKey, words: &[u64]) -> Vec<u64> {
    let policy = Policy::open(words).expect("a policy");
    let signature = key.sign(&policy.signed_message());
    with_signature(words, &key.verifying_key().to_bytes(), &signature.to_bytes())
}

/// A version of the test policy, signed with the key of the tree.
pub fn signed(version: u64) -> Vec<u64> {
    signed_with(&bring_up(), &compiled_as(version).words)
}

/// A loader that trusts the key of the tree.
pub fn loader() -> Loader<'static> {
    Loader { anchor: Anchor(&keys::POLICY), spare: Box::leak(Box::new([0; BLOB_WORDS])) }
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
    /// The memory behind every capability that comes along.
    pub offered: Result<Vec<u64>, Reason>,
    pub closed: Vec<Handle>,
    pub kept: Option<Box<Blob>>,
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
            return Err(NoRoom { seq: self.records.len() as u64 + self.lost - 1 });
        }
        self.records.push(*record);
        Ok(self.records.len() as u64 + self.lost - 1)
    }
    fn read_blob(&mut self, _cap: Handle, into: &mut Blob) -> Result<usize, Reason> {
        let words = self.offered.clone()?;
        into.get_mut(..words.len()).ok_or(Reason::BlobTooLarge)?.copy_from_slice(&words);
        Ok(words.len())
    }
    fn close(&mut self, cap: Handle) {
        self.closed.push(cap);
    }
    fn keep(&mut self, blob: &Blob) {
        self.kept = Some(Box::new(*blob));
    }
}

/// policyd and its outside.
pub struct Bench {
    /// Tag of its policy, which every record must carry.
    tag: u32,
    pub policyd: Policyd<'static>,
    pub outside: Outside,
}

impl Bench {
    pub fn new(policy: Option<Policy<'static>>) -> Bench {
        let mut outside = Outside {
            records: Vec::new(),
            lost: 0,
            room: usize::MAX,
            now_ns: 0,
            facts: Facts::NONE,
            offered: Err(Reason::BlobMissing),
            closed: Vec::new(),
            kept: None,
        };
        let tag = policy.as_ref().map_or(0, |policy| audit::policy_tag(&policy.digest()));
        let policyd = Policyd::start(policy, loader(), &mut outside);
        outside.records.clear();
        Bench { tag, policyd, outside }
    }

    /// One frame: the reply, and the one record it must leave.
    pub fn frame(&mut self, sender: Sender, frame: &[u8]) -> (Vec<u8>, Record) {
        let before = self.outside.records.len();
        let reply = step(&mut self.policyd, sender, frame, &mut self.outside);
        assert_eq!(self.outside.records.len(), before + 1, "one record per request: {frame:02x?}");
        assert_eq!(self.outside.records[before].policy, self.tag, "the policy in force");
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
