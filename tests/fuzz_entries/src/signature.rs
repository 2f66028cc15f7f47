//! A signed policy from hostile hands: what policyd believes was signed.
use std::sync::LazyLock;

use ed25519_dalek::{Signer as _, SigningKey};
use nexus_sel::authoring::{Model, emit};
use nexus_sel::{Policy, with_signature};
use policyd::{Anchor, admit};

use crate::blob::{reseal, words};

/// A key of these tests.
const SEED: [u8; 32] = [0x5a; 32];

/// The one policy that was ever signed with the key, in words.
pub fn signed_policy() -> &'static [u64] {
    static SIGNED: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let key = SigningKey::from_bytes(&SEED);
        let model = Model {
            version: 3,
            subjects: vec![("logd".to_owned(), 3), ("policyd".to_owned(), 2)],
            ..Model::default()
        };
        let plain = emit(&model).expect("within the bounds");
        let message = Policy::open(&plain).expect("what emit wrote").signed_message();
        with_signature(&plain, key.verifying_key().as_bytes(), &key.sign(&message).to_bytes())
    });
    &SIGNED
}

/// Offers the bytes as they are, behind a right digest, and with the good signature in its
/// place. Only what was signed may be believed; true if something was.
pub fn policy_signature(bytes: &[u8]) -> bool {
    let mut offered = words(bytes);
    let mut believed = believe(&offered);
    reseal(&mut offered);
    believed |= believe(&offered);
    let good = Policy::open(signed_policy()).ok().and_then(|policy| policy.signature());
    let (key, signature) = good.expect("signed");
    believed | believe(&with_signature(&offered, &key, &signature))
}

fn believe(offered: &[u64]) -> bool {
    let public = SigningKey::from_bytes(&SEED).verifying_key();
    let Ok(policy) = admit(offered, Anchor(public.as_bytes())) else { return false };
    let signed = Policy::open(signed_policy()).expect("what emit wrote");
    assert_eq!(policy.signed_message(), signed.signed_message(), "never signed");
    assert_eq!(policy.signature(), signed.signature(), "another spelling of the signature");
    true
}
