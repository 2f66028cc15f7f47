//! The shell around the state machine: the device, its interrupt, and the journal.

use nexus_abi::{
    Call, Error, Handle, Sys,
    layout::{SLOT_CONNECT, SLOT_NOTIFY},
    syscall::SourceOp,
};
use nexus_ipc::{
    CONNECT_NS, CallError, Deadline, OnDemand, connect,
    keys::{self, KeyError},
    log::{self, AuditFilter, AuditStats, LogError},
    supervise,
};
use nexus_system::{ids, names, slots::controld as slots};
use nexus_virtio::{BUFFER, Fault, Port, Registers};
use nexus_wire::{Status, keys::Status as KeyStatus, log as wire_log};

use crate::channel::{CHECKPOINT, Chains, Channel, Outside, Records};

/// Bit of the notification that the device's interrupt sets.
const INTERRUPT_BIT: u8 = 0;
const INTERRUPT: u64 = 1 << INTERRUPT_BIT;
/// How long the journal may take; it asks the authority first.
const JOURNAL_NS: u64 = 500_000_000;
/// How long keystored may take: it draws entropy, stores and flushes.
const KEYS_NS: u64 = 5_000_000_000;
/// How long the host's end may keep every buffer before an answer is dropped: a host that reads
/// at all needs microseconds.
const SEND_NS: u64 = 100_000_000;

/// Exit code: the device broke its protocol. The next instance resets it.
const DEVICE_FAULT: i32 = 1;
/// Exit code: without its interrupt or notification there is no way to wait.
const NOT_WIRED: i32 = 2;

/// Serves the channel for as long as its device works. Without a device it waits for ever, so
/// that nothing is restarted for nothing.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    let slot = slots::DEVICE_VIRTIO_CONSOLE;
    let port = match Port::open(sys, slot, (slots::DMA, slots::DMA_BYTES)) {
        Ok(port) => port,
        Err(Fault::Absent | Fault::WrongDevice) => {
            sys.console("controld: no control channel on this machine\n");
            loop {
                if wait(sys, u64::MAX).is_err() {
                    return NOT_WIRED;
                }
            }
        }
        Err(_) => {
            sys.console("controld: the device could not be started\n");
            return DEVICE_FAULT;
        }
    };
    let mut line = Line { sys, port, journal: OnDemand::to(names::LOGD), broken: false };
    if line.control(SourceOp::Bind).is_err() {
        return NOT_WIRED;
    }
    line.sys.console("controld: ready\n");
    serve(&mut line)
}

fn serve<S: Sys>(line: &mut Line<'_, S>) -> i32 {
    let mut channel = Channel::new();
    let mut bytes = [0; BUFFER];
    loop {
        match line.port.receive(&mut bytes) {
            Ok(Some(len)) => channel.handle(bytes.get(..len).unwrap_or_default(), line),
            Ok(None) if line.rest(u64::MAX).is_err() => return NOT_WIRED,
            Ok(None) => {}
            Err(_) => line.broken = true,
        }
        if line.broken {
            line.sys.console("controld: the device broke its protocol\n");
            return DEVICE_FAULT;
        }
    }
}

/// Waits for the device's interrupt; `TimedOut` when the deadline passes.
fn wait<S: Sys>(sys: &mut S, deadline_ns: u64) -> Result<(), Error> {
    let notif = Handle::fixed(SLOT_NOTIFY);
    sys.run(Call::Wait { notif, mask: INTERRUPT, deadline_ns }).map(|_| ())
}

/// The device and the journal.
struct Line<'s, S> {
    sys: &'s mut S,
    port: Port<Registers>,
    journal: OnDemand<wire_log::Protocol>,
    /// The device has done what no device may.
    broken: bool,
}

impl<S: Sys> Line<'_, S> {
    fn control(&mut self, op: SourceOp) -> Result<(), Error> {
        let (source, notif) = (slots::IRQ_VIRTIO_CONSOLE, Handle::fixed(SLOT_NOTIFY));
        let call = Call::SourceControl { source, op, notif, bit: INTERRUPT_BIT };
        self.sys.run(call).map(|_| ())
    }

    /// Sleeps until the device has something, or the deadline has passed. The device is told
    /// first and the line opened second, so that whatever comes after raises it again.
    fn rest(&mut self, deadline_ns: u64) -> Result<(), Error> {
        match wait(self.sys, deadline_ns) {
            Ok(()) => {
                self.port.acknowledge();
                self.control(SourceOp::Ack)
            }
            Err(Error::TimedOut) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks the journal.
    fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut log::Client, &mut S, Deadline) -> Result<T, LogError>,
    ) -> Result<T, Status> {
        let outcome = self.journal.ask(self.sys, JOURNAL_NS, question);
        outcome.map_err(|_| Status::Unavailable)?.map_err(status)
    }

    /// Asks keystored over a connection for this one question: nobody asks twice a minute.
    fn ask_keys<T>(
        &mut self,
        question: impl FnOnce(&mut keys::Client, &mut S, Deadline) -> Result<T, KeyError>,
    ) -> Result<Result<T, KeyStatus>, Status> {
        let deadline = Deadline::after_ns(self.sys, CONNECT_NS);
        let ep = connect(self.sys, names::KEYSTORED, deadline).map_err(|_| Status::Unavailable)?;
        let mut client = keys::Client::new(ep, self.sys.now_ns() as u32);
        let deadline = Deadline::after_ns(self.sys, KEYS_NS);
        let outcome = question(&mut client, self.sys, deadline);
        let _gone_either_way = self.sys.run(Call::CapClose { cap: ep });
        match outcome {
            Ok(answer) => Ok(Ok(answer)),
            Err(KeyError::Refused(status)) => Ok(Err(status)),
            Err(KeyError::Ipc(Error::TimedOut)) => Err(Status::TimedOut),
            Err(KeyError::Ipc(_)) => Err(Status::Unavailable),
            Err(KeyError::Protocol | KeyError::Argument) => Err(Status::Internal),
        }
    }
}

/// What keystored said, in the words of this protocol.
const fn key_status(refused: KeyStatus) -> Status {
    match refused {
        KeyStatus::Denied => Status::Denied,
        KeyStatus::NotFound | KeyStatus::KeyNotFound => Status::NotFound,
        KeyStatus::Unavailable | KeyStatus::NoEntropy | KeyStatus::AuditUnavailable => {
            Status::Unavailable
        }
        KeyStatus::RateLimited => Status::Busy,
        KeyStatus::WrongPurpose | KeyStatus::Malformed => Status::Malformed,
        KeyStatus::TooLarge => Status::TooLarge,
        KeyStatus::Unsupported => Status::Unsupported,
        _ => Status::Internal,
    }
}

/// What the journal said, in the words of this protocol.
fn status(error: LogError) -> Status {
    match error {
        LogError::Ipc(Error::TimedOut) => Status::TimedOut,
        LogError::Ipc(_) => Status::Unavailable,
        LogError::Protocol | LogError::Argument => Status::Internal,
        LogError::Refused(refused) => match refused {
            wire_log::Status::Denied => Status::Denied,
            wire_log::Status::Unavailable => Status::Unavailable,
            wire_log::Status::TooLarge => Status::TooLarge,
            wire_log::Status::InvalidArgs => Status::NotFound,
            wire_log::Status::OverLimit | wire_log::Status::RateLimited => Status::Busy,
            wire_log::Status::Unsupported => Status::Unsupported,
            _ => Status::Internal,
        },
    }
}

impl<S: Sys> Outside for Line<'_, S> {
    fn now_ns(&mut self) -> u64 {
        self.sys.now_ns()
    }

    fn own_id(&self) -> u64 {
        ids::CONTROLD.0
    }

    fn query(
        &mut self,
        filter: &AuditFilter,
        max: u8,
        page: &mut Records,
    ) -> Result<(usize, u64), Status> {
        self.ask(|client, sys, deadline| {
            let answer = client.audit_query(sys, filter, max, deadline)?;
            let mut count = 0usize;
            for (place, record) in page.iter_mut().zip(answer.records.iter()) {
                *place = record.encode();
                count = count.saturating_add(1);
            }
            Ok((count, answer.next_seq))
        })
    }

    fn chain(
        &mut self,
        since_seq: u64,
        max: u8,
        page: &mut Chains,
    ) -> Result<(usize, u64, bool), Status> {
        self.ask(|client, sys, deadline| {
            let answer = client.audit_chain(sys, since_seq, max, deadline)?;
            let mut count = 0usize;
            for (place, record) in page.iter_mut().zip(answer.records.iter()) {
                *place = record.encode();
                count = count.saturating_add(1);
            }
            Ok((count, answer.next_seq, answer.overtaken))
        })
    }

    fn checkpoint(&mut self, number: u64, out: &mut [u8; CHECKPOINT]) -> Result<(), Status> {
        self.ask(|client, sys, deadline| {
            let bytes = client.audit_checkpoint(sys, number, deadline)?;
            *out = bytes.try_into().map_err(|_| LogError::Protocol)?;
            Ok(())
        })
    }

    fn stop(&mut self) -> Result<(), Status> {
        let seed = self.sys.now_ns() as u32;
        let mut supervisor = supervise::Client::new(Handle::fixed(SLOT_CONNECT), seed);
        let deadline = Deadline::after_ns(self.sys, CONNECT_NS);
        supervisor.shutdown(self.sys, 0, deadline).map_err(|error| match error {
            CallError::Refused(status) => status,
            CallError::Ipc(_) => Status::Unavailable,
            CallError::Protocol | CallError::Argument => Status::Internal,
        })
    }

    fn provision(&mut self) -> Result<bool, Status> {
        match self.ask_keys(|client, sys, deadline| client.keygen(sys, (0, 0), deadline))? {
            Ok(_) => Ok(true),
            Err(KeyStatus::KeyExists) => Ok(false),
            Err(refused) => Err(key_status(refused)),
        }
    }

    fn public_key(&mut self, purpose: u16, generation: u32) -> Result<(u32, [u8; 32]), Status> {
        let which = (purpose, generation);
        let key = self.ask_keys(|client, sys, deadline| client.pubkey(sys, which, deadline))?;
        key.map(|key| (key.generation, key.public)).map_err(key_status)
    }

    fn stats(&mut self) -> Result<AuditStats, Status> {
        self.ask(|client, sys, deadline| client.audit_stats(sys, deadline))
    }

    fn send(&mut self, bytes: &[u8]) {
        let until_ns = self.sys.now_ns().saturating_add(SEND_NS);
        loop {
            match self.port.send(bytes) {
                Ok(true) => return,
                Ok(false) if self.sys.now_ns() >= until_ns => return,
                Ok(false) => {
                    if self.rest(until_ns).is_err() {
                        return;
                    }
                }
                Err(_) => {
                    self.broken = true;
                    return;
                }
            }
        }
    }
}
