//! X25519 (RFC 7748). Internal: the pure twin calls `cryptography`.
//!
//! A key pair keeps the library's form of the private key, because making it costs a scalar multiplication, and is shared by all states of its time.

use core::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use zeroize::Zeroizing;

use crate::Error;
use crate::secret::Secret;
use crate::skipped::KEY;

/// The library refuses a private key of the right length only when it cannot allocate.
const UNUSABLE: Error = Error::Refused("The cryptographic library refused a private key.");

struct Pair {
    private: Secret,
    public: [u8; KEY],
    /// Made of `private` when it is first needed.
    loaded: OnceLock<PrivateKey>,
}

/// An X25519 key pair.
#[derive(Clone)]
pub(crate) struct KeyPair(Arc<Pair>);

impl KeyPair {
    /// The pair of a private key (32 bytes of entropy). One scalar multiplication.
    pub(crate) fn from_private(private: &[u8; KEY]) -> Result<Self, Error> {
        let key = PrivateKey::from_private_key(&X25519, private).map_err(|_| UNUSABLE)?;
        let public = key.compute_public_key().map_err(|_| UNUSABLE)?;
        let public = public.as_ref().try_into().map_err(|_| UNUSABLE)?;
        Ok(Self(Arc::new(Pair { private: Secret::copy_of(private), public, loaded: OnceLock::from(key) })))
    }

    /// The pair as it was stored. Nothing is computed.
    pub(crate) fn from_stored(private: &[u8; KEY], public: [u8; KEY]) -> Self {
        Self(Arc::new(Pair { private: Secret::copy_of(private), public, loaded: OnceLock::new() }))
    }

    pub(crate) fn private(&self) -> &Secret {
        &self.0.private
    }

    pub(crate) fn public(&self) -> &[u8; KEY] {
        &self.0.public
    }

    fn loaded(&self) -> Result<&PrivateKey, Error> {
        if let Some(key) = self.0.loaded.get() {
            return Ok(key);
        }
        let key = PrivateKey::from_private_key(&X25519, self.0.private.bytes()).map_err(|_| UNUSABLE)?;
        Ok(self.0.loaded.get_or_init(|| key))
    }

    /// The shared secret with `public`, or `refusal` if it would be all zeros, which it is for a key of small order.
    pub(crate) fn agree(&self, public: &[u8; KEY], refusal: Error) -> Result<Zeroizing<[u8; KEY]>, Error> {
        let mut shared = Zeroizing::new([0; KEY]);
        agree(self.loaded()?, UnparsedPublicKey::new(&X25519, public), refusal, |bytes| {
            if bytes.len() != KEY || bytes.iter().fold(0, |any, byte| any | byte) == 0 {
                return Err(refusal);
            }
            shared.copy_from_slice(bytes);
            Ok(())
        })?;
        Ok(shared)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyPair(redacted)")
    }
}
