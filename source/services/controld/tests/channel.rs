//! The channel against a simulated host, journal and port.
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code: a panic is a failed test"
)]

use controld::{CHECKPOINT, Chains, Channel, Outside, Records};
use nexus_ipc::log::{AuditFilter, AuditStats};
use nexus_wire::{
    FRAME_MAX, Status,
    audit::{Chained, Decision, Op as AuditOp, PAGE_MAX, Reason, Record},
    control::{Decoder, ENVELOPE_MAX, HEADER, Op, Reply, Request, Response, header},
};

/// A journal of `len` records, and a port that keeps what is sent.
struct Image {
    len: u64,
    fails: Option<Status>,
    asked: Vec<AuditFilter>,
    sent: Vec<u8>,
}

impl Image {
    fn new(len: u64) -> Image {
        Image { len, fails: None, asked: Vec::new(), sent: Vec::new() }
    }

    /// Every frame sent so far; nothing else may be between them.
    fn answers(&mut self) -> Vec<Vec<u8>> {
        let (sent, mut decoder) = (std::mem::take(&mut self.sent), Decoder::new());
        let (mut rest, mut all) = (sent.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (tail, frame) = decoder.feed(rest);
            rest = tail;
            all.extend(frame.map(<[u8]>::to_vec));
        }
        assert_eq!(decoder.discarded().0, 0);
        all
    }
}

impl Outside for Image {
    fn now_ns(&mut self) -> u64 {
        42
    }

    fn own_id(&self) -> u64 {
        11
    }

    fn query(
        &mut self,
        filter: &AuditFilter,
        max: u8,
        page: &mut Records,
    ) -> Result<(usize, u64), Status> {
        self.asked.push(*filter);
        if let Some(status) = self.fails {
            return Err(status);
        }
        let from = filter.since_seq.min(self.len);
        let wanted = (self.len - from).min(max.into()).min(PAGE_MAX as u64);
        for (place, seq) in page.iter_mut().zip(from..from + wanted) {
            let new = Record::new(AuditOp::Route, Decision::Allow, Reason::Policy);
            *place = Record { seq, ..new }.encode();
        }
        Ok((wanted as usize, from + wanted))
    }

    fn chain(
        &mut self,
        since_seq: u64,
        max: u8,
        page: &mut Chains,
    ) -> Result<(usize, u64, bool), Status> {
        let mut records = [[0; Record::BYTES]; PAGE_MAX];
        let filter = AuditFilter { since_seq, ..AuditFilter::default() };
        let (count, next_seq) = self.query(&filter, max, &mut records)?;
        for (place, bytes) in page.iter_mut().zip(records.iter().take(count)) {
            *place = Chained { lane: 3, before: [7; 32], bytes: *bytes }.encode();
        }
        Ok((count, next_seq, since_seq == 9))
    }

    fn checkpoint(&mut self, number: u64, out: &mut [u8; CHECKPOINT]) -> Result<(), Status> {
        *out = [number as u8; CHECKPOINT];
        if number > 9 { Err(Status::NotFound) } else { Ok(()) }
    }

    fn stop(&mut self) -> Result<(), Status> {
        self.fails.map_or(Ok(()), Err)
    }

    fn provision(&mut self) -> Result<bool, Status> {
        self.fails.map_or(Ok(self.len > 1), Err)
    }

    fn public_key(&mut self, purpose: u16, generation: u32) -> Result<(u32, [u8; 32]), Status> {
        self.fails.map_or(Ok((generation, [purpose as u8; 32])), Err)
    }

    fn stats(&mut self) -> Result<AuditStats, Status> {
        match self.fails {
            Some(status) => Err(status),
            None => Ok(AuditStats {
                produced: 1,
                stored: 2,
                lost: 3,
                evicted: 4,
                retained: 5,
                kernel_produced: 6,
                kernel_stored: 7,
                kernel_lost: 8,
            }),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }
}

fn request(nonce: u32, op: Op) -> Vec<u8> {
    let mut frame = [0; FRAME_MAX];
    let len = Request { version: 1, nonce: Some(nonce), op }.encode(&mut frame);
    [header(len).unwrap().as_slice(), &frame[..len]].concat()
}

fn query(since_seq: u64, max: u8) -> Op {
    Op::AuditQuery { since_seq, subject: 0, op: 0, decision: 0, request_nonce: 0, max }
}

#[test]
fn chains_and_checkpoints_come_as_the_journal_gives_them() {
    let (mut channel, mut image) = (Channel::new(), Image::new(100));
    for since_seq in [8, 9] {
        channel.handle(&request(1, Op::AuditChain { since_seq, max: 2 }), &mut image);
        let answers = image.answers();
        let answer = Response::decode(&answers[0]).unwrap();
        let Reply::AuditChain { next_seq, overtaken, page } = answer.body else { panic!() };
        assert_eq!((next_seq, overtaken), (since_seq + 2, u8::from(since_seq == 9)));
        assert!(page.len() == 2 && page.iter().all(|c| c.lane == 3 && c.before == [7; 32]));
    }
    channel.handle(&request(2, Op::AuditCheckpoint { number: 5 }), &mut image);
    let answers = image.answers();
    let answer = Response::decode(&answers[0]).unwrap();
    let Reply::AuditCheckpoint { checkpoint } = answer.body else { panic!() };
    assert_eq!(checkpoint.as_bytes(), [5; CHECKPOINT]);
    channel.handle(&request(3, Op::AuditCheckpoint { number: 10 }), &mut image);
    let answers = image.answers();
    assert_eq!(Response::decode(&answers[0]).unwrap().status, Status::NotFound);
}

#[test]
fn the_end_is_the_supervisors_to_grant() {
    let (mut channel, mut image) = (Channel::new(), Image::new(1));
    for fails in [None, Some(Status::Denied)] {
        image.fails = fails;
        channel.handle(&request(1, Op::Stop {}), &mut image);
        let answers = image.answers();
        let answer = Response::decode(&answers[0]).unwrap();
        assert_eq!(answer.status, fails.unwrap_or(Status::Ok));
    }
}

#[test]
fn keys_are_made_and_told_or_the_refusal_is_handed_on() {
    for (len, made) in [(1, 0), (2, 1)] {
        let (mut channel, mut image) = (Channel::new(), Image::new(len));
        channel.handle(&request(1, Op::Provision {}), &mut image);
        channel.handle(&request(2, Op::PublicKey { purpose: 4, generation: 9 }), &mut image);
        let answers = image.answers();
        assert_eq!(Response::decode(&answers[0]).unwrap().body, Reply::Provision { made });
        let key = Reply::PublicKey { generation: 9, public: [4; 32] };
        assert_eq!(Response::decode(&answers[1]).unwrap().body, key);
    }
    let (mut channel, mut image) = (Channel::new(), Image::new(1));
    image.fails = Some(Status::Denied);
    for op in [Op::Provision {}, Op::PublicKey { purpose: 4, generation: 0 }] {
        channel.handle(&request(1, op), &mut image);
        assert_eq!(Response::decode(&image.answers()[0]).unwrap().status, Status::Denied);
    }
}

#[test]
fn a_whole_journal_is_read_page_by_page() {
    let (mut channel, mut image) = (Channel::new(), Image::new(100));
    let (mut since, mut got) = (0, Vec::new());
    while since < 100 {
        channel.handle(&request(since as u32, query(since, PAGE_MAX as u8)), &mut image);
        let answers = image.answers();
        let answer = Response::decode(&answers[0]).unwrap();
        assert_eq!(
            (answers.len(), answer.nonce, answer.status),
            (1, Some(since as u32), Status::Ok)
        );
        let Reply::AuditQuery { next_seq, page } = answer.body else { panic!("{answer:?}") };
        got.extend(page.iter().map(|record| record.seq));
        since = next_seq;
    }
    assert_eq!(got, (0..100).collect::<Vec<_>>());
}

#[test]
fn answers_do_not_depend_on_how_the_bytes_are_cut() {
    let stats = Op::Stats {};
    let stream = [request(1, Op::Hello {}), request(2, query(3, 3)), request(3, stats)].concat();
    let mut whole = Vec::new();
    for step in [stream.len(), 1, 2, 7, 19] {
        let (mut channel, mut image) = (Channel::new(), Image::new(9));
        stream.chunks(step).for_each(|part| channel.handle(part, &mut image));
        let answers = image.answers();
        assert_eq!(answers.len(), 3);
        if whole.is_empty() {
            whole.clone_from(&answers);
        }
        assert_eq!(answers, whole, "{step}");
    }
    let hello = Response::decode(&whole[0]).unwrap().body;
    let told = Reply::Hello { service: 11, uptime_ns: 42, answered: 1, refused: 0, discarded: 0 };
    assert_eq!(hello, told);
}

#[test]
fn filters_arrive_as_they_were_sent() {
    let (mut channel, mut image) = (Channel::new(), Image::new(0));
    let (op, decision) = (AuditOp::Route.code(), Decision::Deny.code());
    let all = Op::AuditQuery { since_seq: 7, subject: 20, op, decision, request_nonce: 5, max: 1 };
    channel.handle(&request(1, all), &mut image);
    let asked = image.asked[0];
    assert_eq!((asked.since_seq, asked.subject, asked.nonce), (7, 20, 5));
    assert_eq!((asked.op, asked.decision), (Some(AuditOp::Route), Some(Decision::Deny)));
}

#[test]
fn test_reject_filters_without_meaning_before_anybody_is_asked() {
    for (op, decision) in [(0xff, 0), (0, 0xff)] {
        let (mut channel, mut image) = (Channel::new(), Image::new(9));
        let odd =
            Op::AuditQuery { since_seq: 0, subject: 0, op, decision, request_nonce: 0, max: 3 };
        channel.handle(&request(1, odd), &mut image);
        let answers = image.answers();
        assert_eq!(Response::decode(&answers[0]).unwrap().status, Status::Malformed);
        assert!(image.asked.is_empty());
    }
}

#[test]
fn what_the_journal_refuses_is_refused() {
    for status in [Status::Denied, Status::Unavailable, Status::TimedOut] {
        let (mut channel, mut image) = (Channel::new(), Image::new(9));
        image.fails = Some(status);
        for op in [query(0, 3), Op::Stats {}] {
            channel.handle(&request(4, op), &mut image);
            let answers = image.answers();
            let answer = Response::decode(&answers[0]).unwrap();
            assert_eq!((answer.status, answer.nonce), (status, Some(4)));
            assert_eq!(answer.body, Reply::Refused { op: op.code() });
        }
    }
}

#[test]
fn test_reject_frames_that_are_no_request_and_go_on() {
    let version = [b"CT\x02\x01".as_slice(), &[0; 4]].concat();
    let unknown = [b"CT\x01\x70".as_slice(), &[0; 4]].concat();
    let long = vec![0xff; FRAME_MAX];
    for (frame, status) in [
        (&b"x"[..], Status::Malformed),
        (b"CT\x01\x01", Status::Malformed),
        (&version, Status::Unsupported),
        (&unknown, Status::Unsupported),
        (&long, Status::Malformed),
    ] {
        let (mut channel, mut image) = (Channel::new(), Image::new(9));
        channel.handle(&[header(frame.len()).unwrap().as_slice(), frame].concat(), &mut image);
        channel.handle(&request(1, Op::Hello {}), &mut image);
        let answers = image.answers();
        assert_eq!(answers.len(), 2, "exactly one answer each");
        assert_eq!(answers[0][4], status.code());
        let Reply::Hello { answered, refused, .. } = Response::decode(&answers[1]).unwrap().body
        else {
            panic!("{answers:?}");
        };
        assert_eq!((answered, refused), (1, 1));
    }
}

#[test]
fn a_host_that_leaves_mid_frame_does_not_cost_the_next_one_its_answer() {
    let left = request(1, query(0, 3));
    for cut in 0..left.len() {
        let (mut channel, mut image) = (Channel::new(), Image::new(9));
        channel.handle(&left[..cut], &mut image);
        channel.handle(&[0; ENVELOPE_MAX], &mut image);
        channel.handle(&request(9, Op::Hello {}), &mut image);
        let answers = image.answers();
        let last = Response::decode(answers.last().unwrap()).unwrap();
        assert_eq!((last.nonce, last.status), (Some(9), Status::Ok), "{cut}");
        assert!(answers.len() <= 2);
    }
}

#[test]
fn garbage_is_bounded_in_memory_and_answers() {
    let (mut channel, mut image) = (Channel::new(), Image::new(9));
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut received = 0;
    for round in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..16 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        if round % 3 == 0 {
            // Now and then something that starts like an envelope, of a length that may be none.
            bytes.splice(..HEADER, *b"NXC1\x00\x01");
            bytes[4] = round as u8;
        }
        received += bytes.len();
        channel.handle(&bytes, &mut image);
    }
    let answers = image.answers();
    assert!(answers.len() <= received / (HEADER + 1));
    channel.handle(&[0; ENVELOPE_MAX], &mut image);
    image.answers();
    channel.handle(&request(9, Op::Hello {}), &mut image);
    assert_eq!(Response::decode(&image.answers()[0]).unwrap().nonce, Some(9));
}
