//! Endpoints: one server, callers in order of priority, a life bound to the creator's.

use nexus_abi::{Error, Handle, Rights, syscall::CapKind};

use crate::{
    Kernel, Machine,
    cap::Cap,
    limits::MAX_ENDPOINTS,
    notif::NotifRef,
    process::{Processes, State},
    queue::PrioQueue,
    types::{EndpointIndex, ProcIndex},
};

/// What the creator of an endpoint may do with it.
const ENDPOINT_RIGHTS: Rights =
    Rights::CALL.or(Rights::RECV).or(Rights::GRANT).or(Rights::DERIVE).or(Rights::MANAGE);

#[derive(Clone, Copy)]
pub(crate) struct Endpoint {
    /// Grows when the endpoint dies; a capability of another generation is stale.
    pub(crate) generation: u32,
    pub(crate) live: bool,
    /// Who receives; `None` while the server is dead.
    pub(crate) server: Option<ProcIndex>,
    pub(crate) creator: ProcIndex,
    pub(crate) refs: u16,
    /// Waited for together with the queue.
    pub(crate) notif: Option<NotifRef>,
    pub(crate) queue: PrioQueue,
}

impl Endpoint {
    pub(crate) const EMPTY: Endpoint = Endpoint {
        generation: 0,
        live: false,
        server: None,
        creator: ProcIndex(0),
        refs: 0,
        notif: None,
        queue: PrioQueue::EMPTY,
    };
}

pub(crate) type Endpoints = crate::table::Table<Endpoint, MAX_ENDPOINTS>;

impl Kernel {
    pub(crate) fn endpoint_create(
        &mut self,
        cur: ProcIndex,
        notif: Handle,
    ) -> Result<Handle, Error> {
        let notif = if notif.is_none() {
            None
        } else {
            let notif = self.notif_cap(cur, notif, Rights::WAIT)?.1;
            if self.notifs.at(notif.index()).endpoint.is_some() {
                return Err(Error::Busy);
            }
            Some(notif)
        };
        let slot = self.caps.vacancy(cur)?;
        let index = self
            .endpoints
            .position(|e| !e.live && e.generation < u32::MAX)
            .ok_or(Error::NoSpace)?;
        self.charge_object(cur)?;
        let ep = EndpointIndex(index as u16);
        let notif = notif.map(|n| {
            let entry = self.notifs.at_mut(n.index());
            entry.refs = entry.refs.saturating_add(1);
            entry.endpoint = Some(ep);
            NotifRef { index: n, generation: entry.generation }
        });
        let entry = self.endpoints.at_mut(index);
        let generation = entry.generation;
        *entry = Endpoint {
            generation,
            live: true,
            server: Some(cur),
            creator: cur,
            refs: 1,
            notif,
            queue: PrioQueue::EMPTY,
        };
        let kind = Some(CapKind::Endpoint);
        Ok(self.caps.fill(slot, Cap::root(kind, ep.0, generation, ENDPOINT_RIGHTS)))
    }

    /// The endpoint is gone: its creator died or its last capability was closed.
    pub(crate) fn endpoint_destroy<M: Machine>(&mut self, m: &mut M, ep: EndpointIndex) {
        self.drain(m, ep);
        let entry = self.endpoints.at_mut(ep.index());
        if !entry.live {
            return;
        }
        entry.live = false;
        entry.generation = entry.generation.saturating_add(1);
        let (server, notif, creator) = (entry.server.take(), entry.notif.take(), entry.creator);
        if let Some(server) = server {
            self.stop_receiving(m, ep, server);
        }
        self.refund_object(creator);
        if let Some(notif) = self.live_notif(notif) {
            self.notifs.at_mut(notif.index()).endpoint = None;
            self.release_notif(m, notif);
        }
    }

    /// The server is gone or may no longer receive: nobody who queued for it is left waiting.
    pub(crate) fn server_lost<M: Machine>(&mut self, m: &mut M, ep: EndpointIndex) {
        let server = self.endpoints.at_mut(ep.index()).server.take();
        if let Some(server) = server {
            self.stop_receiving(m, ep, server);
        }
        self.drain(m, ep);
    }

    /// Makes `child` the server of an endpoint whose RECV was derived into it.
    pub(crate) fn hand_over<M: Machine>(&mut self, m: &mut M, ep: EndpointIndex, child: ProcIndex) {
        let old = self.endpoints.at_mut(ep.index()).server.replace(child);
        if let Some(old) = old {
            self.stop_receiving(m, ep, old);
        }
    }

    /// Whether RECV may go to a child now: nobody but the creator serves.
    pub(crate) fn may_hand_over(&self, ep: EndpointIndex) -> bool {
        let entry = self.endpoints.at(ep.index());
        entry.server.is_none_or(|server| server == entry.creator)
    }

    /// A capability with RECV left the table of `proc`; without another one it stops serving.
    pub(crate) fn recv_dropped<M: Machine>(&mut self, m: &mut M, proc: ProcIndex, gone: &Cap) {
        let ep = EndpointIndex(gone.object);
        let entry = self.endpoints.at(ep.index());
        let serves = entry.generation == gone.object_gen && entry.server == Some(proc);
        if !serves || !gone.rights.contains(Rights::RECV) {
            return;
        }
        let another = self.caps_of(proc).any(|(_, cap)| {
            cap.kind == Some(CapKind::Endpoint)
                && cap.object == gone.object
                && cap.object_gen == gone.object_gen
                && cap.rights.contains(Rights::RECV)
        });
        if !another {
            self.server_lost(m, ep);
        }
    }

    fn drain<M: Machine>(&mut self, m: &mut M, ep: EndpointIndex) {
        while let Some(caller) = self.endpoints.at(ep.index()).queue.peek() {
            self.fail_blocked(m, caller, Error::PeerDied);
        }
    }

    fn stop_receiving<M: Machine>(&mut self, m: &mut M, ep: EndpointIndex, server: ProcIndex) {
        let process = self.procs.get(server);
        if process.state == State::Receiving && process.on == ep.0 {
            self.fail_blocked(m, server, Error::Revoked);
        }
    }

    /// A process is about to be gone: every call it was to serve or to answer ends.
    pub(crate) fn abandon_callers<M: Machine>(&mut self, m: &mut M, dead: ProcIndex) {
        for index in 0..MAX_ENDPOINTS {
            let ep = EndpointIndex(index as u16);
            let entry = self.endpoints.at(index);
            if entry.live && entry.creator == dead {
                self.endpoint_destroy(m, ep);
            } else if entry.live && entry.server == Some(dead) {
                self.server_lost(m, ep);
            }
        }
        for p in Processes::indices() {
            let process = self.procs.get(p);
            if process.state == State::Awaiting && process.on == u16::from(dead.0) {
                self.fail_blocked(m, p, Error::PeerDied);
            }
        }
    }
}
