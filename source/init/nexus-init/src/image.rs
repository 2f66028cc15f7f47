//! The boot image: header page, compact manifest, blobs, each blob with its digest.

use nexus_abi::{Error, Sys};
use nexus_manifest::boot::{BootError, BootManifest, Extent};
use nexus_system::{
    header::{Header, WORDS},
    slots::nexus_init::BOOT_IMAGE,
};

/// Why the boot image was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// It could not be mapped.
    Kernel(Error),
    /// No boot image header, or one that contradicts its length.
    Header,
    /// No manifest in it, or a broken one.
    Manifest(BootError),
}

/// A boot image whose manifest has been read.
pub(crate) struct Image {
    bytes: &'static [u8],
    pub(crate) manifest: BootManifest,
}

/// Maps and reads the boot image.
pub(crate) fn open<S: Sys>(sys: &mut S, image_len: u64) -> Result<Image, ImageError> {
    let len = usize::try_from(image_len).map_err(|_| ImageError::Header)?;
    let bytes = sys.map_bytes(BOOT_IMAGE, len).map_err(ImageError::Kernel)?;
    let manifest = manifest_bytes(bytes).ok_or(ImageError::Header)?;
    let manifest = BootManifest::read(manifest, image_len).map_err(ImageError::Manifest)?;
    Ok(Image { bytes, manifest })
}

fn manifest_bytes(image: &[u8]) -> Option<&[u8]> {
    let (raw, _) = image.as_chunks();
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(raw) {
        *word = u64::from_le_bytes(*bytes);
    }
    let header = Header::decode(&words).filter(|h| h.total_len == image.len() as u64)?;
    slice(image, header.manifest_off, header.manifest_len)
}

fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(offset).ok()?..)?.get(..usize::try_from(len).ok()?)
}

impl Image {
    /// The bytes of a blob, only if they are the ones the image builder saw.
    pub(crate) fn verified(&self, extent: &Extent) -> Option<&'static [u8]> {
        let blob = slice(self.bytes, extent.offset, extent.len)?;
        (blake3::hash(blob).as_bytes() == &extent.digest).then_some(blob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        let header = crate::tests::header(12288, 4096, 5000);
        let mut image: Vec<u8> = header.encode().iter().flat_map(|w| w.to_le_bytes()).collect();
        image.resize(12288, 7);
        image
    }

    #[test]
    fn manifest_is_found_by_the_header() {
        assert_eq!(manifest_bytes(&image()).unwrap().len(), 5000);
    }

    #[test]
    fn test_reject_headers_that_contradict_the_image() {
        let mut bent = image();
        bent[0] ^= 1;
        assert_eq!(manifest_bytes(&bent), None, "magic");
        assert_eq!(manifest_bytes(&image()[..8192]), None, "shorter than it says");
        assert_eq!(manifest_bytes(&image()[..300]), None, "truncated header");
        assert_eq!(manifest_bytes(&[]), None);
    }

    #[test]
    fn test_reject_a_blob_with_another_digest() {
        let bytes: &'static [u8] = b"abcdefgh";
        let manifest = BootManifest {
            version: 1,
            authority: 0,
            journal: 0,
            services: heapless::Vec::new(),
            lanes: heapless::Vec::new(),
            devices: heapless::Vec::new(),
            policy: Extent::default(),
            blobs: heapless::Vec::new(),
        };
        let image = Image { bytes, manifest };
        let digest = *blake3::hash(b"cde").as_bytes();
        let extent = Extent { offset: 2, len: 3, digest };
        assert_eq!(image.verified(&extent), Some(b"cde".as_slice()));
        assert_eq!(image.verified(&Extent { offset: 1, ..extent }), None);
        assert_eq!(image.verified(&Extent { len: 4, ..extent }), None);
        assert_eq!(image.verified(&Extent { offset: 8, len: 1, digest }), None);
    }
}
