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

/// Who may tell what became of an act: everything else that an enforcer sends is dropped.
#[test]
fn outcomes_are_these_and_no_others() {
    let outcomes: Vec<&str> =
        Op::ALL.iter().filter(|op| op.is_outcome()).map(|op| op.name()).collect();
    let expected = "key_use key_lifecycle secret attest counter state entropy seal shutdown";
    assert_eq!(outcomes.join(" "), expected);
}

#[test]
fn a_flag_is_there_only_if_all_of_it_is() {
    let both = Flags::NONCE.or(Flags::CONTROL);
    for (set, asked, there) in [
        (both, Flags::NONCE, true),
        (both, both, true),
        (both, Flags::DELEGATED, false),
        (Flags::NONCE, both, false),
        (Flags::NONE, Flags::NONCE, false),
        (Flags::NONE, Flags::NONE, true),
    ] {
        assert_eq!(set.has(asked), there, "{set:?} {asked:?}");
    }
    assert_eq!(both.or(Flags::NONCE), both, "a set, not a sum");
}

#[test]
fn names_from_words_and_bytes_are_the_same() {
    for len in 1..=CAPABILITY_MAX {
        let text: String = ('a'..='z').cycle().take(len).collect();
        let name = Capability::new(&text).unwrap();
        let cap = CapName::new(name);
        assert_eq!(CapName::gathered(name, &cap.words()), cap);
        assert_eq!((cap.as_bytes(), usize::from(cap.len())), (text.as_bytes(), len));
        assert!(!cap.is_empty());
    }
    assert!(CapName::NONE.is_empty() && CapName::NONE.as_bytes().is_empty());
}

#[test]
fn test_reject_a_capability_that_is_no_text() {
    let mut words = Record::new(Op::Check, Decision::Deny, Reason::Policy).to_words();
    words[7] = 1 << 32;
    words[8] = 0x61;
    assert_eq!(Record::from_words(&words).unwrap().cap.as_bytes(), b"a");
    words[8] = 0xff;
    assert_eq!(Record::from_words(&words), None);
}

/// A page is as long as it may be, and every record of it is one, wherever it stands.
#[test]
fn test_reject_pages_too_long_or_with_anything_else() {
    let record = longest().encode();
    let chained = Chained { lane: 3, before: [7; 32], bytes: record }.encode();
    assert_eq!(Chained::decode(&chained).map(|c| c.encode()), Some(chained));
    let page = |count: usize| vec![record; count];
    let chain = |count: usize| vec![chained; count];
    for count in 0..=PAGE_MAX {
        let (page, chain) = (page(count), chain(count));
        let (page, chain) = (Page::new(&page).unwrap(), ChainPage::new(&chain).unwrap());
        assert_eq!((page.len(), page.iter().count()), (count, count));
        assert_eq!((chain.len(), chain.iter().count()), (count, count));
        assert_eq!((page.is_empty(), chain.is_empty()), (count == 0, count == 0));
    }
    assert!(Page::new(&page(PAGE_MAX + 1)).is_none());
    assert!(ChainPage::new(&chain(PAGE_MAX + 1)).is_none());
    for at in 0..PAGE_MAX {
        let (mut page, mut chain) = (page(PAGE_MAX), chain(PAGE_MAX));
        // Both end in a record, of which the 25th byte is the operation.
        page[at][24] = 0xff;
        chain[at][1 + 32 + 24] = 0xff;
        assert!(Page::new(&page).is_none() && ChainPage::new(&chain).is_none(), "{at}");
        assert!(Chained::decode(&chain[at]).is_none());
    }
}
