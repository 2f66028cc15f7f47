//! The one receive loop, and the same call for host tests.

use nexus_abi::{Call, Error, Handle, Message, Received, Sender, Sys, layout::FRAME_MAX};
use zerocopy::IntoBytes as _;
use zeroize::optimization_barrier;

/// Shortest time between two ticks and between two attempts to receive with a full capability
/// table: what keeps a wrong `next_tick_ns` or a leak from becoming a busy loop.
const PAUSE_NS: u64 = 1_000_000;

/// Room for a frame, in words: without unaligned loads, a name inside it costs a shift and an
/// `or` a word to gather, where its bytes cost three instructions each.
pub type FrameWords = [u64; FRAME_MAX / 8];

/// A request, copied out of the message frame.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Kernel-stamped caller.
    pub sender: Sender,
    /// The bytes.
    pub frame: &'a [u8],
    /// A capability that came along, or [`Handle::NONE`]; see [`Service::KEEPS_CAPS`].
    pub cap: Handle,
    words: &'a FrameWords,
}

impl<'a> Incoming<'a> {
    /// A request for host tests; `room` receives the copy that [`Incoming::words`] tells.
    #[must_use]
    pub fn new(sender: Sender, frame: &'a [u8], room: &'a mut FrameWords, cap: Handle) -> Self {
        for (to, from) in room.as_mut_bytes().iter_mut().zip(frame) {
            *to = *from;
        }
        Incoming { sender, frame, cap, words: room }
    }

    /// The bytes again, as little-endian words. Behind the frame they hold anything.
    #[inline]
    #[must_use]
    pub const fn words(&self) -> &'a FrameWords {
        self.words
    }
}

/// A reply: so many bytes of the reply buffer, and a capability to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Frame length in bytes.
    pub len: usize,
    /// Moves to the caller, or [`Handle::NONE`].
    pub cap: Handle,
}

impl Outgoing {
    /// Bytes alone.
    #[inline(always)]
    #[must_use]
    pub const fn bytes(len: usize) -> Outgoing {
        Outgoing { len, cap: Handle::NONE }
    }
}

/// What a service needs from outside; every daemon extends it by its own trait.
pub trait Env {
    /// The kernel.
    type Sys: Sys;
    /// The kernel.
    fn sys(&mut self) -> &mut Self::Sys;
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next request.
    Continue,
    /// Not with this state: the reply goes out, then [`serve`] returns.
    Stop,
}

/// Why [`serve`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The service asked for it. Requests wait meanwhile; none is lost.
    Stopped,
    /// There is nothing left to receive on.
    Gone(Error),
}

/// A state machine that answers frames.
pub trait Service<E> {
    /// Whether requests may bring capabilities. If not, [`serve`] closes what comes along, so
    /// that no client can fill the service's table; if so, they go to
    /// [`Service::handle_with_cap`], and closing is the service's duty.
    const KEEPS_CAPS: bool = false;

    /// Whether requests or replies carry secrets. If so, [`serve`] erases both and the message
    /// page as soon as a reply is out, for one more trap a request.
    const WIPES: bool = false;

    /// Answers one request: exactly one reply, whatever the bytes are.
    fn handle(&mut self, call: &Incoming<'_>, reply: &mut [u8; FRAME_MAX], env: &mut E)
    -> Outgoing;

    /// As [`Service::handle`], for a request that brought a capability to a service that keeps
    /// them. Only such a request can end the loop, so that all others pay nothing for it.
    fn handle_with_cap(
        &mut self,
        call: &Incoming<'_>,
        reply: &mut [u8; FRAME_MAX],
        env: &mut E,
    ) -> (Outgoing, Flow) {
        (self.handle(call, reply, env), Flow::Continue)
    }

    /// Bits of the bound notification were set.
    fn notified(&mut self, _bits: u64, _env: &mut E) {}

    /// When [`Service::tick`] is due, absolute; `u64::MAX` is never.
    fn next_tick_ns(&self) -> u64 {
        u64::MAX
    }

    /// The time of [`Service::next_tick_ns`] has come.
    fn tick(&mut self, _env: &mut E) {}

    /// A reply could not be delivered: its caller has died or given up.
    fn undelivered(&mut self, _sender: Sender, _env: &mut E) {}
}

/// Serves the endpoint and waits for `mask` of its bound notification. Returns only when there
/// is nothing left to receive on, or when the service stops.
pub fn serve<E: Env, S: Service<E>>(service: &mut S, env: &mut E, ep: Handle, mask: u64) -> Ended {
    // Kept across requests: clearing a kilobyte per request would be most of the work.
    let mut request: FrameWords = [0; FRAME_MAX / 8];
    let mut reply = [0; FRAME_MAX];
    let mut port = Port { ep, mask, not_before_ns: 0 };
    let mut received = port.recv(service, env);
    loop {
        received = match received {
            Ok(Received::Message(message)) => {
                let call = copy_in(env.sys(), &message, &mut request);
                let answer = if message.cap.is_none() {
                    service.handle(&call, &mut reply, env)
                } else {
                    let (answer, flow) = with_cap(service, env, &call, &mut reply);
                    if flow == Flow::Stop {
                        let last = Pending { message, answer, bytes: &reply };
                        last_reply(service, env, &last);
                        return Ended::Stopped;
                    }
                    answer
                };
                if S::WIPES {
                    port.reply(service, env, &Pending { message, answer, bytes: &reply });
                    erase(request.as_mut_bytes());
                    erase(&mut reply);
                    erase(env.sys().frame_mut());
                    port.recv(service, env)
                } else {
                    let answer = Pending { message, answer, bytes: &reply };
                    port.reply_recv(service, env, &answer)
                }
            }
            Ok(Received::Notified(bits)) => {
                service.notified(bits, env);
                port.tick_if_due(service, env);
                port.recv(service, env)
            }
            Err(Error::TimedOut) => {
                port.tick_if_due(service, env);
                port.recv(service, env)
            }
            Err(Error::NoSpace) => {
                // A capability waits and the table is full. The request is not lost; time and
                // ticks may free a slot.
                let until_ns = env.sys().now_ns().saturating_add(PAUSE_NS);
                env.sys().sleep_until(until_ns);
                port.tick_if_due(service, env);
                port.recv(service, env)
            }
            Err(gone) => return Ended::Gone(gone),
        };
    }
}

#[cold]
fn with_cap<E: Env, S: Service<E>>(
    service: &mut S,
    env: &mut E,
    call: &Incoming<'_>,
    reply: &mut [u8; FRAME_MAX],
) -> (Outgoing, Flow) {
    if S::KEEPS_CAPS {
        return service.handle_with_cap(call, reply, env);
    }
    let answer = service.handle(call, reply, env);
    close(env.sys(), call.cap);
    (answer, Flow::Continue)
}

/// Delivers the reply behind which the loop ends.
#[cold]
fn last_reply<E: Env, S: Service<E>>(service: &mut S, env: &mut E, last: &Pending<'_>) {
    let sys = env.sys();
    let len = copy_out(sys, last);
    if sys.reply(last.message.token, len, last.answer.cap).is_err() {
        if !last.answer.cap.is_none() {
            close(sys, last.answer.cap);
        }
        service.undelivered(last.message.sender, env);
    }
}

/// A reply on its way.
struct Pending<'r> {
    message: Message,
    answer: Outgoing,
    bytes: &'r [u8; FRAME_MAX],
}

/// Where requests come from, and when the next tick may run.
struct Port {
    ep: Handle,
    mask: u64,
    not_before_ns: u64,
}

impl Port {
    fn deadline<E, S: Service<E>>(&self, service: &S) -> u64 {
        service.next_tick_ns().max(self.not_before_ns)
    }

    #[inline]
    fn recv<E: Env, S: Service<E>>(&mut self, service: &S, env: &mut E) -> Result<Received, Error> {
        let deadline = self.deadline(service);
        env.sys().recv(self.ep, self.mask, deadline)
    }

    /// Runs the tick if its time has come; the next one waits at least [`PAUSE_NS`].
    #[inline]
    fn tick_if_due<E: Env, S: Service<E>>(&mut self, service: &mut S, env: &mut E) {
        let due = self.deadline(service);
        if due == u64::MAX {
            return;
        }
        let now = env.sys().now_ns();
        if now >= due {
            service.tick(env);
            self.not_before_ns = now.saturating_add(PAUSE_NS);
        }
    }

    /// Delivers the reply and receives, in one trap if nothing goes wrong.
    #[inline]
    fn reply_recv<E: Env, S: Service<E>>(
        &mut self,
        service: &mut S,
        env: &mut E,
        pending: &Pending<'_>,
    ) -> Result<Received, Error> {
        // Steady traffic must not starve the tick; its time is looked at only if there is one.
        self.tick_if_due(service, env);
        let deadline = self.deadline(service);
        let sys = env.sys();
        let len = copy_out(sys, pending);
        let token = pending.message.token;
        let received =
            sys.reply_recv((token, len, pending.answer.cap), self.ep, self.mask, deadline);
        match received {
            Ok(received) => Ok(received),
            // The reply is out; nothing came in its time.
            Err(Error::TimedOut) => Err(Error::TimedOut),
            Err(error) => self.recover(service, env, pending, error),
        }
    }

    /// Delivers the reply and no more.
    fn reply<E: Env, S: Service<E>>(
        &mut self,
        service: &mut S,
        env: &mut E,
        pending: &Pending<'_>,
    ) {
        self.tick_if_due(service, env);
        let sys = env.sys();
        let len = copy_out(sys, pending);
        if let Err(error) = sys.reply(pending.message.token, len, pending.answer.cap) {
            settle(service, env, pending, error);
        }
    }

    /// The trap failed in its reply half or in its receive half; which one, the error does not
    /// always tell. Frees what may be left over and receives again, so that a real reason not
    /// to receive shows itself.
    #[cold]
    fn recover<E: Env, S: Service<E>>(
        &mut self,
        service: &mut S,
        env: &mut E,
        pending: &Pending<'_>,
        error: Error,
    ) -> Result<Received, Error> {
        settle(service, env, pending, error);
        self.recv(service, env)
    }
}

/// Sees to what a reply that failed may have left over.
#[cold]
fn settle<E: Env, S: Service<E>>(
    service: &mut S,
    env: &mut E,
    pending: &Pending<'_>,
    error: Error,
) {
    let sys = env.sys();
    let (token, cap) = (pending.message.token, pending.answer.cap);
    let mut delivered = false;
    if error != Error::StaleReply {
        // Without the capability the reply can still go out. If it is out already, the token
        // is used up and this changes nothing.
        let len = copy_out(sys, pending);
        delivered =
            !matches!(sys.reply(token, len, Handle::NONE), Err(e) if e != Error::StaleReply);
    }
    if !cap.is_none() {
        // Moved capabilities have left the table; the handle's generation makes this safe.
        close(sys, cap);
    }
    if !delivered {
        service.undelivered(pending.message.sender, env);
    }
}

/// The service's own copy: the frame is reused by any call it makes.
#[inline]
fn copy_in<'r, S: Sys>(
    sys: &mut S,
    message: &Message,
    request: &'r mut FrameWords,
) -> Incoming<'r> {
    let len = message.len.min(FRAME_MAX);
    if let (Some(to), Some(from)) = (request.as_mut_bytes().get_mut(..len), sys.frame().get(..len))
    {
        to.copy_from_slice(from);
    }
    let frame = request.as_bytes().get(..len).unwrap_or_default();
    Incoming { sender: message.sender, frame, cap: message.cap, words: request }
}

/// At the width of the machine, and seen to be done, so that no compiler leaves it out.
fn erase(frame: &mut [u8]) {
    frame.fill(0);
    optimization_barrier(frame);
}

#[inline]
fn copy_out<S: Sys>(sys: &mut S, pending: &Pending<'_>) -> usize {
    let len = pending.answer.len.min(FRAME_MAX);
    if let (Some(to), Some(from)) = (sys.frame_mut().get_mut(..len), pending.bytes.get(..len)) {
        to.copy_from_slice(from);
    }
    len
}

fn close<S: Sys>(sys: &mut S, cap: Handle) {
    let _gone_either_way = sys.run(Call::CapClose { cap });
}

/// The answer of one [`step`].
#[derive(Clone, Debug)]
pub struct Answer {
    frame: [u8; FRAME_MAX],
    len: usize,
    /// The capability that would move.
    pub cap: Handle,
}

impl Answer {
    /// The reply frame.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.frame.get(..self.len).unwrap_or_default()
    }
}

/// Answers one frame as [`serve`] would, without a kernel: what host tests and simulators call.
pub fn step<E, S: Service<E>>(
    service: &mut S,
    sender: Sender,
    frame: &[u8],
    env: &mut E,
) -> Answer {
    let mut reply = [0; FRAME_MAX];
    // Behind the frame lies what earlier callers sent, not zeros: "a" everywhere, which continues
    // names.
    let mut room = [u64::from_ne_bytes([b'a'; 8]); FRAME_MAX / 8];
    let call = Incoming::new(sender, frame, &mut room, Handle::NONE);
    let Outgoing { len, cap } = service.handle(&call, &mut reply, env);
    Answer { frame: reply, len: len.min(FRAME_MAX), cap }
}
