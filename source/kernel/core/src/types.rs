//! Index newtypes: which table a number points into is never in doubt.

/// Number of a physical 4 KiB frame (physical address / 4096).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub u32);

impl Pfn {
    /// Physical address of the frame's first byte.
    #[must_use]
    pub const fn address(self) -> u64 {
        (self.0 as u64) << 12
    }

    /// The frame `count` further on.
    #[must_use]
    pub const fn offset(self, count: u32) -> Pfn {
        Pfn(self.0.wrapping_add(count))
    }
}

/// Index of a process; always below [`crate::limits::MAX_PROCESSES`] when the kernel made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcIndex(pub u8);

impl ProcIndex {
    /// For array access.
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

macro_rules! object_index {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u16);

        impl $name {
            /// For array access.
            #[inline(always)]
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
}

object_index! {
    /// Index of an endpoint.
    EndpointIndex;
    /// Index of a notification.
    NotifIndex;
    /// Index of a memory object.
    VmoIndex;
}
