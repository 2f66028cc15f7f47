//! A kernel that keeps a protocol of everything init asks of it, and plays policyd.

use std::{collections::BTreeMap, sync::atomic::AtomicU64};

use nexus_abi::{Call, Error, Handle, Return, ServiceId, Sys, layout::FRAME_MAX, syscall::Topic};
use nexus_system::slots::nexus_init::{BOOT_IMAGE, DEVICE_FINISHER};
use nexus_wire::policy::{Request, Status};

/// What policyd does with the next question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policyd {
    Says(Status),
    /// The kernel ends the call.
    Fails(Error),
    /// Bytes that are no reply.
    Babbles,
    /// An ALLOW to another question.
    AnswersAnother,
}

pub(crate) struct Process {
    pub(crate) service: u64,
    pub(crate) started: bool,
    /// state, code or cause, address, incarnation
    pub(crate) info: [u64; 4],
}

pub(crate) struct Fake {
    frame: [u8; FRAME_MAX],
    image: &'static [u8],
    next: u32,
    pub(crate) now_ns: u64,
    pub(crate) log: Vec<Call>,
    pub(crate) console: String,
    pub(crate) procs: BTreeMap<u32, Process>,
    pub(crate) policyd: Policyd,
    /// How many questions policyd got.
    pub(crate) asked: usize,
    /// The last of them, as text, and the capability it came through.
    pub(crate) question: (Handle, String),
    /// Every derivation and what came of it.
    pub(crate) derived: Vec<(Call, Handle)>,
    /// Service that the kernel has no room for.
    pub(crate) no_room_for: Option<u64>,
}

impl Fake {
    pub(crate) fn new(image: &[u8]) -> Fake {
        Fake {
            frame: [0; FRAME_MAX],
            image: Box::leak(image.to_vec().into_boxed_slice()),
            next: 1000,
            now_ns: 0,
            log: Vec::new(),
            console: String::new(),
            procs: BTreeMap::new(),
            policyd: Policyd::Says(Status::Allow),
            asked: 0,
            question: (Handle::NONE, String::new()),
            derived: Vec::new(),
            no_room_for: None,
        }
    }

    /// The live process of a service.
    pub(crate) fn process(&self, service: u64) -> Option<Handle> {
        let live = |p: &&Process| p.service == service && p.started && p.info[0] == 1;
        self.procs.iter().find(|(_, p)| live(p)).map(|(raw, _)| Handle::from_raw(*raw))
    }

    /// Ends a process the way the kernel would report it.
    pub(crate) fn kill(&mut self, service: u64, [state, detail, address]: [u64; 3]) {
        let handle = self.process(service).unwrap();
        let process = self.procs.get_mut(&handle.raw()).unwrap();
        process.info = [state, detail, address, process.info[3]];
    }

    /// Capabilities derived into the process of a service: slot, source, rights, badge.
    pub(crate) fn gifts(&self, service: u64) -> Vec<(u8, Handle, nexus_abi::Rights, u64)> {
        let of = |child: Handle| self.procs.get(&child.raw()).is_some_and(|p| p.service == service);
        self.log
            .iter()
            .filter_map(|call| match *call {
                Call::CapDerive { cap, rights, badge, child, slot } if of(child) => {
                    Some((slot, cap, rights, badge))
                }
                _ => None,
            })
            .collect()
    }

    /// Forgets what was asked so far.
    pub(crate) fn forget(&mut self) {
        self.log.clear();
        self.console.clear();
        self.asked = 0;
    }

    fn handle(&mut self) -> Return {
        self.next += 1;
        Return::value(u64::from(self.next))
    }

    fn ask_policyd(&mut self, ep: Handle, len: usize) -> Return {
        self.asked += 1;
        let question = self.frame;
        let request = Request::decode(&question[..len]).unwrap();
        self.question = (ep, format!("{:?}", request.op));
        let len = match self.policyd {
            Policyd::Fails(error) => return Return::Failed(error),
            Policyd::Babbles => 5,
            Policyd::Says(status) => request.respond(status).encode(&mut self.frame),
            Policyd::AnswersAnother => {
                let nonce = request.nonce.map(|n| n ^ 1);
                Request { nonce, ..request }.respond(Status::Allow).encode(&mut self.frame)
            }
        };
        Return::Replied { len: len as u16, cap: Handle::NONE }
    }
}

impl Sys for Fake {
    fn frame(&self) -> &[u8; FRAME_MAX] {
        &self.frame
    }
    fn frame_mut(&mut self) -> &mut [u8; FRAME_MAX] {
        &mut self.frame
    }
    fn syscall(&mut self, call: Call) -> Return {
        self.log.push(call);
        match call {
            Call::Call { ep, len, .. } => self.ask_policyd(ep, len.get()),
            Call::ConsoleWrite { len } => {
                self.console += core::str::from_utf8(&self.frame[..len.get()]).unwrap();
                Return::OK
            }
            Call::ProcCreate { service: ServiceId(service), .. } => {
                if self.no_room_for == Some(service) {
                    return Return::Failed(Error::NoSpace);
                }
                let made = self.handle();
                let incarnation = u64::from(self.next);
                let info = [0, 0, 0, incarnation];
                self.procs.insert(self.next, Process { service, started: false, info });
                made
            }
            Call::ProcStart { proc, .. } => {
                let process = self.procs.get_mut(&proc.raw()).unwrap();
                process.started = true;
                process.info[0] = 1;
                Return::OK
            }
            Call::ProcExit { proc, .. } => match self.procs.get_mut(&proc.raw()) {
                Some(process) if process.info[0] > 1 => Return::Failed(Error::WrongState),
                Some(process) => {
                    process.info[0] = 4;
                    Return::OK
                }
                None => Return::OK,
            },
            Call::ObjectInfo { cap, topic: Topic::Process } => match self.procs.get(&cap.raw()) {
                Some(process) => Return::Values(process.info),
                None => Return::Failed(Error::StaleHandle),
            },
            Call::CapClose { cap } => {
                self.procs.remove(&cap.raw());
                Return::OK
            }
            Call::CapDerive { .. } => {
                let made = self.handle();
                self.derived.push((call, Handle::from_raw(self.next)));
                made
            }
            Call::NotifCreate {} | Call::EndpointCreate { .. } | Call::VmoCreate { .. } => {
                self.handle()
            }
            Call::VmMap { vmo, .. } if vmo == DEVICE_FINISHER => Return::Failed(Error::Denied),
            Call::Signal { .. } => Return::OK,
            Call::VmoSeal { .. } | Call::VmMap { .. } | Call::SourceControl { .. } => Return::OK,
            other => panic!("unexpected {other:?}"),
        }
    }
    fn now_ns(&mut self) -> u64 {
        self.now_ns
    }
    fn map_bytes(&mut self, vmo: Handle, len: usize) -> Result<&'static [u8], Error> {
        if vmo != BOOT_IMAGE {
            return Err(Error::BadHandle);
        }
        self.image.get(..len).ok_or(Error::InvalidArgument)
    }
    fn with_words(
        &mut self,
        _: Handle,
        len: usize,
        f: &mut dyn FnMut(&[AtomicU64]),
    ) -> Result<(), Error> {
        let words: Vec<AtomicU64> = (0..len / 8).map(|_| AtomicU64::new(0)).collect();
        f(&words);
        Ok(())
    }
}
