//! Links the program where the boot manifest says, and compiles the policies it measures.
use std::{env, error::Error, fmt::Write as _, fs, path::Path};

use nexus_sel::authoring::{Input, SystemNames, compile};

/// Subjects of the smallest and of the largest policy.
const SUBJECTS: [u64; 2] = [10, 10_000];
/// Bytes of the capabilities: the edges of every way a name can be stored.
const LENGTHS: [usize; 14] = [4, 7, 8, 9, 12, 13, 16, 17, 21, 24, 25, 32, 33, 48];

fn main() -> Result<(), Box<dyn Error>> {
    nexus_build::service();
    println!("cargo::rerun-if-changed=build.rs");
    let mut text = String::new();
    for subjects in SUBJECTS {
        let words = policy(subjects)?;
        writeln!(text, "static OF_{subjects}: [u64; {}] = {words:?};", words.len())?;
    }
    let names = LENGTHS.map(name);
    writeln!(text, "/// Every subject of the policies may use these.")?;
    writeln!(text, "const NAMES: [&str; {}] = {names:?};", names.len())?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("policies.rs"), text)?;
    Ok(())
}

/// A capability of `len` bytes.
fn name(len: usize) -> String {
    let mut name = String::from("fs.");
    name.extend(('a'..='z').cycle().take(len.saturating_sub(name.len())));
    name
}

/// Subjects 1 to `subjects`, each of which may use every name.
fn policy(subjects: u64) -> Result<Vec<u64>, Box<dyn Error>> {
    let services: Vec<(String, u64)> = (1..=subjects).map(|id| (format!("s{id}"), id)).collect();
    let mut registry = String::from("schema = 2\n");
    let mut all = String::new();
    for len in LENGTHS {
        let name = name(len);
        writeln!(registry, "[\"{name}\"]\nmeaning = \"m\"\nenforcer = \"s1\"")?;
        write!(all, "\"{name}\", ")?;
    }
    let mut rules = String::from("schema = 2\nversion = 1\n[allow]\n");
    for (subject, _) in &services {
        writeln!(rules, "{subject} = [{all}]")?;
    }
    let system = SystemNames::new(services, Vec::new());
    let (registry, rules) =
        (Input::new("capabilities.toml", registry), Input::new("base.toml", rules));
    Ok(compile(registry, vec![rules], &system).map_err(|faults| faults.to_string())?.words)
}
