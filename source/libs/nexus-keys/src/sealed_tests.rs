use crate::{testing::*, *};

const SLOT: Slot<'static> =
    Slot { owner: 20, name: b"tls", purposes: Purposes::only(Purpose::Service) };
const PAYLOAD: &[u8] = b"thirty-two bytes of some secret.";

fn header(counter: u64) -> Header {
    let usage = usage(Purpose::Service);
    Header { development: false, generation: Generation(2), counter: Counter(counter), usage }
}

fn sealed(slot: &Slot<'_>, counter: u64, salt: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = [0; RECORD_MAX];
    let len = seal(&seed(1), slot, &header(counter), &[salt; 32], payload, &mut out).unwrap();
    out[..len].to_vec()
}

fn opened(slot: &Slot<'_>, floor: u64, record: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = [0xEE; PAYLOAD_MAX];
    match open(&seed(1), slot, Counter(floor), record, &mut out) {
        Ok(opened) => {
            assert_eq!(opened.header.generation, Generation(2));
            assert!(out[opened.len..].iter().all(|byte| *byte == 0));
            Ok(out[..opened.len].to_vec())
        }
        Err(error) => {
            assert_eq!(out, [0; PAYLOAD_MAX], "an error leaves nothing behind");
            Err(error)
        }
    }
}

#[test]
fn what_was_sealed_opens() {
    for len in [0, 1, 32, PAYLOAD_MAX] {
        let payload = vec![0x5A; len];
        let record = sealed(&SLOT, 3, 9, &payload);
        assert_eq!(record.len(), 128 + len);
        assert_eq!(opened(&SLOT, 3, &record), Ok(payload));
    }
}

#[test]
fn test_reject_what_is_too_long() {
    let mut out = [0; RECORD_MAX];
    for len in [PAYLOAD_MAX + 1, RECORD_MAX, 70_000] {
        let result = seal(&seed(1), &SLOT, &header(1), &[1; 32], &vec![0; len], &mut out);
        assert_eq!(result, Err(Error::TooLong), "{len}");
    }
    assert_eq!(out, [0; RECORD_MAX]);
}

#[test]
fn test_reject_sealing_under_another_purpose_or_a_broken_salt() {
    let mut out = [0; RECORD_MAX];
    let attest = Slot { purposes: Purposes::only(Purpose::Attest), ..SLOT };
    let result = seal(&seed(1), &attest, &header(1), &[1; 32], PAYLOAD, &mut out);
    assert_eq!(result, Err(Error::WrongPurpose));
    let result = seal(&seed(1), &SLOT, &header(1), &[0; 32], PAYLOAD, &mut out);
    assert_eq!(result, Err(Error::BadSeed));
}

#[test]
fn test_reject_k37_records_and_ciphertexts_of_other_slots() {
    let record = sealed(&SLOT, 3, 9, PAYLOAD);
    // The whole record in another slot.
    let others = [
        Slot { owner: 21, ..SLOT },
        Slot { name: b"tls2", ..SLOT },
        Slot { name: b"", ..SLOT },
        Slot { purposes: Purposes::only(Purpose::Bundle), ..SLOT },
    ];
    for other in others {
        assert_eq!(opened(&other, 0, &record), Err(Error::Unsealed));
        // Only the ciphertext and tag.
        if other.purposes == SLOT.purposes {
            let mut swapped = sealed(&other, 3, 9, PAYLOAD);
            swapped[112..].copy_from_slice(&record[112..]);
            assert_eq!(opened(&other, 0, &swapped), Err(Error::Unsealed));
        }
    }
    // Another device.
    let mut out = [0; PAYLOAD_MAX];
    let foreign = open(&seed(2), &SLOT, Counter(0), &record, &mut out);
    assert_eq!(foreign, Err(Error::Unsealed));
}

#[test]
fn test_reject_k38_every_flipped_bit_and_every_other_length() {
    let record = sealed(&SLOT, 3, 9, PAYLOAD);
    for bit in 0..record.len() * 8 {
        let mut flipped = record.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opened(&SLOT, 0, &flipped), Err(Error::Unsealed), "bit {bit}");
    }
    for len in 0..record.len() {
        assert_eq!(opened(&SLOT, 0, &record[..len]), Err(Error::Unsealed), "{len} bytes");
    }
    for more in [1, 16, 8, 300] {
        let mut longer = record.clone();
        longer.resize(record.len() + more, 0);
        assert_eq!(opened(&SLOT, 0, &longer), Err(Error::Unsealed), "{more} bytes more");
    }
}

#[test]
fn test_reject_k21_an_older_record_of_the_slot() {
    let (old, new) = (sealed(&SLOT, 3, 9, b"old"), sealed(&SLOT, 4, 8, b"new"));
    assert_eq!(opened(&SLOT, 4, &new), Ok(b"new".to_vec()));
    assert_eq!(opened(&SLOT, 4, &old), Err(Error::Rollback));
    assert_eq!(opened(&SLOT, 3, &old), Ok(b"old".to_vec()));
    // The counter cannot be raised by hand.
    let mut raised = old;
    raised[24..32].copy_from_slice(&4u64.to_le_bytes());
    assert_eq!(opened(&SLOT, 4, &raised), Err(Error::Unsealed));
}

#[test]
fn k39_a_slot_sealed_again_after_a_rollback_has_another_key_stream() {
    // Same slot, same counter, fresh salt: what a disk put back leads to.
    let (one, two) = (sealed(&SLOT, 3, 9, &[0; 64]), sealed(&SLOT, 3, 8, &[0; 64]));
    let differing = one[112..176].iter().zip(&two[112..176]).filter(|(a, b)| a != b).count();
    assert!(differing > 48, "{differing} of 64 bytes differ");
    // The counter is in the key too, should the source of salts ever repeat itself.
    let later = sealed(&SLOT, 4, 9, &[0; 64]);
    assert_ne!(one[112..176], later[112..176]);
}
