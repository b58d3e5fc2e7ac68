//! The key derivations of the kernels, each with its label (docs/CRYPTO.md section 4).
//!
//! Twin of `mobium/_pure/kdf.py`. Not its concern: what the keys are used for.

use hmac::digest::{FixedOutput, KeyInit, Update};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::Secret;

const ROOT_LABEL: &[u8] = b"mobium/1 ratchet root";
const MESSAGE_LABEL: &[u8] = b"mobium/1 ratchet message";

/// The size of SHA-256's input block: longer HMAC keys are hashed first (RFC 2104).
const BLOCK: usize = 64;
const HASH: usize = 32;

type HmacSha256 = Hmac<Sha256>;

/// A message key, for one message: whoever uses it has used it up.
pub(crate) struct MessageKey(Secret);

impl MessageKey {
    /// The key of a message that was skipped. The record that holds it leaves the next state when the message opens.
    pub(crate) fn of_skipped(key: &Secret) -> Self {
        Self(key.clone())
    }

    pub(crate) fn into_secret(self) -> Secret {
        self.0
    }

    /// AES-256-GCM's key (32 bytes) and nonce (12) for this message, of its salt.
    pub(crate) fn expand(self, salt: &[u8]) -> Zeroizing<[u8; 44]> {
        let mut out = Zeroizing::new([0; 44]);
        hkdf(self.0.bytes(), salt, MESSAGE_LABEL, out.as_mut_slice());
        out
    }
}

/// HMAC-SHA256, keyed; cloning it saves hashing the key again.
pub(crate) fn keyed(key: &[u8]) -> HmacSha256 {
    let mut block = Zeroizing::new([0; BLOCK]);
    if key.len() <= BLOCK {
        block[..key.len()].copy_from_slice(key);
    } else {
        block[..HASH].copy_from_slice(&Sha256::digest(key));
    }
    HmacSha256::new((&*block).into())
}

/// Writes the MAC of what `mac` was given over `out`, and leaves no copy.
pub(crate) fn finish(mac: HmacSha256, out: &mut [u8; HASH]) {
    mac.finalize_into(out.into());
}

/// RFC 5869 with SHA-256. `out` has at most 8,160 bytes.
pub(crate) fn hkdf(ikm: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) {
    let mut block = Zeroizing::new([0; HASH]);
    finish(keyed(salt).chain(ikm), &mut block);
    let expander = keyed(block.as_slice());
    for (counter, part) in (1..=u8::MAX).zip(out.chunks_mut(HASH)) {
        let mut mac = expander.clone();
        if counter > 1 {
            Mac::update(&mut mac, block.as_slice());
        }
        finish(mac.chain(info).chain([counter]), &mut block);
        part.copy_from_slice(&block[..part.len()]);
    }
}

/// The next root key and a new chain key, from the root key and a DH result.
pub(crate) fn root_step(root: &Secret, shared: &[u8; HASH]) -> (Secret, Secret) {
    let mut root_out = [0; HASH];
    let mut chain_out = [0; HASH];
    let mut out = Zeroizing::new([0; 2 * HASH]);
    hkdf(shared, root.bytes(), ROOT_LABEL, out.as_mut_slice());
    root_out.copy_from_slice(&out[..HASH]);
    chain_out.copy_from_slice(&out[HASH..]);
    (Secret::take(&mut root_out), Secret::take(&mut chain_out))
}

/// The message key at this place of the chain and the next chain key.
pub(crate) fn chain_step(chain: &Secret) -> (MessageKey, Secret) {
    let mac = keyed(chain.bytes());
    let mut message = [0; HASH];
    let mut next = [0; HASH];
    finish(mac.clone().chain([1]), &mut message);
    finish(mac.chain([2]), &mut next);
    (MessageKey(Secret::take(&mut message)), Secret::take(&mut next))
}
