//! From the device's first key to the one in use.

use nexus_keys::{Chain, Error, Generation, Purpose, PurposeKey, Standing};

use super::{
    ChainArgs, Pins,
    file::Contents,
    hex,
    verdict::{Class, Verdict, because},
};

/// What was proven of a file's keys.
pub(super) struct Proven {
    pub(super) chain: Chain,
}

/// Walks the chain of a file; on the way says what holds. `Err` is a finished verdict.
pub(super) fn walk(
    contents: &Contents,
    pins: &Pins,
    mut verdict: Verdict,
) -> Result<(Proven, Verdict), Verdict> {
    let genesis = match contents.genesis() {
        Ok(genesis) => genesis,
        Err(why) => return Err(verdict.wrong(format!("Not a chain: {why}."))),
    };
    if let Some(device) = pins.device.filter(|device| *device != genesis.device) {
        return Err(verdict.wrong(format!(
            "Another device: the file begins with key {}, --device is {}.",
            hex::short(genesis.device.bytes()),
            hex::short(device.bytes())
        )));
    }
    let mut chain = match Chain::start(genesis) {
        Ok(chain) => chain,
        Err(Error::DevelopmentKey) => {
            return Err(verdict.wrong(
                "The identity is the development key, whose seed everybody has, and it hides that.",
            ));
        }
        Err(error) => return Err(verdict.wrong(format!("The genesis: {}.", because(error)))),
    };
    if pins.genesis.is_some_and(|pinned| pinned != *chain.genesis()) {
        return Err(verdict.wrong(format!(
            "The device's key made more than one genesis: this one is {}, --genesis is another. \
             Whoever made this has the first key.",
            hex::short(chain.genesis())
        )));
    }
    for certificate in contents.certificates() {
        let to = certificate.rotation.to.0;
        if let Err(error) = chain.extend(certificate) {
            let text = format!("The certificate to generation {to}: {}.", because(error));
            return Err(verdict.wrong(text));
        }
    }
    identity(&chain, pins, &mut verdict);
    Ok((Proven { chain }, verdict))
}

fn identity(chain: &Chain, pins: &Pins, verdict: &mut Verdict) {
    let device = hex::short(chain.device().bytes());
    let generation = chain.generation().0;
    let how = match generation {
        0 => "which is still the first".to_owned(),
        1 => "which the first key certified; both signed, and it had been committed to".to_owned(),
        n => format!(
            "through {n} certificates; old and new key signed each, and each new key had been \
             committed to"
        ),
    };
    let text = format!("Device {device}… has identity key {generation}, {how}.");
    if pins.device.is_some() {
        verdict.say(Class::Proven, text);
    } else {
        verdict.say(Class::Proven, format!("If it is the device you mean: {text}"));
        verdict.say(
            Class::Missing,
            "No --device: the file agrees with itself, but anybody could have made all of it.",
        );
    }
    if chain.development() {
        verdict.say(Class::Admits, "A development key is the identity: everybody has its seed.");
    }
    if pins.genesis.is_none() && generation > 0 {
        verdict.say(
            Class::Beyond,
            "The genesis is not pinned (--genesis): who stole the first key before the first \
             rotation could have begun another chain.",
        );
    }
}

impl Proven {
    /// The newest certified key for `purpose` with this generation; every certificate of the
    /// purpose has to hold, since the newest says which older ones are revoked.
    pub(super) fn key(
        &self,
        contents: &Contents,
        purpose: Purpose,
        generation: Generation,
    ) -> Result<PurposeKey, String> {
        let of_purpose = contents.purposes().filter(|c| c.usage.purposes.has(purpose));
        let mut found = None;
        let mut floor = Generation(0);
        for certificate in of_purpose.filter(|c| c.owner == 0) {
            let name =
                format!("The certificate of {} key {}", purpose.name(), certificate.generation.0);
            let key = PurposeKey::admit(certificate, &self.chain);
            let key = key.map_err(|error| format!("{name}: {}.", because(error)))?;
            floor = floor.max(certificate.floor);
            if certificate.generation != generation {
                continue;
            }
            // One generation, one key: two would mean that somebody else certifies too.
            let other = |found: &PurposeKey| found.certificate().key != certificate.key;
            if found.as_ref().is_some_and(other) {
                return Err(format!(
                    "{name}: another certificate gives that generation to another key."
                ));
            }
            let newest = found.as_ref().map(|f: &PurposeKey| f.certificate().issuer);
            if newest.is_none_or(|issuer| issuer < certificate.issuer) {
                found = Some(key);
            }
        }
        if generation < floor {
            let name = purpose.name();
            return Err(format!(
                "The {name} key {} was revoked by a newer certificate.",
                generation.0
            ));
        }
        let missing = || {
            let name = purpose.name();
            format!("No certificate is there for {name} key {}, which signed.", generation.0)
        };
        found.ok_or_else(missing)
    }
}

pub(super) fn verify(args: &ChainArgs) -> Result<Verdict, String> {
    let contents = Contents::load(&args.file)?;
    let verdict =
        Verdict::new(&args.file, "the keys lead from the device's first to the one shown");
    let (proven, mut verdict) = match walk(&contents, &args.pins, verdict) {
        Ok(walked) => walked,
        Err(verdict) => return Ok(verdict),
    };
    let chain = &proven.chain;
    if let Some(wanted) = args.at_least.filter(|wanted| chain.generation().0 < *wanted) {
        let text = format!(
            "It ends at generation {}, --at-least says {wanted}: the newest certificates were cut.",
            chain.generation().0
        );
        return Ok(verdict.wrong(text));
    }
    for certificate in contents.purposes() {
        let of: Vec<&str> = certificate.usage.purposes.iter().map(Purpose::name).collect();
        let name = format!("key {} for {}", certificate.generation.0, of.join(", "));
        match PurposeKey::admit(certificate, chain) {
            Ok(_) => verdict.say(
                Class::Proven,
                format!("Identity key {} certified {name}.", certificate.issuer.0),
            ),
            Err(error) => {
                return Ok(verdict.wrong(format!("The certificate of {name}: {}.", because(error))));
            }
        }
    }
    if args.at_least.is_none() {
        verdict.say(
            Class::Beyond,
            "Whether newer certificates exist: a chain cut at its end is a shorter chain. A quote \
             over your own nonce names the generation in use.",
        );
    }
    facts(chain, &mut verdict);
    Ok(verdict)
}

fn facts(chain: &Chain, verdict: &mut Verdict) {
    verdict.fact("device", hex::text(chain.device().bytes()));
    verdict.fact("genesis", hex::text(chain.genesis()));
    verdict.fact("generation", chain.generation().0.to_string());
    verdict.fact("key", hex::text(chain.key().bytes()));
    verdict.fact("since", format!("boot {}", chain.since().boot));
    for generation in (0..chain.generation().0).rev().take(nexus_keys::KEPT) {
        let standing = match chain.standing(Generation(generation)) {
            Standing::Compromised => "compromised: nothing of it counts".to_owned(),
            Standing::Overlap(window) if window.is_none() => "replaced at once".to_owned(),
            Standing::Overlap(window) => {
                let last = u64::from(window.from.boot) + u64::from(window.boots);
                let seconds = window.ns / 1_000_000_000;
                format!("replaced; usable to boot {last}, {seconds} s in each")
            }
            _ => continue,
        };
        verdict.fact("replaced key", format!("{generation}: {standing}"));
    }
}
