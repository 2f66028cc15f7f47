//! Fixed tables whose access cannot fail and cannot panic.

/// `N` entries. An index outside the table (a kernel bug) reaches an entry that is never live,
/// so the operation fails closed instead of touching somebody else's object.
#[derive(Clone, Copy)]
pub(crate) struct Table<T, const N: usize> {
    items: [T; N],
    void: T,
}

impl<T: Copy, const N: usize> Table<T, N> {
    pub(crate) const fn new(empty: T) -> Self {
        Table { items: [empty; N], void: empty }
    }
}

impl<T, const N: usize> Table<T, N> {
    #[inline(always)]
    pub(crate) fn at(&self, index: usize) -> &T {
        self.items.get(index).unwrap_or(&self.void)
    }

    #[inline(always)]
    pub(crate) fn at_mut(&mut self, index: usize) -> &mut T {
        self.items.get_mut(index).unwrap_or(&mut self.void)
    }

    /// Index of the first entry that satisfies `f`.
    pub(crate) fn position(&self, f: impl FnMut(&T) -> bool) -> Option<usize> {
        self.items.iter().position(f)
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, T> {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_outside_reaches_no_entry() {
        let mut t: Table<u8, 4> = Table::new(0);
        *t.at_mut(3) = 7;
        *t.at_mut(4) = 9;
        assert_eq!(t.iter().copied().collect::<Vec<_>>(), [0, 0, 0, 7]);
        assert_eq!(t.position(|v| *v == 7), Some(3));
    }
}
