//! Counts instructions at the user boundary and prints one JSON object per figure.
//!
//! Method: the emulator counts one per guest instruction, one hart, no noise but what the
//! system itself does (timer, audit drains); each figure is the median over [`REPEATS`] runs
//! after a warm-up. Without the calibration coming out exact nothing is reported at all.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

mod decide_figures;
mod ipc_figures;
mod kernel_figures;
mod key_figures;
mod keystore_figures;
mod median;
mod policy_figure;
mod report;
mod rng_figure;
mod state_figure;

use nexus_abi::Sys;
use nexus_mmio::Finisher;
use nexus_system::slots::bench_client::DEVICE_FINISHER;

pub use median::{REPEATS, WARM_UP};

/// Why there is no figure.
pub(crate) type Failure = &'static str;

/// Exit code after a failed run; also the finisher's.
const FAILED: i32 = 2;

/// Measures, reports, and ends the machine with the verdict.
pub fn run<S: Sys>(sys: &mut S, _arg: u64) -> i32 {
    let verdict = report::all(sys);
    if let Err(why) = verdict {
        report::line(sys, format_args!("bench: FAIL {why}"));
    }
    let ended = match (Finisher::map(sys, DEVICE_FINISHER), verdict) {
        (Ok(finisher), Ok(())) => finisher.pass(),
        (Ok(finisher), Err(_)) => finisher.fail(FAILED as u16),
        (Err(error), _) => Err(error),
    };
    if ended.is_err() {
        report::line(sys, format_args!("bench: FAIL no finisher"));
    }
    FAILED
}
