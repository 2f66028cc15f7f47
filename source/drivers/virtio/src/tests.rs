//! The console driver against a device made of plain memory, honest and not.

mod rng;

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nexus_abi::{Call, Error, Handle, Return, Sys, layout::FRAME_MAX};
use virtio_drivers::{
    PhysAddr,
    transport::{DeviceStatus, DeviceType, InterruptStatus, Transport},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{Arena, BUFFER, Fault, Port, Registers, negotiate};

const VERSION_1: u64 = 1 << 32;
/// What the port needs: two pages of ring and one of buffers for each queue.
const NEEDED: usize = 6 * 4096;
/// Where the device sees the memory.
pub(crate) const PHYSICAL: u64 = 0x8040_0000;

/// The arena is one per process: one test at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    Arena::forget();
    guard
}

/// Page-aligned memory for ever.
pub(crate) fn memory(bytes: usize) -> &'static [AtomicU64] {
    let words: &'static [AtomicU64] =
        Box::leak((0..(bytes + 4096) / 8).map(|_| AtomicU64::new(u64::MAX)).collect());
    let skip = words.as_ptr().align_offset(4096);
    &words[skip..][..bytes / 8]
}

pub(crate) struct Fake {
    pub(crate) words: &'static [AtomicU64],
    pub(crate) physical: u64,
}

impl Sys for Fake {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &[0; FRAME_MAX]
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        Box::leak(Box::new([0; FRAME_MAX]))
    }
    fn syscall(&mut self, _call: Call) -> Return {
        Return::Values([self.words.len() as u64 * 8, 0, self.physical, 0])
    }
    fn now_ns(&mut self) -> u64 {
        0
    }
    fn map_words(&mut self, _: Handle, len: usize) -> Result<&'static [AtomicU64], Error> {
        self.words.get(..len / 8).ok_or(Error::InvalidArgument)
    }
}

#[derive(Clone, Copy, Default)]
struct Ring {
    desc: u64,
    avail: u64,
    used: u64,
    size: u16,
    seen: u16,
    done: u16,
}

/// The device's side.
struct Model {
    words: &'static [AtomicU64],
    rings: [Ring; 2],
    features: u64,
    status: DeviceStatus,
    accepts: bool,
    /// Takes what is sent at once.
    reads: bool,
    sent: Vec<u8>,
}

impl Model {
    fn byte(&self, at: u64) -> u8 {
        let at = (at - PHYSICAL) as usize;
        self.words[at / 8].load(Ordering::Relaxed).to_le_bytes()[at % 8]
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        for (at, byte) in ((at - PHYSICAL) as usize..).zip(bytes) {
            let word = &self.words[at / 8];
            let mut now = word.load(Ordering::Relaxed).to_le_bytes();
            now[at % 8] = *byte;
            word.store(u64::from_le_bytes(now), Ordering::Relaxed);
        }
    }

    fn number(&self, at: u64, bytes: u64) -> u64 {
        (0..bytes).rev().fold(0, |n, i| (n << 8) | u64::from(self.byte(at + i)))
    }

    /// The next buffer offered on a queue: token, address, length.
    fn next(&mut self, queue: usize) -> Option<(u16, u64, u32)> {
        let ring = self.rings[queue];
        if self.number(ring.avail + 2, 2) as u16 == ring.seen {
            return None;
        }
        let token = self.number(ring.avail + 4 + 2 * u64::from(ring.seen % ring.size), 2);
        self.rings[queue].seen = ring.seen.wrapping_add(1);
        let desc = ring.desc + 16 * token;
        Some((token as u16, self.number(desc, 8), self.number(desc + 8, 4) as u32))
    }

    fn finish(&mut self, queue: usize, token: u32, len: u32) {
        let ring = self.rings[queue];
        let entry = ring.used + 4 + 8 * u64::from(ring.done % ring.size);
        self.put(entry, &token.to_le_bytes());
        self.put(entry + 4, &len.to_le_bytes());
        let done = ring.done.wrapping_add(1);
        self.put(ring.used + 2, &done.to_le_bytes());
        self.rings[queue].done = done;
    }

    fn transmit(&mut self) {
        while let Some((token, at, len)) = self.next(1) {
            let bytes: Vec<u8> = (0..u64::from(len)).map(|i| self.byte(at + i)).collect();
            self.sent.extend(bytes);
            self.finish(1, token.into(), 0);
        }
    }

    /// As many bytes as there are buffers for.
    fn write(&mut self, bytes: &[u8]) {
        let (token, at, len) = self.next(0).unwrap();
        assert!(bytes.len() <= len as usize);
        self.put(at, bytes);
        self.finish(0, token.into(), bytes.len() as u32);
    }
}

#[derive(Clone)]
struct Device(Rc<RefCell<Model>>);

impl Transport for Device {
    fn device_type(&self) -> DeviceType {
        DeviceType::Console
    }
    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().features
    }
    fn write_driver_features(&mut self, features: u64) {
        assert_eq!(features & !self.0.borrow().features, 0);
    }
    fn max_queue_size(&mut self, _queue: u16) -> u32 {
        128
    }
    fn notify(&mut self, queue: u16) {
        let mut model = self.0.borrow_mut();
        if queue == 1 && model.reads {
            model.transmit();
        }
    }
    fn get_status(&self) -> DeviceStatus {
        self.0.borrow().status
    }
    fn set_status(&mut self, status: DeviceStatus) {
        let mut model = self.0.borrow_mut();
        let refused = DeviceStatus::FEATURES_OK;
        model.status = if model.accepts { status } else { status & !refused };
    }
    fn set_guest_page_size(&mut self, _bytes: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        desc: PhysAddr,
        avail: PhysAddr,
        used: PhysAddr,
    ) {
        let ring = Ring { desc, avail, used, size: size as u16, ..Ring::default() };
        self.0.borrow_mut().rings[usize::from(queue)] = ring;
    }
    fn queue_unset(&mut self, _queue: u16) {}
    fn queue_used(&mut self, _queue: u16) -> bool {
        false
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::QUEUE_INTERRUPT
    }
    fn read_config_generation(&self) -> u32 {
        0
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, _: usize) -> virtio_drivers::Result<T> {
        Err(virtio_drivers::Error::Unsupported)
    }
    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _: usize,
        _: T,
    ) -> virtio_drivers::Result<()> {
        Err(virtio_drivers::Error::Unsupported)
    }
}

fn device(words: &'static [AtomicU64]) -> Device {
    Device(Rc::new(RefCell::new(Model {
        words,
        rings: [Ring::default(); 2],
        features: VERSION_1 | 0xff,
        status: DeviceStatus::empty(),
        accepts: true,
        reads: true,
        sent: Vec::new(),
    })))
}

fn open() -> (Port<Device>, Device) {
    let words = memory(NEEDED);
    let device = device(words);
    Arena::attach(&mut Fake { words, physical: PHYSICAL }, Handle::fixed(4), NEEDED, &device)
        .unwrap();
    (Port::start(device.clone()).unwrap(), device)
}

#[test]
fn bytes_go_both_ways_more_often_than_there_are_buffers() {
    let _alone = alone();
    let (mut port, device) = open();
    let mut out = [0; BUFFER];
    assert_eq!(port.receive(&mut out), Ok(None));
    for round in 0..100u8 {
        let sent: Vec<u8> = (0..=round).collect();
        device.0.borrow_mut().write(&sent);
        device.0.borrow_mut().write(&[round; BUFFER]);
        assert_eq!(port.receive(&mut out), Ok(Some(sent.len())));
        assert_eq!(&out[..sent.len()], sent);
        assert_eq!(port.receive(&mut out), Ok(Some(BUFFER)));
        assert_eq!(out, [round; BUFFER]);
        assert_eq!(port.receive(&mut out), Ok(None));
        assert_eq!(port.send(&sent), Ok(true));
        port.acknowledge();
        assert_eq!(std::mem::take(&mut device.0.borrow_mut().sent), sent);
    }
}

#[test]
fn a_device_that_never_reads_blocks_nobody() {
    let _alone = alone();
    let (mut port, device) = open();
    device.0.borrow_mut().reads = false;
    for _ in 0..4 {
        assert_eq!(port.send(b"x"), Ok(true));
    }
    assert_eq!(port.send(b"y"), Ok(false));
    device.0.borrow_mut().transmit();
    assert_eq!(port.send(b"z"), Ok(true));
}

#[test]
fn test_reject_sends_of_nothing_and_of_too_much() {
    let _alone = alone();
    let (mut port, device) = open();
    assert_eq!(port.send(b""), Err(Fault::Protocol));
    assert_eq!(port.send(&[0; BUFFER + 1]), Err(Fault::Protocol));
    assert!(device.0.borrow().sent.is_empty());
}

#[test]
fn test_reject_what_a_hostile_device_says() {
    let _alone = alone();
    let mut out = [7; BUFFER];
    for len in [BUFFER as u32 + 1, u32::MAX] {
        Arena::forget();
        let (mut port, device) = open();
        let (token, ..) = device.0.borrow_mut().next(0).unwrap();
        device.0.borrow_mut().finish(0, token.into(), len);
        assert_eq!(port.receive(&mut out), Err(Fault::Protocol), "length {len}");
    }
    for token in [4, 0xffff, 0x1_0000_u32 - 5] {
        Arena::forget();
        let (mut port, device) = open();
        device.0.borrow_mut().finish(0, token, 1);
        assert_eq!(port.receive(&mut out), Err(Fault::Protocol), "buffer {token}");
    }
    assert_eq!(out, [7; BUFFER], "nothing was copied");
    Arena::forget();
    let (mut port, device) = open();
    assert_eq!(port.send(b"x"), Ok(true));
    device.0.borrow_mut().finish(1, 3, 0);
    assert_eq!(port.send(b"x"), Err(Fault::Protocol), "a buffer it was not sent");
}

#[test]
fn memory_is_handed_out_once_and_only_if_it_is_ours() {
    let _alone = alone();
    let words = memory(NEEDED);
    let device = device(words);
    let mut sys = Fake { words, physical: 0 };
    let attach = |sys: &mut Fake, len| Arena::attach(sys, Handle::fixed(4), len, &device);
    assert_eq!(attach(&mut sys, NEEDED), Err(Fault::Memory), "address not told");
    sys.physical = PHYSICAL;
    assert_eq!(attach(&mut sys, NEEDED + 4096), Err(Fault::Memory), "too short");
    assert_eq!(attach(&mut sys, NEEDED - 4096), Ok(()));
    assert!(words[..NEEDED / 8 - 512].iter().all(|w| w.load(Ordering::Relaxed) == 0), "cleared");
    assert_eq!(attach(&mut sys, NEEDED), Err(Fault::Memory), "a second time");
    assert_eq!(Port::start(device).err(), Some(Fault::Memory), "one page short");
}

#[test]
fn test_reject_devices_that_do_not_agree() {
    let words = memory(4096);
    let old = device(words);
    old.0.borrow_mut().features = 0xff;
    assert_eq!(negotiate(&mut old.clone(), 0), Err(Fault::Unsupported));
    let stubborn = device(words);
    stubborn.0.borrow_mut().accepts = false;
    assert_eq!(negotiate(&mut stubborn.clone(), 0), Err(Fault::Unsupported));
    assert_eq!(negotiate(&mut device(words), 1), Ok(VERSION_1 | 1));
}

/// Registers that are plain memory: what is written is read back.
fn registers(id: u32) -> Fake {
    let words = memory(4096);
    words.iter().for_each(|w| w.store(0, Ordering::Relaxed));
    let magic = u64::from(u32::from_le_bytes(*b"virt"));
    words[0].store(magic | (2 << 32), Ordering::Relaxed);
    words[1].store(id.into(), Ordering::Relaxed);
    Fake { words, physical: 0 }
}

#[test]
fn a_slot_is_opened_only_for_the_device_wanted_and_resets_it() {
    let slot = Handle::fixed(5);
    let mut sys = registers(3);
    sys.words[14].store(0xf, Ordering::Relaxed);
    let open = |sys: &mut Fake| Registers::open(sys, slot, DeviceType::Console).err();
    assert_eq!(open(&mut sys), None);
    assert_eq!(sys.words[14].load(Ordering::Relaxed), 0, "reset");
    assert_eq!(open(&mut registers(0)), Some(Fault::Absent));
    assert_eq!(open(&mut registers(4)), Some(Fault::WrongDevice));
    assert_eq!(open(&mut registers(u32::MAX)), Some(Fault::WrongDevice));
    let mut legacy = registers(3);
    legacy.words[0].store(0x1_7472_6976, Ordering::Relaxed);
    assert_eq!(open(&mut legacy), Some(Fault::Absent));
    sys.words = &sys.words[..8];
    assert_eq!(open(&mut sys), Some(Fault::Absent), "the window is too small");
}

#[test]
fn queue_addresses_and_configuration_stand_where_the_standard_says() {
    let mut sys = registers(3);
    let mut device = Registers::open(&mut sys, Handle::fixed(5), DeviceType::Console).unwrap();
    device.queue_set(1, 4, 0x1_8000_0000, 0x2_8000_1000, 0x3_8000_2000);
    let word = |offset: usize| sys.words[offset / 8].load(Ordering::Relaxed);
    assert_eq!((word(0x80), word(0x90), word(0xa0)), (0x1_8000_0000, 0x2_8000_1000, 0x3_8000_2000));
    assert_eq!((word(0x30) as u32, word(0x38) as u32), (1, 4));
    assert!(device.queue_used(1));
    device.queue_unset(1);
    assert!(!device.queue_used(1));
    sys.words[0x100 / 8].store(0x1122_3344_5566_7788, Ordering::Relaxed);
    assert_eq!(device.read_config_space::<u16>(2).unwrap(), 0x5566);
    assert_eq!(device.read_config_space::<u32>(4).unwrap(), 0x1122_3344);
    assert_eq!(device.read_config_space::<u64>(0).unwrap(), 0x1122_3344_5566_7788);
    assert!(device.read_config_space::<u32>(4096).is_err());
    assert!(device.read_config_space::<u32>(usize::MAX).is_err());
}
