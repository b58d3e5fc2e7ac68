//! Padding: every plaintext becomes one of fourteen sizes (docs/CRYPTO.md section 5).
//!
//! Twin of `mobium/_pure/padding.py`. Not its concern: encryption, and the largest message that a server takes.

use crate::Error;

/// The sizes of a ciphertext with its tag, in bytes: 512 B to 4 MiB, doubling.
pub const BUCKETS: [usize; 14] = {
    let mut buckets = [512; 14];
    let mut i = 1;
    while i < buckets.len() {
        buckets[i] = buckets[i - 1] * 2;
        i += 1;
    }
    buckets
};

/// Bytes of AEAD tag that a padded plaintext leaves free in its bucket.
pub const TAG: usize = 16;

/// length(u32) and four zero bytes.
const PREFIX: usize = 8;

/// The longest plaintext in bytes.
pub const LARGEST: usize = BUCKETS[BUCKETS.len() - 1] - TAG - PREFIX;

const SIZE: Error = Error::Padding("A padded message has the size of a bucket.");

/// Whether a ciphertext of this size with its tag fills a bucket.
#[must_use]
pub fn is_bucket(size: usize) -> bool {
    size.is_power_of_two() && (BUCKETS[0]..=BUCKETS[BUCKETS.len() - 1]).contains(&size)
}

/// The size of what [`pad`] writes for a plaintext of this size: the smallest bucket that holds it, less the tag.
///
/// # Errors
/// `Padding` above the largest bucket.
pub fn padded_size(size: usize) -> Result<usize, Error> {
    if size > LARGEST {
        return Err(Error::Padding("The message is larger than the largest bucket."));
    }
    Ok((size + PREFIX + TAG).next_power_of_two().max(BUCKETS[0]) - TAG)
}

/// Writes `length(u32) ‖ 0x00*4 ‖ plaintext ‖ zeros` over all of `out`, which has [`padded_size`] bytes.
///
/// # Errors
/// `Padding` above the largest bucket, or if `out` is of another size.
pub fn pad(plaintext: &[u8], out: &mut [u8]) -> Result<(), Error> {
    if out.len() != padded_size(plaintext.len())? {
        return Err(SIZE);
    }
    let size = u32::try_from(plaintext.len()).map_err(|_| SIZE)?;
    let (prefix, rest) = out.split_at_mut(PREFIX);
    prefix[..4].copy_from_slice(&size.to_be_bytes());
    prefix[4..].fill(0);
    let (body, zeros) = rest.split_at_mut(plaintext.len());
    body.copy_from_slice(plaintext);
    zeros.fill(0);
    Ok(())
}

/// The plaintext inside `padded`. What follows it is not looked at: it lay inside the AEAD.
///
/// # Errors
/// `Padding` for a size that is no bucket's, a length that does not fit, reserved bytes that are not zero.
pub fn unpad(padded: &[u8]) -> Result<&[u8], Error> {
    if !is_bucket(padded.len().saturating_add(TAG)) {
        return Err(SIZE);
    }
    let [a, b, c, d, 0, 0, 0, 0, rest @ ..] = padded else {
        return Err(Error::Padding("The reserved bytes of the padding are not zero."));
    };
    // A length that does not fit a usize does not fit the message either.
    let size = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
    rest.get(..size).ok_or(Error::Padding("The length in the padding does not fit."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_around_every_bucket() {
        for bucket in BUCKETS {
            let most = bucket - TAG - PREFIX;
            assert_eq!(padded_size(most), Ok(bucket - TAG));
            if bucket < BUCKETS[13] {
                assert_eq!(padded_size(most + 1), Ok(2 * bucket - TAG));
            } else {
                assert!(padded_size(most + 1).is_err());
            }
        }
        assert_eq!(padded_size(0), Ok(496));
    }

    #[test]
    fn pad_overwrites_what_was_there() {
        let mut out = vec![0xFF; 496];
        pad(b"abc", &mut out).unwrap();
        assert_eq!(&out[..11], b"\0\0\0\x03\0\0\0\0abc");
        assert!(out[11..].iter().all(|&byte| byte == 0));
        assert_eq!(unpad(&out), Ok(&b"abc"[..]));
        assert!(pad(b"abc", &mut out[1..]).is_err());
    }
}
