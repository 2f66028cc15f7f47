//! Which checkpoints the key store signed, and whether a trail holds them.

use std::{fs, path::Path};

use nexus_audit::{self as audit, Checkpoint, Entries, Entry};
use nexus_keys::{Generation, Purpose, Seal};
use nexus_system::ids;

use super::{
    CheckpointArgs,
    chain::{Proven, walk},
    file::Contents,
    hex,
    verdict::{Class, Verdict, because},
};

pub(super) fn verify(args: &CheckpointArgs) -> Result<Verdict, String> {
    let contents = Contents::load(&args.file)?;
    let trail = args.trail.as_deref().map(checkpoints).transpose()?.unwrap_or_default();
    let verdict = Verdict::new(&args.file, "this device's key store signed these checkpoints");
    let (proven, verdict) = match walk(&contents, &args.pins, verdict) {
        Ok(walked) => walked,
        Err(verdict) => return Ok(verdict),
    };
    let in_file: Vec<Seal> = contents.seals().copied().collect();
    let in_trail: Vec<Seal> = trail.iter().filter_map(seal_of).collect();
    if in_file.is_empty() && in_trail.is_empty() {
        return Ok(verdict.wrong("No signed checkpoint: neither in the file nor in the trail."));
    }
    for seal in in_file.iter().chain(&in_trail) {
        if let Err(why) = signed(&contents, &proven, seal) {
            return Ok(verdict.wrong(why));
        }
    }
    Ok(told(args, verdict, (&in_file, &in_trail), &trail))
}

/// Whether the certified checkpoint key signed it, for the journal.
fn signed(contents: &Contents, proven: &Proven, seal: &Seal) -> Result<(), String> {
    let number = seal.number;
    let key = proven.key(contents, Purpose::Checkpoint, seal.generation)?;
    seal.verify(&key)
        .map_err(|error| format!("The signature of checkpoint {number}: {}.", because(error)))?;
    if seal.caller == ids::LOGD.0 {
        Ok(())
    } else {
        let who = super::show::who(seal.caller);
        Err(format!("Checkpoint {number} was signed for {who}, not for the journal."))
    }
}

/// What verified signatures say together with a trail.
fn told(
    args: &CheckpointArgs,
    mut verdict: Verdict,
    (in_file, in_trail): (&[Seal], &[Seal]),
    trail: &[Checkpoint],
) -> Verdict {
    for seal in in_file {
        let (number, generation, boot) = (seal.number, seal.generation.0, seal.boot);
        verdict.say(
            Class::Proven,
            format!("Checkpoint key {generation} signed checkpoint {number} in boot {boot}."),
        );
        verdict.fact("checkpoint", format!("{number}, digest {}", hex::text(&seal.digest)));
        if args.trail.is_some() {
            match held(trail, seal) {
                Ok(text) => verdict.say(Class::Proven, text),
                Err(text) => return verdict.wrong(text),
            }
        }
    }
    if let Some(digest) = args.digest {
        match in_file.iter().chain(in_trail).find(|seal| seal.digest == digest) {
            Some(seal) => verdict
                .say(Class::Proven, format!("Checkpoint {} has the digest you gave.", seal.number)),
            None => return verdict.wrong("No signed checkpoint has the digest you gave."),
        }
    }
    if let (Some(first), Some(last)) = (in_trail.first(), in_trail.last()) {
        let newest = trail.iter().filter(|c| c.number == last.number).map(|c| c.last_seq).max();
        let (first, last, of) = (first.number, last.number, trail.len());
        verdict.say(
            Class::Proven,
            format!(
                "The certified checkpoint key signed {} of the trail's {of} checkpoints, {first} to \
                 {last}: up to record {}.",
                in_trail.len(),
                newest.unwrap_or_default()
            ),
        );
        verdict.fact("signed in trail", format!("{first} to {last}"));
    }
    if args.digest.is_none() && args.trail.is_none() {
        verdict.say(
            Class::Missing,
            "What the checkpoints say: a signature is over a number and a digest. Give --trail.",
        );
    }
    verdict.say(
        Class::Beyond,
        "Whether records came after the newest checkpoint, and whether those before it are in \
         your export: `nx audit verify` tells.",
    );
    verdict
}

/// All checkpoints of an export.
fn checkpoints(path: &Path) -> Result<Vec<Checkpoint>, String> {
    let at = |error: String| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| at(error.to_string()))?;
    let entries =
        Entries::open(&bytes).map_err(|_| at("no export of the audit trail".to_owned()))?;
    let mut all = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|damage| at(format!("damaged at byte {}", damage.at)))?;
        if let Entry::Checkpoint(bytes) = entry {
            let checkpoint = Checkpoint::decode(bytes);
            all.push(checkpoint.ok_or_else(|| at("a checkpoint in it is none".to_owned()))?);
        }
    }
    Ok(all)
}

/// The signature a checkpoint of a trail carries.
fn seal_of(checkpoint: &Checkpoint) -> Option<Seal> {
    let audit::Seal::Ed25519(by) = checkpoint.seal else { return None };
    Some(Seal {
        number: checkpoint.number,
        digest: checkpoint.digest(),
        generation: Generation(by.generation),
        boot: by.boot,
        caller: ids::LOGD.0,
        signature: by.bytes,
    })
}

/// Whether the trail holds just that checkpoint.
fn held(trail: &[Checkpoint], seal: &Seal) -> Result<String, String> {
    let number = seal.number;
    let mut of_number = trail.iter().filter(|checkpoint| checkpoint.number == number).peekable();
    if of_number.peek().is_none() {
        return Err(format!(
            "The trail has no checkpoint {number}: it was cut, or is of another boot."
        ));
    }
    match of_number.find(|checkpoint| checkpoint.digest() == seal.digest) {
        Some(checkpoint) => {
            let (first, last) = (checkpoint.first_seq, checkpoint.last_seq);
            Ok(format!("It is checkpoint {number} of the trail, over records {first} to {last}."))
        }
        None => Err(format!("Checkpoint {number} of the trail is another one than was signed.")),
    }
}
