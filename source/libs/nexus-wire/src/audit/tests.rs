use nexus_abi::EventKind;

use super::*;
use crate::{CAPABILITY_MAX, Capability};

fn longest() -> Record {
    let cap = "c".repeat(CAPABILITY_MAX);
    Record {
        seq: u64::MAX,
        boot: u32::MAX,
        policy: u32::MAX,
        time_ns: u64::MAX,
        flags: Flags(Flags::ALL),
        nonce: u32::MAX,
        enforcer: u64::MAX,
        subject: u64::MAX,
        target: u64::MAX,
        rule: u32::MAX,
        cap: CapName::new(Capability::new(&cap).unwrap()),
        args: [u64::MAX; 2],
        ..Record::new(Op::CheckCapDelegated, Decision::Allow, Reason::AuditUnavailable)
    }
}

#[test]
fn every_kernel_event_has_an_operation_of_its_name() {
    for kind in EventKind::ALL {
        let op = Op::from_kernel(*kind).unwrap();
        assert_eq!(op.name(), format!("kernel.{}", kind.name()));
        assert!(op.is_kernel());
    }
    assert!(Op::ALL.iter().filter(|op| op.is_kernel()).count() == EventKind::ALL.len());
}

#[test]
fn records_survive_their_words() {
    for op in Op::ALL {
        let record = Record { op: *op, ..longest() };
        assert_eq!(Record::from_words(&record.to_words()), Some(record));
        assert_eq!(Record::decode(&record.encode()), Some(record));
    }
}

#[test]
fn every_bit_flip_is_refused_or_canonical() {
    for record in [longest(), Record::new(Op::Lost, Decision::None, Reason::Overflow)] {
        for bit in 0..Record::BYTES * 8 {
            let mut bytes = record.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Some(other) = Record::decode(&bytes) {
                assert_eq!(other.encode(), bytes);
                assert_ne!(other, record);
            }
        }
    }
}

#[test]
fn test_reject_dirty_padding_and_long_capabilities() {
    let good = Record::new(Op::Check, Decision::Deny, Reason::Policy);
    let mut dirty = good.encode();
    dirty[Record::BYTES - 24] = 1;
    assert_eq!(Record::decode(&dirty), None);
    let mut long = good.encode();
    long[60] = CAPABILITY_MAX as u8 + 1;
    assert_eq!(Record::decode(&long), None);
    assert_eq!(Record::from_words(&[0; Record::WORDS]), None);
}

#[test]
fn text_starts_as_promised_and_fits() {
    let record = Record {
        subject: 20,
        enforcer: 4,
        cap: CapName::new(Capability::new("a\nb").unwrap()),
        ..Record::new(Op::CheckCap, Decision::Deny, Reason::Default)
    };
    let mut buf = [0; TEXT_MAX];
    let start = "audit v1 op=check_cap decision=deny subject=0x0000000000000014 \
                 target=0x0000000000000000 reason=default cap=a?b enforcer=0x0000000000000004";
    assert!(record.text(&mut buf).starts_with(start));
    assert!(record.text(&mut buf).ends_with(" boot=0x00000000"), "no policy, so none is named");
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
    let decided = Record { policy: policy_tag(&digest), ..record };
    assert!(decided.text(&mut buf).ends_with(" boot=0x00000000 policy=12345678"));
    let whole = longest().to_string();
    assert!(whole.len() <= TEXT_MAX);
    assert_eq!(longest().text(&mut buf), whole);
}
