//! What a machine wrote and when it flushed: the format of dm-log-writes, as QEMU's
//! `blklogwrites` driver leaves it.

/// Bytes of a sector, of the log's too.
pub(super) const SECTOR: usize = 512;
/// First bytes of the log.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;

const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
const MARK: u64 = 8;

/// One thing that reached the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// These whole sectors were written, from this one on.
    Write { sector: u64, data: Vec<u8> },
    /// Everything before is on the medium.
    Flush,
}

/// Reads a log. The count in its head is brought up to date only now and then, so entries are
/// read to the end of the file; one that the end cut off was not complete.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let mut rest = bytes.split_at_checked(SECTOR).ok_or("the log has no head")?;
    let [magic, version, counted] = words::<3>(rest.0)?;
    let sector = rest.0.get(24..28).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
    if magic != MAGIC || version != VERSION || sector as usize != SECTOR {
        return Err("not a log of writes with 512-byte sectors".to_owned());
    }
    let (mut entries, mut read) = (Vec::new(), 0);
    while let Some((head, tail)) = rest.1.split_at_checked(SECTOR) {
        let [sector, sectors, flags, extra] = words::<4>(head)?;
        if (sectors, flags) == (0, 0) {
            break;
        }
        if flags & !(FLUSH | DISCARD | MARK) != 0 || extra != 0 && flags & MARK == 0 {
            return Err(format!("entry {read}: flags {flags:#x} are not understood"));
        }
        // A mark carries text in what follows its head, a discard carries nothing.
        let carried = if flags & (DISCARD | MARK) == 0 { sectors } else { 0 };
        let len = usize::try_from(carried).ok().and_then(|n| n.checked_mul(SECTOR));
        let Some((data, tail)) = len.and_then(|len| tail.split_at_checked(len)) else { break };
        if flags & FLUSH != 0 {
            entries.push(Entry::Flush);
        }
        if flags & DISCARD != 0 {
            return Err(format!("entry {read}: a discard, which nobody asks for"));
        }
        if !data.is_empty() {
            entries.push(Entry::Write { sector, data: data.to_vec() });
        }
        read += 1;
        rest = (head, tail);
    }
    if read < counted {
        return Err(format!("the log counts {counted} entries and holds {read}"));
    }
    Ok(entries)
}

fn words<const N: usize>(bytes: &[u8]) -> Result<[u64; N], String> {
    let (words, _) = bytes.as_chunks::<8>();
    let words = words.first_chunk::<N>().ok_or("the log ends in a head")?;
    Ok(words.map(u64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(words: &[u64]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.resize(SECTOR, 0);
        bytes
    }

    fn log(counted: u64, entries: &[&[u8]]) -> Vec<u8> {
        let mut all = vec![head(&[MAGIC, VERSION, counted, SECTOR as u64])];
        all.extend(entries.iter().map(|e| e.to_vec()));
        all.concat()
    }

    #[test]
    fn writes_and_flushes_come_in_order() {
        let write = [head(&[7, 2, 0, 0]), vec![1; 1024]].concat();
        let flush = head(&[0, 0, FLUSH, 0]);
        // QEMU may be killed before it counts: the entries are there all the same.
        for counted in [0, 2] {
            let entries = parse(&log(counted, &[&write, &flush])).unwrap();
            assert_eq!(entries, [Entry::Write { sector: 7, data: vec![1; 1024] }, Entry::Flush]);
        }
        assert_eq!(parse(&log(0, &[])), Ok(vec![]));
        // Cut off in its data: it was not complete, and nobody counted it.
        let cut = &write[..write.len() - 1];
        assert_eq!(parse(&log(1, &[&flush, cut])), Ok(vec![Entry::Flush]));
        assert_eq!(parse(&log(1, &[&flush, &head(&[])])), Ok(vec![Entry::Flush]));
    }

    #[test]
    fn test_reject_logs_that_are_none() {
        let write = [head(&[7, 2, 0, 0]), vec![1; 1024]].concat();
        assert!(parse(b"").is_err());
        assert!(parse(&head(&[MAGIC + 1, VERSION, 0, 512])).is_err());
        assert!(parse(&head(&[MAGIC, 2, 0, 512])).is_err());
        assert!(parse(&head(&[MAGIC, VERSION, 0, 4096])).is_err());
        assert!(parse(&log(2, &[&write])).unwrap_err().contains("counts 2"));
        assert!(parse(&log(1, &[&write[..1000]])).is_err());
        for flags in [2, 16, DISCARD] {
            assert!(parse(&log(0, &[&head(&[0, 0, flags, 0])])).is_err(), "flags {flags}");
        }
        assert!(parse(&log(0, &[&head(&[0, u64::MAX, FLUSH, 0])])).unwrap().is_empty());
    }
}
