//! Init, an endpoint of its making, and children that call or serve it.

use nexus_abi::{
    Call, Handle, Rights, ServiceId, SyscallMask,
    layout::{SLOT_CONNECT, SLOT_SERVER},
    syscall::Quota,
};
use nexus_kernel_core::{Outcome, ProcIndex};

use crate::common::{INIT, World};

pub const FACTORY: Handle = Handle::fixed(4);
pub const LOG: Handle = Handle::fixed(5);
pub const NEVER: u64 = u64::MAX;
pub const SERVER: Handle = Handle::fixed(SLOT_SERVER);
pub const CONNECT: Handle = Handle::fixed(SLOT_CONNECT);

pub fn world() -> World {
    World::boot(Quota { frames: 150, objects: 60 })
}

pub fn len(n: usize) -> nexus_abi::syscall::FrameLen {
    nexus_abi::syscall::FrameLen::new(n).unwrap()
}

impl World {
    pub fn child(&mut self, service: u64, priority: u8) -> Handle {
        let mask = SyscallMask::ALL;
        let quota = Quota { frames: 40, objects: 8 };
        let service = ServiceId(service);
        let factory = FACTORY;
        self.handle(INIT, Call::ProcCreate { factory, service, mask, quota, priority })
    }

    pub fn give(&mut self, cap: Handle, rights: Rights, badge: u64, child: Handle, slot: u8) {
        self.handle(INIT, Call::CapDerive { cap, rights, badge, child, slot });
    }

    /// Starts a child; it runs at once if its priority is above init's.
    pub fn start(&mut self, proc: Handle) -> ProcIndex {
        self.ok(INIT, Call::ProcStart { proc, entry: 0x1_0000, sp: 0x2_0000, arg: 0 });
        self.m.started.last().unwrap().0
    }

    pub fn listen(&mut self, p: ProcIndex, mask: u64) {
        assert_eq!(self.call(p, Call::Recv { ep: SERVER, mask, deadline_ns: NEVER }), None);
    }

    pub fn request(&mut self, p: ProcIndex, ep: Handle, deadline_ns: u64) {
        let call = Call::Call { ep, len: len(5), cap: Handle::NONE, deadline_ns };
        assert_eq!(self.call(p, call), None);
    }
}

/// A server of priority 6 that waits, and init (5) running.
pub struct Pair {
    pub w: World,
    pub ep: Handle,
    pub server: ProcIndex,
    pub server_handle: Handle,
}

pub fn served() -> Pair {
    let mut w = world();
    let notif = w.handle(INIT, Call::NotifCreate {});
    let ep = w.handle(INIT, Call::EndpointCreate { notif });
    let server_handle = w.child(2, 6);
    w.give(ep, Rights::RECV, 0, server_handle, SLOT_SERVER);
    w.give(notif, Rights::SIGNAL, 0, server_handle, 2);
    let server = w.start(server_handle);
    assert_eq!(w.last, Outcome::Resume(server));
    w.listen(server, 1);
    assert_eq!(w.last, Outcome::Resume(INIT));
    Pair { w, ep, server, server_handle }
}
