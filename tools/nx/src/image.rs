//! `nx image`: from sources and recipes to the bytes QEMU boots. Same inputs, same bytes.

mod build;
mod flat;
mod strip;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use nexus_manifest::authoring::{System, model::Image};

use boot_image::{self as pack, Parts, Supervisor};
use build::Program;

/// Package of the kernel binary.
const KERNEL: &str = "nexus-kernel";

/// Builds the kernel and every service, packs those of the kind into nexus.img
///
/// Writes nexus.img, manifest.json (what the image holds and where), build-id and elf/
/// (programs with symbols). NEXUS_BUILD_STD=1 builds core and alloc from source, for compilers
/// without a prebuilt target.
#[derive(Debug, clap::Args)]
pub(crate) struct ImageArgs {
    /// Image kind: an [image.<kind>] of recipes/system.toml
    #[arg(long)]
    kind: String,
    /// Hart to run on; the kernel moves there if the firmware starts it elsewhere
    #[arg(long)]
    boot_hart: Option<u64>,
    /// Output folder [default: build/<kind>]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Build nothing; print the programs of an image as `-p` arguments for cargo
    #[arg(long)]
    packages: bool,
}

/// The programs of every kind: cargo unites the features of what it builds together, and the
/// program somebody starts has to be the one that was tested.
fn packages(system: &System) -> Vec<&str> {
    std::iter::once(KERNEL).chain(system.services.iter().map(|s| s.package.as_str())).collect()
}

pub(crate) fn run(root: &Path, args: &ImageArgs) -> Result<(), String> {
    let system = System::load(root).map_err(|e| e.to_string())?;
    let image = system.image(&args.kind).ok_or_else(|| {
        let kinds: Vec<&str> = system.images.iter().map(|i| i.name.value.as_str()).collect();
        format!("no image kind `{}`; known: {}", args.kind, kinds.join(", "))
    })?;
    if args.packages {
        let arguments: Vec<String> = packages(&system).iter().map(|p| format!("-p {p}")).collect();
        println!("{}", arguments.join(" "));
        return Ok(());
    }
    let policy = crate::policy::compile(root, &system)?;
    let files = crate::policy::files(root, &system, image)?;
    let programs = build::build(root, &packages(&system))?;

    let out =
        args.out.as_ref().map_or_else(|| root.join("build").join(&args.kind), |o| root.join(o));
    keep_symbols(&out, &programs)?;
    let packed = assemble(&system, image, &programs, (policy, files), args.boot_hart)?;
    write(&out, "nexus.img", &packed.bytes)?;
    write(&out, "manifest.json", packed.description.as_bytes())?;
    write(&out, "build-id", format!("{}\n", packed.build_id).as_bytes())?;
    println!("{}", packed.summary);
    println!(
        "{}: {} bytes, build id {}",
        out.join("nexus.img").display(),
        packed.bytes.len(),
        packed.build_id
    );
    Ok(())
}

fn package(system: &System, at: usize) -> Option<&str> {
    system.services.get(at).map(|s| s.package.as_str())
}

/// The finished image and what is said about it.
struct Packed {
    bytes: Vec<u8>,
    description: String,
    summary: String,
    build_id: String,
}

fn assemble(
    system: &System,
    image: &Image,
    programs: &[Program],
    (policy, files): (Vec<u8>, Vec<(String, Vec<u8>)>),
    boot_hart: Option<u64>,
) -> Result<Packed, String> {
    let elf_of = |package: &str| {
        let found = programs.iter().find(|p| p.package == package);
        found.map(|p| p.elf.as_slice()).ok_or_else(|| format!("{package}: not built"))
    };
    let memory = &system.memory;
    let kernel = flat::flatten(elf_of(KERNEL)?, memory.kernel_base(), memory.kernel)
        .map_err(|e| format!("{KERNEL}: {e}"))?;
    let stripped = |at: usize| -> Result<Vec<u8>, String> {
        let package = package(system, at).unwrap_or_default();
        let elf = strip::strip(elf_of(package)?).map_err(|e| format!("{package}: {e}"))?;
        nexus_elf::plan(&elf).map_err(|e| format!("{package}: the loader refuses it: {e:?}"))?;
        Ok(elf)
    };
    let carried = system.carried(image);
    let services: Vec<(usize, Vec<u8>)> =
        carried.iter().map(|at| Ok((*at, stripped(*at)?))).collect::<Result<_, String>>()?;
    let parts = Parts {
        system,
        image,
        supervisor: Supervisor::new(&stripped(system.supervisor)?)?,
        services,
        policy,
        files,
        boot_hart,
    };
    let boot = pack::pack(&parts)?;
    if boot.bytes.len() as u64 > memory.image {
        return Err(format!(
            "the boot image has {} bytes, [memory] allows {}",
            boot.bytes.len(),
            memory.image
        ));
    }
    let summary = pack::summary(&parts, kernel.len(), &boot);
    let mut bytes = kernel;
    bytes.extend_from_slice(&boot.bytes);
    let build_id: String = blake3::hash(&bytes).to_hex().chars().take(32).collect();
    let description = pack::describe(&parts, &boot, &build_id)?;
    Ok(Packed { bytes, description, summary, build_id })
}

/// Debuggers and the symboliser want what the image leaves out.
fn keep_symbols(out: &Path, programs: &[Program]) -> Result<(), String> {
    for program in programs {
        write(&out.join("elf"), &program.package, &program.elf)?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), String> {
    let path = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, bytes))
        .map_err(|e| format!("{}: {e}", path.display()))
}
