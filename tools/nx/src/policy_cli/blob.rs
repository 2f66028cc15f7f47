//! `nx policy sign` and `nx policy inspect`: what happens to a compiled policy.

use std::{
    fs,
    path::{Path, PathBuf},
};

use boot_image::signing::{KEYS, Signed, Signer, signed_by};
use nexus_sel::{Policy, authoring};
use nexus_system::keys;
use serde_json::json;

use super::{FAULTY, OK, side::Failure};

/// Commands about a blob file; the policy tree is not read.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BlobCommand {
    /// Sign a compiled policy (default: with the INSECURE bring-up key)
    #[command(after_help = "\
Examples:
  nx policy build && nx policy sign
  nx policy sign build/policy.blob --key policy.seed -o signed.blob

A seed file holds 64 hexadecimal digits. policyd trusts one key, which its build takes from
recipes/keys/*.pub.

Exit status: 0 signed, 1 not a policy, no key, or not written, 2 wrong usage")]
    Sign {
        /// The blob; replaced unless --output is given
        #[arg(default_value = super::BLOB)]
        blob: PathBuf,
        /// Seed file of the Ed25519 key
        #[arg(long)]
        key: Option<PathBuf>,
        /// Where the signed blob goes
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Check a blob as policyd does and say what it is; status 1 if policyd would refuse it
    #[command(after_help = "\
Examples:
  nx policy inspect
  nx policy inspect signed.blob --json

Exit status: 0 policyd would take it (if its version is higher), 1 it would not, 2 wrong usage")]
    Inspect {
        /// The blob
        #[arg(default_value = super::BLOB)]
        blob: PathBuf,
    },
}

pub(crate) fn run(root: &Path, json: bool, command: &BlobCommand) -> Result<u8, Failure> {
    let (BlobCommand::Sign { blob, .. } | BlobCommand::Inspect { blob }) = command;
    let path = super::locate(root, blob);
    if !path.exists() {
        let help =
            if blob == Path::new(super::BLOB) { "; `nx policy build` writes it" } else { "" };
        return Err(Failure::Usage(format!("{}: no such file{help}", blob.display())));
    }
    let done = match command {
        BlobCommand::Sign { key, output, .. } => {
            let shown = output.as_ref().unwrap_or(blob);
            let output = output.as_ref().unwrap_or(&path);
            sign(root, &path, key.as_deref(), output).map(|name| {
                match json {
                    true => println!("{:#}", json!({ "signed": shown, "key": name })),
                    false => println!("signed with {name}: {}", shown.display()),
                }
                OK
            })
        }
        BlobCommand::Inspect { .. } => inspect(&path, json),
    };
    done.map_err(Failure::Text)
}

/// Signs a blob; the name of the key.
fn sign(root: &Path, blob: &Path, key: Option<&Path>, output: &Path) -> Result<String, String> {
    let (signer, name) = signer(root, key)?;
    let signed = signer.sign(&read(blob)?).map_err(|e| at(blob, &e))?;
    fs::write(output, signed).map_err(|e| at(output, &e.to_string()))?;
    Ok(name)
}

/// The key asked for, and its name; without one, the key that stands in the tree.
fn signer(root: &Path, key: Option<&Path>) -> Result<(Signer, String), String> {
    match key {
        Some(path) => Ok((Signer::from_file(path)?, path.display().to_string())),
        None => {
            eprintln!(
                "warning: {}: anybody can sign with this key, its seed is in {KEYS}/",
                keys::POLICY_NAME
            );
            Ok((Signer::bring_up(root)?, keys::POLICY_NAME.to_owned()))
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| at(path, &e.to_string()))
}

fn at(path: &Path, error: &str) -> String {
    format!("{}: {error}", path.display())
}

fn inspect(path: &Path, as_json: bool) -> Result<u8, String> {
    let bytes = read(path)?;
    let words = authoring::from_bytes(&bytes).ok_or_else(|| at(path, super::side::NO_BLOB))?;
    let policy = Policy::open(&words).map_err(|error| at(path, &error.to_string()))?;
    let signed = signed_by(&policy);
    let digest = blake3::Hash::from_bytes(policy.digest()).to_hex();
    let key = policy.signature().map(|(key, _)| blake3::Hash::from_bytes(key).to_hex());
    let key = key.as_ref().map(|key| key.as_str());
    let (subjects, capabilities) = (policy.subjects().count(), policy.capabilities().count());
    if as_json {
        let said = json!({
            "version": policy.version(), "digest": digest.as_str(), "bytes": bytes.len(),
            "subjects": subjects, "capabilities": capabilities, "rules": policy.rule_count(),
            "signature": word(signed), "key": key,
        });
        println!("{said:#}");
    } else {
        println!("version       {}", policy.version());
        println!("digest        {digest}");
        println!("bytes         {}", bytes.len());
        println!("subjects      {subjects}");
        println!("capabilities  {capabilities}");
        println!("rules         {}", policy.rule_count());
        println!("signature     {}", sentence(signed));
        println!("key           {}", key.unwrap_or("none"));
    }
    Ok(if signed == Signed::Trusted { OK } else { FAULTY })
}

/// For programs.
const fn word(signed: Signed) -> &'static str {
    match signed {
        Signed::Unsigned => "unsigned",
        Signed::Bad => "bad",
        Signed::Foreign => "foreign",
        Signed::Trusted if keys::POLICY_IS_INSECURE => "trusted-insecure",
        Signed::Trusted => "trusted",
    }
}

/// For people.
fn sentence(signed: Signed) -> String {
    match signed {
        Signed::Unsigned => "none: policyd refuses this blob".to_owned(),
        Signed::Bad => "does not verify: policyd refuses this blob".to_owned(),
        Signed::Foreign => "good, by a key the image does not trust: refused".to_owned(),
        Signed::Trusted => format!("good, by {}, which the image trusts", keys::POLICY_NAME),
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;
    use nexus_manifest::authoring::System;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn what_is_signed_is_what_inspect_accepts() {
        let root = root();
        let system = System::load(&root).expect("recipes");
        let signed = policy_file("signed", &crate::policy::compile(&root, &system).expect("built"));
        assert_eq!(inspect(&signed, true), Ok(OK));
        let seed = policy_file("seed", "ab".repeat(32).as_bytes());
        let blob = signed.with_extension("foreign");
        let output = Some(blob.clone());
        let sign = BlobCommand::Sign { blob: signed, key: Some(seed), output };
        assert!(matches!(run(&root, false, &sign), Ok(OK)));
        assert!(matches!(run(&root, false, &BlobCommand::Inspect { blob }), Ok(FAULTY)));
    }

    #[test]
    fn test_reject_blobs_that_are_none() {
        for (name, bytes) in [("short", &b"abc"[..]), ("zero", &[0; 4096]), ("empty", &[])] {
            let path = policy_file(name, bytes);
            assert!(inspect(&path, false).is_err(), "{name}");
        }
    }

    fn policy_file(name: &str, bytes: &[u8]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("nx-policy-blob-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }
}
