//! The state machine: bytes in, answers out. Whatever the host sends, it holds one envelope and
//! answers each frame once.

use nexus_ipc::log::{AuditFilter, AuditStats};
use nexus_wire::{
    Bytes, FRAME_MAX, Status,
    audit::{ChainPage, Chained, Decision, Op as AuditOp, PAGE_MAX, Page, Record},
    control::{Decoder, ENVELOPE_MAX, HEADER, Op, Reply, Request, header},
};

/// Records of one page, encoded.
pub type Records = [[u8; Record::BYTES]; PAGE_MAX];

/// Chained records of one page, encoded.
pub type Chains = [[u8; Chained::BYTES]; PAGE_MAX];

/// Bytes of an encoded checkpoint.
pub const CHECKPOINT: usize = 296;

/// What the channel needs from outside.
pub trait Outside {
    /// Nanoseconds since boot.
    fn now_ns(&mut self) -> u64;
    /// Own service id.
    fn own_id(&self) -> u64;
    /// One page of at most `max` audit records; how many, and where to go on.
    ///
    /// # Errors
    /// What the journal said, or why it said nothing.
    fn query(
        &mut self,
        filter: &AuditFilter,
        max: u8,
        page: &mut Records,
    ) -> Result<(usize, u64), Status>;
    /// One page of at most `max` records with their places in the chains: how many, where to go
    /// on, and whether records in between are gone.
    ///
    /// # Errors
    /// As [`Outside::query`].
    fn chain(
        &mut self,
        since_seq: u64,
        max: u8,
        page: &mut Chains,
    ) -> Result<(usize, u64, bool), Status>;
    /// The checkpoint with this number, 0 for the newest.
    ///
    /// # Errors
    /// As [`Outside::query`].
    fn checkpoint(&mut self, number: u64, out: &mut [u8; CHECKPOINT]) -> Result<(), Status>;
    /// Has the supervisor end the image.
    ///
    /// # Errors
    /// What it said, or why it said nothing.
    fn stop(&mut self) -> Result<(), Status>;
    /// Has the device's keys made; `false` if it has some.
    ///
    /// # Errors
    /// What keystored said, or why it said nothing.
    fn provision(&mut self) -> Result<bool, Status>;
    /// The device's public key of a purpose and generation, and which generation that is.
    ///
    /// # Errors
    /// As [`Outside::provision`].
    fn public_key(&mut self, purpose: u16, generation: u32) -> Result<(u32, [u8; 32]), Status>;
    /// What became of the audit records.
    ///
    /// # Errors
    /// As [`Outside::query`].
    fn stats(&mut self) -> Result<AuditStats, Status>;
    /// Sends bytes to the host; what cannot be sent in time is gone.
    fn send(&mut self, bytes: &[u8]);
}

/// One host's end, as seen from here.
#[derive(Debug, Default)]
pub struct Channel {
    decoder: Decoder,
    answered: u64,
    refused: u64,
}

impl Channel {
    /// Nothing received yet.
    #[must_use]
    pub const fn new() -> Channel {
        Channel { decoder: Decoder::new(), answered: 0, refused: 0 }
    }

    /// Takes bytes from the host and answers every frame that ends in them.
    pub fn handle(&mut self, input: &[u8], outside: &mut impl Outside) {
        let mut rest = input;
        while !rest.is_empty() {
            let mut copy = [0; FRAME_MAX];
            let (tail, frame) = self.decoder.feed(rest);
            rest = tail;
            // The frame stands in the decoder, whose counters the answer may tell.
            let request = frame.and_then(|frame| {
                let place = copy.get_mut(..frame.len())?;
                place.copy_from_slice(frame);
                Some(&*place)
            });
            if let Some(request) = request {
                self.answer(request, outside);
            }
        }
    }

    fn answer(&mut self, frame: &[u8], outside: &mut impl Outside) {
        let mut reply = [0; FRAME_MAX];
        let len = match Request::decode(frame) {
            Ok(request) => {
                self.answered = self.answered.saturating_add(1);
                match self.perform(&request, &mut reply, outside) {
                    Ok(len) => len,
                    Err(status) => request.respond(status).encode(&mut reply),
                }
            }
            Err(refusal) => {
                self.refused = self.refused.saturating_add(1);
                refusal.encode(&mut reply)
            }
        };
        send(reply.get(..len).unwrap_or_default(), outside);
    }

    fn perform(
        &mut self,
        request: &Request,
        reply: &mut [u8; FRAME_MAX],
        outside: &mut impl Outside,
    ) -> Result<usize, Status> {
        match request.op {
            Op::Hello {} => {
                let body = Reply::Hello {
                    service: outside.own_id(),
                    uptime_ns: outside.now_ns(),
                    answered: self.answered,
                    refused: self.refused,
                    discarded: self.decoder.discarded().0,
                };
                Ok(request.answer(Status::Ok, body).encode(reply))
            }
            Op::AuditQuery { since_seq, subject, op, decision, request_nonce, max } => {
                let op = known(op, AuditOp::from_code)?;
                let decision = known(decision, Decision::from_code)?;
                let filter = AuditFilter { since_seq, subject, op, decision, nonce: request_nonce };
                let mut records = [[0; Record::BYTES]; PAGE_MAX];
                let (count, next_seq) = outside.query(&filter, max, &mut records)?;
                let page = records.get(..count).and_then(Page::new).ok_or(Status::Internal)?;
                let body = Reply::AuditQuery { next_seq, page };
                Ok(request.answer(Status::Ok, body).encode(reply))
            }
            Op::AuditChain { since_seq, max } => {
                let mut records = [[0; Chained::BYTES]; PAGE_MAX];
                let (count, next_seq, gone) = outside.chain(since_seq, max, &mut records)?;
                let page = records.get(..count).and_then(ChainPage::new).ok_or(Status::Internal)?;
                let body = Reply::AuditChain { next_seq, overtaken: gone.into(), page };
                Ok(request.answer(Status::Ok, body).encode(reply))
            }
            Op::AuditCheckpoint { number } => {
                let mut bytes = [0; CHECKPOINT];
                outside.checkpoint(number, &mut bytes)?;
                let checkpoint = Bytes::new(&bytes).ok_or(Status::Internal)?;
                Ok(request.answer(Status::Ok, Reply::AuditCheckpoint { checkpoint }).encode(reply))
            }
            Op::Stop {} => {
                outside.stop()?;
                Ok(request.answer(Status::Ok, Reply::Stop {}).encode(reply))
            }
            Op::Provision {} => {
                let made = outside.provision()?.into();
                Ok(request.answer(Status::Ok, Reply::Provision { made }).encode(reply))
            }
            Op::PublicKey { purpose, generation } => {
                let (generation, public) = outside.public_key(purpose, generation)?;
                let body = Reply::PublicKey { generation, public };
                Ok(request.answer(Status::Ok, body).encode(reply))
            }
            Op::Stats {} => {
                let body = stats(&outside.stats()?);
                Ok(request.answer(Status::Ok, body).encode(reply))
            }
        }
    }
}

/// A filter's number: 0 for anything, else one that means something.
fn known<T>(code: u8, from_code: impl Fn(u8) -> Option<T>) -> Result<Option<T>, Status> {
    match code {
        0 => Ok(None),
        code => from_code(code).map(Some).ok_or(Status::Malformed),
    }
}

fn stats(stats: &AuditStats) -> Reply<'static> {
    Reply::Stats {
        produced: stats.produced,
        stored: stats.stored,
        lost: stats.lost,
        evicted: stats.evicted,
        retained: stats.retained,
        kernel_produced: stats.kernel_produced,
        kernel_stored: stats.kernel_stored,
        kernel_lost: stats.kernel_lost,
    }
}

/// One envelope in one piece.
fn send(frame: &[u8], outside: &mut impl Outside) {
    let mut envelope = [0; ENVELOPE_MAX];
    let end = HEADER.saturating_add(frame.len());
    let (Some(head), Some(place)) = (header(frame.len()), envelope.get_mut(..end)) else { return };
    let (first, rest) = place.split_at_mut(HEADER);
    first.copy_from_slice(&head);
    rest.copy_from_slice(frame);
    outside.send(place);
}
