//! The Double Ratchet of one pairwise session, as a value (docs/CRYPTO.md section 4; Signal's specification, revision 4).
//!
//! Twin of `mobium/_pure/ratchet.py`. Not its concern: entropy and time, which are arguments; how the first shared secret is agreed; where states
//! are stored. The caller stores the next state and only then lets a ciphertext leave or shows a plaintext.
//!
//! When a message brings a new ratchet key, the next own key pair and the sending chain are made at once, of the entropy given to `decrypt`, as in
//! Signal's specification: afterwards `encrypt` needs no entropy but its salt, and a stored state can always be sent from.
//!
//! A message is looked at in this order, and the first thing wrong with it names the error: length, version and counters (`Invalid`), one's own
//! ratchet key (`Invalid`), a number that was used (`Duplicate`), limits (`TooFar`), an all-zero DH (`Invalid`), tag and padding (`Invalid`). A
//! ratchet key of which skipped keys are held is a finished chain: what is not held of it was used, so it is `Duplicate` and never a new step.

use core::fmt;
use core::ops::Deref;
use std::sync::Arc;

use crate::Error;
use crate::aead;
use crate::kdf::{MessageKey, chain_step, root_step};
use crate::padding::{TAG, is_bucket, pad, padded_size, unpad};
use crate::secret::{Secret, WipedBytes};
use crate::skipped::{COUNTER_END, ID, KEY, Record, Skipped};
use crate::state::{Chain, Epoch, Stage, State};
use crate::x25519::KeyPair;

/// Bytes of a message's header: version, ratchet public(32), pn(u32), n(u32).
pub const HEADER: usize = 41;
/// Bytes of fresh entropy in each message.
pub const SALT: usize = 16;
/// Keys skipped at most in each of the two chains that a message touches: bounds what a forged header costs.
pub const MAX_SKIP: u32 = 1000;
/// Bytes of associated data at most: its length is stored in two.
pub const MAX_ASSOCIATED_DATA: usize = u16::MAX as usize;

const MESSAGE_VERSION: u8 = 1;

const USED: Error = Error::Duplicate("This message was opened before, or its key is no longer held.");
const AHEAD: Error = Error::TooFar("The message is too far ahead of the last one.");
const SMALL_ORDER: Error = Error::Invalid("The message carries a ratchet key of small order.");
const NOT_AUTHENTIC: Error = Error::Invalid("The message is not authentic.");

/// One side of a session at one moment. Every method leaves it untouched; those that step return the next one.
#[derive(Clone)]
pub struct Ratchet {
    state: State,
}

/// An opened message's plaintext. Wiped when dropped.
pub struct Plaintext {
    padded: WipedBytes,
    from: usize,
    to: usize,
}

impl Plaintext {
    /// The first `size` bytes behind the padding's length and reserved bytes.
    pub(crate) fn of(padded: WipedBytes, size: usize) -> Self {
        Self { padded, from: 8, to: 8 + size }
    }
}

impl Deref for Plaintext {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.padded.0.get(self.from..self.to).unwrap_or_default()
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Plaintext(redacted)")
    }
}

impl fmt::Debug for Ratchet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<Ratchet: redacted>")
    }
}

struct Header<'a> {
    bytes: &'a [u8; HEADER],
    remote: &'a [u8; KEY],
    pn: u32,
    n: u32,
}

impl<'a> Header<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Error> {
        let length = Error::Invalid("This is no message: its length fits no bucket.");
        if !is_bucket(message.len().saturating_sub(HEADER + SALT)) {
            return Err(length);
        }
        let bytes = message.first_chunk().ok_or(length)?;
        if bytes[0] != MESSAGE_VERSION {
            return Err(Error::Invalid("The message is of an unknown version."));
        }
        let (remote, counters) = bytes[1..].split_first_chunk().ok_or(length)?;
        let (pn, n) = counters.split_first_chunk().ok_or(length)?;
        let pn = u32::from_be_bytes(*pn);
        let n = u32::from_be_bytes(n.try_into().map_err(|_| length)?);
        if pn == COUNTER_END || n == COUNTER_END {
            return Err(Error::Invalid("The message carries a counter that no message has."));
        }
        Ok(Self { bytes, remote, pn, n })
    }
}

impl Ratchet {
    /// The initiator's first state: it can send at once. `remote_public` is the responder's signed prekey, `ratchet_private` fresh entropy.
    ///
    /// # Errors
    /// `Input` for more than 65,535 bytes of associated data, `Refused` for an all-zero DH.
    pub fn initiate(
        shared_secret: &[u8; KEY],
        remote_public: &[u8; KEY],
        associated_data: &[u8],
        ratchet_private: &[u8; KEY],
    ) -> Result<Self, Error> {
        let associated_data = check_associated_data(associated_data)?;
        let own = KeyPair::from_private(ratchet_private)?;
        let refusal = Error::Refused("The other side's ratchet key is of small order, so it is refused.");
        let shared = own.agree(remote_public, refusal)?;
        let (root, key) = root_step(&Secret::copy_of(shared_secret), &shared);
        let stage = Stage::Initiated { remote: *remote_public, sending: Chain { key, n: 0 } };
        let epoch = Arc::new(Epoch { associated_data, root, own });
        Ok(Self { state: State { epoch, stage, skipped: Skipped::default() } })
    }

    /// The responder's first state: it sends once it opened a message. `ratchet_private` is the signed prekey's private half.
    ///
    /// # Errors
    /// `Input` for more than 65,535 bytes of associated data.
    pub fn accept(
        shared_secret: &[u8; KEY],
        ratchet_private: &[u8; KEY],
        associated_data: &[u8],
    ) -> Result<Self, Error> {
        let associated_data = check_associated_data(associated_data)?;
        let own = KeyPair::from_private(ratchet_private)?;
        let root = Secret::copy_of(shared_secret);
        let epoch = Arc::new(Epoch { associated_data, root, own });
        Ok(Self { state: State { epoch, stage: Stage::Accepted, skipped: Skipped::default() } })
    }

    /// The size of the message that [`Ratchet::encrypt`] makes of a plaintext of this size.
    ///
    /// # Errors
    /// `Refused` before the responder received anything and at the end of a chain, `Padding` above the largest bucket.
    pub fn message_size(&self, plaintext: usize) -> Result<usize, Error> {
        self.sending()?;
        Ok(HEADER + SALT + padded_size(plaintext)? + TAG)
    }

    fn sending(&self) -> Result<(&Chain, u32), Error> {
        let (sending, pn) = match &self.state.stage {
            Stage::Accepted => {
                return Err(Error::Refused(
                    "This side of the session cannot send before it has opened a first message.",
                ));
            }
            Stage::Initiated { sending, .. } => (sending, 0),
            Stage::Established { sending, pn, .. } => (sending, *pn),
        };
        // Its length becomes the next chain's pn, which is a counter too.
        if sending.n >= COUNTER_END - 1 {
            return Err(Error::Refused("This sending chain is used up until the other side answers."));
        }
        Ok((sending, pn))
    }

    /// Writes `header(41) ‖ salt(16) ‖ AES-256-GCM of the padded plaintext` over all of `out`, which has [`Ratchet::message_size`] bytes, and
    /// returns the next state. `salt` is fresh entropy: with it a state used twice repeats a number but never a key.
    ///
    /// # Errors
    /// As [`Ratchet::message_size`], and `Padding` if `out` is of another size.
    pub fn encrypt(&self, plaintext: &[u8], salt: &[u8; SALT], out: &mut [u8]) -> Result<Self, Error> {
        let size = self.message_size(plaintext.len())?;
        if out.len() != size {
            return Err(Error::Padding("The place for the message has another size."));
        }
        let (sending, pn) = self.sending()?;
        let (message_key, key) = chain_step(&sending.key);
        let (header, rest) = out.split_at_mut(HEADER);
        let (salt_out, body) = rest.split_at_mut(SALT);
        header[0] = MESSAGE_VERSION;
        header[1..=KEY].copy_from_slice(self.state.epoch.own.public());
        header[KEY + 1..KEY + 5].copy_from_slice(&pn.to_be_bytes());
        header[KEY + 5..].copy_from_slice(&sending.n.to_be_bytes());
        salt_out.copy_from_slice(salt);
        pad(plaintext, &mut body[..size - HEADER - SALT - TAG])?;
        self.with_aad(header, |aad| aead::seal(&message_key.expand(salt), aad, body))
            .map_err(|_| Error::Refused("The cryptographic library refused to encrypt."))?;
        let mut next = self.state.clone();
        match &mut next.stage {
            Stage::Accepted => {}
            Stage::Initiated { sending, .. } | Stage::Established { sending, .. } => {
                *sending = Chain { key, n: sending.n + 1 };
            }
        }
        Ok(Self { state: next })
    }

    /// The plaintext and the next state.
    ///
    /// `ratchet_private` is fresh entropy, used if the message brings a new ratchet key; `None` is enough where [`Ratchet::knows`] it. `now` is the
    /// unix time in seconds with which skipped keys are stored.
    ///
    /// # Errors
    /// `Duplicate`, `TooFar` or `Invalid`, and `Input` where `ratchet_private` is needed and not there.
    pub fn decrypt(
        &self,
        message: &[u8],
        ratchet_private: Option<&[u8; KEY]>,
        now: u64,
    ) -> Result<(Plaintext, Self), Error> {
        let header = Header::read(message)?;
        if header.remote == self.state.epoch.own.public() {
            return Err(Error::Invalid("The message carries this side's own ratchet key."));
        }
        match &self.state.stage {
            Stage::Established { remote, receiving, .. } if remote == header.remote => {
                if header.n < receiving.n {
                    self.decrypt_skipped(message, &header)
                } else {
                    self.decrypt_in_chain(message, &header, receiving, now)
                }
            }
            Stage::Initiated { remote, .. } if remote == header.remote => {
                Err(Error::Invalid("The message carries a ratchet key with which nothing is sent."))
            }
            _ if self.state.skipped.holds_any(header.remote) => self.decrypt_skipped(message, &header),
            _ => self.decrypt_in_new_chain(message, &header, ratchet_private, now),
        }
    }

    fn decrypt_skipped(&self, message: &[u8], header: &Header<'_>) -> Result<(Plaintext, Self), Error> {
        let (place, key) = self.state.skipped.find(header.remote, header.n).ok_or(USED)?;
        let plaintext = self.open(MessageKey::of_skipped(key), message, header)?;
        let skipped = self.state.skipped.without(&place);
        Ok((plaintext, Self { state: State { skipped, ..self.state.clone() } }))
    }

    fn decrypt_in_chain(
        &self,
        message: &[u8],
        header: &Header<'_>,
        receiving: &Chain,
        now: u64,
    ) -> Result<(Plaintext, Self), Error> {
        if header.n - receiving.n > MAX_SKIP {
            return Err(AHEAD);
        }
        let mut stored = Vec::new();
        let chain = skip(receiving, header.n, header.remote, now, &mut stored);
        let (message_key, key) = chain_step(&chain.key);
        let plaintext = self.open(message_key, message, header)?;
        let mut next = State { skipped: self.state.skipped.hold(stored), ..self.state.clone() };
        if let Stage::Established { receiving, .. } = &mut next.stage {
            *receiving = Chain { key, n: header.n + 1 };
        }
        Ok((plaintext, Self { state: next }))
    }

    fn decrypt_in_new_chain(
        &self,
        message: &[u8],
        header: &Header<'_>,
        ratchet_private: Option<&[u8; KEY]>,
        now: u64,
    ) -> Result<(Plaintext, Self), Error> {
        let needed = Error::Input("The message brings a new ratchet key, so ratchet_private is needed.");
        let ratchet_private = ratchet_private.ok_or(needed)?;
        let (finished, pn) = match &self.state.stage {
            Stage::Accepted => (None, 0),
            Stage::Initiated { sending, .. } => (None, sending.n),
            Stage::Established { remote, sending, receiving, .. } => (Some((remote, receiving)), sending.n),
        };
        if header.pn.saturating_sub(finished.map_or(0, |(_, chain)| chain.n)) > MAX_SKIP
            || header.n > MAX_SKIP
        {
            return Err(AHEAD);
        }
        let (root, key) =
            root_step(&self.state.epoch.root, &*self.state.epoch.own.agree(header.remote, SMALL_ORDER)?);
        let mut ahead = Vec::new();
        let chain = skip(&Chain { key, n: 0 }, header.n, header.remote, now, &mut ahead);
        let (message_key, key) = chain_step(&chain.key);
        let plaintext = self.open(message_key, message, header)?;
        // Only an authentic message gets here: now the rest of the finished chain, and the next own key pair with its sending chain.
        let mut stored = Vec::new();
        if let Some((remote, chain)) = finished {
            skip(chain, header.pn, remote, now, &mut stored);
        }
        stored.append(&mut ahead);
        let own = KeyPair::from_private(ratchet_private)?;
        let (root, sending) = root_step(&root, &*own.agree(header.remote, SMALL_ORDER)?);
        let stage = Stage::Established {
            remote: *header.remote,
            sending: Chain { key: sending, n: 0 },
            pn,
            receiving: Chain { key, n: header.n + 1 },
        };
        let associated_data = Arc::clone(&self.state.epoch.associated_data);
        let skipped = self.state.skipped.hold(stored);
        let epoch = Arc::new(Epoch { associated_data, root, own });
        Ok((plaintext, Self { state: State { epoch, stage, skipped } }))
    }

    fn open(&self, key: MessageKey, message: &[u8], header: &Header<'_>) -> Result<Plaintext, Error> {
        let (salt, sealed) = message[HEADER..].split_at(SALT);
        let padded = self
            .with_aad(header.bytes, |aad| aead::open(&key.expand(salt), aad, sealed))
            .map_err(|_| NOT_AUTHENTIC)?;
        let size = unpad(&padded.0).map_err(|_| Error::Invalid("The message's padding does not fit."))?.len();
        Ok(Plaintext::of(padded, size))
    }

    /// Calls `use_it` with `associated data ‖ header`, on the stack for the 32 bytes that sessions have.
    fn with_aad<T>(&self, header: &[u8], use_it: impl FnOnce(&[u8]) -> T) -> T {
        const USUAL: usize = KEY + HEADER;
        let data = &self.state.epoch.associated_data;
        if data.len() + header.len() == USUAL {
            let mut both = [0; USUAL];
            both[..data.len()].copy_from_slice(data);
            both[data.len()..].copy_from_slice(header);
            use_it(&both)
        } else {
            use_it(&[data, header].concat())
        }
    }

    /// Whether the message's ratchet key is the one being received, or its skipped key is held. False for what is no message.
    #[must_use]
    pub fn knows(&self, message: &[u8]) -> bool {
        let Ok(header) = Header::read(message) else { return false };
        match &self.state.stage {
            Stage::Established { remote, .. } if remote == header.remote => true,
            _ => self.state.skipped.find(header.remote, header.n).is_some(),
        }
    }

    /// The state without the skipped keys that were stored before that unix second.
    #[must_use]
    pub fn expire(&self, before: u64) -> Self {
        Self { state: State { skipped: self.state.skipped.without_older(before), ..self.state.clone() } }
    }

    /// Bytes that [`Ratchet::write`] writes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.state.size()
    }

    /// Writes the whole state over all of `out`, which has [`Ratchet::size`] bytes: head ‖ count(u16) ‖ skipped keys. Secret.
    pub fn write(&self, out: &mut [u8]) {
        self.state.write(out);
    }

    /// The state that [`Ratchet::write`] wrote.
    ///
    /// # Errors
    /// `State` for anything else.
    pub fn read(data: &[u8]) -> Result<Self, Error> {
        Ok(Self { state: State::read(data)? })
    }

    /// Bytes that [`Ratchet::write_head`] writes: 208 at most and the associated data.
    #[must_use]
    pub fn head_size(&self) -> usize {
        self.state.head_size()
    }

    /// Writes the state without its skipped keys over all of `out`, which has [`Ratchet::head_size`] bytes. Secret.
    pub fn write_head(&self, out: &mut [u8]) {
        self.state.write_head(out);
    }

    /// The skipped keys, oldest first.
    pub fn skipped(&self) -> impl Iterator<Item = &Record> {
        self.state.skipped.iter()
    }

    /// The state of a head and its records in the order in which they were added.
    ///
    /// # Errors
    /// `State` if they do not belong together.
    pub fn from_parts(head: &[u8], skipped: &[&[u8]]) -> Result<Self, Error> {
        Ok(Self { state: State::from_parts(head, skipped)? })
    }

    /// What to store besides the head when this state follows `previous`: records to add, oldest first, and ids to remove. The work is that of the
    /// change, and one comparison of addresses for each 32 keys held, when this state descends from `previous`.
    #[must_use]
    pub fn changes(&self, previous: &Self) -> (Vec<&Record>, Vec<[u8; ID]>) {
        self.state.skipped.changes(&previous.state.skipped)
    }
}

fn check_associated_data(data: &[u8]) -> Result<Arc<[u8]>, Error> {
    if data.len() > MAX_ASSOCIATED_DATA {
        return Err(Error::Input("associated_data has at most 65535 bytes."));
    }
    Ok(data.into())
}

/// Adds the keys of the numbers from the chain's to `until` to `stored`; returns the chain at `until`.
fn skip(chain: &Chain, until: u32, public: &[u8; KEY], now: u64, stored: &mut Vec<Record>) -> Chain {
    let mut chain = chain.clone();
    while chain.n < until {
        let (message_key, key) = chain_step(&chain.key);
        stored.push(Record::new(*public, chain.n, message_key.into_secret(), now));
        chain = Chain { key, n: chain.n + 1 };
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT_OF_ONES: [u8; SALT] = [1; SALT];

    fn seal(ratchet: &Ratchet) -> (Vec<u8>, Ratchet) {
        let mut message = vec![0; ratchet.message_size(4).unwrap()];
        let next = ratchet.encrypt(b"text", &SALT_OF_ONES, &mut message).unwrap();
        (message, next)
    }

    fn pair() -> (Ratchet, Ratchet) {
        let b = Ratchet::accept(&[1; KEY], &[2; KEY], &[3; KEY]).unwrap();
        let a = Ratchet::initiate(&[1; KEY], b.state.epoch.own.public(), &[3; KEY], &[4; KEY]).unwrap();
        let (message, a) = seal(&a);
        let (_, b) = b.decrypt(&message, Some(&[5; KEY]), 0).unwrap();
        (a, b)
    }

    /// With 2,000 keys held, neither direction copies one: the next state has the same set in the same place.
    #[test]
    fn steps_that_skip_nothing_share_every_key() {
        let (mut a, mut b) = pair();
        for _ in 0..2 {
            for _ in 0..1000 {
                a = seal(&a).1;
            }
            let (message, next) = seal(&a);
            (a, b) = (next, b.decrypt(&message, None, 0).unwrap().1);
        }
        assert_eq!(b.state.skipped.len(), 2000);
        let (answer, sent) = seal(&b);
        let (message, _) = seal(&a);
        let (_, received) = b.decrypt(&message, None, 0).unwrap();
        let (_, a) = a.decrypt(&answer, Some(&[6; KEY]), 0).unwrap();
        let (message, _) = seal(&a);
        let (_, turned) = sent.decrypt(&message, Some(&[7; KEY]), 0).unwrap();
        for next in [&sent, &received, &turned] {
            assert!(next.state.skipped.is(&b.state.skipped));
        }
        for next in [&sent, &received] {
            assert!(next.state.epoch.root.is(&b.state.epoch.root));
            assert!(next.state.epoch.own.private().is(b.state.epoch.own.private()));
        }
    }

    #[test]
    fn nothing_shows() {
        let (a, b) = pair();
        assert_eq!(format!("{a:?} {b:?}"), "<Ratchet: redacted> <Ratchet: redacted>");
        let (message, _) = seal(&a);
        let (plaintext, _) = b.decrypt(&message, None, 0).unwrap();
        assert_eq!(format!("{plaintext:?}"), "Plaintext(redacted)");
        let shown = format!("{:?}", a.state);
        assert!(shown.contains("Secret(redacted)") && shown.contains("KeyPair(redacted)"));
        assert!(!shown.contains(&format!("{:?}", a.state.epoch.root.bytes())));
    }

    #[test]
    fn a_place_of_another_size_is_refused() {
        let (a, _) = pair();
        let size = a.message_size(4).unwrap();
        for wrong in [0, size - 1, size + 1] {
            assert!(a.encrypt(b"text", &SALT_OF_ONES, &mut vec![0; wrong]).is_err());
        }
    }

    #[test]
    fn a_stored_head_is_what_the_sizes_say() {
        for ratchet in [pair().0, pair().1, Ratchet::accept(&[1; KEY], &[2; KEY], b"").unwrap()] {
            let mut data = vec![0; ratchet.size()];
            ratchet.write(&mut data);
            let again = Ratchet::read(&data).unwrap();
            assert_eq!((again.size(), again.head_size()), (ratchet.size(), ratchet.head_size()));
            for size in 0..data.len() {
                assert!(matches!(Ratchet::read(&data[..size]), Err(Error::State(_))));
            }
        }
    }
}
