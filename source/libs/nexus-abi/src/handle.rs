//! Handles, rights and service ids.

/// Names a slot of the caller's own capability table together with the slot's generation,
/// so that a handle kept too long is an error and never somebody else's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Handle(u32);

impl Handle {
    /// No capability. In calls that take a process: the caller itself.
    pub const NONE: Handle = Handle(0);

    /// Generation of a slot that has been filled exactly once; generations start at 1, so the
    /// raw value 0 is never a valid handle.
    pub const FIRST_GENERATION: u32 = 1;

    /// The handle of `slot` in `generation` (24 bits).
    #[must_use]
    pub const fn new(slot: u8, generation: u32) -> Handle {
        Handle((generation << 8) | slot as u32)
    }

    /// The handle of a slot the creator filled before the process started.
    #[must_use]
    pub const fn fixed(slot: u8) -> Handle {
        Handle::new(slot, Handle::FIRST_GENERATION)
    }

    /// From a register or frame field.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Handle {
        Handle(raw)
    }

    /// For a register or frame field.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The slot index.
    #[must_use]
    pub const fn slot(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    /// The slot generation, 24 bits.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.0 >> 8
    }

    /// Whether this is [`Handle::NONE`].
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// A service's identity: assigned in `recipes/system.toml`, stamped by the kernel on every
/// frame, never computed from a name. 0 is never assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct ServiceId(pub u64);

macro_rules! rights {
    ($($(#[doc = $doc:literal])+ $name:ident = $bit:literal,)+) => {
        /// What a capability lets its holder do; only ever shrinks along a derivation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct Rights(u16);

        impl Rights {
            $($(#[doc = $doc])+ pub const $name: Rights = Rights(1 << $bit);)+
            /// Every right with its name, for traces and documents.
            pub const NAMES: &'static [(&'static str, Rights)] =
                &[$((stringify!($name), Rights::$name),)+];
            /// All rights together.
            pub const ALL: Rights = Rights($((1 << $bit))|+);
        }
    };
}

rights! {
    /// Call an endpoint.
    CALL = 0,
    /// Receive on an endpoint.
    RECV = 1,
    /// Set bits of a notification.
    SIGNAL = 2,
    /// Wait for a notification.
    WAIT = 3,
    /// Map a VMO readable.
    READ = 4,
    /// Map a VMO writable.
    WRITE = 5,
    /// Map a sealed VMO executable.
    EXEC = 6,
    /// Move the capability inside a frame.
    GRANT = 7,
    /// Derive further capabilities from it.
    DERIVE = 8,
    /// Seal, revoke, map into, start, kill, bind: administer the object.
    MANAGE = 9,
    /// Read the kernel event ring.
    AUDIT = 10,
    /// Learn the physical address of a DMA VMO.
    DMA = 11,
}

impl Rights {
    /// No right.
    pub const NONE: Rights = Rights(0);

    /// From a register; unknown bits make it invalid.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Option<Rights> {
        if bits & !Rights::ALL.0 == 0 { Some(Rights(bits)) } else { None }
    }

    /// For a register.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn or(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// What both sets hold.
    #[must_use]
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    /// Whether every right of `other` is here.
    #[must_use]
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }
}
