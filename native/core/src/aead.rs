//! AES-256-GCM with a 16-byte tag: one key and nonce for each message, or a key that is kept for many. Internal; its twins are the calls in
//! `_pure/ratchet.py`, `_pure/sender_key.py` and `_pure/frame.py`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::kdf::MessageKeys;
use crate::padding::TAG;
use crate::secret::WipedBytes;

/// What follows is a key(32) and a nonce(12).
pub(crate) const KEY: usize = 32;
pub(crate) const NONCE: usize = 12;

/// The cipher refused: a wrong tag, or (never seen) a failure of the library.
pub(crate) struct Refused;

fn prepare(MessageKeys(keys): &MessageKeys) -> Result<(LessSafeKey, Nonce), Refused> {
    let key = UnboundKey::new(&AES_256_GCM, &keys[..KEY]).map_err(|_| Refused)?;
    let nonce = Nonce::try_assume_unique_for_key(&keys[KEY..]).map_err(|_| Refused)?;
    Ok((LessSafeKey::new(key), nonce))
}

/// Encrypts all but the last 16 bytes of `in_out`, which take the tag.
pub(crate) fn seal(keys: &MessageKeys, aad: &[u8], in_out: &mut [u8]) -> Result<(), Refused> {
    let (key, nonce) = prepare(keys)?;
    let (text, tag_out) = in_out.split_at_mut(in_out.len().checked_sub(TAG).ok_or(Refused)?);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), text).map_err(|_| Refused)?;
    tag_out.copy_from_slice(tag.as_ref());
    Ok(())
}

/// Decrypts `sealed`, whose last 16 bytes are the tag. Nothing is given out unless the tag is right; it is wiped when dropped.
pub(crate) fn open(keys: &MessageKeys, aad: &[u8], sealed: &[u8]) -> Result<WipedBytes, Refused> {
    let (key, nonce) = prepare(keys)?;
    let (text, tag) = sealed.split_at(sealed.len().checked_sub(TAG).ok_or(Refused)?);
    let mut out = WipedBytes(vec![0; text.len()]);
    key.open_separate_gather(nonce, Aad::from(aad), text, tag, &mut out.0).map_err(|_| Refused)?;
    Ok(out)
}

/// A key that is prepared once for many messages. Each nonce is used once, by whoever keeps it. The library wipes it when it is dropped.
pub(crate) struct KeptKey(LessSafeKey);

impl KeptKey {
    pub(crate) fn new(key: &[u8; KEY]) -> Result<Self, Refused> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Refused)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `text` over all of `out`, which is 16 bytes longer and ends with the tag.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE],
        aad: &[u8],
        text: &[u8],
        out: &mut [u8],
    ) -> Result<(), Refused> {
        let (sealed, tag) = out.split_at_mut(out.len().checked_sub(TAG).ok_or(Refused)?);
        self.0
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                text,
                sealed,
                &[],
                tag,
            )
            .map_err(|_| Refused)
    }

    /// Decrypts `sealed`, whose last 16 bytes are the tag, over all of `out`. What is in `out` counts only if the tag was right.
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), Refused> {
        let (text, tag) = sealed.split_at(sealed.len().checked_sub(TAG).ok_or(Refused)?);
        self.0
            .open_separate_gather(Nonce::assume_unique_for_key(nonce), Aad::from(aad), text, tag, out)
            .map_err(|_| Refused)
    }
}
