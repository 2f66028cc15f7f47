//! Moments on a device's time line, windows between them, and numbers that never wrap.
//!
//! A device has no calendar. What it has is a boot counter that grows by one with every start,
//! and nanoseconds since that start. A window therefore bounds both: how many further boots, and
//! how long in each of them, so that neither a device that never restarts nor one that restarts
//! all the time keeps a key alive.

use crate::{
    Error,
    layout::{In, Out},
};

/// Which key of a line of keys; 0 is the first. Grows by one, never repeats, never wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u32);

impl Generation {
    /// The device's first key.
    pub const FIRST: Generation = Generation(0);

    /// The one after.
    ///
    /// # Errors
    /// [`Error::Exhausted`] after the last.
    pub fn next(self) -> Result<Generation, Error> {
        self.0.checked_add(1).map(Generation).ok_or(Error::Exhausted)
    }
}

/// A count that only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter(pub u64);

impl Counter {
    /// One more.
    ///
    /// # Errors
    /// [`Error::Exhausted`] at the maximum: the operation is refused, nothing wraps.
    pub fn next(self) -> Result<Counter, Error> {
        self.0.checked_add(1).map(Counter).ok_or(Error::Exhausted)
    }

    /// Refuses what is below `floor`.
    ///
    /// # Errors
    /// [`Error::Rollback`].
    pub fn at_least(self, floor: Counter) -> Result<(), Error> {
        if self < floor { Err(Error::Rollback) } else { Ok(()) }
    }
}

/// When, on the device's own time line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Boot counter.
    pub boot: u32,
    /// Nanoseconds since that boot.
    pub ns: u64,
}

/// When something may be used: `from` a moment, through `boots` further boots, and in each boot
/// for `ns` nanoseconds (in the first one counted from that moment). 24 bytes:
///
/// | off | size | field |
/// |---|---|---|
/// | 0 | 4 | boot of the first moment |
/// | 4 | 4 | further boots, all ones for any |
/// | 8 | 8 | nanoseconds of the first moment |
/// | 16 | 8 | nanoseconds in each boot, all ones for any |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: Moment,
    /// Further boots; [`u32::MAX`] for any number.
    pub boots: u32,
    /// Nanoseconds in each boot; [`u64::MAX`] for any time.
    pub ns: u64,
}

impl Window {
    pub(crate) const BYTES: usize = 24;

    /// From `from` without an end.
    #[must_use]
    pub const fn open_end(from: Moment) -> Window {
        Window { from, boots: u32::MAX, ns: u64::MAX }
    }

    /// No moment at all: what replaces a compromised key leaves the old one.
    #[must_use]
    pub const fn none(from: Moment) -> Window {
        Window { from, boots: 0, ns: 0 }
    }

    /// Whether it holds no moment.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.boots == 0 && self.ns == 0
    }

    /// Whether it never ends.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.boots == u32::MAX && self.ns == u64::MAX
    }

    /// Whether `at` lies in it.
    ///
    /// # Errors
    /// [`Error::NotYet`] before it, [`Error::Expired`] after it.
    pub fn admits(&self, at: Moment) -> Result<(), Error> {
        if at < self.from {
            return Err(Error::NotYet);
        }
        let boots_since = at.boot.saturating_sub(self.from.boot);
        let start_ns = if boots_since == 0 { self.from.ns } else { 0 };
        let open_ns = self.ns == u64::MAX || at.ns.saturating_sub(start_ns) < self.ns;
        if boots_since <= self.boots && open_ns { Ok(()) } else { Err(Error::Expired) }
    }

    /// Whether any moment of boot `boot` lies in it: for who knows the boot and not the time.
    ///
    /// # Errors
    /// As [`Window::admits`].
    pub fn admits_boot(&self, boot: u32) -> Result<(), Error> {
        if boot < self.from.boot {
            return Err(Error::NotYet);
        }
        let inside = self.ns > 0 && boot.saturating_sub(self.from.boot) <= self.boots;
        if inside { Ok(()) } else { Err(Error::Expired) }
    }

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let out = Out::new().u32(self.from.boot).u32(self.boots).u64(self.from.ns);
        out.u64(self.ns).finish()
    }

    pub(crate) fn read(input: &mut In<'_>) -> Result<Window, Error> {
        let (boot, boots) = (input.u32()?, input.u32()?);
        let (from_ns, ns) = (input.u64()?, input.u64()?);
        Ok(Window { from: Moment { boot, ns: from_ns }, boots, ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Moment = Moment { boot: 5, ns: 1000 };

    fn at(boot: u32, ns: u64) -> Moment {
        Moment { boot, ns }
    }

    #[test]
    fn boots_and_time_both_bound_a_window() {
        let window = Window { from: AT, boots: 2, ns: 100 };
        for inside in [at(5, 1000), at(5, 1099), at(6, 0), at(6, 99), at(7, 99)] {
            assert_eq!(window.admits(inside), Ok(()), "{inside:?}");
        }
        for after in [at(5, 1100), at(6, 100), at(7, 100), at(8, 0), at(u32::MAX, u64::MAX)] {
            assert_eq!(window.admits(after), Err(Error::Expired), "{after:?}");
        }
        for before in [at(5, 999), at(4, u64::MAX), at(0, 0)] {
            assert_eq!(window.admits(before), Err(Error::NotYet), "{before:?}");
        }
        assert_eq!(window.admits_boot(4), Err(Error::NotYet));
        assert_eq!(window.admits_boot(7), Ok(()));
        assert_eq!(window.admits_boot(8), Err(Error::Expired));
    }

    #[test]
    fn test_reject_any_moment_of_no_window() {
        let none = Window::none(AT);
        assert_eq!(none.admits(AT), Err(Error::Expired));
        assert_eq!(none.admits(at(6, 0)), Err(Error::Expired));
        assert_eq!(none.admits_boot(5), Err(Error::Expired));
        // Boots without time are no window either.
        assert_eq!(Window { from: AT, boots: 9, ns: 0 }.admits(AT), Err(Error::Expired));
    }

    #[test]
    fn an_open_end_has_none() {
        let open = Window::open_end(AT);
        assert_eq!(open.admits(at(u32::MAX, u64::MAX)), Ok(()));
        assert_eq!(open.admits(AT), Ok(()));
        assert_eq!(open.admits(at(5, 999)), Err(Error::NotYet));
    }

    #[test]
    fn test_reject_k23_a_count_beyond_the_last() {
        assert_eq!(Counter(u64::MAX - 1).next(), Ok(Counter(u64::MAX)));
        assert_eq!(Counter(u64::MAX).next(), Err(Error::Exhausted));
        assert_eq!(Generation(u32::MAX - 1).next(), Ok(Generation(u32::MAX)));
        assert_eq!(Generation(u32::MAX).next(), Err(Error::Exhausted));
    }

    #[test]
    fn test_reject_k21_a_count_below_its_floor() {
        assert_eq!(Counter(7).at_least(Counter(7)), Ok(()));
        assert_eq!(Counter(6).at_least(Counter(7)), Err(Error::Rollback));
    }
}
