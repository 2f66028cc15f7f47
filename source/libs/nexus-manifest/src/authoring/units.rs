//! Sizes, durations and id ranges as people write them.

use nexus_abi::layout::PAGE;

/// `"16K"`, `"4M"`, `"1G"`: whole pages, in bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let want = || format!("`{text}` is no size: write a number and K, M or G, such as \"16K\"");
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let unit: u64 = match text.strip_prefix(digits) {
        Some("K") => 1 << 10,
        Some("M") => 1 << 20,
        Some("G") => 1 << 30,
        _ => return Err(want()),
    };
    let number: u64 = digits.parse().map_err(|_| want())?;
    let bytes = number.checked_mul(unit).ok_or_else(want)?;
    if bytes == 0 || !bytes.is_multiple_of(PAGE) {
        return Err(format!("`{text}` is not a whole number of {PAGE}-byte pages"));
    }
    Ok(bytes)
}

/// `"10s"`, `"250ms"`, in nanoseconds.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    let want =
        || format!("`{text}` is no duration: write seconds or milliseconds, such as \"10s\"");
    let (digits, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1_000_000u64),
        (None, Some(digits)) => (digits, 1_000_000_000),
        (None, None) => return Err(want()),
    };
    let number: u64 = digits.parse().map_err(|_| want())?;
    number.checked_mul(unit).ok_or_else(want)
}

/// `"900..=931"`, both ends included.
pub(crate) fn id_range(text: &str) -> Result<(u64, u64), String> {
    let want = || format!("`{text}` is no id range: write both ends, such as \"900..=931\"");
    let (first, last) = text.split_once("..=").ok_or_else(want)?;
    let range = (first.parse().map_err(|_| want())?, last.parse().map_err(|_| want())?);
    if range.0 == 0 || range.0 > range.1 { Err(want()) } else { Ok(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_and_test_reject_others() {
        assert_eq!(size("16K"), Ok(16384));
        assert_eq!(size("2M"), Ok(2 << 20));
        for bad in ["", "K", "16", "1K", "0K", "-4K", "4KB", "99999999999999999999G", "4 K"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(duration("10s"), Ok(10_000_000_000));
        assert_eq!(duration("250ms"), Ok(250_000_000));
        for bad in ["", "s", "10", "10m", "99999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(id_range("900..=931"), Ok((900, 931)));
        for bad in ["", "1", "1..2", "0..=4", "5..=4", "a..=b"] {
            assert!(id_range(bad).is_err(), "{bad}");
        }
    }
}
