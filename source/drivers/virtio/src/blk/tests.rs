//! The block driver against a disk made of plain memory, honest and not.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
};

use nexus_abi::Handle;
use virtio_drivers::{
    PhysAddr,
    transport::{DeviceStatus, DeviceType, InterruptStatus, Transport},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::*;
use crate::tests::{Fake, PHYSICAL, alone, memory};

const VERSION_1: u64 = 1 << 32;
const SECTORS: u64 = 8;

/// What the device does with the next request.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// What it should.
    Honest,
    /// Answers with this status and this many bytes used.
    Says(u8, u32),
    /// Ends a request by this number instead.
    Ends(u32),
    /// Keeps it.
    Silent,
    /// Keeps it, and asks to be reset.
    Breaks,
    /// Ends it when the driver sleeps for this many times.
    Late(u32),
}

struct Disk {
    words: &'static [AtomicU64],
    /// Descriptors, available ring, used ring.
    ring: [u64; 3],
    seen: u16,
    done: u16,
    features: u64,
    negotiated: u64,
    status: DeviceStatus,
    sectors: Vec<[u8; 512]>,
    flushes: u32,
    manner: Manner,
    kept: Option<u16>,
    generation: u32,
}

impl Disk {
    fn bytes(&self, at: u64, len: usize) -> Vec<u8> {
        let at = (at - PHYSICAL) as usize;
        (at..at + len)
            .map(|at| self.words[at / 8].load(Ordering::Relaxed).to_le_bytes()[at % 8])
            .collect()
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        for (at, byte) in ((at - PHYSICAL) as usize..).zip(bytes) {
            let word = &self.words[at / 8];
            let mut now = word.load(Ordering::Relaxed).to_le_bytes();
            now[at % 8] = *byte;
            word.store(u64::from_le_bytes(now), Ordering::Relaxed);
        }
    }

    fn number<const N: usize>(&self, at: u64) -> u64 {
        let mut all = [0; 8];
        all[..N].copy_from_slice(&self.bytes(at, N));
        u64::from_le_bytes(all)
    }

    /// Address, length and whether the device may write, of each part of a request.
    fn parts(&self, token: u16) -> Vec<(u64, usize, bool)> {
        let mut parts = Vec::new();
        let mut at = u64::from(token);
        loop {
            let desc = self.ring[0] + 16 * at;
            let flags = self.number::<2>(desc + 12);
            parts.push((
                self.number::<8>(desc),
                self.number::<4>(desc + 8) as usize,
                flags & 2 != 0,
            ));
            if flags & 1 == 0 {
                return parts;
            }
            at = self.number::<2>(desc + 14);
        }
    }

    fn end(&mut self, token: u32, used: u32) {
        let entry = self.ring[2] + 4 + 8 * u64::from(self.done % 4);
        self.put(entry, &token.to_le_bytes());
        self.put(entry + 4, &used.to_le_bytes());
        self.done = self.done.wrapping_add(1);
        self.put(self.ring[2] + 2, &self.done.to_le_bytes());
    }

    /// Does what a disk does; status and bytes used.
    fn work(&mut self, parts: &[(u64, usize, bool)]) -> (u8, u32) {
        let (what, sector) = (self.number::<4>(parts[0].0), self.number::<8>(parts[0].0 + 8));
        let place = sector as usize;
        match (what as u32, parts) {
            (ASK_FLUSH, [(_, 16, false), (_, 1, true)]) => {
                self.flushes += 1;
                (DONE, 1)
            }
            (ASK_READ, [(_, 16, false), (at, 512, true), (_, 1, true)]) => {
                let bytes = self.sectors[place];
                self.put(*at, &bytes);
                (DONE, 513)
            }
            (ASK_WRITE, [(_, 16, false), (at, 512, false), (_, 1, true)]) => {
                self.sectors[place] = self.bytes(*at, 512).try_into().unwrap();
                (DONE, 1)
            }
            other => panic!("no such request: {other:?}"),
        }
    }

    fn notified(&mut self) {
        while self.number::<2>(self.ring[1] + 2) as u16 != self.seen {
            let token = self.number::<2>(self.ring[1] + 4 + 2 * u64::from(self.seen % 4)) as u16;
            self.seen = self.seen.wrapping_add(1);
            self.serve(token);
        }
    }

    fn serve(&mut self, token: u16) {
        let parts = self.parts(token);
        let status_at = parts.last().unwrap().0;
        match self.manner {
            Manner::Silent | Manner::Late(_) => self.kept = Some(token),
            Manner::Breaks => self.status |= DeviceStatus::DEVICE_NEEDS_RESET,
            Manner::Ends(other) => self.end(other, 1),
            Manner::Says(status, used) => {
                self.put(status_at, &[status]);
                self.end(token.into(), used);
            }
            Manner::Honest => {
                let (status, used) = self.work(&parts);
                self.put(status_at, &[status]);
                self.end(token.into(), used);
            }
        }
    }
}

#[derive(Clone)]
struct Device(Rc<RefCell<Disk>>);

impl Transport for Device {
    fn device_type(&self) -> DeviceType {
        DeviceType::Block
    }
    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().features
    }
    fn write_driver_features(&mut self, features: u64) {
        self.0.borrow_mut().negotiated = features;
    }
    fn max_queue_size(&mut self, _queue: u16) -> u32 {
        128
    }
    fn notify(&mut self, _queue: u16) {
        self.0.borrow_mut().notified();
    }
    fn get_status(&self) -> DeviceStatus {
        self.0.borrow().status
    }
    fn set_status(&mut self, status: DeviceStatus) {
        self.0.borrow_mut().status = status;
    }
    fn set_guest_page_size(&mut self, _bytes: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, _: u16, _: u32, desc: PhysAddr, avail: PhysAddr, used: PhysAddr) {
        self.0.borrow_mut().ring = [desc, avail, used];
    }
    fn queue_unset(&mut self, _queue: u16) {}
    fn queue_used(&mut self, _queue: u16) -> bool {
        false
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::QUEUE_INTERRUPT
    }
    fn read_config_generation(&self) -> u32 {
        let mut disk = self.0.borrow_mut();
        if disk.generation != 0 {
            disk.generation += 1;
        }
        disk.generation
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, at: usize) -> virtio_drivers::Result<T> {
        assert_eq!(at, CAPACITY_AT);
        Ok(T::read_from_bytes(&SECTORS.to_le_bytes()[..size_of::<T>()]).unwrap())
    }
    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _: usize,
        _: T,
    ) -> virtio_drivers::Result<()> {
        Err(virtio_drivers::Error::Unsupported)
    }
}

/// A clock of 1 µs per look, and the interrupt.
struct Clock {
    now_ns: u64,
    looks: u32,
    sleeps: u32,
    reopened: u32,
    device: Device,
}

impl Waiting for Clock {
    fn now_ns(&mut self) -> u64 {
        self.looks += 1;
        self.now_ns += 1_000;
        self.now_ns
    }
    fn sleep(&mut self, until_ns: u64) -> bool {
        assert!(until_ns > self.now_ns);
        self.sleeps += 1;
        let mut disk = self.device.0.borrow_mut();
        let due = matches!(disk.manner, Manner::Late(sleeps) if sleeps <= self.sleeps);
        if let (true, Some(token)) = (due, disk.kept) {
            disk.manner = Manner::Honest;
            disk.kept = None;
            disk.serve(token);
            return true;
        }
        self.now_ns = until_ns;
        false
    }
    fn reopen(&mut self) {
        self.reopened += 1;
    }
}

fn disk(features: u64) -> (Device, Clock) {
    let words = memory(DMA_BYTES);
    let device = Device(Rc::new(RefCell::new(Disk {
        words,
        ring: [0; 3],
        seen: 0,
        done: 0,
        features: VERSION_1 | features,
        negotiated: 0,
        status: DeviceStatus::empty(),
        sectors: vec![[0; 512]; SECTORS as usize],
        flushes: 0,
        manner: Manner::Honest,
        kept: None,
        generation: 0,
    })));
    Arena::attach(&mut Fake { words, physical: PHYSICAL }, Handle::fixed(4), DMA_BYTES, &device)
        .unwrap();
    let clock = Clock { now_ns: 0, looks: 0, sleeps: 0, reopened: 0, device: device.clone() };
    (device, clock)
}

fn open(features: u64) -> (Blk<Device>, Device, Clock) {
    let (device, clock) = disk(features);
    (Blk::start(device.clone()).unwrap(), device, clock)
}

#[test]
fn sectors_come_back_as_written_more_often_than_the_ring_is_long() {
    let _alone = alone();
    let (mut blk, device, mut clock) = open(FEATURE_FLUSH);
    assert_eq!((blk.sectors(), blk.cache()), (SECTORS, Cache::Flush));
    let mut read = [0; 512];
    for round in 0..100u8 {
        let sector = u64::from(round) % SECTORS;
        assert_eq!(blk.write(&mut clock, sector, &[round; 512]), Ok(()));
        assert_eq!(blk.flush(&mut clock), Ok(()));
        assert_eq!(blk.read(&mut clock, sector, &mut read), Ok(()));
        assert_eq!(read, [round; 512]);
    }
    assert_eq!(device.0.borrow().flushes, 100);
    assert_eq!(clock.sleeps, 0, "an answer that is there at once needs no sleep");
}

#[test]
fn what_was_negotiated_is_what_is_reported() {
    let _alone = alone();
    // Features nobody asked for are not taken: sizes, topology, a switchable cache.
    let (blk, device, _) = open(FEATURE_FLUSH | (1 << 11) | 0xff & !FEATURE_READ_ONLY);
    assert_eq!(device.0.borrow().negotiated, VERSION_1 | FEATURE_FLUSH);
    assert_eq!(blk.cache(), Cache::Flush);
    Arena::forget();
    let (mut blk, device, mut clock) = open(0);
    assert_eq!(blk.cache(), Cache::WriteThrough);
    assert_eq!(blk.write(&mut clock, 0, &[1; 512]), Ok(()));
    assert_eq!(blk.flush(&mut clock), Err(Fault::Unsupported), "no silent success");
    assert_eq!((blk.broken(), device.0.borrow().flushes), (None, 0));
}

#[test]
fn test_reject_writes_to_a_disk_that_takes_none() {
    let _alone = alone();
    let (mut blk, device, mut clock) = open(FEATURE_READ_ONLY | FEATURE_FLUSH);
    assert_eq!(blk.cache(), Cache::ReadOnly);
    assert_eq!(blk.write(&mut clock, 0, &[1; 512]), Err(Fault::ReadOnly));
    assert_eq!(blk.flush(&mut clock), Err(Fault::Unsupported));
    assert_eq!(blk.read(&mut clock, 0, &mut [1; 512]), Ok(()));
    assert_eq!(device.0.borrow().sectors[0], [0; 512]);
}

#[test]
fn test_reject_sectors_beyond_the_last() {
    let _alone = alone();
    let (mut blk, device, mut clock) = open(FEATURE_FLUSH);
    assert_eq!(blk.read(&mut clock, SECTORS - 1, &mut [1; 512]), Ok(()));
    for sector in [SECTORS, u64::MAX] {
        assert_eq!(blk.read(&mut clock, sector, &mut [1; 512]), Err(Fault::Range));
        assert_eq!(blk.write(&mut clock, sector, &[1; 512]), Err(Fault::Range));
    }
    assert_eq!(device.0.borrow().seen, 1, "the device was not asked");
}

#[test]
fn test_reject_what_the_device_says_it_could_not_do() {
    let _alone = alone();
    let (mut blk, device, mut clock) = open(FEATURE_FLUSH);
    let mut read = [9; 512];
    for (status, used) in [(FAILED, 513), (FAILED, 1), (FAILED, 0), (UNSUPPORTED, 1)] {
        device.0.borrow_mut().manner = Manner::Says(status, used);
        assert_eq!(blk.read(&mut clock, 0, &mut read), Err(Fault::Failed));
    }
    device.0.borrow_mut().manner = Manner::Says(FAILED, 1);
    assert_eq!(blk.flush(&mut clock), Err(Fault::Failed));
    assert_eq!((read, blk.broken()), ([9; 512], None), "nothing copied, device still used");
    device.0.borrow_mut().manner = Manner::Honest;
    assert_eq!(blk.read(&mut clock, 0, &mut read), Ok(()));
}

#[test]
fn test_reject_and_reset_a_device_that_lies() {
    let _alone = alone();
    // A length of nothing, one short, one beyond; a status nobody defined; one never written.
    let read = [
        Manner::Says(DONE, 0),
        Manner::Says(DONE, 512),
        Manner::Says(DONE, 514),
        Manner::Says(DONE, u32::MAX),
        Manner::Says(FAILED, 514),
        Manner::Says(3, 513),
        Manner::Says(0xff, 513),
        // Another request than the one it has: of this ring, and out of range.
        Manner::Ends(3),
        Manner::Ends(4),
        Manner::Ends(0xffff),
        Manner::Ends(u32::MAX),
    ];
    for manner in read {
        Arena::forget();
        let (mut blk, device, mut clock) = open(FEATURE_FLUSH);
        device.0.borrow_mut().manner = manner;
        let mut bytes = [9; 512];
        assert_eq!(blk.read(&mut clock, 0, &mut bytes), Err(Fault::Protocol));
        assert_eq!(bytes, [9; 512], "nothing was copied");
        assert_eq!(device.0.borrow().status, DeviceStatus::empty(), "reset");
        device.0.borrow_mut().manner = Manner::Honest;
        assert_eq!(blk.write(&mut clock, 0, &[1; 512]), Err(Fault::Protocol), "unused for good");
        assert_eq!(blk.broken(), Some(Fault::Protocol));
        assert_eq!(device.0.borrow().sectors[0], [0; 512]);
    }
    for used in [0, 2, 513] {
        Arena::forget();
        let (mut blk, device, mut clock) = open(FEATURE_FLUSH);
        device.0.borrow_mut().manner = Manner::Says(DONE, used);
        assert_eq!(blk.write(&mut clock, 0, &[1; 512]), Err(Fault::Protocol), "used {used}");
    }
}

#[test]
fn test_reject_a_device_that_never_answers_in_bounded_looks() {
    let _alone = alone();
    let (mut blk, device, mut clock) = open(FEATURE_FLUSH);
    device.0.borrow_mut().manner = Manner::Silent;
    assert_eq!(blk.flush(&mut clock), Err(Fault::TimedOut));
    assert!(clock.now_ns >= LIMIT_NS && clock.now_ns < LIMIT_NS + 2 * PAUSE_NS);
    let rounds = (LIMIT_NS / PAUSE_NS) as u32;
    assert!(
        clock.sleeps > rounds / 3,
        "{} sleeps: half of the time is somebody else's",
        clock.sleeps
    );
    assert_eq!(device.0.borrow().status, DeviceStatus::empty(), "reset");
    let looks = clock.looks;
    assert_eq!(blk.flush(&mut clock), Err(Fault::TimedOut));
    assert_eq!(clock.looks, looks, "a device that is given up costs no time");
}

#[test]
fn test_reject_a_device_that_asks_to_be_reset_at_once() {
    let _alone = alone();
    let (mut blk, device, mut clock) = open(FEATURE_FLUSH);
    device.0.borrow_mut().manner = Manner::Breaks;
    assert_eq!(blk.flush(&mut clock), Err(Fault::Protocol));
    assert_eq!((clock.looks, clock.sleeps), (2, 0), "no wait for an answer that will not come");
    assert_eq!(device.0.borrow().status, DeviceStatus::empty(), "reset");
    assert_eq!(blk.flush(&mut clock), Err(Fault::Protocol), "unused for good");
}

#[test]
fn a_late_answer_comes_by_interrupt() {
    let _alone = alone();
    let (mut blk, device, mut clock) = open(FEATURE_FLUSH);
    device.0.borrow_mut().manner = Manner::Late(3);
    assert_eq!(blk.write(&mut clock, 2, &[5; 512]), Ok(()));
    assert_eq!((clock.sleeps, clock.reopened), (3, 1));
    assert_eq!(device.0.borrow().sectors[2], [5; 512]);
}

#[test]
fn test_reject_too_little_memory_and_a_capacity_that_never_holds_still() {
    let _alone = alone();
    let (device, _) = disk(FEATURE_FLUSH);
    device.0.borrow_mut().generation = 1;
    assert_eq!(Blk::start(device).err(), Some(Fault::Unsupported));
    for missing in [4096, 2 * 4096] {
        Arena::forget();
        let words = memory(DMA_BYTES);
        let (device, _) = {
            let pair = disk(FEATURE_FLUSH);
            Arena::forget();
            pair
        };
        let mut sys = Fake { words, physical: PHYSICAL };
        Arena::attach(&mut sys, Handle::fixed(4), DMA_BYTES - missing, &device).unwrap();
        assert_eq!(Blk::start(device).err(), Some(Fault::Memory), "{missing} bytes short");
    }
}
