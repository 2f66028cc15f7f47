//! What the architecture tells the core at boot, and the making of the first process.

use core::ops::Range;

use nexus_abi::{
    Error, Rights, ServiceId, SyscallMask,
    layout::{PAGE, STACK_TOP},
    syscall::{CapKind, Prot, Quota, Seal},
};

use crate::{
    Kernel, Machine, Outcome,
    cap::{Cap, CapLink},
    factory::{Factory, POOL},
    life::Birth,
    limits::{
        BOOT_SERVICE_IDS, HIGHEST_PRIORITY, MAX_ENDPOINTS, MAX_INIT_SEGMENTS, MAX_IRQS,
        MAX_NOTIFICATIONS, MAX_PROCESSES, MAX_VMOS, SPARE_TABLES,
    },
    map::{Mapping, user_range},
    types::{Pfn, ProcIndex},
    vmo::{Memory, Payer, Vmo, pages_of},
};

/// What the architecture code found before it enters the core.
#[derive(Clone, Debug)]
pub struct BootConfig<'a> {
    /// Frame numbers of usable RAM: not kernel, not boot image, not firmware.
    pub free: Range<u32>,
    /// First frame and number of pages of the boot image.
    pub boot_image: (Pfn, u32),
    /// The first process.
    pub init: InitPlan<'a>,
    /// Device windows, in the order of init's slots.
    pub devices: &'a [DeviceWindow],
    /// Interrupt lines, in the order of init's slots.
    pub irqs: &'a [u32],
}

/// A range of device registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceWindow {
    /// Physical address, page aligned.
    pub base: u64,
    /// Bytes, whole pages.
    pub len: u64,
}

/// The first process, as the image builder planned it; the kernel parses no ELF.
#[derive(Clone, Debug)]
pub struct InitPlan<'a> {
    /// Its identity.
    pub service: ServiceId,
    /// Its priority.
    pub priority: u8,
    /// The syscalls it may make.
    pub mask: SyscallMask,
    /// Its own frames and objects; the rest of the machine goes to its factory.
    pub quota: Quota,
    /// First instruction.
    pub entry: u64,
    /// What to map.
    pub segments: &'a [InitSegment],
    /// Stack pages below `STACK_TOP`.
    pub stack_pages: u32,
}

/// One segment of the first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitSegment {
    /// Where it is mapped, page aligned.
    pub va: u64,
    /// First frame of its bytes, inside the boot image.
    pub first: Pfn,
    /// Bytes to copy.
    pub file_len: u64,
    /// Bytes it occupies; the rest is zero.
    pub mem_len: u64,
    /// Protection.
    pub prot: Prot,
}

/// Slot of init's factory; the ones below stay empty, as in every process.
const SLOT_FACTORY: u8 = 4;
const SLOT_KERNEL_LOG: u8 = 5;
const SLOT_BOOT_IMAGE: u8 = 6;
/// First slot of the device windows; the interrupts follow them.
const SLOT_DEVICES: u8 = 7;

/// To be handed on and taken back.
const SHARED: Rights = Rights::DERIVE.or(Rights::GRANT).or(Rights::MANAGE);

/// Objects of all tables.
const ALL_OBJECTS: usize = MAX_ENDPOINTS + MAX_NOTIFICATIONS + MAX_VMOS + MAX_PROCESSES;

impl Kernel {
    /// Creates and starts the first process; called once, before anything else.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a plan that contradicts itself or the machine,
    /// [`Error::NoSpace`] or [`Error::QuotaExceeded`] when it does not fit,
    /// [`Error::WrongState`] the second time.
    pub fn boot<M: Machine>(&mut self, m: &mut M, cfg: &BootConfig<'_>) -> Result<Outcome, Error> {
        if self.incarnations != 0 {
            return Err(Error::WrongState);
        }
        check(cfg)?;
        self.frames.add(cfg.free.clone());
        let fixed = cfg.devices.len().saturating_add(1);
        let frames = self.frames.total().saturating_sub(SPARE_TABLES as u32);
        let objects = ALL_OBJECTS.saturating_sub(fixed) as u32;
        *self.factories.at_mut(POOL.into()) = Factory::boot(BOOT_SERVICE_IDS, frames, objects);
        let InitPlan { service, priority, mask, quota, .. } = cfg.init;
        let mask = SyscallMask(mask.0 & SyscallMask::ALL.0);
        let birth = Birth { service, mask, quota, priority, creator: Payer::Nobody };
        let init = self.make_process(m, POOL, birth)?;
        for segment in cfg.init.segments {
            self.load_segment(m, init, segment)?;
        }
        let stack = u64::from(cfg.init.stack_pages).wrapping_mul(PAGE);
        let bottom = STACK_TOP.saturating_sub(stack);
        self.load(m, init, (bottom, stack), Prot::ReadWrite, None)?;
        self.endow(init, cfg)?;
        let arg = u64::from(cfg.boot_image.1).wrapping_mul(PAGE);
        m.start_context(init, cfg.init.entry, STACK_TOP, arg);
        self.make_ready(init);
        Ok(self.schedule(m))
    }

    fn load_segment<M: Machine>(
        &mut self,
        m: &mut M,
        init: ProcIndex,
        segment: &InitSegment,
    ) -> Result<(), Error> {
        let len = u64::from(pages_of(segment.mem_len)?).wrapping_mul(PAGE);
        let content = (segment.file_len != 0).then_some((segment.first, segment.file_len));
        self.load(m, init, (segment.va, len), segment.prot, content)
    }

    /// Maps fresh memory, filled and sealed as its protection says. No capability refers to it:
    /// it lives as long as init.
    fn load<M: Machine>(
        &mut self,
        m: &mut M,
        init: ProcIndex,
        (va, len): (u64, u64),
        prot: Prot,
        content: Option<(Pfn, u64)>,
    ) -> Result<(), Error> {
        user_range(va, len)?;
        let pages = pages_of(len)?;
        let vmo = self.vmo_allocate(m, init, pages, Memory::Ram)?;
        let entry = self.vmos.at_mut(vmo.index());
        entry.seal = match prot {
            Prot::Read => Some(Seal::ReadOnly),
            Prot::ReadWrite => None,
            Prot::ReadExec => Some(Seal::Exec),
        };
        if let Some((src, bytes)) = content {
            m.copy_phys(entry.first, src, bytes);
        }
        let via = CapLink::NONE;
        self.map(m, init, Mapping { pages, va, page: 0, vmo, prot, via, inherited: false })
    }

    /// Init's capabilities: everything there is.
    fn endow(&mut self, init: ProcIndex, cfg: &BootConfig<'_>) -> Result<(), Error> {
        let factory = SHARED.or(Rights::DMA);
        self.grant(init, SLOT_FACTORY, CapKind::Factory, 0, factory)?;
        let log = SHARED.or(Rights::AUDIT);
        self.grant(init, SLOT_KERNEL_LOG, CapKind::KernelLog, 0, log)?;
        let (first, pages) = cfg.boot_image;
        let image = Vmo { seal: Some(Seal::ReadOnly), ..fixed(first, pages, Memory::Boot) };
        let image = self.enter(image)?;
        let readable = Rights::READ.or(Rights::DERIVE).or(Rights::GRANT);
        self.grant(init, SLOT_BOOT_IMAGE, CapKind::Vmo, image, readable)?;
        let mut slot = SLOT_DEVICES;
        for window in cfg.devices {
            let first = Pfn((window.base / PAGE) as u32);
            let window = self.enter(fixed(first, pages_of(window.len)?, Memory::Device))?;
            let rights = SHARED.or(Rights::READ).or(Rights::WRITE);
            self.grant(init, slot, CapKind::Vmo, window, rights)?;
            slot = slot.saturating_add(1);
        }
        for (index, line) in cfg.irqs.iter().enumerate() {
            self.irqs.at_mut(index).line = Some(*line);
            self.grant(init, slot, CapKind::Irq, index as u16, SHARED)?;
            slot = slot.saturating_add(1);
        }
        Ok(())
    }

    fn enter(&mut self, vmo: Vmo) -> Result<u16, Error> {
        let index = self.vmos.position(|v| !v.live).ok_or(Error::NoSpace)?;
        *self.vmos.at_mut(index) = vmo;
        Ok(index as u16)
    }

    fn grant(
        &mut self,
        init: ProcIndex,
        slot: u8,
        kind: CapKind,
        object: u16,
        rights: Rights,
    ) -> Result<(), Error> {
        let at = self.caps.vacant(init, slot).map_err(|_| Error::NoSpace)?;
        self.caps.fill(at, Cap::root(Some(kind), object, 0, rights));
        Ok(())
    }
}

fn fixed(first: Pfn, pages: u32, memory: Memory) -> Vmo {
    Vmo { live: true, first, pages, memory, payer: Payer::Nobody, refs: 1, ..Vmo::EMPTY }
}

/// Whether a plan is one a correct image builder can make; nothing has been done yet.
fn check(cfg: &BootConfig<'_>) -> Result<(), Error> {
    let InitPlan { service, priority, entry, segments, .. } = &cfg.init;
    let runs = segments.iter().any(|s| {
        s.prot == Prot::ReadExec && *entry >= s.va && entry.wrapping_sub(s.va) < s.file_len
    });
    let (first, pages) = cfg.boot_image;
    let image = first.0..first.0.checked_add(pages).ok_or(Error::InvalidArgument)?;
    let inside = segments.iter().all(|s| {
        let end = u64::from(s.first.0).saturating_add(s.file_len.div_ceil(PAGE));
        s.file_len <= s.mem_len && s.first.0 >= image.start && end <= image.end.into()
    });
    let sane = BOOT_SERVICE_IDS.contains(&service.0)
        && *priority <= HIGHEST_PRIORITY
        && segments.len() <= MAX_INIT_SEGMENTS
        && cfg.free.start <= cfg.free.end
        && !overlap(&image, &cfg.free);
    if !sane || !runs || !inside {
        return Err(Error::InvalidArgument);
    }
    if cfg.irqs.len() > MAX_IRQS {
        return Err(Error::NoSpace);
    }
    for (n, window) in cfg.devices.iter().enumerate() {
        let window = device_frames(window)?;
        let others = cfg.devices.iter().take(n).map(device_frames);
        let shared = others.flatten().any(|other| overlap(&window, &other));
        if shared || overlap(&window, &cfg.free) || overlap(&window, &image) {
            return Err(Error::InvalidArgument);
        }
    }
    Ok(())
}

fn overlap(a: &Range<u32>, b: &Range<u32>) -> bool {
    a.start < b.end && b.start < a.end
}

fn device_frames(window: &DeviceWindow) -> Result<Range<u32>, Error> {
    let end = window.base.checked_add(window.len).ok_or(Error::InvalidArgument)?;
    let whole = window.base.is_multiple_of(PAGE) && end.is_multiple_of(PAGE) && window.len != 0;
    let frame = |address: u64| u32::try_from(address / PAGE).map_err(|_| Error::InvalidArgument);
    if whole { Ok(frame(window.base)?..frame(end)?) } else { Err(Error::InvalidArgument) }
}
