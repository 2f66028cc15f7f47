//! From the firmware to the core: high half, page tables, the kernel's own checks.

use core::arch::global_asm;
use core::cell::UnsafeCell;

use nexus_abi::layout::PAGE;
use nexus_kernel_core::{BootConfig, Pfn};

use crate::{
    csr,
    fatal::{fatal, say},
    layout::{
        FINISHER, KERNEL_BASE, KERNEL_TABLES, MEGAPAGE, OFFSET, PLIC, RAM_BASE, RAM_END, UART,
    },
    mmio, sbi,
    sv39::{self, ENTRIES, Leaf},
    time, trap,
};

global_asm!(
    include_str!("boot.s"),
    offset = const OFFSET,
    early_root = sym EARLY_ROOT,
    kernel_root = sym ROOT,
    build_tables = sym build_tables,
    main = sym kernel_main,
    no_hart = const NO_HART,
);

unsafe extern "C" {
    // Addresses from the linker script; only their addresses mean anything.
    static __text_end: u8;
    static __rodata_end: u8;
    static __stack_guard: u8;
    static __stack_bottom: u8;
    static __emergency_guard: u8;
    static __kernel_end: u8;
    static hart_entry: u8;
}

unsafe extern "Rust" {
    /// Defined by [`crate::kernel_main!`] in the binary.
    safe fn nexus_kernel_main(boot: Boot) -> !;
}

/// Makes `fn(Boot) -> !` the kernel's main function.
#[macro_export]
macro_rules! kernel_main {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn nexus_kernel_main(boot: $crate::Boot) -> ! {
            $main(boot)
        }
    };
}

/// Opaque value of a hart that nobody handed over to.
const NO_HART: u64 = u64::MAX;

#[repr(C, align(4096))]
struct Table(UnsafeCell<[u64; ENTRIES]>);

// SAFETY: written only by `build_tables`, before the tables are in force; afterwards only the
// hardware and `share_kernel_half` read them.
unsafe impl Sync for Table {}

impl Table {
    const fn empty() -> Table {
        Table(UnsafeCell::new([0; ENTRIES]))
    }

    fn frame(&self) -> Pfn {
        frame_of(self.0.get() as u64)
    }
}

static ROOT: Table = Table::empty();
static RAM: Table = Table::empty();
static DEVICES: Table = Table::empty();
static FINISHER_PAGES: Table = Table::empty();
static UART_PAGES: Table = Table::empty();
static KERNEL_PAGES: [Table; KERNEL_TABLES] = [const { Table::empty() }; KERNEL_TABLES];

/// The space of the first instructions: the gigapage of RAM executable at its final address
/// and, at its physical one, writable. No page is both.
static EARLY_ROOT: Table = Table(UnsafeCell::new(early_root()));

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler only")]
const fn early_root() -> [u64; ENTRIES] {
    const GIGAPAGE: Pfn = Pfn((RAM_BASE / PAGE) as u32);
    let mut root = [0; ENTRIES];
    root[sv39::index(RAM_BASE, 2)] = Leaf::KERNEL_DATA.entry(GIGAPAGE);
    root[sv39::index(RAM_BASE + OFFSET, 2)] = Leaf::KERNEL_TEXT.entry(GIGAPAGE);
    root
}

/// Frame of a kernel address.
fn frame_of(address: u64) -> Pfn {
    Pfn((address.wrapping_sub(OFFSET) / PAGE) as u32)
}

pub(crate) fn kernel_root() -> Pfn {
    ROOT.frame()
}

/// Writes one entry through the early identity map.
fn put(table: &Table, index: usize, entry: u64) {
    let physical = table.frame().address() as usize;
    let first = core::ptr::with_exposed_provenance_mut::<u64>(physical);
    // SAFETY: `build_tables` alone calls this, while the early space maps RAM writable at its
    // physical addresses; the index is below `ENTRIES`, so the word lies in the table.
    unsafe { first.wrapping_add(index % ENTRIES).write_volatile(entry) };
}

/// Fills the kernel's tables. Runs at the final addresses, where the early space has no
/// writable page, with a stack in the identity map.
extern "C" fn build_tables() {
    put(&ROOT, sv39::index(RAM_BASE + OFFSET, 2), sv39::branch(RAM.frame()));
    put(&ROOT, sv39::index(OFFSET, 2), sv39::branch(DEVICES.frame()));
    map_ram();
    map_kernel();
    map_devices();
}

/// RAM beyond the kernel: writable megapages. The firmware's megapage stays out.
fn map_ram() {
    let mut at = KERNEL_BASE;
    while at < RAM_END {
        let frame = Pfn((at / PAGE) as u32);
        put(&RAM, sv39::index(at, 1), Leaf::KERNEL_DATA.entry(frame));
        at = at.wrapping_add(MEGAPAGE);
    }
}

/// The kernel's megapages, page by page: text, constants, data, and the guards left out.
fn map_kernel() {
    let mut at = KERNEL_BASE;
    for table in &KERNEL_PAGES {
        put(&RAM, sv39::index(at, 1), sv39::branch(table.frame()));
        for i in 0..ENTRIES {
            put(table, i, kernel_page(at.wrapping_add(OFFSET)));
            at = at.wrapping_add(PAGE);
        }
    }
}

fn kernel_page(address: u64) -> u64 {
    let guards = [&raw const __stack_guard, &raw const __emergency_guard].map(|p| p as u64);
    let leaf = if address < &raw const __text_end as u64 {
        Leaf::KERNEL_TEXT
    } else if address < &raw const __rodata_end as u64 {
        Leaf::KERNEL_CONST
    } else {
        Leaf::KERNEL_DATA
    };
    if guards.contains(&address) { 0 } else { leaf.entry(frame_of(address)) }
}

fn map_devices() {
    let data = |physical: u64| Leaf::KERNEL_DATA.entry(Pfn((physical / PAGE) as u32));
    put(&DEVICES, sv39::index(FINISHER, 1), sv39::branch(FINISHER_PAGES.frame()));
    put(&FINISHER_PAGES, sv39::index(FINISHER, 0), data(FINISHER));
    put(&DEVICES, sv39::index(UART, 1), sv39::branch(UART_PAGES.frame()));
    put(&UART_PAGES, sv39::index(UART, 0), data(UART));
    for megapage in [PLIC, PLIC + MEGAPAGE] {
        put(&DEVICES, sv39::index(megapage, 1), data(megapage));
    }
}

/// First Rust function on the final tables; a0 and a1 as the firmware set them.
extern "C" fn kernel_main(hart: u64, from: u64) -> ! {
    mmio::uart::init();
    csr::open_counters(0);
    nexus_kernel_main(Boot { hart, from: (from != NO_HART).then_some(from) })
}

/// `scounteren` bits.
const OPEN_TIME: u64 = 1 << 1;
const OPEN_INSTRET: u64 = 1 << 2;

/// How long a hart may take to stop before the hop counts as failed.
const STOP_LIMIT_NS: u64 = 1_000_000_000;

/// What the binary gets to decide with: which hart, where the boot image is.
#[derive(Debug)]
pub struct Boot {
    hart: u64,
    from: Option<u64>,
}

impl Boot {
    /// The hart the kernel runs on.
    #[must_use]
    pub fn hart(&self) -> u64 {
        self.hart
    }

    /// First frame of the boot image: it follows the kernel.
    #[must_use]
    pub fn image(&self) -> Pfn {
        frame_of(&raw const __kernel_end as u64)
    }

    /// One past the last frame of RAM.
    #[must_use]
    pub fn ram_end(&self) -> Pfn {
        Pfn((RAM_END / PAGE) as u32)
    }

    /// First page of the boot image.
    #[must_use]
    pub fn header(&self) -> &'static [u8; PAGE as usize] {
        let page = crate::ram::frames(self.image(), 1).cast::<[u8; PAGE as usize]>();
        // SAFETY: RAM that the image builder placed after the kernel, that no frame allocator
        // owns, and that nobody ever writes.
        unsafe { &*page }
    }

    /// Continues on another hart and stops this one.
    pub fn move_to(self, hart: u64) -> ! {
        let entry = (&raw const hart_entry as u64).wrapping_sub(OFFSET);
        // SAFETY: `hart_entry` starts over at the top of the stack; this hart's work is done.
        let error = unsafe { sbi::hand_over(hart, entry, self.hart) };
        fatal(format_args!("hart {hart} does not start: error {error}"))
    }

    /// Says where the kernel runs, and proves it if it was moved: the firmware must report
    /// this hart as started and the one it came from as stopped.
    fn report_hart(&self, wanted: Option<u64>) {
        say(format_args!("boot hart {}", self.hart));
        let Some(wanted) = wanted else { return };
        let left = self.from.is_none_or(|from| self.stops(from));
        if left && wanted == self.hart && sbi::hart_status(self.hart) == Ok(sbi::STARTED) {
            say(format_args!("KSELFTEST: boot hart ok"));
        } else {
            fatal(format_args!("KSELFTEST: boot hart FAIL: on {}", self.hart));
        }
    }

    /// Waits until the firmware reports a hart as stopped, which takes it microseconds.
    fn stops(&self, hart: u64) -> bool {
        let deadline = csr::time().wrapping_add(time::ticks(STOP_LIMIT_NS));
        while sbi::hart_status(hart) != Ok(sbi::STOPPED) {
            if csr::time() > deadline {
                return false;
            }
        }
        true
    }

    /// Overflows the kernel stack on purpose; the guard page must stop it.
    fn probe_stack_guard(&self) {
        let wanted = (&raw const __stack_bottom as u64).wrapping_sub(8);
        if trap::touch_stack_guard() == Some(wanted) {
            say(format_args!("KSELFTEST: stack guard ok"));
        } else {
            fatal(format_args!("KSELFTEST: stack guard FAIL"));
        }
    }

    /// Checks the kernel's own ground, then boots the core and never comes back. `wanted` is
    /// the hart the image asked for; `bench` opens `instret` to user mode.
    pub fn run(self, cfg: &BootConfig<'_>, wanted: Option<u64>, bench: bool) -> ! {
        self.report_hart(wanted);
        self.probe_stack_guard();
        csr::open_counters(if bench { OPEN_TIME | OPEN_INSTRET } else { OPEN_TIME });
        trap::run(self.hart, cfg)
    }
}
