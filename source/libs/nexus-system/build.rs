//! Writes the constants of `recipes/*.toml`; a broken recipe stops the build here, with its
//! line.

#[path = "generate.rs"]
mod generate;

use std::{env, error::Error, fs, path::Path};

use nexus_manifest::authoring::{LOCK, MARKERS, Markers, SYSTEM, System};

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../..").canonicalize()?;
    for file in ["source/libs/nexus-system/build.rs", "source/libs/nexus-system/generate.rs"] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    for file in [SYSTEM, LOCK, MARKERS] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    let system = System::load(&root)?;
    let markers = Markers::load(&root, &system)?;
    let out = Path::new(&env::var("OUT_DIR")?).join("system.rs");
    fs::write(out, generate::source(&system, &markers))?;
    Ok(())
}
