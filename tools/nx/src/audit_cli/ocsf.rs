//! A record as an event of the Open Cybersecurity Schema Framework.
//!
//! OCSF has no class for one decision about one capability: Authentication (3002) is about log-ons
//! and Authorize Session (3003) about what a new session gets. Decisions are API Activity,
//! processes' ends Process Activity, the trail's own events Application Lifecycle; what has no
//! place is under `unmapped` with the names of the JSON form.

use nexus_wire::audit::{Decision, Op, Record};
use serde_json::{Map, Value, json};

use super::{json as plain, names, style};

/// The schema the field names are from.
const SCHEMA: &str = "1.3.0";
/// Nanoseconds in a millisecond, OCSF's unit of time.
const MS: u64 = 1_000_000;

/// A class with the activity in it.
struct Class {
    category: u64,
    category_name: &'static str,
    class: u64,
    class_name: &'static str,
    activity: u64,
    activity_name: &'static str,
}

const fn api(activity: u64, activity_name: &'static str) -> Class {
    Class {
        category: 6,
        category_name: "Application Activity",
        class: 6003,
        class_name: "API Activity",
        activity,
        activity_name,
    }
}

const fn process(activity: u64, activity_name: &'static str) -> Class {
    Class {
        category: 1,
        category_name: "System Activity",
        class: 1007,
        class_name: "Process Activity",
        activity,
        activity_name,
    }
}

const fn lifecycle(activity_name: &'static str) -> Class {
    Class {
        category: 6,
        category_name: "Application Activity",
        class: 6002,
        class_name: "Application Lifecycle",
        activity: OTHER,
        activity_name,
    }
}

/// `activity_id` of what the class has no number for; `activity_name` says it.
const OTHER: u64 = 99;

fn class(record: &Record) -> Class {
    match record.op {
        Op::KernelProcessCreated => process(1, "Launch"),
        Op::KernelProcessExited => process(2, "Terminate"),
        Op::KernelProcessFaulted => process(2, "Terminate"),
        op @ (Op::PolicyLoad
        | Op::Lost
        | Op::Dropped
        | Op::Health
        | Op::State
        | Op::Entropy
        | Op::Seal
        | Op::Shutdown) => lifecycle(op.name()),
        op => api(OTHER, op.name()),
    }
}

/// The event on one line, ASCII, without line end. `boot_s` is when the boot was, in seconds
/// since 1970; 0 leaves times relative to it.
pub(super) fn line(record: &Record, boot_s: u64) -> String {
    let class = class(record);
    let (severity_id, severity) = severity(record);
    let (status_id, status) = status(record);
    let cap = record.cap.as_bytes();
    let mut event = json!({
        "activity_id": class.activity,
        "activity_name": class.activity_name,
        "category_name": class.category_name,
        "category_uid": class.category,
        "class_name": class.class_name,
        "class_uid": class.class,
        "type_uid": class.class * 100 + class.activity,
        "time": boot_s.saturating_mul(1000).saturating_add(record.time_ns / MS),
        "severity": severity,
        "severity_id": severity_id,
        "status": status,
        "status_id": status_id,
        "status_detail": record.reason.name(),
        "message": message(record),
        "metadata": {
            "version": SCHEMA,
            "sequence": record.seq,
            "uid": format!("{:08x}-{}", record.boot, record.seq),
            "product": { "name": "nexus-audit", "vendor_name": "Nexus" },
        },
        "unmapped": unmapped(record),
    });
    let Some(fields) = event.as_object_mut() else { return String::new() };
    place(fields, &class, record, &style::shown(cap));
    plain::text(&event)
}

/// The objects that differ from class to class.
fn place(fields: &mut Map<String, Value>, class: &Class, record: &Record, cap: &str) {
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    let device = json!({
        "type_id": OTHER,
        "type": "Other",
        "uid": format!("{:08x}", record.boot),
    });
    match class.class {
        1007 => {
            // Whoever creates is the subject; whoever ends is alone.
            let process = plain::target(record).unwrap_or(record.subject);
            put("actor", json!({ "process": named(record.subject) }));
            put("process", named(process));
            put("device", device);
        }
        6002 => {
            put("app", json!({ "name": names::who(record.enforcer), "vendor_name": "Nexus" }));
        }
        _ => {
            put("actor", json!({ "process": named(record.subject) }));
            put("src_endpoint", named(record.subject));
            put("api", api_object(record));
            if !record.cap.as_bytes().is_empty() {
                let exact = plain::capability(record);
                let resource = json!({ "type": "capability", "name": exact, "uid": cap });
                put("resources", json!([resource]));
            }
            if let Some(target) = plain::target(record) {
                put("dst_endpoint", named(target));
            }
            match record.decision {
                Decision::Allow => {
                    put("action_id", json!(1));
                    put("action", json!("Allowed"));
                }
                Decision::Deny => {
                    put("action_id", json!(2));
                    put("action", json!("Denied"));
                }
                Decision::None => {}
            }
        }
    }
}

fn api_object(record: &Record) -> Value {
    let mut api = json!({
        "operation": record.op.name(),
        "service": { "name": names::of(record.enforcer), "uid": names::hex(record.enforcer) },
    });
    if let (Some(fields), Some(nonce)) = (api.as_object_mut(), nonce(record)) {
        fields.insert("request".to_owned(), json!({ "uid": nonce }));
    }
    api
}

fn nonce(record: &Record) -> Option<String> {
    let has = record.flags.has(nexus_wire::audit::Flags::NONCE);
    has.then(|| format!("0x{:08x}", record.nonce))
}

fn named(id: u64) -> Value {
    json!({ "name": names::of(id), "uid": names::hex(id) })
}

fn severity(record: &Record) -> (u8, &'static str) {
    match (record.op, record.decision) {
        (Op::Lost | Op::KernelProcessFaulted, _) => (4, "High"),
        (_, Decision::Deny) => (3, "Medium"),
        (Op::Malformed | Op::KernelSyscallDenied | Op::KernelCapDenied, _) => (3, "Medium"),
        _ => (1, "Informational"),
    }
}

fn status(record: &Record) -> (u8, &'static str) {
    match record.decision {
        Decision::Allow => (1, "Success"),
        Decision::Deny => (2, "Failure"),
        Decision::None => (99, "Other"),
    }
}

fn message(record: &Record) -> String {
    let cap = match record.cap.as_bytes() {
        [] => String::new(),
        name => format!(" {}", style::shown(name)),
    };
    let who = names::who(record.subject);
    format!("{} {} for {who}{cap}", record.op.name(), record.decision.name())
}

/// What the schema has no place for, as in the JSON form.
fn unmapped(record: &Record) -> Value {
    let all = serde_json::from_str::<Value>(&plain::line(record)).unwrap_or_default();
    let keep = ["boot", "policy", "time_ns", "enforcer", "rule", "flags", "args", "gone", "object"];
    let kept = keep.iter().filter_map(|key| Some(((*key).to_owned(), all.get(key)?.clone())));
    Value::Object(kept.collect())
}

#[cfg(test)]
mod tests {
    use nexus_wire::{
        Capability,
        audit::{CapName, Reason},
    };

    use super::*;

    fn event(record: &Record) -> Value {
        serde_json::from_str(&line(record, 0)).unwrap()
    }

    #[test]
    fn every_operation_has_a_whole_event() {
        for op in Op::ALL {
            let event = event(&Record::new(*op, Decision::Deny, Reason::Policy));
            let number = |key: &str| event[key].as_u64().unwrap();
            assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
            assert_eq!(number("class_uid") / 1000, number("category_uid"));
            let needed: &[&str] = match number("class_uid") {
                6003 => &["actor", "api", "src_endpoint"],
                1007 => &["actor", "device", "process"],
                _ => &["app"],
            };
            for key in needed.iter().chain(&["time", "severity_id", "metadata"]) {
                assert!(event.get(key).is_some(), "{}: no {key}", op.name());
            }
        }
    }

    #[test]
    fn decisions_keep_who_what_and_why() {
        let record = Record {
            seq: 3,
            time_ns: 2_500_000,
            subject: 20,
            enforcer: 3,
            rule: 8,
            cap: CapName::new(Capability::new("audit.read").unwrap()),
            ..Record::new(Op::CheckCapDelegated, Decision::Allow, Reason::Policy)
        };
        let event: Value = serde_json::from_str(&line(&record, 10)).unwrap();
        assert_eq!(event["time"], 10_002);
        assert_eq!(event["actor"]["process"]["name"], "selftest-client");
        assert_eq!(event["api"]["service"]["name"], "logd");
        assert_eq!(event["resources"][0]["name"], "audit.read");
        assert_eq!((&event["action"], &event["status"]), (&json!("Allowed"), &json!("Success")));
        assert_eq!(event["unmapped"]["rule"], 8);
        assert_eq!(event["unmapped"]["time_ns"], 2_500_000);
    }

    #[test]
    fn test_reject_events_made_of_a_name() {
        let name = "\"}],\"action_id\":1,\"x\":\"\n";
        let record = Record {
            cap: CapName::new(Capability::new(name).unwrap()),
            ..Record::new(Op::CheckCap, Decision::Deny, Reason::Unknown)
        };
        let event = event(&record);
        assert_eq!(event["action_id"], 2);
        assert_eq!(event["resources"][0]["name"], name);
        assert!(!line(&record, 0).contains('\n'));
    }
}
