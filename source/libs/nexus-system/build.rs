//! Writes the constants of `recipes/*.toml`; a broken recipe stops the build here, with its
//! line.

#[path = "anchor.rs"]
mod anchor;
#[path = "generate.rs"]
mod generate;

use std::{env, error::Error, fs, path::Path};

use nexus_manifest::authoring::{LOCK, MARKERS, Markers, SYSTEM, System};

/// Where the public keys lie that the image trusts.
const KEYS: &str = "recipes/keys";

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../..").canonicalize()?;
    for file in ["build.rs", "generate.rs", "anchor.rs"] {
        println!("cargo::rerun-if-changed={}/source/libs/nexus-system/{file}", root.display());
    }
    for file in [SYSTEM, LOCK, MARKERS] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    let keys = root.join(KEYS);
    println!("cargo::rerun-if-changed={}", keys.display());
    let system = System::load(&root)?;
    let markers = Markers::load(&root, &system)?;
    let out = Path::new(&env::var("OUT_DIR")?).join("system.rs");
    fs::write(out, generate::source(&system, &markers) + &anchor::source(&keys)?)?;
    Ok(())
}
