//! The saved registers of a process; the trap assembly knows their places.

/// Registers of one process while it does not run. `x0` has no value to save, so its place
/// holds the program counter.
#[repr(C, align(512))]
pub(crate) struct Context {
    x: [u64; 32],
    /// Selects the process's address space; 0 while it has none.
    pub(crate) satp: u64,
    /// Kernel address of the message page; null while it has none.
    pub(crate) frame: *mut u64,
}

const SP: usize = 2;
const A0: usize = 10;

/// `a0..a6`, where a syscall's result goes.
const RESULTS: core::ops::Range<usize> = A0..A0 + 7;

impl Context {
    pub(crate) const EMPTY: Context = Context { x: [0; 32], satp: 0, frame: core::ptr::null_mut() };

    /// User mode at `entry`; every register but `sp` and `a0` is zero.
    pub(crate) fn start(&mut self, entry: u64, sp: u64, arg: u64) {
        let [pc, _, stack, _, _, _, _, _, _, _, a0, ..] = &mut self.x;
        (*pc, *stack, *a0) = (entry, sp, arg);
    }

    /// Leaves nothing of an earlier process.
    pub(crate) fn clear_registers(&mut self) {
        self.x = [0; 32];
    }

    #[inline(always)]
    pub(crate) fn set_results(&mut self, values: [u64; 7]) {
        if let Some(places) = self.x.get_mut(RESULTS) {
            places.copy_from_slice(&values);
        }
    }

    pub(crate) fn pc(&self) -> u64 {
        let [pc, ..] = self.x;
        pc
    }
}

const _: () = assert!(core::mem::offset_of!(Context, x) == 0 && SP == 2);
