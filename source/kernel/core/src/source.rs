//! Event sources: interrupts, process death, the kernel log. Each signals one notification bit.

use nexus_abi::{
    Error, Handle, Rights,
    syscall::{CapKind, SourceOp},
};

use crate::{
    Kernel, Machine, Outcome,
    limits::MAX_IRQS,
    notif::{NotifBit, NotifRef},
    process::State,
    table::Table,
    types::ProcIndex,
};

/// One interrupt line that is handed out as a capability.
#[derive(Clone, Copy)]
pub(crate) struct Irq {
    pub(crate) line: Option<u32>,
    pub(crate) bound: Option<NotifBit>,
}

impl Irq {
    pub(crate) const EMPTY: Irq = Irq { line: None, bound: None };
}

pub(crate) type Irqs = Table<Irq, MAX_IRQS>;

impl Kernel {
    /// Interrupt line `line` fired and was claimed; it is masked until its holder acknowledges.
    pub fn irq<M: Machine>(&mut self, m: &mut M, cur: Option<ProcIndex>, line: u32) -> Outcome {
        m.irq_mask(line, true);
        let bound = self.irqs.iter().find(|irq| irq.line == Some(line)).and_then(|irq| irq.bound);
        self.signal_bound(m, bound);
        match self.running(cur) {
            Some(cur) => self.resume(m, cur),
            None => self.schedule(m),
        }
    }

    pub(crate) fn source_control<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        source: Handle,
        op: SourceOp,
        (notif, bit): (Handle, u8),
    ) -> Result<(), Error> {
        let link = self.caps.find(cur, source)?;
        let cap = *self.caps.get(link);
        let right = match cap.kind {
            Some(CapKind::KernelLog) => Rights::AUDIT,
            Some(CapKind::Irq | CapKind::Process) => Rights::MANAGE,
            _ => {
                self.refused = source;
                return Err(Error::WrongType);
            }
        };
        self.any_cap(cur, source, right)?;
        if op == SourceOp::Ack {
            return self.acknowledge(m, cap.kind, cap.object);
        }
        if bit >= 64 {
            return Err(Error::InvalidArgument);
        }
        let (_, index) = self.notif_cap(cur, notif, Rights::SIGNAL)?;
        let generation = self.notifs.at(index.index()).generation;
        let to = NotifBit { notif: NotifRef { index, generation }, bit };
        let pending = match cap.kind {
            Some(CapKind::Irq) => {
                let irq = self.irqs.at_mut(cap.object.into());
                irq.bound = Some(to);
                if let Some(line) = irq.line {
                    m.irq_mask(line, false);
                }
                false
            }
            Some(CapKind::Process) => {
                let process = self.procs.get_mut(ProcIndex(cap.object as u8));
                process.rest.death = Some(to);
                process.state == State::Dead
            }
            _ => {
                self.events.bound = Some(to);
                self.events.waiting() != 0
            }
        };
        if pending {
            self.signal_bound(m, Some(to));
        }
        Ok(())
    }

    fn acknowledge<M: Machine>(
        &mut self,
        m: &mut M,
        kind: Option<CapKind>,
        index: u16,
    ) -> Result<(), Error> {
        let line = self.irqs.at(index.into()).line;
        match (kind, line) {
            (Some(CapKind::Irq), Some(line)) => {
                m.irq_mask(line, false);
                Ok(())
            }
            _ => Err(Error::InvalidArgument),
        }
    }
}
