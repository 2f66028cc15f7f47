//! What is printed, in which order: calibration first, then every figure, between sentinels.

use core::fmt::{self, Write};

use bench_server::instret;
use nexus_abi::Sys;

use crate::{
    Failure, decide_figures, ipc_figures, kernel_figures, key_figures, keystore_figures,
    policy_figure, rng_figure, state_figure,
};

/// What an empty pair of readings counts: the second reading itself.
const EMPTY: u64 = 1;
/// What ten instructions between them count.
const NOP10: u64 = 11;

/// Frame lengths the IPC figures are taken at: nothing, what fits one cache line, the longest.
const LENGTHS: [(usize, [&str; 3]); 3] = [
    (0, ["call.0", "reply_recv.0", "round_trip.0"]),
    (64, ["call.64", "reply_recv.64", "round_trip.64"]),
    (512, ["call.512", "reply_recv.512", "round_trip.512"]),
];

/// Prints one line.
pub(crate) fn line<S: Sys>(sys: &mut S, text: fmt::Arguments<'_>) {
    let mut line = heapless::String::<160>::new();
    let _cut = line.write_fmt(text);
    sys.console(&line);
    sys.console("\n");
}

fn figure<S: Sys>(sys: &mut S, name: &str, instructions: u64) {
    line(sys, format_args!("{{\"name\":\"{name}\",\"instructions\":{instructions}}}"));
}

/// Measures everything; figures are printed only after the calibration held.
pub(crate) fn all<S: Sys>(sys: &mut S) -> Result<(), Failure> {
    let (empty, nop10) = (empty_pair(), ten_nops());
    line(sys, format_args!("BENCH-BEGIN"));
    figure(sys, "calibrate.empty", empty);
    figure(sys, "calibrate.nop10", nop10);
    if (empty, nop10) != (EMPTY, NOP10) {
        return Err("calibration: counts mean nothing");
    }
    figures(sys)?;
    line(sys, format_args!("BENCH-END"));
    Ok(())
}

/// Not inlined, so that the compiler has nothing else to place between the readings.
#[inline(never)]
fn empty_pair() -> u64 {
    let before = instret();
    let after = instret();
    after.wrapping_sub(before)
}

/// As [`empty_pair`].
#[inline(never)]
fn ten_nops() -> u64 {
    let before = instret();
    nexus_abi::counter::nop10();
    let after = instret();
    after.wrapping_sub(before)
}

fn figures<S: Sys>(sys: &mut S) -> Result<(), Failure> {
    let null = kernel_figures::null_syscall(sys)?;
    figure(sys, "null_syscall", null);
    let refused = kernel_figures::refused_syscall(sys)?;
    figure(sys, "refused_syscall", refused);
    let server = ipc_figures::connect_server(sys)?;
    for (len, [call, reply_recv, round_trip]) in LENGTHS {
        let exchange = ipc_figures::exchange(sys, server, len)?;
        figure(sys, call, exchange.call);
        figure(sys, reply_recv, exchange.reply_recv);
        figure(sys, round_trip, exchange.round_trip);
    }
    let signal = ipc_figures::signal_waiter(sys, server)?;
    figure(sys, "signal_waiter", signal);
    let map = kernel_figures::vm_map(sys)?;
    figure(sys, "vm_map", map);
    let revoke = kernel_figures::cap_revoke(sys)?;
    figure(sys, "cap_revoke", revoke);
    let create = kernel_figures::proc_create(sys)?;
    figure(sys, "proc_create", create);
    let check = policy_figure::policy_check(sys)?;
    figure(sys, "policy_check", check);
    let entropy = rng_figure::entropy(sys)?;
    figure(sys, "entropy_32", entropy);
    let state = state_figure::state(sys)?;
    figure(sys, "state_put", state.put);
    figure(sys, "state_get", state.get);
    decide_rows(sys)?;
    let keys = keystore_figures::measure(sys)?;
    figure(sys, "keystored_sign", keys.sign);
    figure(sys, "keystored_verify", keys.verify);
    figure(sys, "keystored_attest", keys.attest);
    figure(sys, "keystored_put", keys.put);
    figure(sys, "keystored_get", keys.get);
    key_rows(sys)
}

/// What a decision costs by itself, over a small policy and over a large one.
fn decide_rows<S: Sys>(sys: &mut S) -> Result<(), Failure> {
    for ([small, large], ask, len) in decide_figures::ROWS {
        let [over_small, over_large] = decide_figures::worst(ask, len)?;
        figure(sys, small, over_small);
        figure(sys, large, over_large);
    }
    Ok(())
}

/// What keys cost, and whether it depends on the secret: fails where it does, and where the
/// comparison that is known to does not.
fn key_rows<S: Sys>(sys: &mut S) -> Result<(), Failure> {
    for (name, measure) in key_figures::PLAIN {
        let instructions = measure()?;
        figure(sys, name, instructions);
    }
    for ([min, max], measure, gate) in key_figures::SPREADS {
        let spread = measure()?;
        figure(sys, min, spread.min);
        figure(sys, max, spread.max);
        gate(spread)?;
    }
    Ok(())
}
