//! The channel between a running image and its operator: `CT` frames in envelopes on a byte
//! stream. Host and image use the same decoder.

mod envelope;

use crate::{
    Bytes, Status,
    audit::{ChainPage, Page},
};

pub use self::envelope::{Decoder, Discarded, ENVELOPE_MAX, HEADER, SYNC, header};

protocol! {
    /// Reads the audit of a running image, from outside; answered by controld to whoever holds
    /// the host's end of the channel, and decided and audited as controld's own requests.
    ///
    /// One request at a time. A subscription is a poll: AUDIT_QUERY from the last `next_seq` on;
    /// from the highest number it matches nothing and tells where new records will stand.
    "control" magic b"CT" max 512 shortest 4;
    nonce u32 in versions { 1: true };
    reply bit 0x80 order StatusNonce status Status;
    Op => Reply<'a> over 'a;

    /// Who answers, how long the image has been up, and what became of the host's bytes:
    /// requests answered, frames that were no request, bytes outside any frame.
    1 in [1] Hello {} => ok {
        service: u64, uptime_ns: u64, answered: u64, refused: u64, discarded: u64
    };
    /// Audit records from `since_seq` on that match; 0 in a filter matches anything. `next_seq`
    /// continues where this page ends.
    2 in [1] AuditQuery {
        since_seq: u64, subject: u64, op: u8, decision: u8, request_nonce: u32, max: u8
    } => ok { next_seq: u64, page: Page<'a> };
    /// What became of the audit records produced by policyd and by the kernel.
    3 in [1] Stats {} => ok {
        produced: u64, stored: u64, lost: u64, evicted: u64, retained: u64,
        kernel_produced: u64, kernel_stored: u64, kernel_lost: u64
    };
    /// All audit records from `since_seq` on with their place in the chains: what an export is
    /// made of. `overtaken` is 1 if records between `since_seq` (unless 0) and this page were
    /// dropped.
    4 in [1] AuditChain { since_seq: u64, max: u8 }
    => ok { next_seq: u64, overtaken: u8, page: ChainPage<'a> };
    /// The checkpoint with this number; 0 is the newest, made now if there are newer records.
    5 in [1] AuditCheckpoint { number: u64 } => ok { checkpoint: Bytes<'a, 296> };
    /// Ends the image in good order: the journal makes its last checkpoint first.
    6 in [1] Stop {} => ok {};
    /// Makes the device's keys, once: `made` is 0 if it has some.
    7 in [1] Provision {} => ok { made: u8 };
    /// The public key of a purpose and generation, as keystored numbers them.
    8 in [1] PublicKey { purpose: u16, generation: u32 }
    => ok { generation: u32, public: [u8; 32] };
}
