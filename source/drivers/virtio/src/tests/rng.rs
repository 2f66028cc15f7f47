//! The entropy driver against a device made of plain memory, honest and not.

use super::*;
use crate::{ENTROPY_BLOCK as BLOCK, Rng, Taken};

/// Two pages of ring, one for the buffer.
const RNG_NEEDED: usize = 3 * 4096;

fn start() -> (Rng<Device>, Device) {
    Arena::forget();
    let words = memory(RNG_NEEDED);
    let device = device(words);
    let mut sys = Fake { words, physical: PHYSICAL };
    Arena::attach(&mut sys, Handle::fixed(4), RNG_NEEDED, &device).unwrap();
    (Rng::start(device.clone()).unwrap(), device)
}

/// Writes all the bytes and says `len` of them count.
fn deliver(device: &Device, bytes: &[u8], len: u32) -> u64 {
    let mut model = device.0.borrow_mut();
    let (token, at, offered) = model.next(0).expect("a buffer was offered");
    assert_eq!(offered as usize, BLOCK);
    model.put(at, bytes);
    model.finish(0, token.into(), len);
    at
}

#[test]
fn whole_blocks_come_once_and_leave_nothing_behind() {
    let _alone = alone();
    let (mut rng, device) = start();
    let mut out = [0; BLOCK];
    for round in 0..100u8 {
        rng.request().unwrap();
        rng.request().unwrap();
        assert_eq!(rng.take(&mut out), Ok(Taken::Pending));
        let at = deliver(&device, &[round | 1; BLOCK], BLOCK as u32);
        assert!(device.0.borrow_mut().next(0).is_none(), "one buffer at a time");
        assert_eq!(rng.take(&mut out), Ok(Taken::Whole));
        assert_eq!(out, [round | 1; BLOCK]);
        rng.acknowledge();
        let left = (0..BLOCK as u64).any(|i| device.0.borrow().byte(at + i) != 0);
        assert!(!left, "the memory the device wrote to is wiped");
        assert_eq!(rng.take(&mut out), Ok(Taken::Pending));
        assert_eq!(out, [0; BLOCK], "not twice");
    }
}

/// A device that says it wrote less gives nothing: neither its part nor what was there before.
#[test]
fn test_reject_short_blocks() {
    let _alone = alone();
    let (mut rng, device) = start();
    let mut out = [0; BLOCK];
    for len in [0, 1, 3, BLOCK as u32 - 1] {
        rng.request().unwrap();
        deliver(&device, &[0xaa; BLOCK], BLOCK as u32);
        assert_eq!(rng.take(&mut out), Ok(Taken::Whole));
        rng.request().unwrap();
        deliver(&device, &[0xbb; 3], len);
        assert_eq!(rng.take(&mut out), Ok(Taken::Short), "{len}");
        assert_eq!(out, [0; BLOCK]);
    }
}

#[test]
fn test_reject_a_device_that_says_it_wrote_more_and_reset_it() {
    let _alone = alone();
    for len in [BLOCK as u32 + 1, u32::MAX] {
        let (mut rng, device) = start();
        let mut out = [7; BLOCK];
        rng.request().unwrap();
        deliver(&device, &[0xaa; BLOCK], len);
        assert_eq!(rng.take(&mut out), Err(Fault::Protocol), "{len}");
        assert_eq!(out, [0; BLOCK]);
        assert_eq!(device.0.borrow().status, DeviceStatus::empty(), "reset");
        assert_eq!(rng.request(), Err(Fault::Protocol), "for ever");
        assert_eq!(rng.take(&mut out), Err(Fault::Protocol));
    }
}

#[test]
fn test_reject_a_device_that_asks_to_be_reset() {
    let _alone = alone();
    let (mut rng, device) = start();
    let mut out = [7; BLOCK];
    rng.request().unwrap();
    assert_eq!(rng.take(&mut out), Ok(Taken::Pending));
    device.0.borrow_mut().status |= DeviceStatus::DEVICE_NEEDS_RESET;
    assert_eq!(rng.take(&mut out), Err(Fault::Protocol));
    assert_eq!(device.0.borrow().status, DeviceStatus::empty(), "reset");
    assert_eq!(rng.request(), Err(Fault::Protocol), "for ever");
}

#[test]
fn test_reject_buffers_the_device_does_not_have() {
    let _alone = alone();
    for (token, asked) in [(0, false), (1, true), (0xffff, true)] {
        let (mut rng, device) = start();
        let mut out = [7; BLOCK];
        if asked {
            rng.request().unwrap();
        }
        device.0.borrow_mut().finish(0, token, BLOCK as u32);
        assert_eq!(rng.take(&mut out), Err(Fault::Protocol), "{token}");
        assert_eq!(out, [0; BLOCK]);
        assert_eq!(device.0.borrow().status, DeviceStatus::empty());
    }
}

#[test]
fn test_reject_too_little_memory() {
    let _alone = alone();
    let words = memory(RNG_NEEDED);
    let device = device(words);
    let mut sys = Fake { words, physical: PHYSICAL };
    Arena::attach(&mut sys, Handle::fixed(4), RNG_NEEDED - 4096, &device).unwrap();
    assert_eq!(Rng::start(device).err(), Some(Fault::Memory));
}

#[test]
fn a_slot_with_another_device_is_not_opened() {
    let _alone = alone();
    let mut sys = registers(3);
    let opened = Rng::open(&mut sys, Handle::fixed(5), (Handle::fixed(4), RNG_NEEDED));
    assert_eq!(opened.err(), Some(Fault::WrongDevice));
}
