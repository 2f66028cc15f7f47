//! What a probe process does and how it reports, shared by the probe and whoever starts it.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

macro_rules! behaviours {
    ($($(#[doc = $doc:literal])+ $name:ident = $n:literal,)+) => {
        /// What a probe does; travels as its start argument.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Behaviour { $($(#[doc = $doc])+ $name = $n,)+ }

        impl Behaviour {
            /// Every behaviour, in numeric order.
            pub const ALL: &'static [Behaviour] = &[$(Behaviour::$name,)+];

            /// From the start argument.
            #[must_use]
            pub const fn from_arg(arg: u64) -> Option<Behaviour> {
                match arg { $($n => Some(Behaviour::$name),)+ _ => None }
            }

            /// The start argument.
            #[must_use]
            pub const fn arg(self) -> u64 {
                self as u64
            }
        }
    };
}

behaviours! {
    /// Loads from address 0.
    LoadNull = 1,
    /// Loads from 2^38, the first address above the user half.
    LoadAboveUser = 2,
    /// Loads from 2^47, a non-canonical address.
    LoadNonCanonical = 3,
    /// Loads from the kernel's own text.
    LoadKernel = 4,
    /// Stores to the kernel's own text.
    StoreKernel = 5,
    /// Jumps into the kernel's own text.
    JumpKernel = 6,
    /// Stores to its own text, a read-only page.
    StoreOwnText = 7,
    /// Pushes until the guard page below its stack.
    StackOverflow = 8,
    /// Executes an illegal instruction.
    Illegal = 9,
    /// Loads from the kernel's physical address, as if it were mapped one to one.
    LoadPhysicalAlias = 10,
    /// Loads from the UART's registers, which no capability of it covers.
    LoadUngrantedMmio = 11,
    /// Makes a syscall outside its mask (`endpoint_create`), then one inside it.
    /// [`EXIT_HELD`] if the first was denied and the second worked.
    DeniedSyscall = 12,
    /// Exits at once with [`EXIT_AT_ONCE`].
    ExitAtOnce = 13,
    /// Spins for ever in user mode.
    Spin = 14,
    /// Receives on its server endpoint for ever and never replies.
    Sink = 15,
    /// Sleeps for ever.
    Hold = 16,
    /// Unmaps the message page, maps fresh memory over it. [`EXIT_HELD`] if both were refused
    /// and the message page still works.
    MessagePage = 17,
    /// Every syscall number and some beyond, with garbage in every register. [`EXIT_HELD`] if
    /// it is still alive and the kernel still answers it truthfully.
    Garbage = 18,
    /// Waits for bit 0 of the notification in [`SLOT_GO`], then calls through [`SLOT_TARGET`]
    /// once. [`EXIT_HELD`] if the call failed because the capability is gone,
    /// [`EXIT_BROKEN`] if it succeeded.
    CallWhenTold = 19,
    /// Executes a breakpoint.
    Breakpoint = 20,
    /// Calls through [`SLOT_TARGET`] at once and stays in the call, so that a revoke or a death
    /// can end it. [`EXIT_HELD`] if the call ended with `Revoked`, [`EXIT_PEER_DIED`] if with
    /// `PeerDied`, [`EXIT_BROKEN`] if it succeeded.
    CallAndWait = 21,
}

/// The kernel held: what the probe tried was refused, and what it may do still works.
pub const EXIT_HELD: i32 = 40;
/// The kernel did not hold.
pub const EXIT_BROKEN: i32 = 41;
/// What [`Behaviour::ExitAtOnce`] exits with.
pub const EXIT_AT_ONCE: i32 = 42;
/// A call ended because its server died.
pub const EXIT_PEER_DIED: i32 = 43;
/// The probe was started with an argument or capabilities it cannot work with.
pub const EXIT_MISUSED: i32 = 44;

/// CALL capability of the call probes.
pub const SLOT_TARGET: u8 = nexus_abi::layout::SLOT_WIRED;
/// WAIT capability of the notification that says go.
pub const SLOT_GO: u8 = nexus_abi::layout::SLOT_NOTIFY;

/// A well-formed echo request: version 1, op ECHO, no bytes.
pub const ECHO_FRAME: [u8; 4] = *b"EC\x01\x02";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaviours_survive_their_argument() {
        for (i, behaviour) in Behaviour::ALL.iter().enumerate() {
            assert_eq!(behaviour.arg(), i as u64 + 1);
            assert_eq!(Behaviour::from_arg(behaviour.arg()), Some(*behaviour));
        }
    }

    #[test]
    fn test_reject_unknown_behaviour() {
        assert_eq!(Behaviour::from_arg(0), None);
        assert_eq!(Behaviour::from_arg(Behaviour::ALL.len() as u64 + 1), None);
        assert_eq!(Behaviour::from_arg(u64::MAX), None);
    }
}
