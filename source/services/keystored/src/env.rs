//! All that keystored needs from outside: time, entropy, a store, policyd's decisions, a lane for
//! its records, and what the supervisor measured. And the rights its operations need.

use core::sync::atomic::AtomicU64;

use nexus_service::{permit::Action, permit::Authorizer, report::Reporter};
use nexus_wire::state::{Change, VALUE_MAX};

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident needs $capability:literal;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl Action for $name {
            const CAPABILITY: &'static str = $capability;
        }
    )+};
}

actions! {
    /// Signing for oneself.
    Sign needs "crypto.sign";
    /// Having a signature checked.
    Verify needs "crypto.verify";
    /// Making the device's keys.
    Keygen needs "device.keygen";
    /// Reading public keys and what vouches for them.
    ReadPublic needs "device.pubkey.read";
    /// Replacing and revoking keys.
    Rotate needs "key.rotate";
    /// Getting a quote.
    Attest needs "key.attest";
    /// Having checkpoints of the audit signed.
    SealCheckpoint needs "key.checkpoint";
    /// Reading one's own secrets and counters.
    ReadOwn needs "keystore.read";
    /// Writing one's own secrets and counters.
    WriteOwn needs "keystore.write";
}

/// The entropy source gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

/// Why the store did not do as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No answer. A change may have been made or not.
    Unavailable,
    /// What is stored is damaged or somebody else's; it was not touched.
    Damaged,
    /// The store is older than it was.
    Rollback,
    /// No room.
    Full,
}

/// What the store is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreStanding {
    /// Whether a change outlives a power cut.
    pub durable: bool,
    /// Grows with every change anybody makes.
    pub sequence: u64,
}

/// A value of the store.
pub type Value = [u8; VALUE_MAX];

/// What the supervisor measured while it started the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Images started.
    pub images: u32,
    /// Digest over who was started from which image, in order.
    pub digest: [u8; 32],
    /// Digest of the policy the system started with.
    pub policy: [u8; 32],
    /// Whether nothing was left out.
    pub complete: bool,
}

/// The outside of keystored.
pub trait Env: Authorizer {
    /// Nanoseconds since boot.
    fn now_ns(&mut self) -> u64;

    /// Random bytes for salts, at most 256.
    ///
    /// # Errors
    /// [`NoEntropy`]; then nothing of `out` may be used.
    fn entropy(&mut self, out: &mut [u8]) -> Result<(), NoEntropy>;

    /// Random bytes for keys, from a source reseeded for this request, at most 256.
    ///
    /// # Errors
    /// As [`Env::entropy`].
    fn seed(&mut self, out: &mut [u8]) -> Result<(), NoEntropy>;

    /// What the store is good for.
    ///
    /// # Errors
    /// [`StoreError`].
    fn store_standing(&mut self) -> Result<StoreStanding, StoreError>;

    /// The value of a key: its length in `out`. `None` only if the store says there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    fn store_get(&mut self, key: &[u8], out: &mut Value) -> Result<Option<usize>, StoreError>;

    /// Makes all the changes, or none.
    ///
    /// # Errors
    /// [`StoreError`].
    fn store_commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError>;

    /// Calls `each` for the keys that begin with `prefix`, in order, at most `limit` of them.
    ///
    /// # Errors
    /// [`StoreError`].
    fn store_list(
        &mut self,
        prefix: &[u8],
        limit: usize,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError>;

    /// The lane for records of what was done.
    fn reporter(&mut self) -> &mut Reporter<&'static [AtomicU64]>;

    /// What the supervisor measured; `None` if it does not say.
    fn measured(&mut self) -> Option<Measured>;

    /// The boot counted by an earlier instance of this service, 0 for none: told from memory that
    /// lives as long as the machine runs.
    fn kept_boot(&mut self) -> u32;

    /// Keeps the boot for later instances.
    fn keep_boot(&mut self, boot: u32);

    /// 16 random bytes that name this boot, made by the first instance; zeros if there are none.
    fn boot_id(&mut self) -> [u8; 16];

    /// The newest checkpoint that an earlier instance signed in this boot: told from the same
    /// memory as [`Env::kept_boot`].
    fn kept_head(&mut self) -> Option<(u64, [u8; 32])>;

    /// Keeps the newest signed checkpoint for later instances.
    fn keep_head(&mut self, head: (u64, [u8; 32]));

    /// A signed checkpoint is ready to be fetched, or not: see `notified`.
    fn next_checkpoint(&mut self) -> Option<(u64, [u8; 32])>;

    /// Hands a signed checkpoint back; whether there was room.
    fn return_seal(&mut self, seal: &nexus_keys::Seal) -> bool;
}
