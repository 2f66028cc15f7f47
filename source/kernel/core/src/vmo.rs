//! Memory objects: contiguous frames, somebody who pays for them, and a seal.

use nexus_abi::{
    Error, Handle, Rights,
    layout::PAGE,
    syscall::{CapKind, Seal, VmoKind},
};

use crate::{
    Kernel, Machine,
    cap::{Cap, CapLink},
    limits::{MAX_FRAMES, MAX_VMOS},
    table::Table,
    types::{Pfn, ProcIndex, VmoIndex},
};

/// What the creator of a memory object may do with it.
const RAM_RIGHTS: Rights = Rights::READ
    .or(Rights::WRITE)
    .or(Rights::EXEC)
    .or(Rights::GRANT)
    .or(Rights::DERIVE)
    .or(Rights::MANAGE);

const DMA_RIGHTS: Rights = Rights::READ
    .or(Rights::WRITE)
    .or(Rights::GRANT)
    .or(Rights::DERIVE)
    .or(Rights::MANAGE)
    .or(Rights::DMA);

/// What a memory object is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// RAM of the allocator.
    Ram,
    /// RAM of the allocator whose address may be learned.
    Dma,
    /// Device registers.
    Device,
    /// The boot image, which the allocator does not own.
    Boot,
}

/// Who pays for the frames of a memory object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payer {
    /// Nobody: device windows and the boot image.
    Nobody,
    /// The process that made it.
    Process(ProcIndex),
    /// Its maker died; the frames return to the factory's pool when it is freed.
    Pool,
}

#[derive(Clone, Copy)]
pub(crate) struct Vmo {
    pub(crate) live: bool,
    pub(crate) first: Pfn,
    pub(crate) pages: u32,
    pub(crate) memory: Memory,
    pub(crate) seal: Option<Seal>,
    pub(crate) payer: Payer,
    /// Capabilities.
    pub(crate) refs: u16,
    pub(crate) maps: u16,
    /// Writable ones among `maps`.
    pub(crate) writable: u16,
}

impl Vmo {
    pub(crate) const EMPTY: Vmo = Vmo {
        live: false,
        first: Pfn(0),
        pages: 0,
        memory: Memory::Ram,
        seal: None,
        payer: Payer::Nobody,
        refs: 0,
        maps: 0,
        writable: 0,
    };

    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.pages).wrapping_mul(PAGE)
    }
}

pub(crate) type Vmos = Table<Vmo, MAX_VMOS>;

impl Kernel {
    pub(crate) fn vmo_cap(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
        right: Rights,
    ) -> Result<(CapLink, VmoIndex), Error> {
        let (link, cap) = self.typed_cap(cur, handle, CapKind::Vmo, right)?;
        Ok((link, VmoIndex(cap.object)))
    }

    pub(crate) fn vmo_create<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        len: u64,
        kind: VmoKind,
        authority: Handle,
    ) -> Result<Handle, Error> {
        let (memory, rights) = match kind {
            VmoKind::Ram => (Memory::Ram, RAM_RIGHTS),
            VmoKind::Dma => {
                self.typed_cap(cur, authority, CapKind::Factory, Rights::DMA)?;
                (Memory::Dma, DMA_RIGHTS)
            }
        };
        let pages = pages_of(len)?;
        let slot = self.caps.vacancy(cur)?;
        let vmo = self.vmo_allocate(m, cur, pages, memory)?;
        self.vmos.at_mut(vmo.index()).refs = 1;
        Ok(self.caps.fill(slot, Cap::root(Some(CapKind::Vmo), vmo.0, 0, rights)))
    }

    /// Takes zeroed frames at the cost of `payer`; the caller makes a capability or a mapping.
    pub(crate) fn vmo_allocate<M: Machine>(
        &mut self,
        m: &mut M,
        payer: ProcIndex,
        pages: u32,
        memory: Memory,
    ) -> Result<VmoIndex, Error> {
        let index = self.vmos.position(|v| !v.live).ok_or(Error::NoSpace)?;
        let rest = &self.procs.get(payer).rest;
        if pages > rest.frames_limit.saturating_sub(rest.frames_used) {
            return Err(Error::QuotaExceeded);
        }
        self.charge_object(payer)?;
        let Some(first) = self.frames.take_run(pages) else {
            self.refund_object(payer);
            return Err(Error::NoSpace);
        };
        m.zero_frames(first, pages);
        let rest = &mut self.procs.get_mut(payer).rest;
        rest.frames_used = rest.frames_used.saturating_add(pages);
        let payer = Payer::Process(payer);
        *self.vmos.at_mut(index) = Vmo { live: true, first, pages, memory, payer, ..Vmo::EMPTY };
        Ok(VmoIndex(index as u16))
    }

    /// Frees an object that no capability and no mapping refers to. Device windows and the
    /// boot image only lose their table entry.
    pub(crate) fn vmo_free_if_unused(&mut self, vmo: VmoIndex) {
        let entry = self.vmos.at_mut(vmo.index());
        if !entry.live || entry.refs != 0 || entry.maps != 0 {
            return;
        }
        let Vmo { first, pages, payer, .. } = *entry;
        *entry = Vmo::EMPTY;
        match payer {
            Payer::Nobody => return,
            Payer::Process(p) => {
                self.refund_object(p);
                let rest = &mut self.procs.get_mut(p).rest;
                rest.frames_used = rest.frames_used.saturating_sub(pages);
            }
            Payer::Pool => self.pool_give(pages, 1),
        }
        self.frames.give(first, pages);
    }

    pub(crate) fn vmo_seal(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
        seal: Seal,
    ) -> Result<(), Error> {
        let (_, vmo) = self.vmo_cap(cur, handle, Rights::MANAGE)?;
        let entry = self.vmos.at_mut(vmo.index());
        if entry.seal.is_some() || entry.memory != Memory::Ram {
            return Err(Error::WrongState);
        }
        if entry.writable != 0 {
            return Err(Error::WriteXorExecute);
        }
        entry.seal = Some(seal);
        Ok(())
    }
}

/// Whole pages that hold `len` bytes.
pub(crate) fn pages_of(len: u64) -> Result<u32, Error> {
    let pages = len.div_ceil(PAGE);
    if pages == 0 {
        return Err(Error::InvalidArgument);
    }
    if pages > MAX_FRAMES as u64 { Err(Error::QuotaExceeded) } else { Ok(pages as u32) }
}
