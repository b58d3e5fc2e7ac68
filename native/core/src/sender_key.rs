//! Sender keys: one chain of a channel's member, for all who read there, as a value (docs/CRYPTO.md section 6).
//!
//! ```text
//! head         = 0x01 ‖ key id(u32) ‖ iteration(u32) ‖ salt(16)
//! message      = head ‖ commit(32) ‖ AEAD ‖ signature(64)
//! distribution = 0x01 ‖ channel id(32) ‖ key id(u32) ‖ iteration(u32) ‖ chain key(32) ‖ signing public(32) ‖ roster index(u32) ‖ roster hash(32)
//!                ‖ length(u8) ‖ nickname
//! place        = channel id(32) ‖ sender(32) ‖ roster index(u32) ‖ roster hash(32) ‖ key id(u32)
//! sending      = 0x01 ‖ 0x01 ‖ place ‖ iteration(u32) ‖ chain key(32) ‖ signing seed(32)
//! receiving    = 0x01 ‖ 0x02 ‖ place ‖ first(u32) ‖ iteration(u32) ‖ chain key(32) ‖ signing public(32) ‖ length(u8) ‖ nickname ‖ count(u16)
//!                ‖ count times: iteration(u32) ‖ message key(32), ascending
//! ```
//!
//! A message is looked at in this order, and the first thing wrong with it names the error: length, version and key id (`Invalid`), signature
//! (`Invalid`), number (`TooFar` beyond the chain's end, `Invalid` before the distribution, `Duplicate` if it was used), commitment, tag and padding
//! (`Invalid`). Only what passed all of them changes the state. One state has one encoding and anything else is refused.
//!
//! Twin of `mobium/_pure/sender_key.py`. Not its concern: entropy, an argument; who is handed a chain, and when a new one is due; where states are
//! stored. The caller stores the next state and only then lets a message leave or shows a plaintext.

use core::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::Error;
use crate::aead;
use crate::ed25519::{SIGNATURE, SigningKey, VerifyingKey};
use crate::fields::{Reader, Writer};
use crate::kdf::{MessageKey, chain_step};
use crate::padding::{TAG, is_bucket, pad, padded_size, unpad};
use crate::ratchet::{Plaintext, SALT};
use crate::secret::Secret;
use crate::skipped::KEY;
use crate::state::Chain;

/// Bytes of a message's head: version, key id(u32), iteration(u32), salt(16).
pub const HEAD: usize = 25;
/// Bytes of a message besides its bucket.
pub const OVERHEAD: usize = HEAD + COMMIT + SIGNATURE;
/// Messages of one chain: bounds what a stolen chain opens, and how far ahead a message can jump.
pub const MESSAGES: u32 = 1000;

pub(crate) const COMMIT: usize = 32;
const LABEL: &[u8] = b"mobium/1 sender message\0";
const VERSION: u8 = 1;
const SENDING: u8 = 1;
const RECEIVING: u8 = 2;
/// Bytes of a stored message key with its number.
const HELD: usize = 4 + KEY;
const PLACE: usize = 3 * KEY + 8;

const LENGTH: Error = Error::Invalid("This is no message: its length fits no bucket.");
const NOT_AUTHENTIC: Error = Error::Invalid("The message is not authentic.");
const USED_UP: Error = Error::Refused("This sender key is used up: a new one is due.");
const NO_DISTRIBUTION: Error = Error::Invalid("This is no distribution of a sender key.");
const CUT_OFF: Error = Error::State("The stored sender key is cut off.");
const TOO_LONG: Error = Error::State("The stored sender key has bytes too many.");
const COUNTERS: Error = Error::State("The stored sender key has numbers that do not fit together.");
const ENCRYPTION_REFUSED: Error = Error::Refused("The cryptographic library refused to encrypt.");

fn fields(data: &[u8]) -> Reader<'_> {
    Reader::new(data, CUT_OFF, TOO_LONG)
}

/// The key id and the iteration that a message carries, not authenticated: which chain may open it.
///
/// # Errors
/// `Invalid` for a length, a version or a key id that no message has.
pub fn read_head(message: &[u8]) -> Result<(u32, u32), Error> {
    let size = message.len().checked_sub(OVERHEAD).ok_or(LENGTH)?;
    if !is_bucket(size) {
        return Err(LENGTH);
    }
    let mut reader = fields(message);
    let [version] = *reader.array()?;
    if version != VERSION {
        return Err(Error::Invalid("The message is of an unknown version."));
    }
    let key_id = reader.number()?;
    if key_id == 0 {
        return Err(Error::Invalid("The message carries a key id that no sender key has."));
    }
    Ok((key_id, reader.number()?))
}

/// What every state of a chain says of itself.
#[derive(Debug)]
struct Place {
    channel_id: [u8; KEY],
    sender: [u8; KEY],
    roster_index: u32,
    roster_hash: [u8; KEY],
    key_id: u32,
}

impl Place {
    fn aad(&self, head: &[u8]) -> [u8; 3 * KEY + HEAD] {
        let mut aad = [0; 3 * KEY + HEAD];
        let mut writer = Writer::new(&mut aad);
        writer.put(&self.channel_id);
        writer.put(&self.sender);
        writer.put(&self.roster_hash);
        writer.put(head);
        aad
    }

    /// What is signed: label ‖ 0 ‖ channel id ‖ sender ‖ body.
    fn signed(&self, body: &[u8]) -> Vec<u8> {
        [LABEL, &self.channel_id, &self.sender, body].concat()
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.put(&self.channel_id);
        writer.put(&self.sender);
        writer.number(self.roster_index);
        writer.put(&self.roster_hash);
        writer.number(self.key_id);
    }

    fn read(reader: &mut Reader<'_>, kind: u8) -> Result<Self, Error> {
        let [version, kind_of_it] = *reader.array()?;
        if version != VERSION {
            return Err(Error::State("The stored sender key is of an unknown version."));
        }
        if kind_of_it != kind {
            return Err(Error::State("The stored sender key is of another kind."));
        }
        let place = Self {
            channel_id: *reader.array()?,
            sender: *reader.array()?,
            roster_index: reader.number()?,
            roster_hash: *reader.array()?,
            key_id: reader.number()?,
        };
        if place.key_id == 0 { Err(COUNTERS) } else { Ok(place) }
    }
}

struct Sending {
    place: Place,
    signing: SigningKey,
}

/// The sender's side of a chain at one moment. Every method leaves it untouched; `encrypt` returns the next one.
#[derive(Clone)]
pub struct SenderChain {
    fixed: Arc<Sending>,
    chain: Chain,
}

impl fmt::Debug for SenderChain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<SenderChain: redacted>")
    }
}

impl SenderChain {
    /// A new chain, at its first message. `chain_key` and `signing_seed` are fresh entropy, `key_id` is random and not 0.
    ///
    /// # Errors
    /// `Input` for a key id of 0.
    pub fn create(
        channel_id: &[u8; KEY],
        sender: &[u8; KEY],
        roster_index: u32,
        roster_hash: &[u8; KEY],
        key_id: u32,
        chain_key: &[u8; KEY],
        signing_seed: &[u8; KEY],
    ) -> Result<Self, Error> {
        if key_id == 0 {
            return Err(Error::Input("key_id is never 0."));
        }
        let place = Place {
            channel_id: *channel_id,
            sender: *sender,
            roster_index,
            roster_hash: *roster_hash,
            key_id,
        };
        let signing = SigningKey::from_seed(signing_seed)?;
        let chain = Chain { key: Secret::copy_of(chain_key), n: 0 };
        Ok(Self { fixed: Arc::new(Sending { place, signing }), chain })
    }

    /// The channel of the chain.
    #[must_use]
    pub fn channel_id(&self) -> &[u8; KEY] {
        &self.fixed.place.channel_id
    }

    /// The Ed25519 identity key of who sends.
    #[must_use]
    pub fn sender(&self) -> &[u8; KEY] {
        &self.fixed.place.sender
    }

    /// The roster's index when the chain was made.
    #[must_use]
    pub fn roster_index(&self) -> u32 {
        self.fixed.place.roster_index
    }

    /// The roster's head when the chain was made.
    #[must_use]
    pub fn roster_hash(&self) -> &[u8; KEY] {
        &self.fixed.place.roster_hash
    }

    /// The chain's id, never 0.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.fixed.place.key_id
    }

    /// The number of the next message; 1,000 when the chain is used up.
    #[must_use]
    pub fn iteration(&self) -> u32 {
        self.chain.n
    }

    fn usable(&self) -> Result<(), Error> {
        if self.chain.n < MESSAGES { Ok(()) } else { Err(USED_UP) }
    }

    /// What a reader needs from the next message on. Secret: it goes into pairwise sessions only.
    ///
    /// # Errors
    /// `Input` for a nickname of more than 255 bytes, `Refused` when the chain is used up.
    pub fn distribution(&self, nickname: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let length =
            u8::try_from(nickname.len()).map_err(|_| Error::Input("nickname has at most 255 bytes."))?;
        self.usable()?;
        let place = &self.fixed.place;
        let parts: [&[u8]; 10] = [
            &[VERSION],
            &place.channel_id,
            &place.key_id.to_be_bytes(),
            &self.chain.n.to_be_bytes(),
            self.chain.key.bytes(),
            self.fixed.signing.public(),
            &place.roster_index.to_be_bytes(),
            &place.roster_hash,
            &[length],
            nickname,
        ];
        // Of the right size at once: a vector that grows leaves its bytes behind.
        Ok(Zeroizing::new(parts.concat()))
    }

    /// The size of the message that [`SenderChain::encrypt`] makes of a plaintext of this size.
    ///
    /// # Errors
    /// `Refused` when the chain is used up, `Padding` above the largest bucket.
    pub fn message_size(&self, plaintext: usize) -> Result<usize, Error> {
        self.usable()?;
        Ok(OVERHEAD + padded_size(plaintext)? + TAG)
    }

    /// Writes the message over all of `out`, which has [`SenderChain::message_size`] bytes, and returns the next state. `salt` is fresh entropy:
    /// with it a state used twice repeats a number but never a key.
    ///
    /// # Errors
    /// As [`SenderChain::message_size`], and `Padding` if `out` is of another size.
    pub fn encrypt(&self, plaintext: &[u8], salt: &[u8; SALT], out: &mut [u8]) -> Result<Self, Error> {
        let size = self.message_size(plaintext.len())?;
        if out.len() != size {
            return Err(Error::Padding("The place for the message has another size."));
        }
        let place = &self.fixed.place;
        let (message_key, key) = chain_step(&self.chain.key);
        let keys = message_key.expand_sender(salt);
        let (body, signature) = out.split_at_mut(size - SIGNATURE);
        let (head, rest) = body.split_at_mut(HEAD);
        let (commit, sealed) = rest.split_at_mut(COMMIT);
        head[0] = VERSION;
        head[1..5].copy_from_slice(&place.key_id.to_be_bytes());
        head[5..9].copy_from_slice(&self.chain.n.to_be_bytes());
        head[9..].copy_from_slice(salt);
        commit.copy_from_slice(&keys.commit);
        pad(plaintext, &mut sealed[..size - OVERHEAD - TAG])?;
        aead::seal(&keys.keys, &place.aad(head), sealed).map_err(|_| ENCRYPTION_REFUSED)?;
        self.fixed.signing.sign(&place.signed(body), signature).map_err(|_| ENCRYPTION_REFUSED)?;
        Ok(Self { fixed: Arc::clone(&self.fixed), chain: Chain { key, n: self.chain.n + 1 } })
    }

    /// Bytes that [`SenderChain::write`] writes.
    #[must_use]
    pub const fn size(&self) -> usize {
        2 + PLACE + 4 + KEY + KEY
    }

    /// Writes the state over all of `out`, which has [`SenderChain::size`] bytes. Secret.
    pub fn write(&self, out: &mut [u8]) {
        let mut writer = Writer::new(out);
        writer.put(&[VERSION, SENDING]);
        self.fixed.place.write(&mut writer);
        writer.number(self.chain.n);
        writer.put(self.chain.key.bytes());
        writer.put(self.fixed.signing.seed());
    }

    /// The state that [`SenderChain::write`] wrote.
    ///
    /// # Errors
    /// `State` for anything else.
    pub fn read(data: &[u8]) -> Result<Self, Error> {
        let mut reader = fields(data);
        let place = Place::read(&mut reader, SENDING)?;
        let n = reader.number()?;
        let key = reader.array()?;
        let seed = reader.array()?;
        reader.finish()?;
        if n > MESSAGES {
            return Err(COUNTERS);
        }
        let chain = Chain { key: Secret::copy_of(key), n };
        Ok(Self { fixed: Arc::new(Sending { place, signing: SigningKey::from_seed(seed)? }), chain })
    }
}

struct Receiving {
    place: Place,
    /// The number from which the distribution opens messages.
    first: u32,
    signing: VerifyingKey,
    nickname: Box<[u8]>,
}

/// The key of one message that has not arrived.
#[derive(Clone)]
struct Held {
    iteration: u32,
    key: Secret,
}

/// A reader's side of a chain at one moment. Every method leaves it untouched; `decrypt` returns the next one.
#[derive(Clone)]
pub struct ReceiverChain {
    fixed: Arc<Receiving>,
    chain: Chain,
    /// Ascending; shared by all states between two changes, its keys by all that hold them.
    skipped: Arc<Vec<Held>>,
}

impl fmt::Debug for ReceiverChain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<ReceiverChain: redacted>")
    }
}

impl ReceiverChain {
    /// The chain that `sender` distributed in a pairwise session, for this channel.
    ///
    /// # Errors
    /// `Invalid` if it is malformed, names another channel, or carries a signing key that is refused.
    pub fn from_distribution(data: &[u8], channel_id: &[u8; KEY], sender: &[u8; KEY]) -> Result<Self, Error> {
        let mut reader = fields(data);
        let mut parse = || -> Result<_, Error> {
            let [version] = *reader.array()?;
            let channel_id: &[u8; KEY] = reader.array()?;
            let (key_id, n) = (reader.number()?, reader.number()?);
            let (chain_key, public) = (reader.array()?, reader.array()?);
            let (roster_index, roster_hash) = (reader.number()?, *reader.array()?);
            let nickname = reader.short()?;
            reader.finish()?;
            Ok((version, channel_id, key_id, n, chain_key, public, roster_index, roster_hash, nickname))
        };
        let (version, named, key_id, n, chain_key, public, roster_index, roster_hash, nickname) =
            parse().map_err(|_| NO_DISTRIBUTION)?;
        if version != VERSION {
            return Err(Error::Invalid("The distribution is of an unknown version."));
        }
        if named != channel_id {
            return Err(Error::Invalid("The distribution is for another channel."));
        }
        if key_id == 0 || n >= MESSAGES {
            return Err(Error::Invalid("The distribution carries a number that no sender key has."));
        }
        let signing = VerifyingKey::new(public)
            .map_err(|_| Error::Invalid("The distribution carries a signing key that is refused."))?;
        let place = Place { channel_id: *channel_id, sender: *sender, roster_index, roster_hash, key_id };
        let fixed = Receiving { place, first: n, signing, nickname: nickname.into() };
        let chain = Chain { key: Secret::copy_of(chain_key), n };
        Ok(Self { fixed: Arc::new(fixed), chain, skipped: Arc::default() })
    }

    /// The channel of the chain.
    #[must_use]
    pub fn channel_id(&self) -> &[u8; KEY] {
        &self.fixed.place.channel_id
    }

    /// The Ed25519 identity key of who sends.
    #[must_use]
    pub fn sender(&self) -> &[u8; KEY] {
        &self.fixed.place.sender
    }

    /// The roster's index when the sender made the chain.
    #[must_use]
    pub fn roster_index(&self) -> u32 {
        self.fixed.place.roster_index
    }

    /// The roster's head when the sender made the chain.
    #[must_use]
    pub fn roster_hash(&self) -> &[u8; KEY] {
        &self.fixed.place.roster_hash
    }

    /// The chain's id, never 0.
    #[must_use]
    pub fn key_id(&self) -> u32 {
        self.fixed.place.key_id
    }

    /// The number of the message that is expected next.
    #[must_use]
    pub fn iteration(&self) -> u32 {
        self.chain.n
    }

    /// What the sender calls himself, as it came.
    #[must_use]
    pub fn nickname(&self) -> &[u8] {
        &self.fixed.nickname
    }

    /// The plaintext and the next state.
    ///
    /// # Errors
    /// `Duplicate`, `TooFar` or `Invalid`.
    pub fn decrypt(&self, message: &[u8]) -> Result<(Plaintext, Self), Error> {
        let place = &self.fixed.place;
        let (key_id, iteration) = read_head(message)?;
        if key_id != place.key_id {
            return Err(Error::Invalid("The message is of another sender key."));
        }
        let (body, signature) = message.split_last_chunk().ok_or(LENGTH)?;
        self.fixed
            .signing
            .verify(&place.signed(body), signature)
            .map_err(|_| Error::Invalid("The message's signature does not verify."))?;
        if iteration >= MESSAGES {
            return Err(Error::TooFar("The message's number lies beyond the end of its sender key."));
        }
        if iteration < self.fixed.first {
            return Err(Error::Invalid("The message was sent before this sender key was given."));
        }
        if iteration < self.chain.n {
            let used = Error::Duplicate("This message was opened before.");
            let at =
                self.skipped.binary_search_by_key(&iteration, |held| held.iteration).map_err(|_| used)?;
            let plaintext = self.open(MessageKey::of_skipped(&self.skipped[at].key), body)?;
            let mut rest = self.skipped.as_ref().clone();
            rest.remove(at);
            return Ok((plaintext, Self { skipped: Arc::new(rest), ..self.clone() }));
        }
        let mut ahead = Vec::new();
        let mut chain = self.chain.clone();
        while chain.n < iteration {
            let (message_key, key) = chain_step(&chain.key);
            ahead.push(Held { iteration: chain.n, key: message_key.into_secret() });
            chain = Chain { key, n: chain.n + 1 };
        }
        let (message_key, key) = chain_step(&chain.key);
        let plaintext = self.open(message_key, body)?;
        let skipped = if ahead.is_empty() {
            Arc::clone(&self.skipped)
        } else {
            Arc::new(self.skipped.iter().cloned().chain(ahead).collect())
        };
        let chain = Chain { key, n: iteration + 1 };
        Ok((plaintext, Self { fixed: Arc::clone(&self.fixed), chain, skipped }))
    }

    fn open(&self, message_key: MessageKey, body: &[u8]) -> Result<Plaintext, Error> {
        let (head, rest) = body.split_at(HEAD);
        let (commit, sealed) = rest.split_at(COMMIT);
        let keys = message_key.expand_sender(&head[HEAD - SALT..]);
        verify_slices_are_equal(&keys.commit, commit)
            .map_err(|_| Error::Invalid("The message commits to another key than the one it was given."))?;
        let padded =
            aead::open(&keys.keys, &self.fixed.place.aad(head), sealed).map_err(|_| NOT_AUTHENTIC)?;
        let size = unpad(&padded.0).map_err(|_| Error::Invalid("The message's padding does not fit."))?.len();
        Ok(Plaintext::of(padded, size))
    }

    /// The numbers of the messages that have not arrived and whose keys are held, ascending.
    pub fn skipped(&self) -> impl Iterator<Item = u32> {
        self.skipped.iter().map(|held| held.iteration)
    }

    /// Bytes that [`ReceiverChain::write`] writes.
    #[must_use]
    pub fn size(&self) -> usize {
        2 + PLACE + 8 + KEY + KEY + 1 + self.fixed.nickname.len() + 2 + self.skipped.len() * HELD
    }

    /// Writes the state over all of `out`, which has [`ReceiverChain::size`] bytes. Secret.
    pub fn write(&self, out: &mut [u8]) {
        let mut writer = Writer::new(out);
        writer.put(&[VERSION, RECEIVING]);
        self.fixed.place.write(&mut writer);
        writer.number(self.fixed.first);
        writer.number(self.chain.n);
        writer.put(self.chain.key.bytes());
        writer.put(self.fixed.signing.public());
        // Neither length can be larger: a distribution has no longer nickname, and a chain no more messages.
        writer.put(&u8::try_from(self.fixed.nickname.len()).unwrap_or(u8::MAX).to_be_bytes());
        writer.put(&self.fixed.nickname);
        writer.put(&u16::try_from(self.skipped.len()).unwrap_or(u16::MAX).to_be_bytes());
        for held in self.skipped.iter() {
            writer.number(held.iteration);
            writer.put(held.key.bytes());
        }
    }

    /// The state that [`ReceiverChain::write`] wrote.
    ///
    /// # Errors
    /// `State` for anything else.
    pub fn read(data: &[u8]) -> Result<Self, Error> {
        let mut reader = fields(data);
        let place = Place::read(&mut reader, RECEIVING)?;
        let (first, n) = (reader.number()?, reader.number()?);
        let key = reader.array()?;
        let public = reader.array()?;
        let nickname = reader.short()?;
        let count = reader.length()?;
        let stored = reader.take(count * HELD)?;
        reader.finish()?;
        if first >= MESSAGES || n < first || n > MESSAGES {
            return Err(COUNTERS);
        }
        let mut skipped = Vec::with_capacity(count);
        let mut least = first;
        for held in stored.chunks_exact(HELD) {
            let mut held = fields(held);
            let iteration = held.number()?;
            // The message before the next one was opened, or the chain would not be there.
            if iteration < least || iteration.saturating_add(1) >= n {
                return Err(COUNTERS);
            }
            least = iteration + 1;
            skipped.push(Held { iteration, key: Secret::copy_of(held.array()?) });
        }
        let signing = VerifyingKey::new(public)
            .map_err(|_| Error::State("The stored sender key has a signing key that is refused."))?;
        let fixed = Receiving { place, first, signing, nickname: nickname.into() };
        let chain = Chain { key: Secret::copy_of(key), n };
        Ok(Self { fixed: Arc::new(fixed), chain, skipped: Arc::new(skipped) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(chain: &SenderChain) -> (Vec<u8>, SenderChain) {
        let mut message = vec![0; chain.message_size(4).unwrap()];
        let next = chain.encrypt(b"text", &[1; SALT], &mut message).unwrap();
        (message, next)
    }

    fn pair() -> (SenderChain, ReceiverChain) {
        let chain = SenderChain::create(&[1; KEY], &[2; KEY], 3, &[4; KEY], 5, &[6; KEY], &[7; KEY]).unwrap();
        let data = chain.distribution(b"nick").unwrap();
        let reader = ReceiverChain::from_distribution(&data, &[1; KEY], &[2; KEY]).unwrap();
        (chain, reader)
    }

    #[test]
    fn states_share_what_did_not_change() {
        let (mut chain, reader) = pair();
        for _ in 0..MESSAGES - 2 {
            chain = seal(&chain).1;
        }
        let (message, chain) = seal(&chain);
        let (_, reader) = reader.decrypt(&message).unwrap();
        assert_eq!(reader.skipped().count(), 998);
        let (message, last) = seal(&chain);
        let (_, after) = reader.decrypt(&message).unwrap();
        assert!(Arc::ptr_eq(&reader.skipped, &after.skipped) && Arc::ptr_eq(&reader.fixed, &after.fixed));
        assert!(Arc::ptr_eq(&chain.fixed, &last.fixed));
        assert_eq!(last.message_size(0), Err(USED_UP));
    }

    #[test]
    fn nothing_shows() {
        let (chain, reader) = pair();
        assert_eq!(format!("{chain:?} {reader:?}"), "<SenderChain: redacted> <ReceiverChain: redacted>");
    }

    #[test]
    fn a_place_of_another_size_is_refused() {
        let (chain, _) = pair();
        let size = chain.message_size(4).unwrap();
        for wrong in [0, size - 1, size + 1] {
            assert!(chain.encrypt(b"text", &[1; SALT], &mut vec![0; wrong]).is_err());
        }
    }

    #[test]
    fn every_cut_is_refused() {
        let (chain, reader) = pair();
        let mut sending = vec![0; chain.size()];
        chain.write(&mut sending);
        let mut receiving = vec![0; reader.size()];
        reader.write(&mut receiving);
        assert!(SenderChain::read(&sending).is_ok() && ReceiverChain::read(&receiving).is_ok());
        for size in 0..sending.len() {
            assert!(matches!(SenderChain::read(&sending[..size]), Err(Error::State(_))));
        }
        for size in 0..receiving.len() {
            assert!(matches!(ReceiverChain::read(&receiving[..size]), Err(Error::State(_))));
        }
    }
}
