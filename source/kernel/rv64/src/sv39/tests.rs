//! Page tables against a map, read back by an independent walk.

use std::collections::{BTreeMap, BTreeSet};

use nexus_abi::layout::{MESSAGE_PAGE, STACK_TOP, USER_MIN};

use super::*;

#[derive(Default)]
struct Memory(BTreeMap<(u32, usize), u64>);

impl Tables for Memory {
    fn get(&self, table: Pfn, index: usize) -> u64 {
        self.0.get(&(table.0, index)).copied().unwrap_or(0)
    }
    fn set(&mut self, table: Pfn, index: usize, entry: u64) {
        assert!(index < ENTRIES);
        self.0.insert((table.0, index), entry);
    }
}

struct Pool {
    next: u32,
    left: u32,
    out: BTreeSet<u32>,
}

impl FrameSource for Pool {
    fn take(&mut self) -> Option<Pfn> {
        self.left = self.left.checked_sub(1)?;
        self.next += 1;
        self.out.insert(self.next);
        Some(Pfn(self.next))
    }
    fn give(&mut self, frame: Pfn) {
        assert!(self.out.remove(&frame.0), "given back twice");
    }
}

const ROOT: Pfn = Pfn(1);

fn pool(left: u32) -> Pool {
    Pool { next: 100, left, out: BTreeSet::new() }
}

/// Section 4.4.1, step by step, without the code under test.
fn walk(memory: &Memory, va: u64) -> Option<(u64, u64)> {
    let mut table = ROOT.0;
    for level in (0..3).rev() {
        let entry = memory.get(Pfn(table), ((va >> (12 + 9 * level)) & 511) as usize);
        if entry & 1 == 0 {
            return None;
        }
        if entry & 0b1110 != 0 {
            assert_eq!(level, 0);
            return Some((entry >> 10, entry & 0xff));
        }
        table = (entry >> 10) as u32;
    }
    None
}

#[test]
fn every_mapped_page_walks_to_its_frame() {
    let mut memory = Memory::default();
    let mut frames = pool(64);
    // Crosses a leaf table and a middle table boundary.
    let va = (1 << 30) - 3 * PAGE;
    let run = Run { va, pages: 600 };
    let leaf = Leaf::user(Prot::Read);
    map(&mut memory, ROOT, run, (Pfn(5000), leaf), &mut frames).unwrap();
    for i in 0..600 {
        let (frame, flags) = walk(&memory, va + i * PAGE).unwrap();
        assert_eq!(frame, 5000 + i);
        assert_eq!(flags, leaf.entry(Pfn(0)));
    }
    assert_eq!(walk(&memory, va - PAGE), None);
    assert_eq!(walk(&memory, va + 600 * PAGE), None);
    unmap(&mut memory, ROOT, Run { va: va + PAGE, pages: 598 });
    assert!(walk(&memory, va).is_some() && walk(&memory, va + 599 * PAGE).is_some());
    assert!((1..599).all(|i| walk(&memory, va + i * PAGE).is_none()));
}

#[test]
fn no_leaf_is_writable_and_executable_and_user_bit_is_exact() {
    let user = [Prot::Read, Prot::ReadWrite, Prot::ReadExec].map(Leaf::user);
    let kernel = [Leaf::KERNEL_TEXT, Leaf::KERNEL_CONST, Leaf::KERNEL_DATA];
    for leaf in user.iter().chain(&kernel) {
        assert_ne!(leaf.0 & (WRITE | EXEC), WRITE | EXEC);
        assert_eq!(leaf.0 & USER != 0, user.contains(leaf));
        assert_ne!(leaf.0 & READ, 0);
    }
}

#[test]
fn every_table_comes_back_exactly_once() {
    let mut memory = Memory::default();
    let mut frames = pool(64);
    memory.set(ROOT, 300, 0xabc1);
    for (va, pages) in [(USER_MIN, 9), (MESSAGE_PAGE, 1), (STACK_TOP - 4 * PAGE, 4)] {
        let what = (Pfn(9000), Leaf::user(Prot::ReadWrite));
        map(&mut memory, ROOT, Run { va, pages }, what, &mut frames).unwrap();
    }
    assert_eq!(frames.out.len(), 6);
    release_user_half(&mut memory, ROOT, &mut frames);
    assert!(frames.out.is_empty());
    assert_eq!(walk(&memory, USER_MIN), None);
    assert_eq!(memory.get(ROOT, 300), 0xabc1);
}

#[test]
fn kernel_half_is_shared_and_user_half_is_not() {
    let mut memory = Memory::default();
    for i in [0, 255, 256, 258, 511] {
        memory.set(ROOT, i, 0x1000 + i as u64);
    }
    share_kernel_half(&mut memory, ROOT, Pfn(2));
    assert_eq!([0, 255].map(|i| memory.get(Pfn(2), i)), [0, 0]);
    assert_eq!([256, 258, 511].map(|i| memory.get(Pfn(2), i)), [0x1100, 0x1102, 0x11ff]);
}

#[test]
fn test_reject_map_without_table_frames() {
    // Three tables are needed (two leaf tables and one middle); fewer leave nothing mapped.
    let run = Run { va: 510 * PAGE + (1 << 21), pages: 4 };
    for quota in 0..3 {
        let mut memory = Memory::default();
        let mut frames = pool(quota);
        let what = (Pfn(7), Leaf::user(Prot::Read));
        assert_eq!(map(&mut memory, ROOT, run, what, &mut frames), Err(Error::QuotaExceeded));
        assert!((0..4).all(|i| walk(&memory, run.va + i * PAGE).is_none()));
        release_user_half(&mut memory, ROOT, &mut frames);
        assert!(frames.out.is_empty());
    }
}
