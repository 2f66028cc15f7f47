//! Threads, the baton, and the end of a run.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, atomic::AtomicU64},
    thread::JoinHandle,
};

use nexus_abi::{
    Call, FaultCause, Handle, ServiceId, Sys,
    layout::{FRAME_MAX, PAGE},
    syscall::{Arg, Prot, Quota, SyscallMask},
};
use nexus_kernel_core::{
    BootConfig, InitPlan, InitSegment, Kernel, Outcome, Pfn, ProcIndex, limits::MAX_PROCESSES,
};
use nexus_system::header::{self, Header};

use crate::{
    faults::{Faults, Verdict},
    machine::{RAM_BASE, SimMachine},
    sys::SimSys,
};

/// What a simulated process runs: the same signature as a service's `run`.
pub type Program = Arc<dyn Fn(&mut SimSys, u64) -> i32 + Send + Sync>;

/// Printed lines in order, with the id the kernel stamped on each.
pub type Console = Vec<(ServiceId, String)>;

/// What is simulated.
pub struct SimConfig {
    /// Frames of RAM.
    pub ram_frames: u32,
    /// The boot image, as init will see it.
    pub boot_image: Vec<u8>,
    /// Programs by entry address.
    pub programs: BTreeMap<u64, Program>,
    /// The program whose end ends the run.
    pub driver: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// Virtual time per trap.
    pub trap_ns: u64,
    /// Traps after which a run counts as stuck.
    pub max_traps: u64,
}

/// How a run ended.
#[derive(Debug)]
pub struct Report {
    /// The driver's exit code, or why there is none (panic text, deadlock, step limit).
    pub outcome: Result<i32, String>,
    /// Everything printed.
    pub console: Console,
    /// Traps made by all processes: equal for equal inputs.
    pub traps: u64,
    /// Virtual time at the end.
    pub now_ns: u64,
}

struct State {
    kernel: Box<Kernel>,
    machine: SimMachine,
    faults: Faults,
    running: Option<(ProcIndex, u64)>,
    services: [ServiceId; MAX_PROCESSES],
    traps: u64,
    end: Option<Result<i32, String>>,
    threads: Vec<JoinHandle<()>>,
}

/// Shared by all threads of one run.
pub struct World {
    state: Mutex<State>,
    turn: [Condvar; MAX_PROCESSES],
    ended: Condvar,
    programs: BTreeMap<u64, Program>,
    driver: u64,
    trap_ns: u64,
    max_traps: u64,
}

/// Unwinds the thread of a process that is no more.
struct Gone;

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn view(&self, proc: ProcIndex, va: u64, len: usize) -> &'static [AtomicU64] {
        self.lock().machine.view(proc, va, len)
    }

    /// Reading the clock takes a little time, so that loops on it end.
    pub(crate) fn read_clock(&self) -> u64 {
        let mut state = self.lock();
        state.machine.now_ns += 100;
        state.machine.now_ns
    }

    pub(crate) fn trap(
        self: &Arc<World>,
        proc: ProcIndex,
        life: u64,
        frame: &mut [u8; FRAME_MAX],
        number: u64,
        args: &[u64; 6],
    ) -> [u64; 7] {
        let mut state = self.lock();
        state.traps += 1;
        state.machine.now_ns += self.trap_ns;
        if state.traps > self.max_traps {
            self.finish(&mut state, Err(format!("no end after {} traps", self.max_traps)));
        }
        let service = state.services[proc.index()];
        let State { kernel, machine, faults, .. } = &mut *state;
        machine.store_frame(proc, frame);
        let outcome = match faults.at_trap(service, number) {
            Verdict::Kill => kernel.fault(machine, proc, FaultCause::Load, 0xdead_0000, 0),
            verdict => {
                if let Verdict::Late(delay) = verdict {
                    machine.now_ns += delay;
                }
                kernel.syscall(machine, proc, number, args)
            }
        };
        self.hand_over(&mut state, outcome);
        let state = self.wait_turn(state, proc, life);
        state.machine.load_frame(proc, frame);
        state.machine.contexts[proc.index()].regs
    }

    /// Lets time pass where it is due, then gives the baton to whoever the kernel resumes.
    fn hand_over(self: &Arc<World>, state: &mut State, mut outcome: Outcome) {
        let next = loop {
            let State { kernel, machine, .. } = &mut *state;
            let cur = match outcome {
                Outcome::Resume(proc) => Some(proc),
                Outcome::Idle => None,
            };
            match cur {
                Some(proc) if machine.timer_ns > machine.now_ns => break proc,
                None if machine.timer_ns == u64::MAX => {
                    return self.finish(state, Err("every process waits for ever".into()));
                }
                _ => {
                    machine.now_ns = machine.now_ns.max(machine.timer_ns);
                    machine.timer_ns = u64::MAX;
                    outcome = kernel.timer(machine, cur);
                }
            }
        };
        let context = &mut state.machine.contexts[next.index()];
        state.running = Some((next, context.life));
        if let Some((entry, arg)) = context.start.take() {
            let life = context.life;
            self.spawn(state, next, life, entry, arg);
        }
        self.turn[next.index()].notify_all();
    }

    fn wait_turn<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        proc: ProcIndex,
        life: u64,
    ) -> MutexGuard<'a, State> {
        loop {
            if state.end.is_some() || state.machine.contexts[proc.index()].life != life {
                drop(state);
                resume_unwind(Box::new(Gone));
            }
            if state.running == Some((proc, life)) {
                return state;
            }
            state = self.turn[proc.index()]
                .wait(state)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    fn spawn(
        self: &Arc<World>,
        state: &mut State,
        proc: ProcIndex,
        life: u64,
        entry: u64,
        arg: u64,
    ) {
        let world = Arc::clone(self);
        // Threads of a former life of this index may still wait: let them see that they are over.
        self.turn[proc.index()].notify_all();
        let thread = std::thread::spawn(move || world.run(proc, life, entry, arg));
        state.threads.push(thread);
    }

    fn run(self: &Arc<World>, proc: ProcIndex, life: u64, entry: u64, arg: u64) {
        let mut sys = SimSys::new(Arc::clone(self), proc, life);
        let body = AssertUnwindSafe(|| {
            drop(self.wait_turn(self.lock(), proc, life));
            self.learn_identity(&mut sys);
            let program = self.programs.get(&entry);
            let code = program.map_or(127, |program| program(&mut sys, arg));
            if entry == self.driver {
                self.finish(&mut self.lock(), Ok(code));
            }
            sys.syscall(Call::ProcExit { proc: Handle::NONE, code });
        });
        if let Err(panic) = catch_unwind(body)
            && !panic.is::<Gone>()
        {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_else(|| "panic".into());
            self.finish(&mut self.lock(), Err(format!("program at {entry:#x}: {text}")));
        }
    }

    /// Faults are planned by service: ask the kernel who this is. Not counted as a trap.
    fn learn_identity(&self, sys: &mut SimSys) {
        let mut state = self.lock();
        let State { kernel, machine, .. } = &mut *state;
        let topic = nexus_abi::syscall::Topic::Caller;
        let (number, args) = Call::ObjectInfo { cap: Handle::NONE, topic }.encode();
        // Outside the program's own mask the id stays 0: then no fault is planned for it.
        let _same_process = kernel.syscall(machine, sys.proc, number, &args);
        let [kind, id, ..] = machine.contexts[sys.proc.index()].regs;
        state.services[sys.proc.index()] = ServiceId(if kind == 0 { id } else { 0 });
    }

    fn finish(&self, state: &mut State, end: Result<i32, String>) {
        if state.end.is_none() {
            state.end = Some(end);
        }
        self.turn.iter().for_each(Condvar::notify_all);
        self.ended.notify_all();
    }
}

fn decode_header(image: &[u8]) -> Option<Header> {
    let mut words = [0; header::WORDS];
    for (word, chunk) in words.iter_mut().zip(image.chunks_exact(8)) {
        *word = u64::from_le_bytes(chunk.try_into().ok()?);
    }
    Header::decode(&words)
}

fn segment(image_at: Pfn) -> impl Fn(&header::Segment) -> InitSegment {
    move |s| InitSegment {
        va: s.va,
        first: image_at.offset((s.file_off / PAGE) as u32),
        file_len: s.file_len,
        mem_len: s.mem_len,
        prot: <Prot as Arg>::from_reg(s.prot).expect("a protection"),
    }
}

/// One run, ready to start.
pub struct Sim {
    world: Arc<World>,
}

impl Sim {
    /// Boots the kernel with the boot image in RAM. Nothing runs yet.
    ///
    /// # Panics
    /// When the kernel refuses to boot: the configuration contradicts itself.
    #[must_use]
    pub fn new(config: SimConfig) -> Sim {
        let mut machine = SimMachine::new(config.ram_frames);
        let pages = config.boot_image.len().div_ceil(4096) as u32;
        let image_at = Pfn(RAM_BASE + config.ram_frames - pages);
        machine.load(image_at, &config.boot_image);
        let header = decode_header(&config.boot_image).expect("a boot image");
        let segments: Vec<InitSegment> = header.segments().iter().map(segment(image_at)).collect();
        let init = InitPlan {
            service: ServiceId(header.service),
            priority: header.priority as u8,
            mask: SyscallMask(header.mask),
            quota: Quota { frames: header.frames as u32, objects: header.objects as u16 },
            entry: header.entry,
            segments: &segments,
            stack_pages: header.stack_pages as u32,
        };
        // A window nobody touches here: the device table only has to be there.
        let devices = [nexus_kernel_core::DeviceWindow { base: 0x10_0000, len: 4096 }];
        let free = RAM_BASE..image_at.0;
        let boot =
            BootConfig { free, boot_image: (image_at, pages), init, devices: &devices, irqs: &[] };
        let mut kernel = Box::new(Kernel::new());
        let outcome = kernel.boot(&mut machine, &boot).expect("the kernel boots");
        let state = State {
            kernel,
            machine,
            faults: config.faults,
            running: None,
            services: [ServiceId(0); MAX_PROCESSES],
            traps: 0,
            end: None,
            threads: Vec::new(),
        };
        let world = Arc::new(World {
            state: Mutex::new(state),
            turn: std::array::from_fn(|_| Condvar::new()),
            ended: Condvar::new(),
            programs: config.programs,
            driver: config.driver,
            trap_ns: config.trap_ns,
            max_traps: config.max_traps,
        });
        world.hand_over(&mut world.lock(), outcome);
        Sim { world }
    }

    /// Runs until the driver ends (or the run cannot go on), then stops every thread.
    #[must_use]
    pub fn run(self) -> Report {
        let mut state = self.world.lock();
        while state.end.is_none() {
            state = self.world.ended.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        self.world.turn.iter().for_each(Condvar::notify_all);
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        for thread in threads {
            // A thread's own panic was reported through `finish`.
            let _ended = thread.join();
        }
        let mut state = self.world.lock();
        Report {
            outcome: state.end.take().unwrap_or_else(|| Err("no end".into())),
            console: std::mem::take(&mut state.machine.lines),
            traps: state.traps,
            now_ns: state.machine.now_ns,
        }
    }
}
