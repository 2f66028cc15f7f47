//! Links the kernel for the target and generates its device table from the boot manifest.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use nexus_kernel_rv64::layout::{KERNEL_BASE, KERNEL_SPAN, RAM_BASE, RAM_END};
use nexus_manifest::authoring::{LOCK, SYSTEM, System};

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = nexus_build::workspace_root(&here)?;
    for file in [SYSTEM, LOCK] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    println!("cargo::rerun-if-changed=kernel.ld");
    let system = System::load(&root)?;
    check_memory(&system)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("devices.rs"), tables(&system)?)?;
    if env::var("CARGO_CFG_TARGET_OS")? == "none" {
        println!("cargo::rustc-link-arg-bins=-T{}", here.join("kernel.ld").display());
        println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    }
    Ok(())
}

/// The island is written for one machine; a manifest for another must not build.
fn check_memory(system: &System) -> Result<(), Box<dyn Error>> {
    let memory = &system.memory;
    let fits = memory.base == RAM_BASE
        && memory.size == RAM_END - RAM_BASE
        && memory.kernel_base() == KERNEL_BASE
        && memory.kernel <= KERNEL_SPAN;
    let wrong = "error: [memory] differs from the machine in source/kernel/rv64/src/layout.rs";
    if fits { Ok(()) } else { Err(wrong.into()) }
}

fn tables(system: &System) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "/// Device windows, in the order of init's slots.")?;
    writeln!(out, "pub(crate) const DEVICES: &[DeviceWindow] = &[")?;
    for device in &system.devices {
        let (base, len) = (device.base, device.len);
        writeln!(out, "    DeviceWindow {{ base: {base:#x}, len: {len:#x} }},")?;
    }
    let irqs: Vec<u32> = system.devices.iter().filter_map(|d| d.irq).collect();
    writeln!(out, "];\n/// Interrupt lines, in the order of init's slots.")?;
    writeln!(out, "pub(crate) const IRQS: &[u32] = &{irqs:?};")?;
    Ok(out)
}
