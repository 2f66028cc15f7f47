//! Keys of the tests: nothing random, nothing secret.

use crate::*;

pub(crate) const NOW: Moment = Moment { boot: 3, ns: 5_000 };

pub(crate) fn seed(number: u8) -> SecretSeed {
    SecretSeed::take(&mut [number; 32]).unwrap()
}

pub(crate) fn identity(generation: u32) -> SigningKey {
    let seed = seed(0x10 + generation as u8);
    SigningKey::new(&seed, Purposes::IDENTITY, Generation(generation)).unwrap()
}

pub(crate) fn purpose_key(purpose: Purpose, generation: u32) -> SigningKey {
    let seed = seed(0x80 + purpose.code().trailing_zeros() as u8 * 8 + generation as u8);
    SigningKey::new(&seed, Purposes::only(purpose), Generation(generation)).unwrap()
}

pub(crate) fn genesis() -> Genesis {
    let made = Moment { boot: 1, ns: 9 };
    Genesis::sign(&identity(0), &identity(1).public(), made, false).unwrap()
}

pub(crate) fn rotation(from: u32, reason: Reason, overlap: Window) -> Certificate {
    let device = genesis().device;
    let (old, new) = (identity(from), identity(from + 1));
    let next = identity(from + 2).public();
    Certificate::sign((&device, false), &old, &new, &next, (reason, overlap)).unwrap()
}

/// Two further boots, a thousand nanoseconds in each.
pub(crate) fn overlap(boot: u32) -> Window {
    Window { from: Moment { boot, ns: 0 }, boots: 2, ns: 1000 }
}

pub(crate) fn chain(rotations: u32) -> Chain {
    let mut chain = Chain::start(&genesis()).unwrap();
    for from in 0..rotations {
        chain.extend(&rotation(from, Reason::Scheduled, overlap(from + 2))).unwrap();
    }
    chain
}

pub(crate) fn certified(purpose: Purpose, generation: u32) -> PurposeCertificate {
    let from = Moment { boot: 1, ns: 10 };
    let usage = Usage::unlimited(Purposes::only(purpose), from);
    let device = genesis().device;
    let key = purpose_key(purpose, generation);
    PurposeCertificate::sign((&device, false), &identity(0), &key, (0, Generation(0)), usage)
        .unwrap()
}

pub(crate) fn evidence() -> Evidence {
    Evidence {
        flags: Flags::NO_HARDWARE_ROOT,
        boot: 3,
        resumes: 0,
        boot_id: [1; 16],
        images: 9,
        measurements: [2; 32],
        policy: [3; 32],
        policy_version: 4,
        audit_size: 55,
        audit_head: [6; 32],
        rollback_floor: 7,
    }
}

pub(crate) fn nonce() -> Nonce {
    Nonce::new(&[0xA5; 32]).unwrap()
}

pub(crate) fn body() -> QuoteBody {
    QuoteBody {
        nonce: nonce(),
        caller: 20,
        device: genesis().device,
        generation: Generation(0),
        identity: Generation(0),
        evidence: evidence(),
    }
}

pub(crate) fn quote() -> Quote {
    Quote::sign(&purpose_key(Purpose::Attest, 0), body()).unwrap()
}

pub(crate) fn checkpoint() -> Seal {
    let key = purpose_key(Purpose::Checkpoint, 0);
    Seal::sign(&key, (12, [0xC0; 32]), (3, 3), false).unwrap()
}

pub(crate) fn usage(purpose: Purpose) -> Usage {
    Usage::unlimited(Purposes::only(purpose), NOW)
}
