//! Key files, sealed records and preimages.

use nexus_keys::{
    Chain, Counter, Nonce, Object, Objects, PAYLOAD_MAX, Preimage, Purpose, PurposeKey, Purposes,
    SecretSeed, Slot, Wanted, open,
};

/// Whatever decodes encodes back to the same bytes; whatever does not verify is an error; nothing
/// panics, and nothing opens.
pub fn key_objects(bytes: &[u8]) {
    let mut again = Vec::new();
    let mut chain = None;
    let mut key = None;
    let objects = Objects::new(bytes).take_while(Result::is_ok).flatten();
    for object in objects {
        match object {
            Object::Genesis(genesis) => {
                again.extend(genesis.encode());
                chain = Chain::start(&genesis).ok();
            }
            Object::Certificate(certificate) => {
                again.extend(certificate.encode());
                let _refused = chain.as_mut().map(|chain| chain.extend(&certificate));
            }
            Object::Purpose(certificate) => {
                again.extend(certificate.encode());
                key = chain.as_ref().and_then(|chain| PurposeKey::admit(&certificate, chain).ok());
            }
            Object::Quote(quote) => {
                again.extend(quote.encode());
                let nonce = Nonce::new(&[1; 32]).expect("a nonce");
                let wanted = Wanted { nonce, allow_development: true };
                if let (Some(chain), Some(key)) = (&chain, &key) {
                    assert!(quote.verify(chain, key, &wanted).is_err(), "over another nonce");
                }
            }
            Object::Seal(seal) => {
                again.extend(seal.encode());
                let _refused = key.as_ref().map(|key| seal.verify(key));
            }
        }
    }
    assert_eq!(Some(again.as_slice()), bytes.get(..again.len()), "another encoding");
    if let Ok(preimage) = Preimage::decode(bytes) {
        assert_eq!(preimage.encode(), bytes, "another encoding");
    }
    nothing_opens(bytes);
}

fn nothing_opens(bytes: &[u8]) {
    let root = SecretSeed::take(&mut [1; 32]).expect("a seed");
    let slot = Slot { owner: 30, name: b"name", purposes: Purposes::only(Purpose::Service) };
    let mut payload = [1; PAYLOAD_MAX];
    assert!(open(&root, &slot, Counter(0), bytes, &mut payload).is_err(), "opened");
    assert_eq!(payload, [0; PAYLOAD_MAX], "left something behind");
}
