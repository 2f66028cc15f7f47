//! The kernel's three devices: console UART, interrupt controller, test finisher.

use crate::layout::{FINISHER, OFFSET, PLIC, UART};

/// A device whose registers the kernel map holds at `base + OFFSET`.
#[derive(Clone, Copy)]
struct Registers<const BASE: u64>;

impl<const BASE: u64> Registers<BASE> {
    fn at<T>(offset: u64) -> *mut T {
        core::ptr::with_exposed_provenance_mut(
            (BASE.wrapping_add(OFFSET).wrapping_add(offset)) as usize,
        )
    }

    fn read8(offset: u64) -> u8 {
        // SAFETY: callers stay inside the register block, which every space maps for the kernel.
        unsafe { Self::at::<u8>(offset).read_volatile() }
    }

    fn write8(offset: u64, value: u8) {
        // SAFETY: as in `read8`.
        unsafe { Self::at::<u8>(offset).write_volatile(value) };
    }

    fn read32(offset: u64) -> u32 {
        // SAFETY: as in `read8`; offsets are multiples of 4.
        unsafe { Self::at::<u32>(offset).read_volatile() }
    }

    fn write32(offset: u64, value: u32) {
        // SAFETY: as in `read32`.
        unsafe { Self::at::<u32>(offset).write_volatile(value) };
    }
}

/// 16550 UART, polled, output only.
pub(crate) mod uart {
    type Port = super::Registers<{ super::UART }>;
    const THR: u64 = 0;
    const IER: u64 = 1;
    const FCR: u64 = 2;
    const LCR: u64 = 3;
    const LSR: u64 = 5;
    const LSR_THR_EMPTY: u8 = 1 << 5;

    /// No interrupts, 8 data bits, FIFO on; the firmware has set the speed.
    pub(crate) fn init() {
        Port::write8(IER, 0);
        Port::write8(LCR, 0b11);
        Port::write8(FCR, 0b1);
    }

    /// Waits for room and sends.
    pub(crate) fn put(bytes: &[u8]) {
        for byte in bytes {
            while Port::read8(LSR) & LSR_THR_EMPTY == 0 {}
            Port::write8(THR, *byte);
        }
    }
}

/// Platform-level interrupt controller, one context: supervisor mode of the boot hart.
pub(crate) mod plic {
    type Plic = super::Registers<{ super::PLIC }>;
    const ENABLE: u64 = 0x2000;
    const ENABLE_STRIDE: u64 = 0x80;
    const CONTEXT: u64 = 0x20_0000;
    const CONTEXT_STRIDE: u64 = 0x1000;
    const CLAIM: u64 = 4;
    /// Lines of the virt machine's controller; line 0 means "none".
    const LINES: u32 = 96;

    /// The supervisor context of a hart.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Context(u64);

    impl Context {
        /// Before the hart is known; all zero, so that the kernel's state lands in `.bss`.
        pub(crate) const NONE: Context = Context(0);

        /// Supervisor contexts are the odd ones on the virt machine.
        pub(crate) const fn of_hart(hart: u64) -> Context {
            Context(hart.wrapping_mul(2).wrapping_add(1))
        }

        const fn block(self) -> u64 {
            CONTEXT.wrapping_add(self.0.wrapping_mul(CONTEXT_STRIDE))
        }

        /// Every line masked, every line routed here: priority 0 never interrupts.
        pub(crate) fn init(self) {
            let enable = ENABLE.wrapping_add(self.0.wrapping_mul(ENABLE_STRIDE));
            for line in 1..LINES {
                mask(line, true);
            }
            for word in 0..u64::from(LINES / 32) {
                Plic::write32(enable.wrapping_add(word.wrapping_mul(4)), u32::MAX);
            }
            Plic::write32(self.block(), 0);
        }

        /// The line to serve, if any.
        pub(crate) fn claim(self) -> Option<u32> {
            let line = Plic::read32(self.block().wrapping_add(CLAIM));
            (line != 0).then_some(line)
        }

        /// Lets the gateway of a claimed line report again.
        pub(crate) fn complete(self, line: u32) {
            Plic::write32(self.block().wrapping_add(CLAIM), line);
        }
    }

    /// Priority 0 masks a line, 1 lets it through.
    pub(crate) fn mask(line: u32, masked: bool) {
        if line > 0 && line < LINES {
            Plic::write32(u64::from(line).wrapping_mul(4), u32::from(!masked));
        }
    }
}

/// Ends the run: QEMU exits with status `code`.
pub(crate) fn finish_failed(code: u16) {
    const FAIL: u32 = 0x3333;
    Registers::<FINISHER>::write32(0, FAIL | (u32::from(code) << 16));
}
