//! Read-only views of the whole kernel state for checkers: the model test, the simulator, a
//! debugger. Nothing here is used by the kernel itself, and nothing here can change it.

use nexus_abi::{
    Handle, Rights, ServiceId, SyscallMask,
    syscall::{CapKind, Prot, Seal},
};

pub use crate::{
    process::{Exit, State},
    vmo::{Memory, Payer},
};

use crate::{
    Kernel,
    cap::CapLink,
    limits::{CAPS_PER_PROCESS, MAPPINGS_PER_PROCESS, MAX_ENDPOINTS, MAX_NOTIFICATIONS, MAX_VMOS},
    process::Processes,
    types::{EndpointIndex, NotifIndex, Pfn, ProcIndex, VmoIndex},
};

/// One process that is not a free table entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what the limits and the ABI document")]
pub struct ProcessView {
    pub index: ProcIndex,
    pub state: State,
    /// Object of a blocked state; see [`State`].
    pub on: u16,
    pub service: ServiceId,
    pub incarnation: u32,
    pub priority: u8,
    pub mask: SyscallMask,
    pub deadline: u64,
    /// Reply token of the last call.
    pub token: u64,
    pub exit: Exit,
    /// Handles to it.
    pub refs: u16,
    pub frames_used: u32,
    pub frames_limit: u32,
    pub objects_used: u16,
    pub objects_limit: u16,
    /// Root table, message page and page tables among `frames_used`.
    pub space_frames: u32,
    pub creator: Payer,
    /// Calls refused by the mask.
    pub denied: u64,
}

/// Where a capability lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Whose table.
    pub owner: ProcIndex,
    /// Which slot.
    pub slot: u8,
}

/// One filled slot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what the ABI documents")]
pub struct CapView {
    pub place: Place,
    pub handle: Handle,
    pub kind: CapKind,
    pub object: u16,
    /// Whether the object is still the one the capability was made for.
    pub valid: bool,
    pub rights: Rights,
    pub badge: u64,
    pub parent: Option<Place>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what the ABI documents")]
pub struct EndpointView {
    pub index: EndpointIndex,
    pub server: Option<ProcIndex>,
    pub creator: ProcIndex,
    pub notif: Option<NotifIndex>,
    pub refs: u16,
    /// Whether no call waits in it.
    pub queue_empty: bool,
}

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what the ABI documents")]
pub struct NotifView {
    pub index: NotifIndex,
    pub creator: ProcIndex,
    pub bits: u64,
    pub waiter: Option<ProcIndex>,
    pub endpoint: Option<EndpointIndex>,
    pub refs: u16,
}

/// One memory object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what the ABI documents")]
pub struct VmoView {
    pub index: VmoIndex,
    pub first: Pfn,
    pub pages: u32,
    pub memory: Memory,
    pub seal: Option<Seal>,
    pub payer: Payer,
    pub refs: u16,
    pub maps: u16,
    pub writable: u16,
}

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what the ABI documents")]
pub struct MappingView {
    pub owner: ProcIndex,
    pub va: u64,
    pub pages: u32,
    /// First page inside the object.
    pub page: u32,
    pub vmo: VmoIndex,
    pub prot: Prot,
    /// The capability it depends on; `None` after the last one of its line was closed.
    pub via: Option<Place>,
    /// The capability it was made through is gone, `via` is an ancestor of it.
    pub inherited: bool,
}

/// Where the frames and objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what the ABI documents")]
pub struct PoolView {
    pub frames_total: u32,
    pub frames_used: u32,
    /// Zeroed frames in stock for page tables, among `frames_used`.
    pub spare: u32,
    /// Quota nobody holds.
    pub pool_frames: u32,
    pub pool_objects: u32,
    pub events_produced: u64,
    pub events_dropped: u64,
    pub events_waiting: u64,
}

/// Access to the views.
pub struct Inspect<'a>(&'a Kernel);

impl Kernel {
    /// Read-only views of the state.
    #[must_use]
    pub fn inspect(&self) -> Inspect<'_> {
        Inspect(self)
    }
}

fn place(link: CapLink) -> Option<Place> {
    (!link.is_none()).then(|| Place { owner: link.owner(), slot: link.slot() })
}

impl Inspect<'_> {
    /// Processes that are not free entries.
    pub fn processes(&self) -> impl Iterator<Item = ProcessView> {
        Processes::indices().filter_map(|p| self.process(p))
    }

    /// One process, unless the entry is free.
    #[must_use]
    pub fn process(&self, index: ProcIndex) -> Option<ProcessView> {
        let p = self.0.procs.get(index);
        (p.state != State::Free).then_some(ProcessView {
            index,
            state: p.state,
            on: p.on,
            service: p.service,
            incarnation: p.incarnation,
            priority: p.priority,
            mask: p.mask,
            deadline: p.deadline,
            token: p.token,
            exit: p.rest.exit,
            refs: p.rest.refs,
            frames_used: p.rest.frames_used,
            frames_limit: p.rest.frames_limit,
            objects_used: p.rest.objects_used,
            objects_limit: p.rest.objects_limit,
            space_frames: p.rest.space_frames,
            creator: p.rest.creator,
            denied: p.rest.denied,
        })
    }

    /// Every filled slot of every table.
    pub fn caps(&self) -> impl Iterator<Item = CapView> {
        Processes::indices().flat_map(|p| self.caps_of(p))
    }

    /// Every filled slot of one table.
    pub fn caps_of(&self, owner: ProcIndex) -> impl Iterator<Item = CapView> {
        (0..CAPS_PER_PROCESS as u8).filter_map(move |slot| {
            let link = CapLink::of(owner, slot);
            let cap = self.0.caps.get(link);
            let kind = cap.kind?;
            Some(CapView {
                place: Place { owner, slot },
                handle: self.0.caps.handle(link),
                kind,
                object: cap.object,
                valid: self.0.object_exists(cap),
                rights: cap.rights,
                badge: cap.badge,
                parent: place(cap.parent),
            })
        })
    }

    /// Live endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = EndpointView> {
        (0..MAX_ENDPOINTS as u16).map(EndpointIndex).filter_map(|index| {
            let e = self.0.endpoints.at(index.index());
            e.live.then(|| EndpointView {
                index,
                server: e.server,
                creator: e.creator,
                notif: self.0.live_notif(e.notif),
                refs: e.refs,
                queue_empty: e.queue.is_empty(),
            })
        })
    }

    /// Live notifications.
    pub fn notifications(&self) -> impl Iterator<Item = NotifView> {
        (0..MAX_NOTIFICATIONS as u16).map(NotifIndex).filter_map(|index| {
            let n = self.0.notifs.at(index.index());
            n.live.then_some(NotifView {
                index,
                creator: n.creator,
                bits: n.bits,
                waiter: n.waiter,
                endpoint: n.endpoint,
                refs: n.refs,
            })
        })
    }

    /// Live memory objects.
    pub fn vmos(&self) -> impl Iterator<Item = VmoView> {
        (0..MAX_VMOS as u16).map(VmoIndex).filter_map(|index| {
            let v = self.0.vmos.at(index.index());
            v.live.then_some(VmoView {
                index,
                first: v.first,
                pages: v.pages,
                memory: v.memory,
                seal: v.seal,
                payer: v.payer,
                refs: v.refs,
                maps: v.maps,
                writable: v.writable,
            })
        })
    }

    /// Every mapping of every process.
    pub fn mappings(&self) -> impl Iterator<Item = MappingView> {
        Processes::indices().flat_map(move |owner| {
            (0..MAPPINGS_PER_PROCESS).filter_map(move |n| {
                let m = self.0.mappings.of(owner).at(n);
                (m.pages != 0).then(|| MappingView {
                    owner,
                    va: m.va,
                    pages: m.pages,
                    page: m.page,
                    vmo: m.vmo,
                    prot: m.prot,
                    via: place(m.via),
                    inherited: m.inherited,
                })
            })
        })
    }

    /// Frames, quota pool and events.
    #[must_use]
    pub fn pool(&self) -> PoolView {
        PoolView {
            frames_total: self.0.frames.total(),
            frames_used: self.0.frames.used(),
            spare: self.0.frames.spares(),
            pool_frames: self.0.factories.iter().map(|f| f.frames).fold(0, u32::saturating_add),
            pool_objects: self.0.factories.iter().map(|f| f.objects).fold(0, u32::saturating_add),
            events_produced: self.0.events.produced(),
            events_dropped: self.0.events.dropped(),
            events_waiting: self.0.events.waiting(),
        }
    }
}
