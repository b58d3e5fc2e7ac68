//! AES-256-GCM with a 16-byte tag, one key and nonce for each message. Internal; it has no twin beyond the call in `_pure/ratchet.py`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::kdf::MessageKeys;
use crate::padding::TAG;
use crate::secret::WipedBytes;

/// What follows is a key(32) and a nonce(12).
const KEY: usize = 32;

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
