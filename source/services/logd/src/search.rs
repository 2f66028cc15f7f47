//! Which records a reader asks for.

use nexus_wire::audit::Record;

/// A question; 0 and the empty capability match anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter<'f> {
    pub(crate) until_seq: u64,
    pub(crate) since_ns: u64,
    pub(crate) until_ns: u64,
    pub(crate) subject: u64,
    pub(crate) enforcer: u64,
    pub(crate) op: u8,
    pub(crate) decision: u8,
    pub(crate) nonce: u32,
    /// A name, or with `*` at its end what names begin with.
    pub(crate) capability: &'f [u8],
}

impl Filter<'_> {
    pub(crate) fn matches(&self, record: &Record) -> bool {
        let any = |wanted: u64, is: u64| wanted == 0 || wanted == is;
        any(self.subject, record.subject)
            && any(self.enforcer, record.enforcer)
            && any(self.op.into(), record.op.code().into())
            && any(self.decision.into(), record.decision.code().into())
            && any(self.nonce.into(), record.nonce.into())
            && (self.until_seq == 0 || record.seq <= self.until_seq)
            && record.time_ns >= self.since_ns
            && (self.until_ns == 0 || record.time_ns <= self.until_ns)
            && self.about(record.cap.as_bytes())
    }

    fn about(&self, capability: &[u8]) -> bool {
        match self.capability.split_last() {
            None => true,
            Some((b'*', start)) => capability.starts_with(start),
            Some(_) => capability == self.capability,
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_wire::{
        Capability,
        audit::{CapName, Decision, Op, Reason},
    };

    use super::*;

    #[test]
    fn every_field_narrows_and_the_default_does_not() {
        let record = Record {
            seq: 10,
            time_ns: 100,
            nonce: 5,
            enforcer: 2,
            subject: 20,
            cap: CapName::new(Capability::new("crypto.sign").unwrap()),
            ..Record::new(Op::CheckCap, Decision::Deny, Reason::Default)
        };
        let any = Filter::default();
        assert!(any.matches(&record));
        let code = Op::CheckCap.code();
        for (fits, not) in [
            (Filter { until_seq: 10, ..any }, Filter { until_seq: 9, ..any }),
            (Filter { since_ns: 100, ..any }, Filter { since_ns: 101, ..any }),
            (Filter { until_ns: 100, ..any }, Filter { until_ns: 99, ..any }),
            (Filter { subject: 20, ..any }, Filter { subject: 21, ..any }),
            (Filter { enforcer: 2, ..any }, Filter { enforcer: 20, ..any }),
            (Filter { op: code, ..any }, Filter { op: code + 1, ..any }),
            (Filter { decision: 2, ..any }, Filter { decision: 1, ..any }),
            (Filter { nonce: 5, ..any }, Filter { nonce: 6, ..any }),
            (
                Filter { capability: b"crypto.sign", ..any },
                Filter { capability: b"crypto.sig", ..any },
            ),
            (Filter { capability: b"crypto.*", ..any }, Filter { capability: b"fs.*", ..any }),
        ] {
            assert!(fits.matches(&record), "{fits:?}");
            assert!(!not.matches(&record), "{not:?}");
        }
    }
}
