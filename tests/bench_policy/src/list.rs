//! Which engines are measured, how often and how large.

/// Policy sizes, in services.
pub const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

/// Sizes of the quick run.
pub const QUICK: [usize; 2] = [10, 1_000];

/// What an engine stands for in the comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The cost of the loop itself.
    Loop,
    /// nexus-sel.
    Ours,
    /// A table anybody would write.
    Table,
    /// An engine in the form that suits this workload best, asked from an id and a name: held
    /// against nexus-sel asked the same way.
    Best,
    /// The same with its request built beforehand: held to the factor against nexus-sel with
    /// its ids looked up beforehand.
    Ready,
    /// An engine in another form, for orientation.
    Other,
}

/// An engine in one form.
pub struct Entry {
    /// On the command line and in the plot.
    pub key: &'static str,
    /// In the table.
    pub title: &'static str,
    /// Its part.
    pub role: Role,
    /// Largest policy it is asked about.
    pub up_to: usize,
    /// Work per decision grows with the policy: fewer decisions are counted.
    pub scans: bool,
    /// Colour in the plot; empty: not drawn.
    pub colour: &'static str,
}

const fn entry(key: &'static str, title: &'static str, role: Role, colour: &'static str) -> Entry {
    Entry { key, title, role, up_to: 10_000, scans: false, colour }
}

/// Every engine, in the order of the table.
pub const ENTRIES: [Entry; 19] = [
    entry("loop", "the loop alone", Role::Loop, ""),
    entry("interned", "**nexus-sel**, from interned ids", Role::Ours, "#0b7a3b"),
    entry("packed", "**nexus-sel**, from id and packed name", Role::Ours, "#1f9e8f"),
    entry("sel", "**nexus-sel**, from id and name", Role::Ours, "#12b35a"),
    entry("long", "**nexus-sel**, every name 48 bytes long", Role::Ours, ""),
    entry("hash", "`HashMap` of (id, name)", Role::Table, "#7f8c8d"),
    entry("sorted", "sorted array, binary search", Role::Table, "#34495e"),
    Entry { scans: true, ..entry("linear", "list of rules, walked", Role::Table, "#95a5a6") },
    entry("cedar", "cedar-policy, grants as data", Role::Best, "#2471a3"),
    entry("rego-array", "regorus VM, grants as data, request a pair", Role::Best, "#8e44ad"),
    entry("casbin", "casbin, grants as role links", Role::Best, "#c0392b"),
    entry("cedar-ready", "cedar-policy, request ready", Role::Ready, ""),
    entry("rego-array-ready", "regorus VM, request ready", Role::Ready, ""),
    entry("casbin-ready", "casbin, request ready", Role::Ready, ""),
    entry("rego-number", "regorus VM, request an object, id a number", Role::Other, ""),
    entry("rego", "regorus VM, request an object of texts", Role::Other, ""),
    entry("rego-text", "regorus VM, pair joined into one text", Role::Other, ""),
    Entry {
        up_to: 1_000,
        scans: true,
        ..entry("casbin-lines", "casbin, one line per rule", Role::Other, "#e67e22")
    },
    entry("casbin-cached", "casbin, every answer in its cache", Role::Other, "#f1948a"),
];

/// The entry of that name.
pub fn entry_of(key: &str) -> &'static Entry {
    let entry = ENTRIES.iter().find(|entry| entry.key == key);
    entry.unwrap_or_else(|| panic!("no engine `{key}`"))
}

impl Entry {
    /// Decisions checked against the reference before anything is measured.
    pub fn checked(&self, size: usize) -> usize {
        if self.scans { (1_600_000 / size / 10).clamp(64, 16_384) } else { 16_384 }
    }

    /// Decisions counted under callgrind.
    pub fn counted(&self, size: usize) -> usize {
        match (self.key, self.role) {
            ("casbin-lines", _) => (2_000 / size).max(2),
            (_, _) if self.scans => (200_000 / size).clamp(32, 4_096),
            (_, Role::Best | Role::Ready | Role::Other) => 2_048,
            _ => 16_384,
        }
    }
}
