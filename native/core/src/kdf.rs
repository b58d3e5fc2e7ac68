//! The key derivations of the kernels, each with its label (docs/CRYPTO.md sections 4, 6 and 8).
//!
//! Twin of `mobium/_pure/kdf.py`. Not its concern: what the keys are used for.

use zeroize::{Zeroize, Zeroizing};

use crate::aead::{KEY, NONCE};
use crate::hmac::{Extracted, HASH, Hmac, hkdf};
use crate::secret::Secret;

const ROOT_LABEL: &[u8] = b"mobium/1 ratchet root";
const MESSAGE_LABEL: &[u8] = b"mobium/1 ratchet message";
const SENDER_LABEL: &[u8] = b"mobium/1 sender message";
/// RFC 9605, section 4.4.2.
const FRAME_KEY_LABEL: &[u8] = b"SFrame 1.0 Secret key ";
const FRAME_SALT_LABEL: &[u8] = b"SFrame 1.0 Secret salt ";
/// `AES_256_GCM_SHA512_128`.
const FRAME_SUITE: &[u8] = &[0, 5];

/// A message key, for one message: whoever uses it has used it up.
pub(crate) struct MessageKey([u8; HASH]);

impl Drop for MessageKey {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl MessageKey {
    /// The key of a message that was skipped. The record that holds it leaves the next state when the message opens.
    pub(crate) fn of_skipped(key: &Secret) -> Self {
        Self(*key.bytes())
    }

    /// The key to be held for a message that has not arrived.
    pub(crate) fn into_secret(mut self) -> Secret {
        Secret::take(&mut self.0)
    }

    /// AES-256-GCM's key (32 bytes) and nonce (12) for this message, of its salt.
    pub(crate) fn expand(self, salt: &[u8]) -> MessageKeys {
        let mut keys = MessageKeys([0; 44]);
        hkdf(&self.0, salt, MESSAGE_LABEL, &mut keys.0);
        keys
    }

    /// The same for a channel's message, and the commitment to them.
    pub(crate) fn expand_sender(self, salt: &[u8]) -> SenderKeys {
        let mut out = [0; 44 + HASH];
        hkdf(&self.0, salt, SENDER_LABEL, &mut out);
        let mut keys = SenderKeys { keys: MessageKeys([0; 44]), commit: [0; HASH] };
        let (first, commit) = out.split_at(44);
        keys.keys.0.copy_from_slice(first);
        keys.commit.copy_from_slice(commit);
        out.as_mut_slice().zeroize();
        keys
    }
}

/// A channel message's key and nonce, and the commitment by which no other key opens it.
pub(crate) struct SenderKeys {
    pub(crate) keys: MessageKeys,
    /// On the wire once the message is sent.
    pub(crate) commit: [u8; HASH],
}

/// AES-256-GCM's key (32 bytes) and nonce (12) for one message.
pub(crate) struct MessageKeys(pub(crate) [u8; 44]);

impl Drop for MessageKeys {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

/// The next root key and a new chain key, from the root key and a DH result.
pub(crate) fn root_step(root: &Secret, shared: &[u8; HASH]) -> (Secret, Secret) {
    let mut out = Zeroizing::new([0; 2 * HASH]);
    hkdf(shared, root.bytes(), ROOT_LABEL, &mut out);
    let mut halves = Zeroizing::new([[0; HASH]; 2]);
    halves.as_flattened_mut().copy_from_slice(out.as_slice());
    let [root, chain] = &mut *halves;
    (Secret::take(root), Secret::take(chain))
}

/// The message key at this place of the chain and the next chain key.
pub(crate) fn chain_step(chain: &Secret) -> (MessageKey, Secret) {
    let keyed = Hmac::new(chain.bytes());
    let mut message = MessageKey([0; HASH]);
    let mut next = [0; HASH];
    keyed.mac(&[1], &mut message.0);
    keyed.mac(&[2], &mut next);
    (message, Secret::take(&mut next))
}

/// `SFrame`'s key for a KID, and the salt of which each nonce is made.
pub(crate) struct FrameKeys {
    pub(crate) key: [u8; KEY],
    pub(crate) salt: [u8; NONCE],
}

impl Drop for FrameKeys {
    fn drop(&mut self) {
        self.key.as_mut_slice().zeroize();
        self.salt.as_mut_slice().zeroize();
    }
}

/// Gives `work` what RFC 9605 derives from a base key for this KID: it stays in one place, which is wiped.
pub(crate) fn with_frame_keys<T>(base_key: &[u8], kid: u64, work: impl FnOnce(&FrameKeys) -> T) -> T {
    let secret = Extracted::new(base_key);
    let mut keys = FrameKeys { key: [0; KEY], salt: [0; NONCE] };
    secret.expand(&[FRAME_KEY_LABEL, &kid.to_be_bytes(), FRAME_SUITE], &mut keys.key);
    secret.expand(&[FRAME_SALT_LABEL, &kid.to_be_bytes(), FRAME_SUITE], &mut keys.salt);
    work(&keys)
}
