//! The host's end of a running image's control channel.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nexus_audit::Checkpoint;
use nexus_keys::Purpose;
use nexus_wire::{
    FRAME_MAX, Status,
    audit::{Chained, PAGE_MAX, Record},
    control::{Decoder, ENVELOPE_MAX, Op, Reply, Request, Response, header},
    keys::ACTIVE,
};

/// Protocol version spoken here.
const VERSION: u8 = 1;
/// How long one answer may take: the image may be booting, and asks two of its services.
const ANSWER: Duration = Duration::from_secs(3);
/// A socket address holds 108 bytes with its end; a longer path goes through its directory.
const ADDRESS_MAX: usize = 107;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing listens there.
    NoImage(PathBuf),
    /// The other end went away.
    Gone,
    /// The other end says nothing.
    Silent,
    /// The image says no.
    Refused(Status),
    /// What came is no answer.
    Protocol,
    /// The host says no.
    Host(io::Error),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::NoImage(path) => {
                write!(f, "no image listens on {}; start one with `just start`", path.display())
            }
            Trouble::Gone => f.write_str("the image has gone"),
            Trouble::Silent => f.write_str(
                "the image does not answer: it is still booting, its controld is down, or another \
                 program holds the channel",
            ),
            Trouble::Refused(Status::Denied) => {
                f.write_str("the image's policy denies this to controld")
            }
            Trouble::Refused(status) => write!(f, "the image refused: {}", status.name()),
            Trouble::Protocol => f.write_str("what the image sent is no answer"),
            Trouble::Host(error) => error.fmt(f),
        }
    }
}

impl Trouble {
    /// Whether it may pass by itself.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Trouble::NoImage(_) | Trouble::Gone | Trouble::Silent => true,
            Trouble::Refused(status) => {
                matches!(status, Status::Busy | Status::TimedOut | Status::Unavailable)
            }
            Trouble::Protocol | Trouble::Host(_) => false,
        }
    }
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// Its service id.
    pub(super) service: u64,
    /// How long the image has been up.
    pub(super) uptime_ns: u64,
}

/// A connection.
pub(super) struct Channel {
    stream: UnixStream,
    decoder: Decoder,
    nonce: u32,
}

impl Channel {
    /// Connects, ends whatever an earlier client left half-sent, and asks who is there.
    pub(super) fn open(path: &Path) -> Result<(Channel, Hello), Trouble> {
        let stream = connect(path)?;
        stream.set_write_timeout(Some(ANSWER)).map_err(Trouble::Host)?;
        // An answer to an earlier client may still come; it must not look like one to us.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nonce = now.subsec_nanos() ^ std::process::id().rotate_left(16);
        let mut channel = Channel { stream, decoder: Decoder::new(), nonce };
        channel.write(&[0; ENVELOPE_MAX])?;
        let hello = channel.ask(Op::Hello {}, |body| match body {
            Reply::Hello { service, uptime_ns, .. } => Some(Hello { service, uptime_ns }),
            _ => None,
        })?;
        Ok((channel, hello))
    }

    /// One page of records from `since` on, and where to go on.
    pub(super) fn page(&mut self, since: u64) -> Result<(Vec<Record>, u64), Trouble> {
        let op = Op::AuditQuery {
            since_seq: since,
            subject: 0,
            op: 0,
            decision: 0,
            request_nonce: 0,
            max: PAGE_MAX as u8,
        };
        self.ask(op, |body| match body {
            Reply::AuditQuery { next_seq, page } => Some((page.iter().collect(), next_seq)),
            _ => None,
        })
    }

    /// One page of records with their places in the chains, and where to go on.
    pub(super) fn chain(&mut self, since: u64, max: u8) -> Result<(Vec<Chained>, u64), Trouble> {
        self.ask(Op::AuditChain { since_seq: since, max }, |body| match body {
            Reply::AuditChain { next_seq, page, .. } => Some((page.iter().collect(), next_seq)),
            _ => None,
        })
    }

    /// The checkpoint with this number; 0 is the newest.
    pub(super) fn checkpoint(&mut self, number: u64) -> Result<Checkpoint, Trouble> {
        self.ask(Op::AuditCheckpoint { number }, |body| match body {
            Reply::AuditCheckpoint { checkpoint } => {
                checkpoint.as_bytes().try_into().ok().and_then(Checkpoint::decode)
            }
            _ => None,
        })
    }

    /// Has the image end. It may be gone before its answer is out: that is what was asked for.
    pub(super) fn stop(&mut self) -> Result<(), Trouble> {
        match self.ask(Op::Stop {}, |body| matches!(body, Reply::Stop {}).then_some(())) {
            Err(Trouble::Gone) => Ok(()),
            other => other,
        }
    }

    /// Has the device's keys made; `false` if it has some.
    pub(super) fn provision(&mut self) -> Result<bool, Trouble> {
        self.ask(Op::Provision {}, |body| match body {
            Reply::Provision { made } => Some(made != 0),
            _ => None,
        })
    }

    /// The key that signs checkpoints now, and its generation.
    pub(super) fn checkpoint_key(&mut self) -> Result<(u32, [u8; 32]), Trouble> {
        let (purpose, generation) = (Purpose::Checkpoint.code(), ACTIVE);
        self.ask(Op::PublicKey { purpose, generation }, |body| match body {
            Reply::PublicKey { generation, public } => Some((generation, public)),
            _ => None,
        })
    }

    /// Where the next record will stand.
    pub(super) fn head(&mut self) -> Result<u64, Trouble> {
        self.page(u64::MAX).map(|(_, next)| next)
    }

    fn ask<T>(&mut self, op: Op, read: impl Fn(Reply<'_>) -> Option<T>) -> Result<T, Trouble> {
        self.nonce = self.nonce.wrapping_add(1);
        let request = Request { version: VERSION, nonce: Some(self.nonce), op };
        let mut frame = [0; FRAME_MAX];
        let len = request.encode(&mut frame);
        let head = header(len).ok_or(Trouble::Protocol)?;
        self.write(&[&head, frame.get(..len).unwrap_or_default()].concat())?;
        let deadline = Instant::now() + ANSWER;
        let mut buffer = [0; 4096];
        loop {
            let len = self.read(&mut buffer, deadline)?;
            let mut rest = buffer.get(..len).unwrap_or_default();
            while !rest.is_empty() {
                let (tail, frame) = self.decoder.feed(rest);
                rest = tail;
                let Some(answer) = frame.and_then(Response::decode) else { continue };
                if answer.nonce != Some(self.nonce) {
                    continue;
                }
                return match answer.status {
                    Status::Ok => read(answer.body).ok_or(Trouble::Protocol),
                    status => Err(Trouble::Refused(status)),
                };
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.stream.write_all(bytes).map_err(trouble)
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> Result<usize, Trouble> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Trouble::Silent);
        }
        self.stream.set_read_timeout(Some(left)).map_err(Trouble::Host)?;
        match self.stream.read(buffer) {
            Ok(0) => Err(Trouble::Gone),
            Ok(len) => Ok(len),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(trouble(error)),
        }
    }
}

fn trouble(error: io::Error) -> Trouble {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Trouble::Silent,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected => {
            Trouble::Gone
        }
        _ => Trouble::Host(error),
    }
}

fn connect(path: &Path) -> Result<UnixStream, Trouble> {
    let absent = |error: io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Trouble::NoImage(path.to_owned()),
        _ => Trouble::Host(error),
    };
    if path.as_os_str().len() <= ADDRESS_MAX {
        return UnixStream::connect(path).map_err(absent);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Trouble::NoImage(path.to_owned()));
    };
    let folder = File::open(folder).map_err(absent)?;
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    UnixStream::connect(short).map_err(absent)
}

#[cfg(test)]
pub(super) mod tests {
    use std::{os::unix::net::UnixListener, thread::JoinHandle};

    use nexus_wire::audit::{Decision, Op as AuditOp, Page, Reason};

    use super::*;

    /// A socket in a folder of its own.
    pub(in super::super) struct Place(PathBuf);

    impl Place {
        pub(in super::super) fn new(name: &str) -> Place {
            let folder = std::env::temp_dir().join(format!("nx-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            Place(folder)
        }

        pub(in super::super) fn socket(&self) -> PathBuf {
            self.0.join("control.sock")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    pub(in super::super) fn record(seq: u64, subject: u64) -> Record {
        let new = Record::new(AuditOp::Route, Decision::Allow, Reason::Policy);
        Record { seq, subject, enforcer: 1, ..new }
    }

    fn envelope(frame: &[u8]) -> Vec<u8> {
        [header(frame.len()).unwrap().as_slice(), frame].concat()
    }

    fn answer(op: Op, records: &[Record], uptime_ns: u64) -> (Status, Reply<'static>) {
        match op {
            Op::Hello {} => {
                let (answered, refused, discarded) = (1, 0, 0);
                (Status::Ok, Reply::Hello { service: 11, uptime_ns, answered, refused, discarded })
            }
            Op::AuditQuery { since_seq, .. } => {
                let head = records.last().map_or(0, |r| r.seq + 1);
                let mut from = records.iter().filter(|r| r.seq >= since_seq);
                let page: Vec<_> = from.by_ref().take(PAGE_MAX).map(Record::encode).collect();
                let next_seq = from.next().map_or(head, |r| r.seq);
                let page = Page::new(Box::leak(page.into_boxed_slice())).unwrap();
                (Status::Ok, Reply::AuditQuery { next_seq, page })
            }
            op => (Status::Denied, Reply::Refused { op: op.code() }),
        }
    }

    /// An image that serves `clients` one after the other, the last ones after a reboot.
    pub(in super::super) fn image(
        path: &Path,
        records: Vec<Record>,
        clients: &'static [(usize, u64)],
    ) -> JoinHandle<()> {
        let listener = UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            for (answers, uptime_ns) in clients {
                let (mut stream, _) = listener.accept().unwrap();
                // What a client before this one was owed.
                stream.write_all(&envelope(b"CT\x01\x82\x00\x07\0\0\0")).unwrap();
                stream.write_all(b"noise").unwrap();
                serve(&mut stream, &records, (*answers, *uptime_ns));
            }
        })
    }

    fn serve(stream: &mut UnixStream, records: &[Record], (answers, uptime_ns): (usize, u64)) {
        let (mut decoder, mut buffer, mut done) = (Decoder::new(), [0; 4096], 0);
        while done < answers {
            let len = stream.read(&mut buffer).unwrap();
            if len == 0 {
                return;
            }
            let mut rest = &buffer[..len];
            while !rest.is_empty() {
                let (tail, frame) = decoder.feed(rest);
                rest = tail;
                let Some(frame) = frame else { continue };
                let request = Request::decode(frame).unwrap();
                let (status, body) = answer(request.op, records, uptime_ns);
                let mut out = [0; FRAME_MAX];
                let len = request.answer(status, body).encode(&mut out);
                stream.write_all(&envelope(&out[..len])).unwrap();
                done += 1;
            }
        }
    }

    #[test]
    fn pages_come_through_noise_and_answers_to_others() {
        let place = Place::new("pages");
        let all: Vec<Record> = (5..12).map(|seq| record(seq, 20)).collect();
        let image = image(&place.socket(), all.clone(), &[(9, 77)]);
        let (mut channel, hello) = Channel::open(&place.socket()).unwrap();
        assert_eq!(hello, Hello { service: 11, uptime_ns: 77 });
        assert_eq!(channel.head().unwrap(), 12);
        let (mut got, mut since) = (Vec::new(), 0);
        while since < 12 {
            let (page, next) = channel.page(since).unwrap();
            got.extend(page);
            since = next;
        }
        assert_eq!(got, all);
        drop(channel);
        image.join().unwrap();
    }

    #[test]
    fn test_reject_a_missing_image_and_one_that_leaves() {
        let place = Place::new("missing");
        assert!(matches!(Channel::open(&place.socket()).err(), Some(Trouble::NoImage(_))));
        let image = image(&place.socket(), Vec::new(), &[(1, 1)]);
        let (mut channel, _) = Channel::open(&place.socket()).unwrap();
        image.join().unwrap();
        let trouble = channel.page(0).err().unwrap();
        assert!(matches!(trouble, Trouble::Gone), "{trouble}");
        assert!(matches!(Channel::open(&place.socket()).err(), Some(Trouble::NoImage(_))));
    }

    #[test]
    fn a_long_path_is_reached_through_its_folder() {
        let place = Place::new("long");
        let folder = place.0.join("x".repeat(120));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("control.sock");
        assert!(matches!(Channel::open(&path).err(), Some(Trouble::NoImage(_))));
        let handle = File::open(&folder).unwrap();
        let short = format!("/proc/self/fd/{}/control.sock", handle.as_raw_fd());
        let image = image(Path::new(&short), Vec::new(), &[(1, 1)]);
        assert!(Channel::open(&path).is_ok());
        image.join().unwrap();
    }
}
