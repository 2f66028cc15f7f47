//! From the real manifest and the real policy to a run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use boot_image::{
    Parts, Supervisor,
    candidates::{self, policy_names},
    signing::Signer,
};
use nexus_abi::{Sys, layout::PAGE};
use nexus_elf::testing::minimal_elf;
use nexus_manifest::authoring::System;
use nexus_sel::authoring;

use nexus_system::names;

use crate::{
    faults::Faults,
    sys::SimSys,
    world::{Program, Report, Sim, SimConfig},
};

/// The workspace this crate belongs to.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).into()
}

/// The policy in `dir`, compiled and signed.
///
/// # Panics
/// With the diagnostics when it does not compile.
#[must_use]
pub fn compile_policy(dir: &Path, system: &System) -> Vec<u8> {
    match authoring::compile_dir(dir, &policy_names(system)) {
        Ok(compiled) => {
            let signer = Signer::bring_up(&workspace()).unwrap_or_else(|error| panic!("{error}"));
            signer.sign(&compiled.blob).unwrap_or_else(|error| panic!("{error}"))
        }
        Err(faults) => panic!("{faults}"),
    }
}

/// One run to be: the test image of the real manifest with one program replaced by the test.
pub struct Scenario {
    system: System,
    policy: Vec<u8>,
    programs: BTreeMap<String, Program>,
    faults: Faults,
    damage: Option<u64>,
}

impl Scenario {
    /// The real manifest, the real policy, nothing goes wrong. Services without a program
    /// sleep.
    ///
    /// # Panics
    /// When recipes do not load: then nothing else would work either.
    #[must_use]
    pub fn new() -> Scenario {
        let root = workspace();
        let system = System::load(&root).unwrap_or_else(|error| panic!("{error}"));
        let policy = compile_policy(&root.join("recipes/policy"), &system);
        let none = BTreeMap::new();
        Scenario { system, policy, programs: none, faults: Faults::none(), damage: None }
            .program(names::NEXUS_INIT, nexus_init::run)
            .program(names::POLICYD, policyd::run)
            .program(names::LOGD, logd::run)
            .program(names::SELFTEST_PEER, selftest_peer::run)
    }

    /// The manifest of the run.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.system
    }

    /// Another policy blob, valid or not.
    #[must_use]
    pub fn policy(mut self, blob: Vec<u8>) -> Scenario {
        self.policy = blob;
        self
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Scenario {
        self.faults = faults;
        self
    }

    /// Flips one bit of the policy inside the finished boot image, behind its digest's back.
    #[must_use]
    pub fn damage_policy(mut self, byte: u64) -> Scenario {
        self.damage = Some(byte);
        self
    }

    /// `service` runs `program`.
    #[must_use]
    pub fn program(
        mut self,
        service: &str,
        program: impl Fn(&mut SimSys, u64) -> i32 + Send + Sync + 'static,
    ) -> Scenario {
        self.programs.insert(service.into(), Arc::new(program));
        self
    }

    /// Boots, and runs until `driver`'s program returns.
    ///
    /// # Panics
    /// When the scenario contradicts itself.
    #[must_use]
    pub fn run(self, driver: &str) -> Report {
        let image = self.system.image("test").expect("the manifest has a test image");
        let carried = self.system.carried(image);
        let services = carried.iter().map(|at| (*at, minimal_elf(System::link_base(*at)).to_vec()));
        let (root, names) = (workspace(), policy_names(&self.system));
        let files = self.system.files(image).into_iter().map(|name| {
            let file = candidates::candidate(&root, &names, name);
            (name.to_owned(), file.unwrap_or_else(|error| panic!("{error}")))
        });
        let base = System::link_base(self.system.supervisor);
        let parts = Parts {
            system: &self.system,
            image,
            supervisor: Supervisor::new(&minimal_elf(base)).expect("a valid supervisor"),
            services: services.collect(),
            policy: self.policy.clone(),
            files: files.collect(),
            boot_hart: None,
        };
        let mut boot = boot_image::pack(&parts).expect("the image packs");
        if let Some(byte) = self.damage {
            let at = (boot.manifest.policy.offset + byte) as usize;
            boot.bytes[at] ^= 1;
        }
        let mut programs = BTreeMap::new();
        let mut driver_entry = 0;
        for (at, service) in self.system.services.iter().enumerate() {
            let entry = System::link_base(at);
            if service.name.value == driver {
                driver_entry = entry;
            }
            let asleep: Program = Arc::new(|sys: &mut SimSys, _| -> i32 {
                loop {
                    let later = sys.now_ns().saturating_add(3_600_000_000_000);
                    sys.sleep_until(later);
                }
            });
            programs
                .insert(entry, self.programs.get(&service.name.value).cloned().unwrap_or(asleep));
        }
        let frames = self.system.memory.size / PAGE;
        Sim::new(SimConfig {
            ram_frames: u32::try_from(frames).expect("RAM of a board"),
            boot_image: boot.bytes,
            programs,
            driver: driver_entry,
            faults: self.faults,
            trap_ns: 1_000,
            max_traps: 400_000,
        })
        .run()
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario::new()
    }
}
