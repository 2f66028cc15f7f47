//! Mappings: whole ranges of memory objects, never writable and executable anywhere, each tied to
//! the capability it was made through so that revocation takes it away.

use nexus_abi::{
    Error, Handle, Rights,
    layout::{MESSAGE_PAGE, PAGE, USER_MAX, USER_MIN},
    syscall::{Prot, Seal},
};

use crate::{
    Kernel, Machine,
    cap::CapLink,
    frames::{Charged, Frames},
    limits::{MAPPINGS_PER_PROCESS, MAX_PROCESSES},
    process::Processes,
    table::Table,
    types::{ProcIndex, VmoIndex},
    vmo::Memory,
};

/// One mapping of one process.
#[derive(Clone, Copy)]
pub(crate) struct Mapping {
    /// 0: unused.
    pub(crate) pages: u32,
    pub(crate) va: u64,
    /// First page inside the object.
    pub(crate) page: u32,
    pub(crate) vmo: VmoIndex,
    pub(crate) prot: Prot,
    /// The capability it was made through, or the nearest surviving ancestor.
    pub(crate) via: CapLink,
    /// The capability it was made through is gone: the mapping counts as derived from `via`.
    pub(crate) inherited: bool,
}

impl Mapping {
    const EMPTY: Mapping = Mapping {
        pages: 0,
        va: 0,
        page: 0,
        vmo: VmoIndex(0),
        prot: Prot::Read,
        via: CapLink::NONE,
        inherited: false,
    };

    pub(crate) fn end(&self) -> u64 {
        self.va.saturating_add(u64::from(self.pages).wrapping_mul(PAGE))
    }
}

pub(crate) struct Mappings(Table<Table<Mapping, MAPPINGS_PER_PROCESS>, MAX_PROCESSES>);

impl Mappings {
    pub(crate) const fn new() -> Self {
        Mappings(Table::new(Table::new(Mapping::EMPTY)))
    }

    pub(crate) fn of(&self, p: ProcIndex) -> &Table<Mapping, MAPPINGS_PER_PROCESS> {
        self.0.at(p.index())
    }

    pub(crate) fn of_mut(&mut self, p: ProcIndex) -> &mut Table<Mapping, MAPPINGS_PER_PROCESS> {
        self.0.at_mut(p.index())
    }
}

/// A page-aligned, non-empty range inside user space that leaves the message page alone.
pub(crate) fn user_range(va: u64, len: u64) -> Result<(u64, u64), Error> {
    let end = va.checked_add(len).ok_or(Error::InvalidArgument)?;
    let aligned = va.is_multiple_of(PAGE) && len.is_multiple_of(PAGE) && len != 0;
    let covers_message = va <= MESSAGE_PAGE && end > MESSAGE_PAGE;
    if !aligned || va < USER_MIN || end > USER_MAX || covers_message {
        return Err(Error::InvalidArgument);
    }
    Ok((va, end))
}

impl Kernel {
    pub(crate) fn vm_map<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        (target, vmo): (Handle, Handle),
        (va, offset, len): (u64, u64, u64),
        prot: Prot,
    ) -> Result<(), Error> {
        let right = match prot {
            Prot::Read => Rights::READ,
            Prot::ReadWrite => Rights::READ.or(Rights::WRITE),
            Prot::ReadExec => Rights::READ.or(Rights::EXEC),
        };
        let (via, vmo) = self.vmo_cap(cur, vmo, right)?;
        let target = self.space_of(cur, target)?;
        user_range(va, len)?;
        let size = self.vmos.at(vmo.index()).bytes();
        let end = offset.checked_add(len).ok_or(Error::InvalidArgument)?;
        if !offset.is_multiple_of(PAGE) || end > size {
            return Err(Error::InvalidArgument);
        }
        let (page, pages) = ((offset / PAGE) as u32, (len / PAGE) as u32);
        let mapping = Mapping { pages, va, page, vmo, prot, via, inherited: false };
        self.map(m, target, mapping)
    }

    /// Enters a mapping whose range and rights have been checked.
    pub(crate) fn map<M: Machine>(
        &mut self,
        m: &mut M,
        target: ProcIndex,
        new: Mapping,
    ) -> Result<(), Error> {
        let vmo = *self.vmos.at(new.vmo.index());
        let allowed = match new.prot {
            Prot::Read => true,
            Prot::ReadWrite => vmo.seal.is_none(),
            Prot::ReadExec => vmo.seal == Some(Seal::Exec),
        };
        if !allowed {
            return Err(Error::WriteXorExecute);
        }
        let maps = self.mappings.of(target);
        if maps.iter().any(|o| o.pages != 0 && o.va < new.end() && new.va < o.end()) {
            return Err(Error::Overlap);
        }
        let index = maps.position(|o| o.pages == 0).ok_or(Error::NoSpace)?;
        self.frames.stock(m, new.pages);
        let first = vmo.first.offset(new.page);
        let device = vmo.memory == Memory::Device;
        let mut frames = charged(&mut self.frames, &mut self.procs, target);
        m.map(target, new.va, first, new.pages, new.prot, device, &mut frames)?;
        let entry = self.vmos.at_mut(new.vmo.index());
        entry.maps = entry.maps.saturating_add(1);
        entry.writable = entry.writable.saturating_add((new.prot == Prot::ReadWrite).into());
        if !new.via.is_none() {
            let cap = self.caps.get_mut(new.via);
            cap.maps = cap.maps.saturating_add(1);
        }
        *self.mappings.of_mut(target).at_mut(index) = new;
        Ok(())
    }

    pub(crate) fn vm_unmap<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        target: Handle,
        (va, len): (u64, u64),
    ) -> Result<u64, Error> {
        let target = self.space_of(cur, target)?;
        let end = va.checked_add(len).ok_or(Error::InvalidArgument)?;
        if !va.is_multiple_of(PAGE) || !len.is_multiple_of(PAGE) {
            return Err(Error::InvalidArgument);
        }
        let mut removed = 0u64;
        for index in 0..MAPPINGS_PER_PROCESS {
            let mapping = *self.mappings.of(target).at(index);
            if mapping.pages != 0 && mapping.va >= va && mapping.end() <= end {
                m.unmap(target, mapping.va, mapping.pages);
                self.forget_mapping(target, index);
                removed = removed.saturating_add(1);
            }
        }
        Ok(removed)
    }

    /// Undoes the bookkeeping of a mapping that the hardware no longer has.
    fn forget_mapping(&mut self, owner: ProcIndex, index: usize) {
        let slot = self.mappings.of_mut(owner).at_mut(index);
        let old = core::mem::replace(slot, Mapping::EMPTY);
        let entry = self.vmos.at_mut(old.vmo.index());
        entry.maps = entry.maps.saturating_sub(1);
        entry.writable = entry.writable.saturating_sub((old.prot == Prot::ReadWrite).into());
        if !old.via.is_none() {
            let cap = self.caps.get_mut(old.via);
            cap.maps = cap.maps.saturating_sub(1);
        }
        self.vmo_free_if_unused(old.vmo);
    }

    /// Forgets every mapping of a process whose space is being torn down.
    pub(crate) fn forget_mappings(&mut self, owner: ProcIndex) {
        for index in 0..MAPPINGS_PER_PROCESS {
            if self.mappings.of(owner).at(index).pages != 0 {
                self.forget_mapping(owner, index);
            }
        }
    }

    /// The capability goes: its mappings fall to its parent, to be revoked from there.
    pub(crate) fn bequeath_mappings(&mut self, link: CapLink) {
        let count = core::mem::take(&mut self.caps.get_mut(link).maps);
        if count == 0 {
            return;
        }
        let parent = self.caps.get(link).parent;
        for p in Processes::indices() {
            for index in 0..MAPPINGS_PER_PROCESS {
                let mapping = self.mappings.of_mut(p).at_mut(index);
                if mapping.pages != 0 && mapping.via == link {
                    mapping.via = parent;
                    mapping.inherited = true;
                }
            }
        }
        if !parent.is_none() {
            let heir = self.caps.get_mut(parent);
            heir.maps = heir.maps.saturating_add(count);
        }
    }

    /// Removes the mappings made through a capability; of the one being revoked itself only
    /// those that fell to it from below.
    pub(crate) fn revoke_mappings<M: Machine>(
        &mut self,
        m: &mut M,
        link: CapLink,
        only_inherited: bool,
    ) {
        if self.caps.get(link).maps == 0 {
            return;
        }
        for p in Processes::indices() {
            for index in 0..MAPPINGS_PER_PROCESS {
                let mapping = *self.mappings.of(p).at(index);
                let hit = mapping.pages != 0 && mapping.via == link;
                if hit && (mapping.inherited || !only_inherited) {
                    m.unmap(p, mapping.va, mapping.pages);
                    self.forget_mapping(p, index);
                }
            }
        }
    }

    /// The process whose space a call means: the caller, or one it manages that still lives.
    fn space_of(&mut self, cur: ProcIndex, target: Handle) -> Result<ProcIndex, Error> {
        if target.is_none() {
            return Ok(cur);
        }
        let target = self.process_cap(cur, target)?;
        if self.procs.get(target).state.is_alive() { Ok(target) } else { Err(Error::WrongState) }
    }
}

/// Table frames at the cost of `target`.
pub(crate) fn charged<'a>(
    frames: &'a mut Frames,
    procs: &'a mut Processes,
    target: ProcIndex,
) -> Charged<'a> {
    let rest = &mut procs.get_mut(target).rest;
    Charged {
        frames,
        used: &mut rest.frames_used,
        limit: rest.frames_limit,
        space: &mut rest.space_frames,
    }
}
