//! The probe program: does the one thing its argument names. See [`probe::Behaviour`].
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod run;

#[cfg(target_os = "none")]
nexus_rt::entry!(run::run);

#[cfg(not(target_os = "none"))]
fn main() {
    nexus_rt::host_main("probe")
}
