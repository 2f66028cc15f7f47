//! The selftest as an OS process: its verdict becomes QEMU's exit status.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
nexus_rt::entry!(start);

#[cfg(target_os = "none")]
fn start<S: nexus_abi::Sys>(sys: &mut S, _arg: u64) -> i32 {
    let code = selftest_client::run(sys);
    let slot = nexus_system::slots::selftest_client::DEVICE_FINISHER;
    let ended = nexus_mmio::Finisher::map(sys, slot)
        .and_then(|finisher| if code == 0 { finisher.pass() } else { finisher.fail(1) });
    // Only reached when the finisher did not end the run: the harness then times out.
    if ended.is_err() { 2 } else { code }
}

#[cfg(not(target_os = "none"))]
fn main() {
    nexus_rt::host_main("selftest-client")
}
