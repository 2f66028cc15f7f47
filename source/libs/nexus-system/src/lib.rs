//! Facts of this system that programs need as constants, generated from `recipes/*.toml`: no
//! other source file holds an id, a slot number or the text of a marker.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod header;

use nexus_abi::{Handle, ServiceId, Sys};

include!(concat!(env!("OUT_DIR"), "/system.rs"));

/// The draining end of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The lane's name.
    pub lane: &'static str,
    /// Its memory.
    pub memory: Handle,
    /// Bytes of it.
    pub bytes: usize,
    /// Bit of the own notification that the producer rings.
    pub bit: u64,
    /// Who produces: nobody else was given the other end.
    pub peer: ServiceId,
}

/// The filling end of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The lane's name.
    pub lane: &'static str,
    /// Its memory.
    pub memory: Handle,
    /// Bytes of it.
    pub bytes: usize,
    /// The consumer's bell.
    pub bell: Handle,
    /// Bit to ring it with.
    pub bit: u64,
    /// Who drains.
    pub peer: ServiceId,
}

/// A line that proves something to the harness. Only this crate makes one, so a program cannot
/// print a marker that `recipes/markers.toml` does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker(&'static str);

impl Marker {
    const fn new(line: &'static str) -> Marker {
        Marker(line)
    }

    /// Prints the line; the kernel stamps who did.
    pub fn emit<S: Sys>(self, sys: &mut S) {
        sys.console(self.0);
    }

    /// The text without its line end, for the kernel's own markers.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.0.trim_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_say_what_the_recipes_say() {
        assert_eq!(ids::POLICYD.0, 2);
        assert_eq!(names::of(ids::POLICYD), Some(names::POLICYD));
        assert_eq!(names::of(nexus_abi::ServiceId(0)), None);
        assert_eq!(slots::policyd::LANE_AUDIT_BYTES, slots::logd::LANE_AUDIT_BYTES);
        assert_eq!(slots::policyd::LANE_AUDIT_BELL_BIT, slots::logd::LANE_AUDIT_BIT);
        let [lane] = slots::policyd::OUTGOING else { panic!("policyd fills one lane") };
        let taken = slots::logd::INCOMING.iter().find(|end| end.lane == lane.lane).unwrap();
        assert_eq!((taken.peer, lane.peer), (ids::POLICYD, ids::LOGD));
        assert_eq!((taken.bit, taken.bytes), (lane.bit, lane.bytes));
        const { assert!(slots::logd::KEPT_JOURNAL_BYTES >= 1024 * 128 + 64) };
        assert!(keys::POLICY_IS_INSECURE && keys::POLICY_NAME.contains("INSECURE"));
        assert_eq!(markers::SELFTEST_POLICY_ALLOW.text(), "SELFTEST: policy allow ok");
    }
}
