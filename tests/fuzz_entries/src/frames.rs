//! Message frames from processes that follow no protocol.
use nexus_wire::audit::{Record, TEXT_MAX};
use nexus_wire::{FRAME_MAX, PROTOCOLS};

/// Every decoder over the same bytes: a frame is a request, or refused with a reply that
/// decodes, and what decodes encodes to the same bytes.
pub fn wire_frames(bytes: &[u8]) {
    let frame = bytes.get(..FRAME_MAX).unwrap_or(bytes);
    for protocol in PROTOCOLS {
        let name = protocol.name;
        let mut out = [0; FRAME_MAX];
        let request = (protocol.reencode)(frame, &mut out);
        if let Some(len) = request {
            assert_eq!(&out[..len], frame, "{name}: a request is not what it encodes to");
        }
        let mut reply = [0; FRAME_MAX];
        let refused = (protocol.refuse)(frame, &mut reply);
        assert!(request.is_some() != refused.is_some(), "{name}: neither taken nor refused");
        if let Some(len) = refused {
            let mut again = [0; FRAME_MAX];
            let decoded = (protocol.reencode_reply)(&reply[..len], &mut again);
            assert_eq!(
                decoded,
                Some(len),
                "{name}: a refusal nobody can read: {frame:?} -> {:?}",
                &reply[..len]
            );
            assert_eq!(&again[..len], &reply[..len], "{name}");
        }
        let mut out = [0; FRAME_MAX];
        if let Some(len) = (protocol.reencode_reply)(frame, &mut out) {
            assert!(len <= FRAME_MAX, "{name}");
        }
    }
    record(bytes);
}

/// Audit records lie in shared memory: the other side may write what it likes there.
fn record(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<{ Record::BYTES }>() else { return };
    if let Some(record) = Record::decode(bytes) {
        assert_eq!(Record::decode(&record.encode()), Some(record));
        let mut text = [0; TEXT_MAX];
        let text = record.text(&mut text);
        assert!(!text.is_empty() && !text.contains(['\n', '\0', '\u{1b}']), "{text:?}");
    }
}
