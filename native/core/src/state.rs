//! The state of a ratchet: its parts, and the one form in which it is stored (docs/CRYPTO.md section 4).
//!
//! ```text
//! head    = 0x01 ‖ stage(u8) ‖ root(32) ‖ own private(32) ‖ own public(32) ‖ part ‖ length(u16) ‖ associated data
//! part    = stage 1 (accepted):    nothing
//!           stage 2 (initiated):   peer's public(32) ‖ sending chain
//!           stage 3 (established): peer's public(32) ‖ sending chain ‖ pn(u32) ‖ receiving chain
//! chain   = chain key(32) ‖ n(u32)
//! state   = head ‖ count(u16) ‖ records of 76 bytes, oldest first
//! ```
//!
//! One state has one encoding and anything else is refused. That the own public key belongs to the private one is not computed again: it is a
//! scalar multiplication at each load, and whoever can write this state has the keys anyway. Twin of `mobium/_pure/state.py`. Not its concern: what
//! the steps of a ratchet do, and where the bytes are kept.

use std::sync::Arc;

use crate::Error;
use crate::fields::{Reader, Writer};
use crate::secret::Secret;
use crate::skipped::{KEY, MAX_STORED, RECORD, Skipped};
use crate::x25519::KeyPair;

const VERSION: u8 = 1;
const ACCEPTED: u8 = 1;
const INITIATED: u8 = 2;
const ESTABLISHED: u8 = 3;

const CHAIN: usize = KEY + 4;
const CUT_OFF: Error = Error::State("The stored ratchet state is cut off.");
const TOO_LONG: Error = Error::State("The stored ratchet state has bytes too many.");

/// A chain key and the number of the message whose key it gives next.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) key: Secret,
    pub(crate) n: u32,
}

/// How far the conversation has come.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// The responder before its first message.
    Accepted,
    /// The initiator before its first answer. `remote` is the responder's signed prekey.
    Initiated { remote: [u8; KEY], sending: Chain },
    /// Either side since it opened a message. `pn` is the length of its previous sending chain.
    Established { remote: [u8; KEY], sending: Chain, pn: u32, receiving: Chain },
}

/// What stays until the peer's next ratchet key: shared by all states of that time.
#[derive(Debug)]
pub(crate) struct Epoch {
    pub(crate) associated_data: Arc<[u8]>,
    pub(crate) root: Secret,
    pub(crate) own: KeyPair,
}

/// Everything that a ratchet knows. Cloning it copies no key.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) epoch: Arc<Epoch>,
    pub(crate) stage: Stage,
    pub(crate) skipped: Skipped,
}

impl State {
    /// Bytes that [`State::write_head`] writes.
    pub(crate) fn head_size(&self) -> usize {
        let part = match self.stage {
            Stage::Accepted => 0,
            Stage::Initiated { .. } => KEY + CHAIN,
            Stage::Established { .. } => KEY + CHAIN + 4 + CHAIN,
        };
        2 + 3 * KEY + part + 2 + self.epoch.associated_data.len()
    }

    /// Bytes that [`State::write`] writes.
    pub(crate) fn size(&self) -> usize {
        self.head_size() + 2 + self.skipped.len() * RECORD
    }

    /// Writes the state without its skipped keys over all of `out`, which has [`State::head_size`] bytes.
    pub(crate) fn write_head(&self, out: &mut [u8]) {
        let mut writer = Writer::new(out);
        let stage = match self.stage {
            Stage::Accepted => ACCEPTED,
            Stage::Initiated { .. } => INITIATED,
            Stage::Established { .. } => ESTABLISHED,
        };
        writer.put(&[VERSION, stage]);
        writer.put(self.epoch.root.bytes());
        writer.put(self.epoch.own.private().bytes());
        writer.put(self.epoch.own.public());
        match &self.stage {
            Stage::Accepted => {}
            Stage::Initiated { remote, sending } => {
                writer.put(remote);
                put_chain(&mut writer, sending);
            }
            Stage::Established { remote, sending, pn, receiving } => {
                writer.put(remote);
                put_chain(&mut writer, sending);
                writer.number(*pn);
                put_chain(&mut writer, receiving);
            }
        }
        put_length(&mut writer, self.epoch.associated_data.len());
        writer.put(&self.epoch.associated_data);
    }

    /// Writes the whole state over all of `out`, which has [`State::size`] bytes.
    pub(crate) fn write(&self, out: &mut [u8]) {
        let (head, rest) = out.split_at_mut(self.head_size());
        self.write_head(head);
        let mut writer = Writer::new(rest);
        put_length(&mut writer, self.skipped.len());
        for (record, place) in self.skipped.iter().zip(writer.rest().chunks_exact_mut(RECORD)) {
            record.write(place);
        }
    }

    /// The state that [`State::write`] wrote.
    pub(crate) fn read(data: &[u8]) -> Result<Self, Error> {
        let mut reader = fields(data);
        let state = read_head(&mut reader)?;
        let count = reader.length()?;
        let records = reader.take(count * RECORD)?;
        reader.finish()?;
        state.with_records(records.chunks_exact(RECORD))
    }

    /// The state of a head and its records, oldest first.
    pub(crate) fn from_parts(head: &[u8], records: &[&[u8]]) -> Result<Self, Error> {
        let mut reader = fields(head);
        let state = read_head(&mut reader)?;
        reader.finish()?;
        state.with_records(records.iter().copied())
    }

    fn with_records<'a>(self, records: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Self, Error> {
        let receiving = match &self.stage {
            Stage::Established { remote, receiving, .. } => Some((remote, receiving.n)),
            Stage::Accepted | Stage::Initiated { .. } => None,
        };
        let skipped = Skipped::checked(records, receiving)?;
        Ok(Self { skipped, ..self })
    }
}

fn put_chain(writer: &mut Writer<'_>, chain: &Chain) {
    writer.put(chain.key.bytes());
    writer.number(chain.n);
}

/// A length that is known to fit: at most 65,535 bytes of associated data, or [`MAX_STORED`] records.
fn put_length(writer: &mut Writer<'_>, length: usize) {
    const { assert!(MAX_STORED <= u16::MAX as usize) }
    writer.put(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
}

fn fields(data: &[u8]) -> Reader<'_> {
    Reader::new(data, CUT_OFF, TOO_LONG)
}

fn read_chain(reader: &mut Reader<'_>) -> Result<Chain, Error> {
    Ok(Chain { key: Secret::copy_of(reader.array()?), n: reader.number()? })
}

fn read_head(reader: &mut Reader<'_>) -> Result<State, Error> {
    let [version] = *reader.array()?;
    if version != VERSION {
        return Err(Error::State("The stored ratchet state is of an unknown version."));
    }
    let [stage] = *reader.array()?;
    if !(ACCEPTED..=ESTABLISHED).contains(&stage) {
        return Err(Error::State("The stored ratchet state is of an unknown stage."));
    }
    let root = Secret::copy_of(reader.array()?);
    let private = reader.array()?;
    let own = KeyPair::from_stored(private, *reader.array()?);
    let stage = match stage {
        ACCEPTED => Stage::Accepted,
        INITIATED => Stage::Initiated { remote: *reader.array()?, sending: read_chain(reader)? },
        _ => Stage::Established {
            remote: *reader.array()?,
            sending: read_chain(reader)?,
            pn: reader.number()?,
            receiving: read_chain(reader)?,
        },
    };
    let length = reader.length()?;
    let associated_data = reader.take(length)?.into();
    let epoch = Arc::new(Epoch { associated_data, root, own });
    Ok(State { epoch, stage, skipped: Skipped::default() })
}
