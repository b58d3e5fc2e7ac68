//! Strict Ed25519 (RFC 8032; docs/CRYPTO.md, Strict Ed25519). Internal; the twin of `mobium/signing.py`: the same keys and signatures are refused.
//!
//! Both kinds of key keep the library's form of themselves, and are shared by all states of a chain: nothing is parsed for a message. Not its
//! concern: what is signed; each construction brings its own label.

use core::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};

use crate::Error;
use crate::secret::Secret;
use crate::skipped::KEY;

pub(crate) const SIGNATURE: usize = 64;

/// The library refuses a seed of the right length only when it cannot allocate.
const UNUSABLE: Error = Error::Refused("The cryptographic library refused a signing key.");

/// The key or the signature is refused, or the signature does not verify.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

// y-coordinates of the points of order 1, 2, 4 and 8, the sign bit cleared: each stands for both signs.
const SMALL_ORDER: [[u8; KEY]; 5] = [
    [0; KEY],
    {
        let mut one = [0; KEY];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = [0xFF; KEY];
        minus_one[0] = 0xEC;
        minus_one[KEY - 1] = 0x7F;
        minus_one
    },
    [
        0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0, 0xD5,
        0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05,
    ],
    [
        0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F, 0x2A,
        0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A,
    ],
];

/// Refuses a point's encoding that is of small order or not canonical (y >= 2^255-19). Nothing here is secret.
fn check_point(encoded: &[u8; KEY]) -> Result<(), Refused> {
    let mut y = *encoded;
    y[KEY - 1] &= 0x7F;
    let canonical = y[KEY - 1] < 0x7F || y[0] < 0xED || y[1..KEY - 1].iter().any(|&byte| byte < 0xFF);
    if canonical && !SMALL_ORDER.contains(&y) { Ok(()) } else { Err(Refused) }
}

struct Signing {
    seed: Secret,
    pair: Ed25519KeyPair,
    public: [u8; KEY],
}

/// An Ed25519 private key. Cloning it shares it; the library wipes its form of it when the last owner goes.
#[derive(Clone)]
pub(crate) struct SigningKey(Arc<Signing>);

impl SigningKey {
    pub(crate) fn from_seed(seed: &[u8; KEY]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| UNUSABLE)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| UNUSABLE)?;
        Ok(Self(Arc::new(Signing { seed: Secret::copy_of(seed), pair, public })))
    }

    pub(crate) fn seed(&self) -> &[u8; KEY] {
        self.0.seed.bytes()
    }

    pub(crate) fn public(&self) -> &[u8; KEY] {
        &self.0.public
    }

    /// Writes the signature over `message` over all of `out`, which has 64 bytes.
    pub(crate) fn sign(&self, message: &[u8], out: &mut [u8]) -> Result<(), Refused> {
        let signature = self.0.pair.try_sign(message).map_err(|_| Refused)?;
        let signature = signature.as_ref();
        if signature.len() != out.len() {
            return Err(Refused);
        }
        out.copy_from_slice(signature);
        Ok(())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(redacted)")
    }
}

/// An Ed25519 public key that passed the strict rules.
#[derive(Debug)]
pub(crate) struct VerifyingKey {
    public: [u8; KEY],
    /// None for a key that the library does not take: under it nothing verifies.
    parsed: Option<ParsedPublicKey>,
}

impl VerifyingKey {
    pub(crate) fn new(public: &[u8; KEY]) -> Result<Self, Refused> {
        check_point(public)?;
        Ok(Self { public: *public, parsed: ParsedPublicKey::new(&ED25519, public).ok() })
    }

    pub(crate) fn public(&self) -> &[u8; KEY] {
        &self.public
    }

    /// Returns if the signature over `message` verifies under the strict rules.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE]) -> Result<(), Refused> {
        let (point, _) = signature.split_first_chunk().ok_or(Refused)?;
        check_point(point)?;
        self.parsed.as_ref().ok_or(Refused)?.verify_sig(message, signature).map_err(|_| Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both signs of every y of small order, and of every y that is not below the prime.
    #[test]
    fn weak_and_non_canonical_points_are_refused() {
        let mut points = SMALL_ORDER.to_vec();
        for low in 0xED..=0xFF {
            let mut point = [0xFF; KEY];
            point[0] = low;
            point[KEY - 1] = 0x7F;
            points.push(point);
        }
        let honest = SigningKey::from_seed(&[7; KEY]).unwrap();
        let key = VerifyingKey::new(honest.public()).unwrap();
        let mut signature = [0; SIGNATURE];
        honest.sign(b"text", &mut signature).unwrap();
        assert_eq!(key.verify(b"text", &signature), Ok(()));
        for mut point in points {
            for sign in [0, 0x80] {
                point[KEY - 1] = point[KEY - 1] & 0x7F | sign;
                assert!(VerifyingKey::new(&point).is_err());
                let mut forged = signature;
                forged[..KEY].copy_from_slice(&point);
                assert_eq!(key.verify(b"text", &forged), Err(Refused));
            }
        }
        // The neighbours of what is refused are looked at by the library.
        let mut two = [0; KEY];
        two[0] = 2;
        let mut below = [0xFF; KEY];
        (below[0], below[KEY - 1]) = (0xEB, 0x7F);
        let mut far_below = [0xFF; KEY];
        far_below[KEY - 1] = 0x7E;
        let mut below_in_the_middle = [0xFF; KEY];
        (below_in_the_middle[KEY - 2], below_in_the_middle[KEY - 1]) = (0xFE, 0x7F);
        for point in [two, below, far_below, below_in_the_middle] {
            assert!(VerifyingKey::new(&point).is_ok());
        }
    }

    #[test]
    fn nothing_shows() {
        let key = SigningKey::from_seed(&[7; KEY]).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(redacted)");
    }
}
