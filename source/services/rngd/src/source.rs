//! The device as a source: every wait has an end, every byte is tested, a failure stays.

use nexus_virtio::{ENTROPY_BLOCK, Fault, Taken};
use nexus_wire::rng::Health;
use zeroize::Zeroize as _;

use crate::{
    env::Env,
    erased::Erased,
    health::{Cutoffs, Tests},
};

/// Bytes tested and thrown away before the first output: twice the window of the tests, what SP
/// 800-90B section 4.3 asks for at least.
pub const START_UP_BYTES: usize = 1024;
/// How long one block may take: the device needs microseconds.
pub const READ_NS: u64 = 50_000_000;
/// How long the device is not waited for after it did not answer in time.
pub const BACK_OFF_NS: u64 = 1_000_000_000;
/// Reads in a row that may come short before the block counts as not delivered.
pub const SHORT_READS_MAX: u32 = 16;
/// Interrupts looked at for one block: a device that rings for nothing gets no more.
pub const WAKE_UPS_MAX: u32 = 64;
/// How long a block is looked for before its interrupt is waited for: what a prompt device needs.
const POLL_NS: u64 = 1_000_000;

/// One block of raw bytes, erased when it goes.
pub(crate) type Raw = Erased<ENTROPY_BLOCK>;

/// Marks that a block could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable;

/// The source and what became of it.
#[derive(Debug)]
pub(crate) struct Source {
    tests: Tests,
    health: Health,
    /// Digest of the block before, so that one that comes twice is known.
    before: Option<[u8; 32]>,
    /// A read was given up: what the device delivers next was asked for too long ago.
    late: bool,
    not_before_ns: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) short_reads: u64,
    pub(crate) timeouts: u64,
}

impl Source {
    pub(crate) const fn new(cutoffs: Cutoffs) -> Source {
        Source {
            tests: Tests::new(cutoffs),
            health: Health::Untested,
            before: None,
            late: false,
            not_before_ns: 0,
            raw_bytes: 0,
            short_reads: 0,
            timeouts: 0,
        }
    }

    pub(crate) const fn health(&self) -> Health {
        self.health
    }

    /// From now on, for ever.
    pub(crate) fn fail<E: Env>(&mut self, health: Health, env: &mut E) {
        if matches!(self.health, Health::Untested | Health::Well) {
            self.health = health;
            env.health(health);
        }
    }

    /// The start-up test: so many bytes, tested and thrown away. A source that is only slow can be
    /// tried again, from the first byte.
    pub(crate) fn start_up<E: Env>(
        &mut self,
        cutoffs: Cutoffs,
        env: &mut E,
    ) -> Result<(), Unavailable> {
        if self.health != Health::Untested {
            return Err(Unavailable);
        }
        self.tests = Tests::new(cutoffs);
        let mut thrown_away = Raw::new();
        for _ in 0..START_UP_BYTES.div_ceil(ENTROPY_BLOCK) {
            self.block(&mut thrown_away, env)?;
        }
        self.health = Health::Well;
        Ok(())
    }

    /// One tested block, in place: a value that moves leaves copies behind.
    pub(crate) fn read<E: Env>(&mut self, raw: &mut Raw, env: &mut E) -> Result<(), Unavailable> {
        if self.health == Health::Well { self.block(raw, env) } else { Err(Unavailable) }
    }

    fn block<E: Env>(&mut self, raw: &mut Raw, env: &mut E) -> Result<(), Unavailable> {
        match self.fetch(raw, env) {
            Ok(true) => {}
            Ok(false) => {
                self.late = true;
                self.timeouts = self.timeouts.saturating_add(1);
                return Err(Unavailable);
            }
            Err(_) => {
                self.fail(Health::Device, env);
                return Err(Unavailable);
            }
        }
        self.not_before_ns = 0;
        self.test(raw).map_err(|health| {
            raw.erase();
            self.fail(health, env);
            Unavailable
        })
    }

    /// Every byte through both tests, and the block held against the one before it.
    fn test(&mut self, raw: &Raw) -> Result<(), Health> {
        for byte in raw.iter() {
            self.raw_bytes = self.raw_bytes.saturating_add(1);
            self.tests.feed(*byte)?;
        }
        // Two equal blocks: at 4 bits a byte one chance in 2^512, or a device that gave old bytes.
        let mut hasher = blake3::Hasher::new();
        let digest = *hasher.update(raw.as_slice()).finalize().as_bytes();
        hasher.zeroize();
        let repeated = self.before == Some(digest);
        self.before = Some(digest);
        if repeated { Err(Health::Repeated) } else { Ok(()) }
    }

    /// Whether a whole block that was asked for just now came in time.
    fn fetch<E: Env>(&mut self, raw: &mut Raw, env: &mut E) -> Result<bool, Fault> {
        let begun_ns = env.now_ns();
        let waits = begun_ns >= self.not_before_ns;
        if waits {
            // Until this read has succeeded. Only a read that waits moves it: who asks without
            // pause must not keep the device from ever being waited for again.
            self.not_before_ns = begun_ns.saturating_add(READ_NS).saturating_add(BACK_OFF_NS);
        }
        let deadline_ns = begun_ns.saturating_add(if waits { READ_NS } else { 0 });
        let poll_until_ns = begun_ns.saturating_add(POLL_NS).min(deadline_ns);
        let (mut short, mut woken) = (0u32, 0u32);
        env.request()?;
        loop {
            match env.take(raw)? {
                Taken::Whole | Taken::Short if self.late => {
                    raw.erase();
                    self.late = false;
                    env.request()?;
                }
                Taken::Whole => return Ok(true),
                Taken::Short => {
                    self.short_reads = self.short_reads.saturating_add(1);
                    short = short.saturating_add(1);
                    if short >= SHORT_READS_MAX {
                        return Ok(false);
                    }
                    env.request()?;
                }
                Taken::Pending => {
                    let now_ns = env.now_ns();
                    if now_ns >= deadline_ns || woken >= WAKE_UPS_MAX {
                        return Ok(false);
                    }
                    if now_ns >= poll_until_ns {
                        woken = woken.saturating_add(1);
                        env.rest(deadline_ns)?;
                    }
                }
            }
        }
    }
}
