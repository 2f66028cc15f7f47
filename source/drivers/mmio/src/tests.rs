//! A device made of plain memory.

use core::sync::atomic::AtomicU64;

use nexus_abi::{Call, Return, layout::FRAME_MAX};

use super::*;

struct Fake(&'static [AtomicU64]);

impl Sys for Fake {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &[0; FRAME_MAX]
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        Box::leak(Box::new([0; FRAME_MAX]))
    }
    fn syscall(&mut self, _call: Call) -> Return {
        Return::Failed(Error::Denied)
    }
    fn now_ns(&mut self) -> u64 {
        0
    }
    fn map_words(&mut self, _: Handle, len: usize) -> Result<&'static [AtomicU64], Error> {
        self.0.get(..len / 8).ok_or(Error::InvalidArgument)
    }
}

fn device() -> Fake {
    Fake(Box::leak((0..512).map(|_| AtomicU64::new(0)).collect()))
}

#[test]
fn registers_read_back_and_do_not_touch_their_neighbours() {
    let mut sys = device();
    let window = Window::map(&mut sys, Handle::fixed(7), 4096).unwrap();
    window.write32(4, 0xdead_beef).unwrap();
    assert_eq!(window.read32(4), Ok(0xdead_beef));
    assert_eq!(window.read32(0), Ok(0));
    assert_eq!(window.read32(8), Ok(0));
    assert_eq!(sys.0[0].load(Ordering::Relaxed), 0xdead_beef_0000_0000);
}

#[test]
fn test_reject_access_outside_the_window() {
    let mut sys = device();
    let window = Window::map(&mut sys, Handle::fixed(7), 16).unwrap();
    assert!(window.read32(12).is_ok());
    for offset in [1, 2, 13, 16, 4096, usize::MAX, usize::MAX - 3] {
        assert_eq!(window.read32(offset), Err(Error::InvalidArgument));
        assert_eq!(window.write32(offset, 0), Err(Error::InvalidArgument));
    }
    assert_eq!(Window::map(&mut sys, Handle::fixed(7), 8192).err(), Some(Error::InvalidArgument));
}

#[test]
fn finisher_writes_the_verdict() {
    let mut sys = device();
    let finisher = Finisher::map(&mut sys, Handle::fixed(7)).unwrap();
    finisher.pass().unwrap();
    assert_eq!(sys.0[0].load(Ordering::Relaxed), 0x5555);
    finisher.fail(3).unwrap();
    assert_eq!(sys.0[0].load(Ordering::Relaxed), 0x3_3333);
    finisher.fail(0).unwrap();
    assert_eq!(sys.0[0].load(Ordering::Relaxed), 0x1_3333);
}
