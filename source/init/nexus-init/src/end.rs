//! The orderly end: the journal makes its last checkpoint and ends, then the machine does. A
//! journal that does not is not waited for.

use nexus_abi::{Call, Handle, Sys};
use nexus_ipc::policy::Allowed;
use nexus_mmio::Finisher;
use nexus_system::slots::nexus_init::DEVICE_FINISHER;
use nexus_wire::{Status, supervise::SHUTDOWN_BIT};

use crate::{line::say, supervisor::Supervisor};

/// How long the journal may take for its last checkpoint and the signature over it.
pub const END_NS: u64 = 1_000_000_000;

/// An end that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    /// When the machine ends at the latest.
    pub(crate) by_ns: u64,
    verdict: u8,
}

impl Supervisor<'_> {
    /// Tells the journal; the answer to the asker goes out before anything ends.
    pub(crate) fn begin_end<S: Sys>(
        &mut self,
        sys: &mut S,
        verdict: u8,
        _allowed: &Allowed,
    ) -> Result<(), Status> {
        if self.ending.is_some() {
            return Err(Status::Busy);
        }
        let mut by_ns = sys.now_ns();
        if let Some(notif) = self.journal().and_then(|index| self.bell(index)) {
            let told = sys.run(Call::Signal { notif, bits: SHUTDOWN_BIT });
            by_ns = by_ns.saturating_add(if told.is_ok() { END_NS } else { 0 });
        }
        self.ending = Some(Ending { by_ns, verdict });
        Ok(())
    }

    /// Ends the machine if the journal has ended, or its time is over.
    pub(crate) fn end_if_due<S: Sys>(&mut self, sys: &mut S, journal_ended: bool) {
        let Some(Ending { by_ns, verdict }) = self.ending else { return };
        if !journal_ended && sys.now_ns() < by_ns {
            return;
        }
        let how = if journal_ended { "" } else { ", the journal did not answer" };
        say(sys, format_args!("init: end, verdict {verdict}{how}"));
        if let Ok(finisher) = Finisher::map(sys, DEVICE_FINISHER) {
            let code = u16::from(verdict);
            let _does_not_return = if code == 0 { finisher.pass() } else { finisher.fail(code) };
        }
        // Without a finisher the kernel ends the run when its first process ends.
        let code = verdict.into();
        let _does_not_return = sys.run(Call::ProcExit { proc: Handle::NONE, code });
    }
}
