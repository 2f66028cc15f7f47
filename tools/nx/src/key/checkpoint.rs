//! Whether the key store signed a checkpoint, and which one.

use std::{fs, path::Path};

use nexus_audit::{Checkpoint, Entries, Entry};
use nexus_keys::{Purpose, Seal};
use nexus_system::ids;

use super::{
    CheckpointArgs,
    chain::walk,
    file::Contents,
    hex,
    verdict::{Class, Verdict, because},
};

pub(super) fn verify(args: &CheckpointArgs) -> Result<Verdict, String> {
    let contents = Contents::load(&args.file)?;
    let verdict = Verdict::new(&args.file, "this device's key store signed these checkpoints");
    let (proven, mut verdict) = match walk(&contents, &args.pins, verdict) {
        Ok(walked) => walked,
        Err(verdict) => return Ok(verdict),
    };
    if contents.seals().next().is_none() {
        return Ok(verdict.wrong("It holds no signed checkpoint."));
    }
    for seal in contents.seals() {
        let number = seal.number;
        let key = match proven.key(&contents, Purpose::Checkpoint, seal.generation) {
            Ok(key) => key,
            Err(why) => return Ok(verdict.wrong(why)),
        };
        if let Err(error) = seal.verify(&key) {
            let text = format!("The signature of checkpoint {number}: {}.", because(error));
            return Ok(verdict.wrong(text));
        }
        if seal.caller != ids::LOGD.0 {
            let who = super::show::who(seal.caller);
            let text = format!("Checkpoint {number} was signed for {who}, not for the journal.");
            return Ok(verdict.wrong(text));
        }
        verdict.say(
            Class::Proven,
            format!(
                "Checkpoint key {}, certified by identity key {}, signed checkpoint {number} in \
                 boot {} for the journal.",
                seal.generation.0,
                key.certificate().issuer.0,
                seal.boot
            ),
        );
        verdict.fact("checkpoint", format!("{number}, digest {}", hex::text(&seal.digest)));
    }
    over(args, &contents, verdict)
}

/// What the signatures are over.
fn over(
    args: &CheckpointArgs,
    contents: &Contents,
    mut verdict: Verdict,
) -> Result<Verdict, String> {
    if let Some(digest) = args.digest {
        match contents.seals().find(|seal| seal.digest == digest) {
            Some(seal) => verdict
                .say(Class::Proven, format!("Checkpoint {} has the digest you gave.", seal.number)),
            None => return Ok(verdict.wrong("No signed checkpoint has the digest you gave.")),
        }
    }
    if let Some(path) = &args.trail {
        for seal in contents.seals() {
            match in_trail(path, seal)? {
                Ok(text) => verdict.say(Class::Proven, text),
                Err(text) => return Ok(verdict.wrong(text)),
            }
        }
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
    Ok(verdict)
}

fn in_trail(path: &Path, seal: &Seal) -> Result<Result<String, String>, String> {
    let at = |error: String| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| at(error.to_string()))?;
    let entries =
        Entries::open(&bytes).map_err(|_| at("no export of the audit trail".to_owned()))?;
    let number = seal.number;
    for entry in entries {
        let entry = entry.map_err(|damage| at(format!("damaged at byte {}", damage.at)))?;
        let Entry::Checkpoint(bytes) = entry else { continue };
        let Some(checkpoint) = Checkpoint::decode(bytes) else {
            return Err(at("a checkpoint in it is none".to_owned()));
        };
        if checkpoint.number != number {
            continue;
        }
        return Ok(if checkpoint.digest() == seal.digest {
            let (first, last) = (checkpoint.first_seq, checkpoint.last_seq);
            Ok(format!("It is checkpoint {number} of the trail, over records {first} to {last}."))
        } else {
            Err(format!("Checkpoint {number} of the trail is another one than was signed."))
        });
    }
    Ok(Err(format!("The trail has no checkpoint {number}: it was cut, or is of another boot.")))
}
