//! Protocols as data: documents, traces and fuzzers walk these tables.

use core::fmt;

pub use crate::header::Order;
use crate::{FRAME_MAX, control, echo, keys, log, policy, rng, route, state, supervise};

/// Every protocol.
pub const PROTOCOLS: &[&Protocol] = &[
    policy::SPEC,
    log::SPEC,
    route::SPEC,
    supervise::SPEC,
    echo::SPEC,
    control::SPEC,
    rng::SPEC,
    state::SPEC,
    keys::SPEC,
];

/// Decodes a frame and encodes it again; `None` if it does not decode.
pub type Reencode = fn(&[u8], &mut [u8; FRAME_MAX]) -> Option<usize>;

/// One protocol.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Name of the module and the golden file.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// First two bytes of every frame.
    pub magic: [u8; 2],
    /// Longest frame in bytes, proven at compile time.
    pub max: usize,
    /// Bit a reply sets in the operation byte.
    pub reply_bit: u8,
    /// Bytes of the nonce.
    pub nonce_bytes: usize,
    /// Versions, and whether each carries the nonce.
    pub versions: &'static [(u8, bool)],
    /// Where a reply's status stands.
    pub reply_order: Order,
    /// Status numbers and names.
    pub statuses: &'static [(u8, &'static str)],
    /// The rows.
    pub ops: &'static [OpSpec],
    /// Request decoder and encoder.
    pub reencode: Reencode,
    /// Reply decoder and encoder.
    pub reencode_reply: Reencode,
    /// The reply to a frame that is no request; `None` if it is one.
    pub refuse: Reencode,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct OpSpec {
    /// Operation byte of the request.
    pub code: u8,
    /// Versions that have this row.
    pub versions: &'static [u8],
    /// Name of the variant.
    pub name: &'static str,
    /// What it asks.
    pub doc: &'static str,
    /// Request fields in order.
    pub request: &'static [FieldSpec],
    /// Reply fields in order.
    pub reply: &'static [FieldSpec],
    /// Whether a reply that is not OK still carries (neutral) fields.
    pub reply_always: bool,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// Name.
    pub name: &'static str,
    /// Type in the closed vocabulary.
    pub kind: &'static str,
    /// Fewest bytes.
    pub min: usize,
    /// Most bytes.
    pub max: usize,
}

impl OpSpec {
    /// Most bytes of the request fields.
    #[must_use]
    pub const fn request_max(&self) -> usize {
        sum(self.request)
    }

    /// Most bytes of the reply fields.
    #[must_use]
    pub const fn reply_max(&self) -> usize {
        sum(self.reply)
    }
}

const fn sum(mut fields: &[FieldSpec]) -> usize {
    let mut total = 0usize;
    while let Some((field, rest)) = fields.split_first() {
        total = total.saturating_add(field.max);
        fields = rest;
    }
    total
}

/// Prints a protocol as the reference page has it.
#[derive(Clone, Copy, Debug)]
pub struct Markdown(pub &'static Protocol);

impl fmt::Display for Markdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = self.0;
        let [m0, m1] = p.magic;
        let (c0, c1) = (char::from(m0), char::from(m1));
        writeln!(f, "## `{}` (`{c0}{c1}`)\n", p.name)?;
        writeln!(f, "{}", p.doc.trim())?;
        writeln!(f, "\nFrames: `{m0:02x} {m1:02x} version op`, at most {} bytes.", p.max)?;
        for (version, nonce) in p.versions {
            let nonce = if *nonce { p.nonce_bytes } else { 0 };
            writeln!(f, "Version {version} has a nonce of {nonce} bytes.")?;
        }
        let order = match p.reply_order {
            Order::StatusNonce => "status, nonce, fields",
            Order::NonceStatusZero => "nonce, status, a zero byte, fields",
        };
        writeln!(f, "A reply sets bit 0x{:02x} of op; after it come {order}.", p.reply_bit)?;
        writeln!(f, "\n| status | name |\n| --- | --- |")?;
        for (code, name) in p.statuses {
            writeln!(f, "| {code} | {name} |")?;
        }
        writeln!(f, "\n| op | versions | name | request fields | reply fields |")?;
        writeln!(f, "| --- | --- | --- | --- | --- |")?;
        p.ops.iter().try_for_each(|row| write!(f, "{}", Row(row)))?;
        p.ops.iter().try_for_each(|row| write!(f, "\n**{}**:{}", row.name, row.doc))
    }
}

struct Row(&'static OpSpec);

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| 0x{:02x} |", self.0.code)?;
        for version in self.0.versions {
            write!(f, " {version}")?;
        }
        write!(f, " | {} |", self.0.name)?;
        list(f, self.0.request)?;
        write!(f, " |")?;
        list(f, self.0.reply)?;
        writeln!(f, "{} |", if self.0.reply_always { " (in every reply)" } else { "" })
    }
}

fn list(f: &mut fmt::Formatter<'_>, fields: &[FieldSpec]) -> fmt::Result {
    fields.iter().enumerate().try_for_each(|(i, field)| {
        let comma = if i == 0 { "" } else { "," };
        write!(f, "{comma} {}: {}", field.name, field.kind)
    })
}
