//! Which images were started: taken down while the system starts, closed before anybody is
//! served. Guards that nothing is added afterwards and that what is missing shows.

use heapless::Vec;
use nexus_manifest::boot::MAX_SERVICES;

const CONTEXT: &str = "nexus-init 2026-11 measured images v1";

/// One started image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The service it was started as.
    pub(crate) service: u64,
    /// Digest of its image, as it was verified before the start.
    pub(crate) image: [u8; 32],
}

/// The log of started images, in the order of their start.
#[derive(Debug)]
pub(crate) struct Measurements {
    events: Vec<Event, MAX_SERVICES>,
    closed: bool,
    whole: bool,
}

impl Measurements {
    /// Nothing started yet.
    pub(crate) const fn new() -> Measurements {
        Measurements { events: Vec::new(), closed: false, whole: true }
    }

    /// Notes a start. A restart of an image that is in the log adds nothing; anything else after
    /// the end, or beyond the room there is, is left out, and the log is no longer whole.
    pub(crate) fn note(&mut self, event: Event) {
        if self.closed && self.events.contains(&event) {
            return;
        }
        if self.closed || self.events.push(event).is_err() {
            self.whole = false;
        }
    }

    /// Ends the log.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether the log is ended and nothing was left out.
    pub(crate) const fn is_whole(&self) -> bool {
        self.closed && self.whole
    }

    /// The events.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// BLAKE3 over the events: for each the service, little-endian, and the digest.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        for event in &self.events {
            hasher.update(&event.service.to_le_bytes()).update(&event.image);
        }
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(service: u64) -> Event {
        Event { service, image: [service as u8; 32] }
    }

    #[test]
    fn order_and_content_make_the_digest() {
        let (mut one, mut two) = (Measurements::new(), Measurements::new());
        for service in [2, 3] {
            one.note(event(service));
        }
        for service in [3, 2] {
            two.note(event(service));
        }
        assert_ne!(one.digest(), two.digest());
        assert!(!one.is_whole(), "not ended");
        one.close();
        assert!(one.is_whole());
        let expected = {
            let bytes: Vec<u8, 80> = [2u64, 3]
                .iter()
                .flat_map(|s| s.to_le_bytes().into_iter().chain([*s as u8; 32]))
                .collect();
            blake3::derive_key(CONTEXT, &bytes)
        };
        assert_eq!(one.digest(), expected);
    }

    #[test]
    fn test_reject_k26_an_event_after_the_end() {
        let mut log = Measurements::new();
        log.note(event(2));
        log.close();
        let before = log.digest();
        log.note(event(2));
        assert!(log.is_whole(), "the same image, started again");
        log.note(Event { image: [9; 32], ..event(2) });
        assert_eq!((log.digest(), log.events().len()), (before, 1));
        assert!(!log.is_whole());
    }

    #[test]
    fn test_reject_k27_an_event_beyond_the_room() {
        let mut log = Measurements::new();
        for service in 0..MAX_SERVICES as u64 {
            log.note(event(service));
        }
        let before = log.digest();
        log.note(event(99));
        log.close();
        assert_eq!(log.digest(), before, "never overwritten");
        assert!(!log.is_whole());
    }
}
