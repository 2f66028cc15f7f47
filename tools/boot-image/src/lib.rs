//! The boot image: header page, compact manifest, blobs, each on its own pages.
//!
//! One packer for the image that QEMU boots and for the one the simulator boots.
#![forbid(unsafe_code)]
#![allow(
    clippy::arithmetic_side_effects,
    reason = "host tool: sizes are bounded by the manifest's [memory]"
)]

pub mod candidates;
pub mod signing;

use nexus_abi::layout::PAGE;
use nexus_manifest::{
    authoring::{System, model::Image},
    boot::{BootManifest, Extent},
};
use nexus_system::header::{ANY_HART, FLAG_BENCH, Header, MAX_SEGMENTS, Segment};
use serde_json::{Value, json};

/// The compact manifest is refused above this; far more than its bounds allow.
const MANIFEST_MAX: usize = 64 << 10;

/// Everything that goes in.
pub struct Parts<'s> {
    /// The checked manifest.
    pub system: &'s System,
    /// Which kind of image.
    pub image: &'s Image,
    /// The first process.
    pub supervisor: Supervisor,
    /// Indices in the system and stripped ELFs.
    pub services: Vec<(usize, Vec<u8>)>,
    /// The compiled policy.
    pub policy: Vec<u8>,
    /// Files that services are granted, by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// Hart to move to, if any.
    pub boot_hart: Option<u64>,
}

/// The supervisor's load plan with the bytes of each segment: the kernel parses no ELF.
pub struct Supervisor {
    entry: u64,
    segments: Vec<(Segment, Vec<u8>)>,
}

impl Supervisor {
    /// Reads the plan off an ELF.
    ///
    /// # Errors
    /// What the loader refuses.
    pub fn new(elf: &[u8]) -> Result<Supervisor, String> {
        let plan = nexus_elf::plan(elf).map_err(|e| format!("the supervisor's ELF: {e:?}"))?;
        let mut segments = Vec::new();
        for s in plan.segments() {
            let bytes = s.bytes(elf).ok_or("a segment outside the file")?.to_vec();
            let segment = Segment {
                va: s.va,
                file_off: 0,
                file_len: s.file_len,
                mem_len: s.mem_len,
                prot: s.prot as u64,
            };
            segments.push((segment, bytes));
        }
        Ok(Supervisor { entry: plan.entry, segments })
    }
}

/// A finished boot image.
pub struct Boot {
    /// The image.
    pub bytes: Vec<u8>,
    /// What its compact manifest says.
    pub manifest: BootManifest,
}

/// Places the manifest behind the header and everything else behind the manifest. Where the
/// blobs begin depends on the manifest's length and the other way round: room for the manifest
/// grows by a page until it fits.
///
/// # Errors
/// What does not fit, in words.
pub fn pack(parts: &Parts<'_>) -> Result<Boot, String> {
    let mut room = PAGE;
    while room <= MANIFEST_MAX as u64 {
        if let Some(boot) = pack_with(parts, room)? {
            return Ok(boot);
        }
        room += PAGE;
    }
    Err("the compact manifest is too long".to_owned())
}

fn pack_with(parts: &Parts<'_>, room: u64) -> Result<Option<Boot>, String> {
    let start = PAGE + room;
    let mut blobs = Blobs { bytes: Vec::new(), start };
    let mut segments = [Segment::default(); MAX_SEGMENTS];
    for (place, (segment, bytes)) in segments.iter_mut().zip(&parts.supervisor.segments) {
        *place = Segment { file_off: blobs.add(bytes).offset, ..*segment };
    }
    let extents: Vec<(usize, Extent)> =
        parts.services.iter().map(|(at, elf)| (*at, blobs.add(elf))).collect();
    let policy = blobs.add(&parts.policy);
    let files: Vec<(&str, Extent)> =
        parts.files.iter().map(|(name, bytes)| (name.as_str(), blobs.add(bytes))).collect();
    let file = |wanted: &str| {
        files.iter().find(|(name, _)| *name == wanted).map_or(Extent::default(), |(_, e)| *e)
    };
    let extent = |at: usize| {
        extents.iter().find(|(known, _)| *known == at).map_or(Extent::default(), |(_, e)| *e)
    };
    let manifest =
        parts.system.compact(parts.image, &extent, &file, policy).map_err(|e| format!("{e:?}"))?;
    let mut buffer = vec![0; MANIFEST_MAX];
    let encoded = manifest.write(&mut buffer).map_err(|e| format!("{e:?}"))?;
    if encoded.len() as u64 > room {
        return Ok(None);
    }
    let total_len = start + blobs.bytes.len() as u64;
    BootManifest::read(encoded, total_len)
        .map_err(|e| format!("the manifest is refused: {e:?}"))?;
    let header = header(parts, segments, total_len, encoded.len() as u64)?;
    let mut bytes: Vec<u8> = header.encode().iter().flat_map(|w| w.to_le_bytes()).collect();
    if Header::decode(&header.encode()) != Some(header) {
        return Err("the header is refused".to_owned());
    }
    bytes.resize(PAGE as usize, 0);
    bytes.extend_from_slice(encoded);
    bytes.resize(start as usize, 0);
    bytes.extend(blobs.bytes);
    Ok(Some(Boot { bytes, manifest }))
}

struct Blobs {
    bytes: Vec<u8>,
    start: u64,
}

impl Blobs {
    fn add(&mut self, blob: &[u8]) -> Extent {
        let offset = self.start + self.bytes.len() as u64;
        self.bytes.extend_from_slice(blob);
        self.bytes.resize(self.bytes.len().next_multiple_of(PAGE as usize), 0);
        Extent { offset, len: blob.len() as u64, digest: *blake3::hash(blob).as_bytes() }
    }
}

fn header(
    parts: &Parts<'_>,
    segments: [Segment; MAX_SEGMENTS],
    total_len: u64,
    manifest_len: u64,
) -> Result<Header, String> {
    let system = parts.system;
    let supervisor = system.services.get(system.supervisor).ok_or("no supervisor")?;
    if parts.supervisor.segments.len() > MAX_SEGMENTS {
        return Err("the supervisor has too many segments".to_owned());
    }
    Ok(Header {
        total_len,
        flags: if parts.image.bench { FLAG_BENCH } else { 0 },
        boot_hart: parts.boot_hart.unwrap_or(ANY_HART),
        entry: parts.supervisor.entry,
        segments,
        segment_count: parts.supervisor.segments.len(),
        manifest_off: PAGE,
        manifest_len,
        stack_pages: supervisor.stack.div_ceil(PAGE),
        mask: supervisor.mask.0,
        priority: u64::from(supervisor.priority.value),
        service: supervisor.id.value,
        frames: u64::from(supervisor.frames.value),
        objects: u64::from(supervisor.objects),
    })
}

/// The expanded manifest as JSON, for debuggers and people.
///
/// # Errors
/// What the serialiser says.
pub fn describe(parts: &Parts<'_>, boot: &Boot, build_id: &str) -> Result<String, String> {
    let hex = |e: &Extent| blake3::Hash::from_bytes(e.digest).to_hex().to_string();
    let services: Vec<_> = (boot.manifest.services.iter())
        .map(|s| {
            let (name, digest, bytes) = (s.name.as_str(), hex(&s.image), s.image.len);
            json!({ "name": name, "id": s.id, "blake3": digest, "bytes": bytes })
        })
        .collect();
    let mut text = json!({
        "system": parts.system.name,
        "kind": parts.image.name.value,
        "build_id": build_id,
        "boot_hart": parts.boot_hart,
        "programs": services,
        "policy": { "blake3": hex(&boot.manifest.policy), "bytes": boot.manifest.policy.len },
        "manifest": boot.manifest,
    });
    digests_as_hex(&mut text);
    serde_json::to_string_pretty(&text).map(|t| t + "\n").map_err(|e| e.to_string())
}

/// Digests are byte arrays in the compact form; people compare them as text.
fn digests_as_hex(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let bytes = field.as_array().filter(|_| name == "digest");
                match bytes.map(|b| b.iter().filter_map(Value::as_u64).map(|n| format!("{n:02x}")))
                {
                    Some(hex) => *field = Value::String(hex.collect()),
                    None => digests_as_hex(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(digests_as_hex),
        _ => {}
    }
}

/// One line per program, for the terminal.
#[must_use]
pub fn summary(parts: &Parts<'_>, kernel: usize, boot: &Boot) -> String {
    let line = |name: &str, bytes: u64| format!("  {name:<18} {bytes:>8} bytes\n");
    let mut out = format!("{} image of {}\n", parts.image.name.value, parts.system.name);
    out += &line("kernel", kernel as u64);
    let supervisor: u64 = parts.supervisor.segments.iter().map(|(s, _)| s.file_len).sum();
    let name = parts.system.services.get(parts.system.supervisor).map_or("", |s| &s.name.value);
    out += &line(name, supervisor);
    for service in &boot.manifest.services {
        out += &line(&service.name, service.image.len);
    }
    out += &line("policy", boot.manifest.policy.len);
    out.trim_end().to_owned()
}
