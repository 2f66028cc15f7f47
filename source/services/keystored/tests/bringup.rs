//! The build with the keys everybody knows: run with `--features insecure-bringup-key`.
#![cfg(feature = "insecure-bringup-key")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

mod common;

use common::*;
use nexus_keys::{Chain, Flags, Genesis, QuoteBody};
use nexus_wire::{
    Bytes,
    keys::{Op, Reply, Standing},
};

#[test]
fn every_device_is_the_same_and_everything_it_says_admits_it() {
    let (_, mut one) = with_keys();
    let two_disk = disk();
    let mut two = boot(&two_disk, 99);
    assert_eq!(two.keygen(), nexus_wire::keys::Status::Ok);
    assert_eq!(one.public(SERVICE, 0), two.public(SERVICE, 0));
    let flags = one.ask(CLIENT, Op::Status {}, |_, body| match body {
        Reply::Status { status } => status.flags,
        _ => 0,
    });
    assert_ne!(flags & Standing::BRINGUP_KEY, 0);
    let challenge = Bytes::new(&[7; 32]).unwrap();
    let flags = one.ask(CLIENT, Op::Attest { challenge }, |_, body| match body {
        Reply::Attest { quote, .. } => QuoteBody::decode(quote.as_bytes()).unwrap().evidence.flags,
        _ => Flags::NONE,
    });
    assert!(flags.has(Flags::DEVELOPMENT_KEY.with(Flags::ENTROPY_UNPROVEN)));
    let genesis = Genesis::decode(&one.chain(ROTATE, 0).unwrap()).unwrap();
    assert!(Chain::start(&genesis).unwrap().development());
}
