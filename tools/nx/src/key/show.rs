//! What a file holds, believing none of it.

use nexus_abi::ServiceId;
use nexus_keys::{Flags, Object, Purpose, Usage, Window};
use nexus_system::names;
use serde_json::{Map, Value, json};

use super::{ShowArgs, file::Contents, hex, verdict};

type Fields = Vec<(&'static str, String)>;

/// The name of a service with its number; the key store's own statements have none.
pub(super) fn who(id: u64) -> String {
    match names::of(ServiceId(id)) {
        Some(name) => format!("{name} ({id})"),
        None if id == 0 => "the key store itself".to_owned(),
        None => format!("service {id}"),
    }
}

pub(super) fn run(args: &ShowArgs) -> Result<u8, String> {
    let contents = Contents::load(&args.file)?;
    let mut out = String::new();
    for object in &contents.objects {
        let (kind, fields) = fields(object);
        if args.json {
            let named = fields.iter().map(|(name, value)| (name.replace(' ', "_"), json!(value)));
            let mut all: Map<String, Value> = named.collect();
            all.insert("object".to_owned(), json!(kind));
            out += &format!("{}\n", Value::Object(all));
            continue;
        }
        out += &format!("{kind}\n");
        for (name, value) in fields {
            out += &format!("  {name:<16}{value}\n");
        }
    }
    if !args.json {
        out += "Nothing of this was verified: verify-chain, verify-quote, verify-checkpoint do.\n";
    }
    verdict::print(&out)?;
    Ok(0)
}

fn fields(object: &Object) -> (&'static str, Fields) {
    match object {
        Object::Genesis(genesis) => (
            "genesis",
            vec![
                ("device", hex::text(genesis.device.bytes())),
                ("development", genesis.development.to_string()),
                ("made", format!("boot {}", genesis.made.boot)),
                ("next key", format!("committed, {}", hex::short(&genesis.next))),
            ],
        ),
        Object::Certificate(certificate) => {
            let rotation = &certificate.rotation;
            (
                "certificate",
                vec![
                    ("generation", format!("{} to {}", rotation.from.0, rotation.to.0)),
                    ("reason", rotation.reason.name().to_owned()),
                    ("device", hex::text(rotation.device.bytes())),
                    ("old key", hex::text(rotation.old.bytes())),
                    ("new key", hex::text(rotation.new.bytes())),
                    ("overlap", window(&rotation.overlap)),
                    ("next key", format!("committed, {}", hex::short(&rotation.next))),
                ],
            )
        }
        Object::Purpose(certificate) => {
            let mut fields = vec![
                ("generation", certificate.generation.0.to_string()),
                ("key", hex::text(certificate.key.bytes())),
                ("device", hex::text(certificate.device.bytes())),
                ("issuer", format!("identity key {}", certificate.issuer.0)),
                ("owner", who(certificate.owner)),
                ("revoked below", certificate.floor.0.to_string()),
            ];
            fields.extend(usage(&certificate.usage));
            ("purpose key", fields)
        }
        Object::Quote(quote) => ("quote", quote_fields(&quote.body)),
        Object::Seal(seal) => (
            "signed checkpoint",
            vec![
                ("number", seal.number.to_string()),
                ("digest", hex::text(&seal.digest)),
                ("key", format!("checkpoint key {}", seal.generation.0)),
                ("boot", seal.boot.to_string()),
                ("asked by", who(seal.caller)),
            ],
        ),
    }
}

fn quote_fields(body: &nexus_keys::QuoteBody) -> Fields {
    let e = &body.evidence;
    let flags = Flags::ALL.iter().filter(|(flag, _)| e.flags.has(*flag));
    let flags: Vec<&str> = flags.map(|(_, words)| *words).collect();
    vec![
        ("nonce", hex::text(body.nonce.as_bytes())),
        ("device", hex::text(body.device.bytes())),
        ("asked by", who(body.caller)),
        ("keys", format!("attestation {}, identity {}", body.generation.0, body.identity.0)),
        ("boot", format!("{}, id {}", e.boot, hex::text(&e.boot_id))),
        ("resumes", e.resumes.to_string()),
        ("images", format!("{}, digest {}", e.images, hex::text(&e.measurements))),
        ("policy", format!("version {}, digest {}", e.policy_version, hex::text(&e.policy))),
        ("audit", format!("checkpoint {}:{}", e.audit_size, hex::text(&e.audit_head))),
        ("rollback floor", e.rollback_floor.to_string()),
        ("admits", if flags.is_empty() { "nothing".to_owned() } else { flags.join("; ") }),
    ]
}

fn usage(usage: &Usage) -> Fields {
    let purposes: Vec<&str> = usage.purposes.iter().map(Purpose::name).collect();
    let uses = match usage.uses {
        u64::MAX => "any number".to_owned(),
        uses => uses.to_string(),
    };
    vec![("purpose", purposes.join(", ")), ("uses", uses), ("valid", window(&usage.window))]
}

fn window(window: &Window) -> String {
    let from = format!("from boot {}", window.from.boot);
    if window.is_open() {
        return format!("{from}, without end");
    }
    if window.is_none() {
        return "none".to_owned();
    }
    let boots = match window.boots {
        u32::MAX => "any number of further boots".to_owned(),
        boots => format!("{boots} further boots"),
    };
    let time = match window.ns {
        u64::MAX => "any time".to_owned(),
        ns => format!("{} ns", ns),
    };
    format!("{from}, {boots}, {time} in each")
}
