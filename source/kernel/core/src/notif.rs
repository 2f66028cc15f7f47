//! Notifications: 64 bits, one waiter, perhaps one endpoint that waits along.

use nexus_abi::{Error, Handle, Return, Rights, syscall::CapKind};

use crate::{
    Kernel, Machine, Outcome,
    cap::{Cap, CapLink},
    limits::MAX_NOTIFICATIONS,
    process::State,
    sched::NEVER,
    types::{EndpointIndex, NotifIndex, ProcIndex},
};

/// What the creator of a notification may do with it.
const NOTIF_RIGHTS: Rights =
    Rights::SIGNAL.or(Rights::WAIT).or(Rights::GRANT).or(Rights::DERIVE).or(Rights::MANAGE);

#[derive(Clone, Copy)]
pub(crate) struct Notif {
    pub(crate) generation: u32,
    pub(crate) live: bool,
    pub(crate) creator: ProcIndex,
    /// Capabilities, and the endpoint it is bound to.
    pub(crate) refs: u16,
    pub(crate) bits: u64,
    /// The process that waits for it alone.
    pub(crate) waiter: Option<ProcIndex>,
    /// The endpoint whose receiver waits for it too.
    pub(crate) endpoint: Option<EndpointIndex>,
}

impl Notif {
    pub(crate) const EMPTY: Notif = Notif {
        generation: 0,
        live: false,
        creator: ProcIndex(0),
        refs: 0,
        bits: 0,
        waiter: None,
        endpoint: None,
    };
}

pub(crate) type Notifs = crate::table::Table<Notif, MAX_NOTIFICATIONS>;

/// A notification as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotifRef {
    pub(crate) index: NotifIndex,
    pub(crate) generation: u32,
}

/// Where an event source signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotifBit {
    pub(crate) notif: NotifRef,
    pub(crate) bit: u8,
}

impl Kernel {
    /// The notification behind a handle with `right`, and the capability used.
    pub(crate) fn notif_cap(
        &mut self,
        cur: ProcIndex,
        handle: Handle,
        right: Rights,
    ) -> Result<(CapLink, NotifIndex), Error> {
        let (link, cap) = self.typed_cap(cur, handle, CapKind::Notification, right)?;
        let notif = NotifIndex(cap.object);
        if self.notifs.at(notif.index()).generation != cap.object_gen {
            return Err(Error::StaleHandle);
        }
        Ok((link, notif))
    }

    pub(crate) fn live_notif(&self, notif: Option<NotifRef>) -> Option<NotifIndex> {
        let notif = notif?;
        let entry = self.notifs.at(notif.index.index());
        (entry.live && entry.generation == notif.generation).then_some(notif.index)
    }

    pub(crate) fn notif_create(&mut self, cur: ProcIndex) -> Result<Handle, Error> {
        let slot = self.caps.vacancy(cur)?;
        let index =
            self.notifs.position(|n| !n.live && n.generation < u32::MAX).ok_or(Error::NoSpace)?;
        self.charge_object(cur)?;
        let entry = self.notifs.at_mut(index);
        let generation = entry.generation;
        *entry = Notif { generation, live: true, creator: cur, refs: 1, ..Notif::EMPTY };
        let kind = Some(CapKind::Notification);
        Ok(self.caps.fill(slot, Cap::root(kind, index as u16, generation, NOTIF_RIGHTS)))
    }

    /// One reference less; without any the notification is gone.
    pub(crate) fn release_notif<M: Machine>(&mut self, m: &mut M, notif: NotifIndex) {
        let entry = self.notifs.at_mut(notif.index());
        entry.refs = entry.refs.saturating_sub(1);
        if entry.refs == 0 {
            self.notif_destroy(m, notif);
        }
    }

    pub(crate) fn notif_destroy<M: Machine>(&mut self, m: &mut M, notif: NotifIndex) {
        let entry = self.notifs.at_mut(notif.index());
        if !entry.live {
            return;
        }
        let (waiter, endpoint, creator) = (entry.waiter, entry.endpoint, entry.creator);
        let generation = entry.generation.saturating_add(1);
        if let Some(waiter) = waiter {
            self.fail_blocked(m, waiter, Error::Revoked);
        }
        *self.notifs.at_mut(notif.index()) = Notif { generation, ..Notif::EMPTY };
        if let Some(ep) = endpoint {
            self.endpoints.at_mut(ep.index()).notif = None;
        }
        self.refund_object(creator);
    }

    /// Sets bits and wakes who waits for one of them.
    pub(crate) fn signal<M: Machine>(&mut self, m: &mut M, notif: NotifIndex, bits: u64) {
        let entry = self.notifs.at_mut(notif.index());
        entry.bits |= bits;
        let alone = entry.waiter;
        let receiver = entry.endpoint.and_then(|ep| {
            let server = self.endpoints.at(ep.index()).server?;
            let process = self.procs.get(server);
            (process.state == State::Receiving && process.on == ep.0).then_some(server)
        });
        for waiter in [alone, receiver].into_iter().flatten() {
            let entry = self.notifs.at_mut(notif.index());
            let hit = entry.bits & self.procs.get(waiter).want;
            if hit != 0 {
                entry.bits &= !hit;
                entry.waiter = entry.waiter.filter(|w| *w != waiter);
                self.wake(m, waiter, &Return::Notified { bits: hit });
            }
        }
    }

    /// Signals an event source's binding, if it still exists.
    pub(crate) fn signal_bound<M: Machine>(&mut self, m: &mut M, to: Option<NotifBit>) {
        let Some(to) = to else { return };
        if let Some(notif) = self.live_notif(Some(to.notif)) {
            self.signal(m, notif, 1u64.wrapping_shl(to.bit.into()));
        }
    }

    pub(crate) fn sys_signal<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        notif: Handle,
        bits: u64,
    ) -> Result<(), Error> {
        let (_, notif) = self.notif_cap(cur, notif, Rights::SIGNAL)?;
        self.signal(m, notif, bits);
        Ok(())
    }

    pub(crate) fn sys_wait<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        (notif, mask, deadline): (Handle, u64, u64),
    ) -> Result<Outcome, Error> {
        if notif.is_none() {
            return self.sleep(m, cur, deadline);
        }
        let (via, index) = self.notif_cap(cur, notif, Rights::WAIT)?;
        let entry = self.notifs.at_mut(index.index());
        let hit = entry.bits & mask;
        if hit != 0 {
            entry.bits &= !hit;
            m.set_return(cur, &Return::Notified { bits: hit });
            return Ok(self.resume(m, cur));
        }
        if entry.waiter.is_some() {
            return Err(Error::Busy);
        }
        if deadline == 0 {
            return Err(Error::TimedOut);
        }
        entry.waiter = Some(cur);
        self.block(cur, State::Waiting, index.0, via);
        let process = self.procs.get_mut(cur);
        process.want = mask;
        process.deadline = deadline;
        self.arm(m, deadline);
        Ok(self.schedule(m))
    }

    /// A wait for time alone; without an end nothing could ever wake it.
    fn sleep<M: Machine>(
        &mut self,
        m: &mut M,
        cur: ProcIndex,
        deadline: u64,
    ) -> Result<Outcome, Error> {
        match deadline {
            NEVER => return Err(Error::InvalidArgument),
            0 => return Err(Error::TimedOut),
            _ => {}
        }
        self.block(cur, State::Sleeping, 0, CapLink::NONE);
        self.procs.get_mut(cur).deadline = deadline;
        self.arm(m, deadline);
        Ok(self.schedule(m))
    }
}
