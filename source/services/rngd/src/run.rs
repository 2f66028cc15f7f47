//! The shell around the state machine: the device, its interrupt, and policyd.

use nexus_abi::{
    Call, Error, Handle, ServiceId, Sys,
    layout::{SLOT_NOTIFY, SLOT_SERVER},
    syscall::{SourceOp, Topic},
};
use nexus_service::{
    permit::{Authority, Authorizer, Evidence},
    serve,
};
use nexus_system::{markers, names, slots::rngd as slots};
use nexus_virtio::{ENTROPY_BLOCK, Fault, Registers, Rng, Taken};
use nexus_wire::{Status, rng::Health};

use crate::{Cutoffs, Env, Rngd};

/// Bit of the notification that the device's interrupt sets.
const INTERRUPT_BIT: u8 = 0;
const INTERRUPT: u64 = 1 << INTERRUPT_BIT;
/// Exit code: the endpoint is gone, so there is nothing left to do.
const NO_ENDPOINT: i32 = 1;

/// Runs rngd until its endpoint is gone. Without a device, or with one that fails, it stays and
/// refuses: its clients get an answer, and that answer is not entropy.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    let slot = slots::DEVICE_VIRTIO_RNG;
    let device = Rng::open(sys, slot, (slots::DMA, slots::DMA_BYTES)).ok();
    let caller = sys.info(Handle::NONE, Topic::Caller).unwrap_or_default();
    let [_, incarnation, ..] = caller;
    let mut env = Outside {
        sys,
        device,
        policyd: Authority::named(names::POLICYD),
        incarnation: incarnation as u32,
    };
    let mut service = Rngd::new(Cutoffs::CLAIMED);
    if env.device.is_some() && env.control(SourceOp::Bind).is_ok() {
        service.start(&mut env);
    } else {
        service.no_device(&mut env);
    }
    let _gone = serve(&mut service, &mut env, Handle::fixed(SLOT_SERVER), 0);
    NO_ENDPOINT
}

/// The outside of rngd: the clock, the device and policyd.
struct Outside<'s, S> {
    sys: &'s mut S,
    device: Option<Rng<Registers>>,
    policyd: Authority,
    incarnation: u32,
}

impl<S: Sys> Outside<'_, S> {
    fn control(&mut self, op: SourceOp) -> Result<(), Error> {
        let (source, notif) = (slots::IRQ_VIRTIO_RNG, Handle::fixed(SLOT_NOTIFY));
        let call = Call::SourceControl { source, op, notif, bit: INTERRUPT_BIT };
        self.sys.run(call).map(|_| ())
    }
}

impl<S: Sys> nexus_service::Env for Outside<'_, S> {
    type Sys = S;

    fn sys(&mut self) -> &mut S {
        self.sys
    }
}

impl<S: Sys> Authorizer for Outside<'_, S> {
    fn decide(&mut self, subject: ServiceId, capability: &str) -> Result<Evidence, Status> {
        self.policyd.decide(self.sys, subject, capability)
    }
}

impl<S: Sys> Env for Outside<'_, S> {
    fn now_ns(&mut self) -> u64 {
        self.sys.now_ns()
    }

    fn incarnation(&self) -> u32 {
        self.incarnation
    }

    fn request(&mut self) -> Result<(), Fault> {
        self.device.as_mut().ok_or(Fault::Absent)?.request()
    }

    fn take(&mut self, block: &mut [u8; ENTROPY_BLOCK]) -> Result<Taken, Fault> {
        self.device.as_mut().ok_or(Fault::Absent)?.take(block)
    }

    /// The device is told first and the line opened second, so that whatever comes after raises
    /// it again.
    fn rest(&mut self, deadline_ns: u64) -> Result<(), Fault> {
        let notif = Handle::fixed(SLOT_NOTIFY);
        match self.sys.run(Call::Wait { notif, mask: INTERRUPT, deadline_ns }) {
            Ok(_) => {
                self.device.as_mut().ok_or(Fault::Absent)?.acknowledge();
                self.control(SourceOp::Ack).map_err(|_| Fault::Absent)
            }
            Err(Error::TimedOut) => Ok(()),
            Err(_) => Err(Fault::Absent),
        }
    }

    fn health(&mut self, health: Health) {
        if health == Health::Well {
            markers::RNGD_READY.emit(self.sys);
            return;
        }
        for text in ["rngd: no entropy: ", health.name(), "\n"] {
            self.sys.console(text);
        }
    }
}
