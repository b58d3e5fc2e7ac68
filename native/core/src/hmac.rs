//! HMAC-SHA256 (RFC 2104) and HKDF (RFC 5869; `SFrame` takes it with SHA-512), from the `hmac`, `hkdf` and `sha2` crates. Internal: the pure twin calls the standard library.
//!
//! A message takes seventeen compressions of some 45 ns, so what stands around them counts: aws-lc-rs' HMAC and HKDF took 2.2 us for them, these
//! crates 1.1. Tests hold them against aws-lc-rs at every length, and against the RFCs' vectors.

use hkdf::Hkdf;
use hmac::{KeyInit, Mac};
use sha2::{Sha256, Sha512};
use zeroize::Zeroize;

pub(crate) const HASH: usize = 32;

/// A key after its two compressions: what every MAC under it begins with. Wiped when dropped.
pub(crate) struct Hmac(hmac::Hmac<Sha256>);

impl Hmac {
    pub(crate) fn new(key: &[u8; HASH]) -> Self {
        // Filled with zeros to SHA-256's block, as HMAC itself does: a length that the crate cannot refuse.
        let mut block = [0; 2 * HASH];
        block[..HASH].copy_from_slice(key);
        let keyed = Self(hmac::Hmac::new((&block).into()));
        // As a slice it is wiped at once, as an array byte by byte.
        block.as_mut_slice().zeroize();
        keyed
    }

    /// Writes the MAC of `message` over `out`.
    pub(crate) fn mac(&self, message: &[u8], out: &mut [u8; HASH]) {
        let mut tag = self.0.clone().chain_update(message).finalize().into_bytes();
        out.copy_from_slice(&tag);
        tag.as_mut_slice().zeroize();
    }
}

/// HKDF with SHA-256. `N` is at most 8,160 bytes: more does not compile.
pub(crate) fn hkdf<const N: usize>(ikm: &[u8], salt: &[u8], info: &[u8], out: &mut [u8; N]) {
    const { assert!(N <= 255 * HASH) };
    // The library refuses a longer output only.
    let done = Hkdf::<Sha256>::new(Some(salt), ikm).expand(info, out);
    debug_assert!(done.is_ok());
}

/// HKDF with SHA-512 and an empty salt: what is extracted from `ikm`, to be expanded under any number of labels. Wiped when dropped.
pub(crate) struct Extracted(Hkdf<Sha512>);

impl Extracted {
    pub(crate) fn new(ikm: &[u8]) -> Self {
        Self(Hkdf::new(None, ikm))
    }

    /// Writes what the label gives, the concatenation of `info`, over `out`: at most 16,320 bytes, more does not compile.
    pub(crate) fn expand<const N: usize>(&self, info: &[&[u8]], out: &mut [u8; N]) {
        const { assert!(N <= 255 * 64) };
        // The library refuses a longer output only.
        let done = self.0.expand_multi_info(info, out);
        debug_assert!(done.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_other_library() {
        let bytes: Vec<u8> = (0..=255).collect();
        for first in 0..64 {
            let key: &[u8; HASH] = bytes[first..first + HASH].try_into().unwrap_or(&[0; HASH]);
            let library = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
            for size in 0..=200 {
                let mut out = [0; HASH];
                Hmac::new(key).mac(&bytes[..size], &mut out);
                assert_eq!(out, aws_lc_rs::hmac::sign(&library, &bytes[..size]).as_ref());
            }
        }
    }
}
