//! What every service is doing, and what happens when one ends.

use heapless::Vec;
use nexus_abi::{Call, FaultCause, Handle, ServiceId, Sys, layout::FRAME_MAX, syscall::Topic};
use nexus_ipc::policy::{self, Allowed};
use nexus_manifest::boot::{MAX_SERVICES, Service};
use nexus_service::{Env, Incoming, Outgoing};
use nexus_wire::{
    Status,
    supervise::{SPEC, State},
};

use crate::{
    EXIT_HALTED,
    connect::drop_cap,
    end::Ending,
    image::Image,
    launch::launch,
    line::say,
    measure::{Event, Measurements},
    objects::{Objects, death_bit},
    rule::{Deaths, Verdict},
};

/// Exit code of a service that init ended because it was asked to.
const EXIT_RESTARTED: i32 = -2;

/// Pause before another try when the kernel had no room for a restart: what the dead process
/// held may still be on its way back.
const RETRY_NS: u64 = 1_000_000;

/// One service.
#[derive(Clone, Copy, Debug)]
struct Run {
    phase: Phase,
    /// Restarts that happened, for whatever reason.
    restarts: u32,
    /// Incarnation of the last process.
    incarnation: u32,
    deaths: Deaths,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Running {
        process: Handle,
        /// A restart someone asked for.
        planned: Option<Planned>,
    },
    /// Ended; starts again at this time.
    Waiting {
        start_ns: u64,
    },
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Planned {
    kill_ns: u64,
    down_ns: u64,
    /// Init has ended the process: the death to come is no fault of the service.
    killed: bool,
}

/// The state behind the connect endpoint.
pub(crate) struct Supervisor<'m> {
    image: &'m Image,
    objects: Objects,
    pub(crate) authority: policy::Client,
    pub(crate) measured: Measurements,
    runs: Vec<Run, MAX_SERVICES>,
    /// The end of the system, once it has begun.
    pub(crate) ending: Option<Ending>,
}

impl<'m> Supervisor<'m> {
    pub(crate) fn new(image: &'m Image, objects: Objects) -> Supervisor<'m> {
        let idle =
            Run { phase: Phase::Idle, restarts: 0, incarnation: 0, deaths: Deaths::default() };
        let runs = image.manifest.services.iter().map(|_| idle).collect();
        let authority = policy::Client::new(objects.control, 0);
        let measured = Measurements::new();
        Supervisor { image, objects, authority, measured, runs, ending: None }
    }

    /// Starts what the manifest starts, most important first. They run when init waits.
    pub(crate) fn start_all<S: Sys>(&mut self, sys: &mut S) {
        for priority in (0..=u8::MAX).rev() {
            for index in 0..self.runs.len() {
                let due = |s: &Service| s.start && s.priority == priority;
                if self.service(index).is_some_and(due) && self.start(sys, index) {
                    say(sys, format_args!("init: up {}", self.name(index)));
                }
            }
        }
        self.measured.close();
    }

    /// Digest of the policy the system started with.
    pub(crate) const fn policy_digest(&self) -> [u8; 32] {
        self.image.manifest.policy.digest
    }

    /// A service that is started and serves, by name: its index and id.
    pub(crate) fn server_named(&self, name: &[u8]) -> Option<(usize, ServiceId)> {
        let serves = |s: &Service| s.start && s.serves && s.name.as_bytes() == name;
        let index = self.image.manifest.services.iter().position(serves)?;
        Some((index, ServiceId(self.service(index)?.id)))
    }

    /// The service that keeps the audit.
    pub(crate) fn journal(&self) -> Option<usize> {
        self.started_with_id(self.image.manifest.journal)
    }

    /// A running service's notification.
    pub(crate) fn bell(&self, index: usize) -> Option<Handle> {
        let runs = |r: &&Run| matches!(r.phase, Phase::Running { .. });
        self.runs.get(index).filter(runs)?;
        self.objects.notify(index)
    }

    /// A service init started, by id.
    pub(crate) fn started_with_id(&self, id: u64) -> Option<usize> {
        self.image.manifest.services.iter().position(|s| s.start && s.id == id)
    }

    /// The endpoint of a service that is there, or will be again.
    pub(crate) fn reachable(&self, index: usize) -> Option<Handle> {
        let coming = |r: &&Run| matches!(r.phase, Phase::Running { .. } | Phase::Waiting { .. });
        self.runs.get(index).filter(coming)?;
        self.objects.endpoint(index)
    }

    /// What `SV` status tells.
    pub(crate) fn report(&self, index: usize) -> Option<(State, u32, u32)> {
        let run = self.runs.get(index)?;
        let state = match run.phase {
            Phase::Idle => State::Idle,
            Phase::Running { .. } => State::Running,
            Phase::Waiting { .. } => State::Restarting,
            Phase::Stopped => State::Stopped,
        };
        Some((state, run.incarnation, run.restarts))
    }

    /// Notes an authorised restart of a running service.
    pub(crate) fn schedule_restart(
        &mut self,
        index: usize,
        (kill_ns, down_ns): (u64, u64),
        _allowed: &Allowed,
    ) -> Result<(), Status> {
        let run = self.runs.get_mut(index).ok_or(Status::NotFound)?;
        match &mut run.phase {
            Phase::Running { planned: planned @ None, .. } => {
                *planned = Some(Planned { kill_ns, down_ns, killed: false });
                Ok(())
            }
            Phase::Running { .. } | Phase::Waiting { .. } => Err(Status::Busy),
            Phase::Idle | Phase::Stopped => Err(Status::Unavailable),
        }
    }

    fn service(&self, index: usize) -> Option<&'m Service> {
        self.image.manifest.services.get(index)
    }

    fn name(&self, index: usize) -> &'m str {
        self.service(index).map_or("?", |s| s.name.as_str())
    }

    fn set_phase(&mut self, index: usize, phase: Phase) {
        if let Some(run) = self.runs.get_mut(index) {
            run.phase = phase;
        }
    }

    /// Whether the service runs now. If not, it was said why, and its phase tells what next.
    fn start<S: Sys>(&mut self, sys: &mut S, index: usize) -> bool {
        match launch(sys, self.image, &self.objects, index) {
            Ok(process) => {
                let [_, _, _, incarnation] = sys.info(process, Topic::Process).unwrap_or_default();
                if let Some(run) = self.runs.get_mut(index) {
                    run.phase = Phase::Running { process, planned: None };
                    run.incarnation = u32::try_from(incarnation).unwrap_or(u32::MAX);
                }
                if let Some(service) = self.service(index) {
                    let event = Event { service: service.id, image: service.image.digest };
                    self.measured.note(event);
                }
                true
            }
            Err(error) => {
                say(sys, format_args!("init: refused {}: {error:?}", self.name(index)));
                if error.may_pass() {
                    let now = sys.now_ns();
                    self.apply_rule(sys, index, now.saturating_add(RETRY_NS));
                } else {
                    self.set_phase(index, Phase::Stopped);
                }
                false
            }
        }
    }

    fn restart<S: Sys>(&mut self, sys: &mut S, index: usize) {
        if self.start(sys, index) {
            let mut restarts = 0;
            if let Some(run) = self.runs.get_mut(index) {
                run.restarts = run.restarts.saturating_add(1);
                restarts = run.restarts;
            }
            say(sys, format_args!("init: restarted {} ({restarts})", self.name(index)));
        }
    }

    /// Looks at a process that is said to have ended.
    fn reap<S: Sys>(&mut self, sys: &mut S, index: usize) {
        let Some(&Run { phase: Phase::Running { process, planned }, .. }) = self.runs.get(index)
        else {
            return;
        };
        let Ok([state, detail, address, _]) = sys.info(process, Topic::Process) else { return };
        if state > RUNNING && self.ending.is_some() && self.journal() == Some(index) {
            return self.end_if_due(sys, true);
        }
        let name = self.name(index);
        match state {
            EXITED => say(sys, format_args!("init: {name} died: exit {}", detail as i32)),
            FAULTED => {
                let cause = u8::try_from(detail).ok().and_then(FaultCause::from_code);
                let cause = cause.map_or("unknown", FaultCause::name);
                say(sys, format_args!("init: {name} died: fault {cause} at {address:#x}"));
            }
            KILLED => say(sys, format_args!("init: {name} died: killed")),
            _ => return,
        }
        drop_cap(sys, process);
        let now = sys.now_ns();
        match planned {
            Some(Planned { killed: true, down_ns, .. }) => {
                self.set_phase(index, Phase::Waiting { start_ns: now.saturating_add(down_ns) });
            }
            // It died of itself, before a planned restart or without one.
            _ => self.apply_rule(sys, index, now),
        }
    }

    /// Counts a death against the manifest's rule; a restart is due at `start_ns`.
    fn apply_rule<S: Sys>(&mut self, sys: &mut S, index: usize, start_ns: u64) {
        let now = sys.now_ns();
        let (Some(run), Some(service)) =
            (self.runs.get_mut(index), self.image.manifest.services.get(index))
        else {
            return;
        };
        let verdict = run.deaths.count(now, &service.restart);
        run.phase = match verdict {
            Verdict::Restart => Phase::Waiting { start_ns },
            Verdict::Stop | Verdict::Halt => Phase::Stopped,
        };
        let name = &service.name;
        match verdict {
            Verdict::Restart => {}
            Verdict::Stop => say(sys, format_args!("init: {name} stays down")),
            Verdict::Halt => {
                say(sys, format_args!("init: halting: {name} died too often"));
                // The kernel ends the run when its first process ends.
                let _does_not_return =
                    sys.run(Call::ProcExit { proc: Handle::NONE, code: EXIT_HALTED });
            }
        }
    }

    /// Ends the process of a planned restart that is due; its death is then told as any other.
    fn kill_if_due<S: Sys>(&mut self, sys: &mut S, index: usize, now_ns: u64) {
        let Some(run) = self.runs.get_mut(index) else { return };
        if let Phase::Running { process, planned: Some(planned) } = &mut run.phase
            && !planned.killed
            && planned.kill_ns <= now_ns
        {
            let killed = sys.run(Call::ProcExit { proc: *process, code: EXIT_RESTARTED });
            // A refusal means it was dead already: then the rule applies, not the plan.
            planned.killed = killed.is_ok();
        }
    }

    /// Does what is due: ends what is to be restarted, starts what has waited long enough.
    fn run_due<S: Sys>(&mut self, sys: &mut S) {
        self.end_if_due(sys, false);
        let now = sys.now_ns();
        for index in 0..self.runs.len() {
            self.kill_if_due(sys, index, now);
            let phase = self.runs.get(index).map(|run| run.phase);
            if let Some(Phase::Waiting { start_ns }) = phase
                && start_ns <= now
            {
                self.restart(sys, index);
            }
        }
    }

    fn due_ns(run: &Run) -> u64 {
        match run.phase {
            Phase::Running { planned: Some(p), .. } if !p.killed => p.kill_ns,
            Phase::Waiting { start_ns } => start_ns,
            _ => u64::MAX,
        }
    }
}

/// States of `Topic::Process`.
const RUNNING: u64 = 1;
const EXITED: u64 = 2;
const FAULTED: u64 = 3;
const KILLED: u64 = 4;

impl<E: Env> nexus_service::Service<E> for Supervisor<'_> {
    fn handle(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut E,
    ) -> Outgoing {
        if call.frame.starts_with(&SPEC.magic) {
            self.operate(env.sys(), call, reply)
        } else {
            self.connect(env.sys(), call, reply)
        }
    }

    fn notified(&mut self, bits: u64, env: &mut E) {
        for index in 0..self.runs.len() {
            if bits & death_bit(index) != 0 {
                self.reap(env.sys(), index);
            }
        }
        self.run_due(env.sys());
    }

    fn next_tick_ns(&self) -> u64 {
        let end_ns = self.ending.map_or(u64::MAX, |ending| ending.by_ns);
        self.runs.iter().map(Supervisor::due_ns).min().unwrap_or(u64::MAX).min(end_ns)
    }

    fn tick(&mut self, env: &mut E) {
        self.run_due(env.sys());
    }
}
