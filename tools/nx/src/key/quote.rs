//! What runs there, said by a key, in answer to a nonce.

use std::path::Path;

use nexus_keys::{Flags, Purpose, Quote, QuoteBody, Wanted};

use super::{
    Pins, QuoteArgs,
    chain::{Proven, walk},
    file::Contents,
    hex,
    verdict::{Class, Verdict, because},
};

pub(super) fn verify(args: &QuoteArgs) -> Result<Verdict, String> {
    let contents = Contents::load(&args.file)?;
    let verdict = Verdict::new(&args.file, "this device said this in answer to the nonce");
    let (proven, verdict) = match walk(&contents, &args.pins, verdict) {
        Ok(walked) => walked,
        Err(verdict) => return Ok(verdict),
    };
    let quote = match contents.quote() {
        Ok(quote) => quote,
        Err(why) => return Ok(verdict.wrong(format!("Not an answer: {why}."))),
    };
    match signed(&contents, &proven, quote, args, verdict) {
        Ok(verdict) => expected(args, quote, &proven, verdict),
        Err(verdict) => Ok(verdict),
    }
}

/// Who signed, over what nonce.
fn signed(
    contents: &Contents,
    proven: &Proven,
    quote: &Quote,
    args: &QuoteArgs,
    mut verdict: Verdict,
) -> Result<Verdict, Verdict> {
    let body = &quote.body;
    let key = match proven.key(contents, Purpose::Attest, body.generation) {
        Ok(key) => key,
        Err(why) => return Err(verdict.wrong(why)),
    };
    let wanted = Wanted { nonce: args.nonce, allow_development: args.allow_dev };
    if let Err(error) = quote.verify(&proven.chain, &key, &wanted) {
        return Err(verdict.wrong(format!("The quote: {}.", because(error))));
    }
    verdict.say(
        Class::Proven,
        format!(
            "Identity key {} certified attestation key {}, which signs nothing but quotes.",
            key.certificate().issuer.0,
            body.generation.0
        ),
    );
    verdict.say(
        Class::Proven,
        "That key signed this quote, and it answers the nonce: it is not older than the nonce.",
    );
    Ok(verdict)
}

/// What the quote says against what was expected.
fn expected(
    args: &QuoteArgs,
    quote: &Quote,
    proven: &Proven,
    mut verdict: Verdict,
) -> Result<Verdict, String> {
    let evidence = &quote.body.evidence;
    for (flag, words) in Flags::ALL {
        if evidence.flags.has(*flag) && *flag != Flags::NO_HARDWARE_ROOT {
            verdict.say(Class::Admits, sentence(words));
        }
    }
    let pinned = [
        ("policy in force", args.policy, evidence.policy),
        ("digest over the started images", args.measurements, evidence.measurements),
    ];
    for (what, wanted, said) in pinned {
        match wanted {
            Some(wanted) if wanted == said => {
                verdict.say(Class::Proven, format!("The {what} is the one you gave."));
            }
            Some(_) => {
                let text = format!("The {what} is {}, not the one you gave.", hex::short(&said));
                return Ok(verdict.wrong(text));
            }
            None => {
                verdict.say(Class::Beyond, format!("Whether the {what} is the right one: compare."))
            }
        }
    }
    match &args.kept {
        Some(path) => match since(path, &args.pins, &quote.body)? {
            Ok(text) => verdict.say(Class::Proven, text),
            Err(text) => return Ok(verdict.wrong(text)),
        },
        None => verdict.say(
            Class::Beyond,
            "Whether the whole disk was put back to an older one: only an answer you kept (--kept) \
             shows counters that went back.",
        ),
    }
    if evidence.flags.has(Flags::NO_HARDWARE_ROOT) {
        verdict.say(
            Class::Beyond,
            "Whether the kernel told the truth: no hardware measured it, and the root secret lies \
             on the disk. Whoever has the disk can answer as this device.",
        );
    }
    facts(&quote.body, proven, &mut verdict);
    Ok(verdict)
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Whether the counters went forward since the answer that was kept. That one is checked like any
/// other, but for its nonce, which nobody remembers.
fn since(path: &Path, pins: &Pins, now: &QuoteBody) -> Result<Result<String, String>, String> {
    let contents = Contents::load(path)?;
    let old = contents.quote().map_err(|why| format!("{}: {why}", path.display()))?;
    let verdict = Verdict::new(path, "");
    let Ok((proven, _)) = walk(&contents, pins, verdict) else {
        return Err(format!("{}: its chain does not hold; run verify-chain", path.display()));
    };
    let at = |why: &str| format!("{}: {why}", path.display());
    let key =
        proven.key(&contents, Purpose::Attest, old.body.generation).map_err(|why| at(&why))?;
    let wanted = Wanted { nonce: old.body.nonce, allow_development: true };
    old.verify(&proven.chain, &key, &wanted).map_err(|error| at(because(error)))?;
    if old.body.device != now.device {
        return Err(at("it is of another device"));
    }
    let (before, after) = (&old.body.evidence, &now.evidence);
    let counters = [
        ("boot counter", u64::from(before.boot), u64::from(after.boot)),
        ("rollback floor", before.rollback_floor, after.rollback_floor),
        ("identity generation", u64::from(old.body.identity.0), u64::from(now.identity.0)),
        ("policy version", before.policy_version, after.policy_version),
    ];
    for (name, was, is) in counters {
        if is < was {
            return Ok(Err(format!(
                "The {name} went back from {was} to {is} since the answer you kept: the disk, or \
                 part of it, is an older one."
            )));
        }
    }
    Ok(Ok("No counter went back since the answer you kept.".to_owned()))
}

fn facts(body: &QuoteBody, proven: &Proven, verdict: &mut Verdict) {
    let e = &body.evidence;
    verdict.fact("device", hex::text(proven.chain.device().bytes()));
    verdict.fact("identity key", format!("generation {}", body.identity.0));
    verdict.fact("boot", format!("{}, id {}", e.boot, hex::text(&e.boot_id)));
    verdict.fact("resumes", e.resumes.to_string());
    verdict.fact("images", format!("{}, digest {}", e.images, hex::text(&e.measurements)));
    verdict
        .fact("policy", format!("version {}, digest {}", e.policy_version, hex::text(&e.policy)));
    verdict.fact("audit", format!("checkpoint {}:{}", e.audit_size, hex::text(&e.audit_head)));
    verdict.fact("rollback floor", e.rollback_floor.to_string());
    verdict.fact("asked by", super::show::who(body.caller));
}
