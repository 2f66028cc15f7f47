//! Factories: the right to make processes, as data. A narrower one is cut out of another and
//! its budget with it, so what all factories and processes hold together never changes.

use nexus_abi::{
    Error, Handle, Rights, SyscallMask,
    syscall::{CapKind, FactoryCeiling},
};

use crate::{
    Kernel,
    cap::Cap,
    limits::{HIGHEST_PRIORITY, MAX_FACTORIES},
    process::Processes,
    table::Table,
    types::ProcIndex,
};

/// The factory init boots with; what nobody else holds is its budget.
pub(crate) const POOL: u8 = 0;

#[derive(Clone, Copy)]
pub(crate) struct Factory {
    pub(crate) live: bool,
    pub(crate) generation: u32,
    refs: u16,
    /// Whose budget this one was cut out of.
    source: u8,
    first_id: u64,
    last_id: u64,
    pub(crate) mask: SyscallMask,
    pub(crate) priority: u8,
    pub(crate) frames: u32,
    pub(crate) objects: u32,
}

pub(crate) type Factories = Table<Factory, MAX_FACTORIES>;

impl Factory {
    pub(crate) const EMPTY: Factory = Factory {
        live: false,
        generation: 0,
        refs: 0,
        source: POOL,
        first_id: 0,
        last_id: 0,
        mask: SyscallMask(0),
        priority: 0,
        frames: 0,
        objects: 0,
    };

    /// Everything there is.
    pub(crate) fn boot(ids: core::ops::RangeInclusive<u64>, frames: u32, objects: u32) -> Factory {
        Factory {
            live: true,
            first_id: *ids.start(),
            last_id: *ids.end(),
            mask: SyscallMask::ALL,
            priority: HIGHEST_PRIORITY,
            frames,
            objects,
            ..Factory::EMPTY
        }
    }

    /// Whether a process may be made with these.
    pub(crate) fn allows(&self, id: u64, mask: SyscallMask, priority: u8) -> bool {
        (self.first_id..=self.last_id).contains(&id)
            && self.mask.contains(mask)
            && priority <= self.priority
    }

    /// The part of this factory that `ceiling` describes.
    fn part(&self, ceiling: FactoryCeiling) -> Result<Factory, Error> {
        let first_id = u64::from(ceiling.first_id);
        let count = 1u64.checked_shl(ceiling.count_log2.into()).unwrap_or(u64::MAX);
        let last_id = first_id.saturating_add(count).saturating_sub(1);
        let ids_inside = first_id >= self.first_id && last_id <= self.last_id;
        if !ids_inside || !self.allows(first_id, ceiling.mask, ceiling.priority) {
            return Err(Error::OutsideCeiling);
        }
        let frames = u32::from(ceiling.frame_units).saturating_mul(FactoryCeiling::FRAME_UNIT);
        let unit = u32::from(FactoryCeiling::OBJECT_UNIT);
        let objects = u32::from(ceiling.object_units).saturating_mul(unit);
        if frames > self.frames || objects > self.objects {
            return Err(Error::QuotaExceeded);
        }
        Ok(Factory {
            live: true,
            first_id,
            last_id,
            mask: ceiling.mask,
            priority: ceiling.priority,
            frames,
            objects,
            ..Factory::EMPTY
        })
    }
}

impl Kernel {
    /// The factory behind a handle with `right`.
    pub(crate) fn factory_cap(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
        right: Rights,
    ) -> Result<u8, Error> {
        let (_, cap) = self.typed_cap(cur, handle, CapKind::Factory, right)?;
        let entry = self.factories.at(cap.object.into());
        if entry.live && entry.generation == cap.object_gen {
            Ok(cap.object as u8)
        } else {
            Err(Error::StaleHandle)
        }
    }

    /// Cuts a narrower factory out of the one `from` refers to.
    pub(crate) fn narrow(&mut self, from: &Cap, badge: u64) -> Result<(u16, u32), Error> {
        let source = usize::from(from.object);
        let part = self.factories.at(source).part(FactoryCeiling::unpack(badge))?;
        let index = self
            .factories
            .position(|f| !f.live && f.generation < u32::MAX)
            .ok_or(Error::NoSpace)?;
        let generation = self.factories.at(index).generation;
        let budget = self.factories.at_mut(source);
        budget.frames = budget.frames.saturating_sub(part.frames);
        budget.objects = budget.objects.saturating_sub(part.objects);
        let source = source as u8;
        *self.factories.at_mut(index) = Factory { generation, refs: 1, source, ..part };
        Ok((index as u16, generation))
    }

    /// References to a factory; the boot factory has none and stays.
    pub(crate) fn factory_refs(&mut self, cap: &Cap) -> Option<&mut u16> {
        if cap.object == u16::from(POOL) {
            return None;
        }
        Some(&mut self.factories.at_mut(cap.object.into()).refs)
    }

    /// Its last capability is gone: the budget falls back, and what its processes give back
    /// later goes where the budget went.
    pub(crate) fn factory_destroy(&mut self, index: u8) {
        let gone = *self.factories.at(index.into());
        let entry = self.factories.at_mut(index.into());
        *entry = Factory { generation: gone.generation.saturating_add(1), ..Factory::EMPTY };
        let heir = if self.factories.at(gone.source.into()).live { gone.source } else { POOL };
        self.budget_give(heir, gone.frames, gone.objects);
        for p in Processes::indices() {
            let rest = &mut self.procs.get_mut(p).rest;
            if rest.factory == index {
                rest.factory = heir;
            }
        }
        for other in 0..MAX_FACTORIES {
            let other = self.factories.at_mut(other);
            if other.source == index {
                other.source = heir;
            }
        }
    }

    pub(crate) fn budget_give(&mut self, factory: u8, frames: u32, objects: u32) {
        let budget = self.factories.at_mut(factory.into());
        budget.frames = budget.frames.saturating_add(frames);
        budget.objects = budget.objects.saturating_add(objects);
    }

    pub(crate) fn pool_give(&mut self, frames: u32, objects: u32) {
        self.budget_give(POOL, frames, objects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Factory = Factory {
        live: true,
        first_id: 900,
        last_id: 931,
        mask: SyscallMask(0b1011),
        priority: 3,
        frames: 64,
        objects: 32,
        ..Factory::EMPTY
    };

    /// All of it: every field at its bound.
    const WHOLE: FactoryCeiling = FactoryCeiling {
        first_id: 900,
        count_log2: 5,
        priority: 3,
        mask: SyscallMask(0b1011),
        frame_units: 4,
        object_units: 2,
    };

    fn cut(change: impl Fn(&mut FactoryCeiling)) -> Result<(), Error> {
        let mut ceiling = WHOLE;
        change(&mut ceiling);
        SOURCE.part(ceiling).map(|_| ())
    }

    #[test]
    fn a_part_may_be_the_whole() {
        let part = SOURCE.part(WHOLE).unwrap();
        assert_eq!((part.first_id, part.last_id), (900, 931));
        assert_eq!((part.frames, part.objects, part.priority), (64, 32, 3));
        assert!(part.allows(931, SyscallMask(0b1011), 3));
    }

    #[test]
    fn test_reject_a_part_wider_than_its_source() {
        let outside = Err(Error::OutsideCeiling);
        assert_eq!(cut(|c| c.first_id = 899), outside);
        assert_eq!(cut(|c| c.first_id = 901), outside);
        assert_eq!(cut(|c| c.count_log2 = 6), outside);
        assert_eq!(cut(|c| c.priority = 4), outside);
        assert_eq!(cut(|c| c.mask = SyscallMask(0b1111)), outside);
        assert_eq!(cut(|c| c.frame_units = 5), Err(Error::QuotaExceeded));
        assert_eq!(cut(|c| c.object_units = 3), Err(Error::QuotaExceeded));
    }

    #[test]
    fn test_reject_a_process_outside_the_factory() {
        assert!(!SOURCE.allows(932, SyscallMask(1), 0));
        assert!(!SOURCE.allows(899, SyscallMask(1), 0));
        assert!(!SOURCE.allows(900, SyscallMask(0b100), 0));
        assert!(!SOURCE.allows(900, SyscallMask(1), 4));
    }
}
