//! Drives allow and deny paths from inside the booted image.
//!
//! Each step proves one thing and prints its marker only then; one that fails says what it saw.
//! `scripts/qemu-test.sh` judges what was printed.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod audit_steps;
mod children;
mod harness;
mod ipc_steps;
mod kernel_steps;
mod key_steps;
mod policy_steps;
mod reload_steps;
mod restart_steps;
mod rights_steps;
mod rng_steps;
mod seal_steps;
mod sequence_steps;
mod state_steps;
mod trail_steps;
mod vector_steps;

use nexus_abi::{Sys, syscall::Topic};
use nexus_system::{Marker, markers as m, slots::selftest_client as slots};

use harness::{Ctx, Failure, Outcome};

type Step<S> = fn(&mut Ctx<'_, S>) -> Outcome;

/// The steps in the order of `recipes/markers.toml`.
fn steps<S: Sys>() -> [(Marker, Step<S>); 49] {
    [
        (m::SELFTEST_IPC_SENDER_SERVICE_ID, ipc_steps::sender_identity),
        (m::SELFTEST_IPC_DEADLINE_TIMEOUT, ipc_steps::deadline),
        (m::SELFTEST_ENDPOINT_OWNERSHIP, ipc_steps::ownership),
        (m::SELFTEST_POLICY_ALLOW, policy_steps::allow),
        (m::SELFTEST_POLICY_DENY, policy_steps::deny),
        (m::SELFTEST_POLICYD_REQUESTER_SPOOF_DENIED, policy_steps::spoof),
        (m::SELFTEST_POLICY_MALFORMED, policy_steps::malformed),
        (m::SELFTEST_ROUTE_DENY, policy_steps::route_denied),
        (m::SELFTEST_POLICY_ALLOW_AUDIT, audit_steps::allow_recorded),
        (m::SELFTEST_POLICY_DENY_AUDIT, audit_steps::deny_recorded),
        (m::SELFTEST_LOG_QUERY, audit_steps::log_query),
        (m::SELFTEST_AUDIT_QUERY, trail_steps::query),
        (m::SELFTEST_AUDIT_READ_DENIED, trail_steps::read_denied),
        (m::SELFTEST_AUDIT_CHAIN, trail_steps::chain),
        (m::SELFTEST_STATEFS_ISOLATION, state_steps::isolation),
        (m::SELFTEST_STATEFS_SEQUENCE, sequence_steps::sequence),
        (m::SELFTEST_POLICY_RELOAD, reload_steps::reload),
        (m::SELFTEST_POLICY_RELOAD_ROLLBACK_DENIED, reload_steps::rollback),
        (m::SELFTEST_POLICY_RELOAD_BAD_SIGNATURE_DENIED, reload_steps::bad_signature),
        (m::SELFTEST_STATEFS_DENIED, state_steps::denied),
        (m::SELFTEST_SYSCALL_MASK_DENY, kernel_steps::mask_denied),
        (m::SELFTEST_FAULT_ISOLATED, kernel_steps::fault_isolated),
        (m::SELFTEST_WILD_POINTERS, kernel_steps::wild_pointers),
        (m::SELFTEST_MMIO_OUTSIDE_GRANT, kernel_steps::mmio_outside_grant),
        (m::SELFTEST_MESSAGE_PAGE, kernel_steps::message_page),
        (m::SELFTEST_GARBAGE_SYSCALLS, kernel_steps::garbage_syscalls),
        (m::SELFTEST_KERNEL_AUDIT, trail_steps::kernel),
        (m::SELFTEST_DERIVE_BOUNDS, rights_steps::derive_bounds),
        (m::SELFTEST_REVOKE, rights_steps::revoke),
        (m::SELFTEST_RNG_ENTROPY, rng_steps::entropy),
        (m::SELFTEST_RNG_ENTROPY_OVERSIZED, rng_steps::oversized),
        (m::SELFTEST_RNG_ENTROPY_DENIED, rng_steps::denied),
        (m::SELFTEST_RNG_RESTART, rng_steps::restarted),
        (m::SELFTEST_ED25519_VECTORS, vector_steps::ed25519),
        (m::SELFTEST_DEVICE_KEY, key_steps::made),
        (m::SELFTEST_DEVICE_KEY_PUBKEY, key_steps::public_keys),
        (m::SELFTEST_DEVICE_KEY_PRIVATE_EXPORT_REJECTED, key_steps::export),
        (m::SELFTEST_KEYSTORED_SIGN, key_steps::signed),
        (m::SELFTEST_KEYSTORED_SIGN_DENIED, key_steps::sign_denied),
        (m::SELFTEST_KEYSTORED_SENDER_SCOPE, key_steps::scope),
        (m::SELFTEST_KEY_ROTATION, key_steps::rotation),
        (m::SELFTEST_ATTEST_QUOTE, key_steps::attested),
        (m::SELFTEST_AUDIT_SEAL, seal_steps::sealed),
        (m::SELFTEST_POLICYD_RESTART_FAIL_CLOSED, restart_steps::fail_closed),
        (m::SELFTEST_AUDIT_ACCOUNTING, restart_steps::accounting),
        (m::SELFTEST_AUDIT_FLOOD_ACCOUNTING, trail_steps::flood_accounting),
        (m::SELFTEST_AUDIT_REQUIRED_DENY, trail_steps::required_deny),
        (m::SELFTEST_AUDIT_CONSUMER_RESTART, restart_steps::consumer_restart),
        (m::SELFTEST_AUDIT_HEALTH, seal_steps::health),
    ]
}

fn prepare<S: Sys>(ctx: &mut Ctx<'_, S>) -> Result<(), Failure> {
    let [len, ..] = ctx.sys.info(slots::IMAGE_PROBE, Topic::Vmo).map_err(|_| "no probe image")?;
    let image = ctx.sys.map_bytes(slots::IMAGE_PROBE, len as usize);
    ctx.probe = image.map_err(|_| "probe image not mapped")?;
    policy_steps::open(ctx)?;
    rng_steps::wait(ctx)
}

fn failed<S: Sys>(sys: &mut S, step: &str, why: Failure) {
    for text in ["SELFTEST FAIL: ", step.trim_start_matches("SELFTEST: "), ": ", why, "\n"] {
        sys.console(text);
    }
}

/// Runs every step, also after one that failed, so that a run shows exactly what is broken.
/// 0 when all held.
pub fn run<S: Sys>(sys: &mut S) -> i32 {
    let prepared = Ctx::new(sys).and_then(|mut ctx| {
        prepare(&mut ctx)?;
        let mut held = true;
        for (marker, step) in steps() {
            match step(&mut ctx) {
                Ok(()) => marker.emit(ctx.sys),
                Err(why) => {
                    failed(ctx.sys, marker.text(), why);
                    held = false;
                }
            }
        }
        match key_steps::persisted(&mut ctx) {
            Ok(true) => m::SELFTEST_DEVICE_KEY_PERSIST.emit(ctx.sys),
            // The first boot of this disk: there was nothing to find.
            Ok(false) => {}
            Err(why) => {
                failed(ctx.sys, m::SELFTEST_DEVICE_KEY_PERSIST.text(), why);
                held = false;
            }
        }
        m::SELFTEST_END.emit(ctx.sys);
        Ok(held)
    });
    match prepared {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(why) => {
            failed(sys, "set-up", why);
            1
        }
    }
}
