//! Who runs: fixed priorities, FIFO and time slices among equals, absolute deadlines.

use nexus_abi::{Error, Return};

use crate::{
    Kernel, Machine, Outcome,
    limits::TIME_SLICE_NS,
    process::{Processes, State},
    types::{EndpointIndex, NotifIndex, ProcIndex},
};

/// No deadline, no timer.
pub(crate) const NEVER: u64 = u64::MAX;

impl Kernel {
    /// The timer fired; `cur` is the interrupted process, `None` when idle.
    pub fn timer<M: Machine>(&mut self, m: &mut M, cur: Option<ProcIndex>) -> Outcome {
        let now = m.now_ns();
        self.timer_at = NEVER;
        let mut earliest = NEVER;
        for p in Processes::indices() {
            let process = self.procs.get(p);
            if !process.state.is_blocked() || process.deadline == NEVER {
                continue;
            }
            if process.deadline <= now {
                self.fail_blocked(m, p, Error::TimedOut);
            } else {
                earliest = earliest.min(process.deadline);
            }
        }
        self.arm(m, earliest);
        let Some(cur) = self.running(cur) else { return self.schedule(m) };
        if self.slice_end <= now {
            self.slice_end = NEVER;
            self.make_ready(cur);
            return self.schedule(m);
        }
        let slice_end = self.slice_end;
        self.arm(m, slice_end);
        self.resume(m, cur)
    }

    /// `cur`, if it is what the kernel thinks is running.
    pub(crate) fn running(&self, cur: Option<ProcIndex>) -> Option<ProcIndex> {
        cur.filter(|p| self.procs.get(*p).state == State::Running)
    }

    /// Programs the timer if `deadline` comes before what it is programmed for; programming is
    /// a call into the firmware.
    #[inline(always)]
    pub(crate) fn arm<M: Machine>(&mut self, m: &mut M, deadline: u64) {
        if deadline < self.timer_at {
            self.timer_at = deadline;
            m.set_timer(deadline);
        }
    }

    /// Goes on with the running process unless somebody of higher priority became ready.
    #[inline(always)]
    pub(crate) fn resume<M: Machine>(&mut self, m: &mut M, cur: ProcIndex) -> Outcome {
        if self.ready.at_or_above(self.procs.get(cur).priority) == 0 {
            return Outcome::Resume(cur);
        }
        self.preempt(m, cur)
    }

    fn preempt<M: Machine>(&mut self, m: &mut M, cur: ProcIndex) -> Outcome {
        if self.ready.at_or_above(self.procs.get(cur).priority) > 1 {
            self.procs.get_mut(cur).state = State::Ready;
            self.ready.push_front(&mut self.procs, cur);
            return self.schedule(m);
        }
        if self.slice_end == NEVER {
            self.start_slice(m);
        }
        Outcome::Resume(cur)
    }

    /// Runs `next`, which is in no queue, unless somebody comes before it.
    #[inline(always)]
    pub(crate) fn switch_to<M: Machine>(&mut self, m: &mut M, next: ProcIndex) -> Outcome {
        if self.ready.at_or_above(self.procs.get(next).priority) == 0 {
            self.procs.get_mut(next).state = State::Running;
            self.slice_end = NEVER;
            return Outcome::Resume(next);
        }
        self.make_ready(next);
        self.schedule(m)
    }

    /// Nobody runs: takes the first of the highest priority.
    pub(crate) fn schedule<M: Machine>(&mut self, m: &mut M) -> Outcome {
        let Some(next) = self.ready.pop(&mut self.procs) else { return Outcome::Idle };
        let process = self.procs.get_mut(next);
        process.state = State::Running;
        self.slice_end = NEVER;
        if self.ready.at_or_above(process.priority) != 0 {
            self.start_slice(m);
        }
        Outcome::Resume(next)
    }

    fn start_slice<M: Machine>(&mut self, m: &mut M) {
        self.slice_end = m.now_ns().saturating_add(TIME_SLICE_NS);
        let slice_end = self.slice_end;
        self.arm(m, slice_end);
    }

    /// Puts a process that is in no queue at the end of its ready queue.
    #[inline(always)]
    pub(crate) fn make_ready(&mut self, p: ProcIndex) {
        self.procs.get_mut(p).state = State::Ready;
        self.ready.push_back(&mut self.procs, p);
    }

    /// Ends the wait of a process that is in no queue.
    #[inline(always)]
    pub(crate) fn wake<M: Machine>(&mut self, m: &mut M, p: ProcIndex, ret: &Return) {
        m.set_return(p, ret);
        self.procs.get_mut(p).deadline = NEVER;
        self.make_ready(p);
    }

    /// Ends whatever a blocked process waits for, with an error.
    pub(crate) fn fail_blocked<M: Machine>(&mut self, m: &mut M, p: ProcIndex, error: Error) {
        self.detach(p);
        self.wake(m, p, &Return::Failed(error));
    }

    /// Takes a process out of the queue or waiter place it is in.
    pub(crate) fn detach(&mut self, p: ProcIndex) {
        let process = self.procs.get(p);
        let on = process.on;
        match process.state {
            State::Ready => self.ready.remove(&mut self.procs, p),
            State::Queued => {
                let endpoint = self.endpoints.at_mut(EndpointIndex(on).index());
                endpoint.queue.remove(&mut self.procs, p);
            }
            State::Waiting => self.notifs.at_mut(NotifIndex(on).index()).waiter = None,
            _ => {}
        }
    }
}
