//! The first process: verifies what the boot image carries, creates every service with exactly
//! the capabilities its manifest stanza names, connects clients to servers where policy says
//! yes, and restarts what dies.
//!
//! It decides nothing itself. A route or a restart is asked for at the policy authority under
//! the kernel-stamped identity of the asker; no answer is a refusal.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests"))]

mod connect;
mod end;
mod image;
mod launch;
mod line;
mod measure;
mod objects;
mod operate;
mod rule;
mod supervisor;
#[cfg(test)]
mod tests;

use nexus_abi::Sys;
use nexus_service::Ended;

pub use end::END_NS;
pub use image::ImageError;
pub use launch::LaunchError;
pub use operate::{CAPABILITY_MEASUREMENTS, CAPABILITY_RESTART, CAPABILITY_SHUTDOWN, MAX_DELAY_NS};

use crate::{line::say, objects::Objects, supervisor::Supervisor};

/// Exit code: the boot image is not one, or its wiring could not be made.
pub const EXIT_NO_BOOT: i32 = 1;
/// Exit code: a service the system cannot run without stayed down; see `restart` in the manifest.
pub const EXIT_HALTED: i32 = 2;
/// Exit code: the kernel ended the connect endpoint, which cannot happen while init lives.
pub const EXIT_NO_ENDPOINT: i32 = 3;

/// What a service may reach while it handles a call.
struct Env<'s, S: Sys>(&'s mut S);

impl<S: Sys> nexus_service::Env for Env<'_, S> {
    type Sys = S;
    fn sys(&mut self) -> &mut S {
        self.0
    }
}

/// Boots the services of the boot image, which is `image_len` bytes long, and
/// serves them until the system halts. Returns an exit code.
pub fn run<S: Sys>(sys: &mut S, image_len: u64) -> i32 {
    say(sys, format_args!("init: start"));
    let image = match image::open(sys, image_len) {
        Ok(image) => image,
        Err(error) => {
            say(sys, format_args!("init: boot image refused: {error:?}"));
            return EXIT_NO_BOOT;
        }
    };
    let objects = match Objects::create(sys, &image) {
        Ok(objects) => objects,
        Err(error) => {
            say(sys, format_args!("init: wiring failed: {}", error.name()));
            return EXIT_NO_BOOT;
        }
    };
    let (endpoint, deaths) = (objects.connect, objects.death_bits(&image));
    let mut supervisor = Supervisor::new(&image, objects);
    supervisor.start_all(sys);
    say(sys, format_args!("init: ready"));
    let ended = nexus_service::serve(&mut supervisor, &mut Env(sys), endpoint, deaths);
    if let Ended::Gone(error) = ended {
        say(sys, format_args!("init: no endpoint: {}", error.name()));
    }
    EXIT_NO_ENDPOINT
}
