//! The packer on tiny programs and the real manifest: layout, determinism, refusals.
use std::path::{Path, PathBuf};

use nexus_elf::testing::{DATA, HEADERS_AT, minimal_elf, put};
use nexus_manifest::boot::{BootManifest, Extent, GrantKind};
use nexus_system::header::{ANY_HART, BYTES, FLAG_BENCH, Header, WORDS};

use super::*;

fn system() -> System {
    let root = nexus_build::workspace_root(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    System::load(&root).unwrap_or_else(|e| panic!("{e}"))
}

fn program(package: &str, base: u64) -> Program {
    Program { package: package.to_owned(), elf: minimal_elf(base).to_vec() }
}

fn programs(system: &System) -> Vec<Program> {
    let services = system.services.iter().enumerate();
    let services = services.map(|(at, s)| program(&s.package, System::link_base(at)));
    services.chain([program(KERNEL, system.memory.kernel_base())]).collect()
}

fn image(kind: &str, programs: &[Program], boot_hart: Option<u64>) -> Result<Packed, String> {
    let system = system();
    assemble(
        &system,
        system.image(kind).unwrap(),
        programs,
        (b"a policy".to_vec(), Vec::new()),
        boot_hart,
    )
}

/// The boot image behind the flattened kernel, which is three pages here and a bit of bss.
fn boot(packed: &Packed) -> &[u8] {
    let at = packed.bytes.windows(8).position(|w| w == b"NXBOOT01").unwrap();
    assert!(at.is_multiple_of(BYTES));
    &packed.bytes[at..]
}

fn header(boot: &[u8]) -> Header {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(boot.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap());
    }
    Header::decode(&words).unwrap()
}

fn manifest(boot: &[u8]) -> BootManifest {
    let header = header(boot);
    let at = header.manifest_off as usize;
    BootManifest::read(&boot[at..at + header.manifest_len as usize], header.total_len).unwrap()
}

fn blob(boot: &[u8], extent: Extent) -> &[u8] {
    let blob = &boot[extent.offset as usize..(extent.offset + extent.len) as usize];
    assert_eq!(*blake3::hash(blob).as_bytes(), extent.digest);
    blob
}

#[test]
fn image_holds_what_the_manifest_says() {
    let system = system();
    let packed = image("test", &programs(&system), None).unwrap();
    let boot = boot(&packed);
    let header = header(boot);
    assert_eq!((header.flags, header.boot_hart), (0, ANY_HART));
    assert_eq!(header.total_len as usize, boot.len());
    assert_eq!(header.service, 1);
    let data = header.segments()[1];
    assert_eq!(&boot[data.file_off as usize..][..data.file_len as usize], DATA);

    let manifest = manifest(boot);
    assert_eq!(blob(boot, manifest.policy), b"a policy");
    for service in &manifest.services {
        let plan = nexus_elf::plan(blob(boot, service.image)).unwrap();
        let at = system.services.iter().position(|s| s.id.value == service.id).unwrap();
        assert_eq!(plan.entry, System::link_base(at), "{}", service.name);
    }
    let selftest = manifest.by_name(b"selftest-client").unwrap();
    let images = selftest.grants.iter().filter_map(|g| match g.kind {
        GrantKind::Image { service } => Some(manifest.services[usize::from(service)].name.as_str()),
        _ => None,
    });
    assert_eq!(images.collect::<Vec<_>>(), ["probe", "key-vectors"]);
    assert!(!manifest.by_name(b"probe").unwrap().start);
    assert!(manifest.by_name(b"bench-client").is_none());
}

#[test]
fn same_inputs_give_same_bytes_and_options_show() {
    let programs = programs(&system());
    let first = image("bench", &programs, Some(1)).unwrap();
    let again = image("bench", &programs, Some(1)).unwrap();
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(first.build_id, again.build_id);
    let header = header(boot(&first));
    assert_eq!((header.flags, header.boot_hart), (FLAG_BENCH, 1));
    assert_ne!(image("bench", &programs, None).unwrap().build_id, first.build_id);
}

#[test]
fn symbols_and_build_folders_do_not_reach_the_image() {
    let mut elf = minimal_elf(0x1000_0000).to_vec();
    let plain = strip::strip(&elf).unwrap();
    elf.extend_from_slice(b"/elsewhere/src/main.rs");
    assert_eq!(strip::strip(&elf).unwrap(), plain);
    assert_eq!(nexus_elf::plan(&plain).unwrap().segments().len(), 2);
}

#[test]
fn test_reject_programs_that_do_not_fit() {
    let refuse = |change: &dyn Fn(&mut Vec<Program>)| {
        let mut programs = programs(&system());
        change(&mut programs);
        image("test", &programs, None).err().unwrap_or_default()
    };
    assert_eq!(refuse(&|p| p.retain(|p| p.package != "logd")), "logd: not built");
    let writable_text = |p: &mut Program| put(&mut p.elf, HEADERS_AT + 4, &7u32.to_le_bytes());
    let error = refuse(&|p| p.iter_mut().filter(|p| p.package == "probe").for_each(writable_text));
    assert_eq!(error, "probe: the loader refuses it: WriteXorExecute");
    let low_kernel = |p: &mut Vec<Program>| {
        p.retain(|p| p.package != KERNEL);
        p.push(program(KERNEL, 0x8000_0000));
    };
    assert!(refuse(&low_kernel).contains("outside 0x80200000..0x80600000"));
    assert!(refuse(&|p| p.iter_mut().for_each(|p| p.elf.clear())).starts_with(KERNEL));
}

#[test]
fn cargo_messages_yield_executables_only() {
    let messages = concat!(
        r#"{"reason":"compiler-artifact","target":{"name":"lib"},"executable":null}"#,
        "\n",
        r#"{"reason":"compiler-artifact","target":{"name":"logd"},"executable":"/t/logd"}"#,
        "\nnot json\n",
        r#"{"reason":"build-finished","success":true}"#,
    );
    assert_eq!(build::executables(messages), [("logd".to_owned(), PathBuf::from("/t/logd"))]);
}
