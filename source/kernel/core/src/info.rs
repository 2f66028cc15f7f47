//! What a process may learn: about itself, its capabilities, its children, the kernel log.

use nexus_abi::{
    Error, Handle, Rights,
    syscall::{CapKind, Seal, Topic},
};

use crate::{
    Kernel, Machine,
    process::{Exit, State},
    types::{ProcIndex, VmoIndex},
    vmo::Memory,
};

impl Kernel {
    pub(crate) fn object_info<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        cap: Handle,
        topic: Topic,
    ) -> Result<[u64; 4], Error> {
        match topic {
            Topic::Caller => {
                let p = self.procs.get(cur);
                Ok([p.service.0, p.incarnation.into(), p.mask.0, p.priority.into()])
            }
            Topic::Quota => {
                let rest = &self.procs.get(cur).rest;
                let frames = [rest.frames_used.into(), rest.frames_limit.into()];
                let objects = [rest.objects_used.into(), rest.objects_limit.into()];
                let ([a, b], [c, d]) = (frames, objects);
                Ok([a, b, c, d])
            }
            Topic::Cap => {
                let link = self.any_cap(cur, cap, Rights::NONE)?;
                let cap = self.caps.get(link);
                let kind = cap.kind.map_or(0, |kind| kind as u64);
                Ok([kind, cap.rights.bits().into(), cap.badge, 0])
            }
            Topic::Process => {
                let (_, cap) = self.typed_cap(cur, cap, CapKind::Process, Rights::NONE)?;
                let p = ProcIndex(cap.object as u8);
                Ok(self.process_info(p))
            }
            Topic::Vmo => {
                let (_, cap) = self.typed_cap(cur, cap, CapKind::Vmo, Rights::NONE)?;
                let (rights, vmo) = (cap.rights, VmoIndex(cap.object));
                Ok(self.vmo_info(vmo, rights))
            }
            Topic::Events => {
                self.typed_cap(cur, cap, CapKind::KernelLog, Rights::AUDIT)?;
                Ok(self.read_events(m, cur))
            }
        }
    }

    fn process_info(&self, p: ProcIndex) -> [u64; 4] {
        let process = self.procs.get(p);
        let number = |code: i32| i64::from(code) as u64;
        let (state, code, addr) = match (process.state, process.rest.exit) {
            (State::Created, _) => (0, 0, 0),
            (State::Dead, Exit::Exited(code)) => (2, number(code), 0),
            (State::Dead, Exit::Faulted(cause, addr, _)) => (3, cause as u64, addr),
            (State::Dead, Exit::Killed(code)) => (4, number(code), 0),
            _ => (1, 0, 0),
        };
        [state, code, addr, process.incarnation.into()]
    }

    fn vmo_info(&self, vmo: VmoIndex, rights: Rights) -> [u64; 4] {
        let vmo = self.vmos.at(vmo.index());
        let seal = match vmo.seal {
            None => 0,
            Some(Seal::ReadOnly) => 1,
            Some(Seal::Exec) => 2,
        };
        let visible = vmo.memory == Memory::Dma && rights.contains(Rights::DMA);
        let address = if visible { vmo.first.address() } else { 0 };
        [vmo.bytes(), seal, address, (vmo.memory == Memory::Device).into()]
    }
}
