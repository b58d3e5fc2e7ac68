//! Frames of media: `SFrame` (RFC 9605), suite 0x0005 `AES_256_GCM_SHA512_128`, with a replay window (docs/CRYPTO.md section 8).
//!
//! ```text
//! frame  = header ‖ AEAD(key, salt xor counter, plaintext, header ‖ metadata)
//! header = config(u8) ‖ KID ‖ counter, both in their shortest form: below 8 in the config byte, else 1 to 8 bytes behind it
//! config = 0x80 where the KID stands behind it ‖ KID, or its bytes less one (3 bits) ‖ the same for the counter (4 bits)
//! ```
//!
//! A frame is looked at in this order, and the first thing wrong with it names the error: length, header and KID (`Invalid`), counter (`Duplicate`
//! if it was opened before, or lies below the window), tag (`Invalid`). Only what passed all of them moves the window: nobody without the key can
//! make an honest frame look old. The counter is asked before the tag, so that a flood of repeated frames costs no decryption.
//!
//! **These two are the only kernels that change in place.** The others are values, because what they return is stored in one transaction with what
//! it decides. Nothing here is ever stored, so there is nothing to roll back, and a value could be used twice, which in a sealer would repeat a
//! nonce: one that changes cannot. And it is fifty frames a second from each of forty speakers: a new state for each of them would cost more than
//! its decryption.
//!
//! Twin of `mobium/_pure/frame.py`. Not its concern: where keys come from, when they change, and that no two sealers begin with the same base key, KID
//! and counter (rooms); which opener a frame belongs to ([`frame_header`] helps); sizes of frames, their order and loss.

use core::fmt;

use zeroize::Zeroize;

use crate::Error;
use crate::aead::{KeptKey, NONCE};
use crate::kdf::with_frame_keys;
use crate::padding::TAG;

/// Bytes of a base key: the RFC's vectors have 16, ours 32 and, from the second step on, SHA-512's 64.
pub const MIN_BASE: usize = 16;
/// The most of them.
pub const MAX_BASE: usize = 64;
/// Counters up to the highest opened that are told apart; what lies below counts as opened. Twenty seconds of voice.
pub const WINDOW: u64 = 64 * WORDS as u64;

const WORDS: usize = 16;
/// A channel, a sender and a kind have 65 bytes; more than fits is put together elsewhere.
const AAD_ROOM: usize = 128;

const BASE_SIZE: Error = Error::Input("base_key has 16 to 64 bytes.");
const CUT_OFF: Error = Error::Invalid("This is no frame: it is cut off.");
const NOT_SHORTEST: Error = Error::Invalid("The frame's header is not in its shortest form.");
const ANOTHER_KEY: Error = Error::Invalid("The frame is of another key.");
const OPENED: Error = Error::Duplicate("This frame was opened before.");
const TOO_OLD: Error = Error::Duplicate("The frame lies below the window: it may have been opened before.");
const NOT_AUTHENTIC: Error = Error::Invalid("The frame is not authentic.");
const USED_UP: Error = Error::Refused("This frame key has no number left: a new one is due.");
const KEY_REFUSED: Error = Error::Refused("The cryptographic library refused the key.");
const ENCRYPTION_REFUSED: Error = Error::Refused("The cryptographic library refused to encrypt.");

/// What a header says, and how many bytes it has.
struct Header {
    kid: u64,
    counter: u64,
    size: usize,
}

impl Header {
    /// The header at the front of a frame, which is long enough for its tag.
    fn read(data: &[u8]) -> Result<Self, Error> {
        let (config, mut rest) = data.split_first().ok_or(CUT_OFF)?;
        let kid = read_number(config >> 4, &mut rest)?;
        let counter = read_number(config & 15, &mut rest)?;
        if rest.len() < TAG {
            return Err(CUT_OFF);
        }
        Ok(Self { kid, counter, size: data.len() - rest.len() })
    }
}

/// The number of half a config byte: its lower three bits, or so many bytes less one off the front of `rest`.
fn read_number(half: u8, rest: &mut &[u8]) -> Result<u64, Error> {
    if half < 8 {
        return Ok(u64::from(half));
    }
    let (bytes, left) = rest.split_at_checked(usize::from(half) - 7).ok_or(CUT_OFF)?;
    *rest = left;
    if bytes[0] == 0 || bytes.len() == 1 && bytes[0] < 8 {
        return Err(NOT_SHORTEST);
    }
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Bytes of a number behind the config byte.
const fn number_size(number: u64) -> usize {
    if number < 8 { 0 } else { 8 - number.leading_zeros() as usize / 8 }
}

/// Half a config byte for this number.
#[expect(clippy::cast_possible_truncation, reason = "a number below 8, or 1 to 8 bytes")]
const fn half(number: u64) -> u8 {
    let size = number_size(number);
    if size == 0 { number as u8 } else { 7 + size as u8 }
}

/// Writes the header over all of `out`, which has the bytes of both numbers and one.
fn write_header(kid: u64, counter: u64, out: &mut [u8]) {
    let (config, rest) = out.split_at_mut(1);
    config[0] = half(kid) << 4 | half(counter);
    let (first, second) = rest.split_at_mut(number_size(kid));
    first.copy_from_slice(&kid.to_be_bytes()[8 - first.len()..]);
    second.copy_from_slice(&counter.to_be_bytes()[8 - second.len()..]);
}

/// The KID and the counter that a frame carries, not authenticated: which opener may open it.
///
/// # Errors
/// `Invalid` for a length or a header that no frame has.
pub fn frame_header(data: &[u8]) -> Result<(u64, u64), Error> {
    Header::read(data).map(|header| (header.kid, header.counter))
}

/// Bytes of the plaintext of a frame.
///
/// # Errors
/// `Invalid` for a length or a header that no frame has.
pub fn opened_size(data: &[u8]) -> Result<usize, Error> {
    Header::read(data).map(|header| data.len() - header.size - TAG)
}

/// The key of a KID, and the salt of its nonces.
struct Key {
    kid: u64,
    cipher: KeptKey,
    salt: [u8; NONCE],
}

impl Drop for Key {
    fn drop(&mut self) {
        self.salt.as_mut_slice().zeroize();
    }
}

impl Key {
    fn new(base_key: &[u8], kid: u64) -> Result<Self, Error> {
        if !(MIN_BASE..=MAX_BASE).contains(&base_key.len()) {
            return Err(BASE_SIZE);
        }
        with_frame_keys(base_key, kid, |keys| {
            let cipher = KeptKey::new(&keys.key).map_err(|_| KEY_REFUSED)?;
            Ok(Self { kid, cipher, salt: keys.salt })
        })
    }

    fn nonce(&self, counter: u64) -> [u8; NONCE] {
        let mut nonce = self.salt;
        for (byte, of_counter) in nonce[NONCE - 8..].iter_mut().zip(counter.to_be_bytes()) {
            *byte ^= of_counter;
        }
        nonce
    }
}

/// Gives `work` header and metadata as one.
fn with_aad<T>(header: &[u8], metadata: &[u8], work: impl FnOnce(&[u8]) -> T) -> T {
    let size = header.len() + metadata.len();
    if size > AAD_ROOM {
        return work(&[header, metadata].concat());
    }
    let mut room = [0; AAD_ROOM];
    room[..header.len()].copy_from_slice(header);
    room[header.len()..size].copy_from_slice(metadata);
    work(&room[..size])
}

/// Seals frames under one KID, each with the next counter. It has no copy: a counter is used once.
pub struct FrameSealer {
    key: Key,
    /// 2^64 when all are used.
    counter: u128,
}

impl fmt::Debug for FrameSealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<FrameSealer: redacted>")
    }
}

impl FrameSealer {
    /// A sealer whose first frame has the number `counter`.
    ///
    /// # Errors
    /// `Input` for a base key of fewer than 16 or more than 64 bytes.
    pub fn new(base_key: &[u8], kid: u64, counter: u64) -> Result<Self, Error> {
        Ok(Self { key: Key::new(base_key, kid)?, counter: counter.into() })
    }

    /// The KID.
    #[must_use]
    pub fn kid(&self) -> u64 {
        self.key.kid
    }

    /// The number of the next frame; 2^64 when none is left.
    #[must_use]
    pub fn counter(&self) -> u128 {
        self.counter
    }

    fn next(&self) -> Result<u64, Error> {
        u64::try_from(self.counter).map_err(|_| USED_UP)
    }

    /// Bytes of the next frame with a plaintext of this length.
    ///
    /// # Errors
    /// `Refused` when no number is left.
    pub fn frame_size(&self, plaintext: usize) -> Result<usize, Error> {
        Ok(1 + number_size(self.key.kid) + number_size(self.next()?) + plaintext + TAG)
    }

    /// Writes the next frame over all of `out`, which has [`FrameSealer::frame_size`] bytes. Its number is used whatever comes of it.
    ///
    /// # Errors
    /// `Refused` when no number is left.
    pub fn seal(&mut self, frame: &[u8], metadata: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let counter = self.next()?;
        let size = 1 + number_size(self.key.kid) + number_size(counter);
        if out.len() != size + frame.len() + TAG {
            return Err(ENCRYPTION_REFUSED);
        }
        self.counter += 1;
        let (header, sealed) = out.split_at_mut(size);
        write_header(self.key.kid, counter, header);
        with_aad(header, metadata, |aad| self.key.cipher.seal(self.key.nonce(counter), aad, frame, sealed))
            .map_err(|_| ENCRYPTION_REFUSED)
    }
}

/// Opens each frame of one KID once.
pub struct FrameOpener {
    key: Key,
    window: Window,
}

impl fmt::Debug for FrameOpener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<FrameOpener: redacted>")
    }
}

impl FrameOpener {
    /// An opener that has opened nothing: the first frame may have any counter.
    ///
    /// # Errors
    /// `Input` for a base key of fewer than 16 or more than 64 bytes.
    pub fn new(base_key: &[u8], kid: u64) -> Result<Self, Error> {
        Ok(Self { key: Key::new(base_key, kid)?, window: Window::default() })
    }

    /// The KID.
    #[must_use]
    pub fn kid(&self) -> u64 {
        self.key.kid
    }

    /// Writes the plaintext over all of `out`, which has [`opened_size`] bytes. After an error nothing in it counts, and nothing has changed.
    ///
    /// # Errors
    /// `Duplicate` or `Invalid`.
    pub fn open(&mut self, data: &[u8], metadata: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let header = Header::read(data)?;
        if header.kid != self.key.kid {
            return Err(ANOTHER_KEY);
        }
        self.window.check(header.counter)?;
        let (first, sealed) = data.split_at(header.size);
        with_aad(first, metadata, |aad| {
            self.key.cipher.open(self.key.nonce(header.counter), aad, sealed, out)
        })
        .map_err(|_| NOT_AUTHENTIC)?;
        self.window.mark(header.counter);
        Ok(())
    }
}

/// Which of the last counters were opened: bit `counter % 1,024` for each of the 1,024 up to the highest.
#[derive(Default)]
struct Window {
    highest: Option<u64>,
    opened: [u64; WORDS],
}

const fn place(counter: u64) -> (usize, u64) {
    ((counter % WINDOW / 64) as usize, 1 << (counter % 64))
}

impl Window {
    fn check(&self, counter: u64) -> Result<(), Error> {
        // Above the highest, or the first of all.
        let Some(behind) = self.highest.and_then(|highest| highest.checked_sub(counter)) else {
            return Ok(());
        };
        if behind >= WINDOW {
            return Err(TOO_OLD);
        }
        let (word, bit) = place(counter);
        if self.opened[word] & bit == 0 { Ok(()) } else { Err(OPENED) }
    }

    /// Notes a counter that [`Window::check`] let pass.
    fn mark(&mut self, counter: u64) {
        let ahead = self.highest.map_or(WINDOW, |highest| counter.saturating_sub(highest));
        if ahead >= WINDOW {
            self.opened = [0; WORDS];
        } else {
            // Those between are new, and their bits still say what was opened a window earlier.
            for before in counter - ahead..counter {
                let (word, bit) = place(before + 1);
                self.opened[word] &= !bit;
            }
        }
        let (word, bit) = place(counter);
        self.opened[word] |= bit;
        self.highest = self.highest.max(Some(counter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(counter: u64) -> (FrameSealer, FrameOpener) {
        (FrameSealer::new(&[1; 32], 9, counter).unwrap(), FrameOpener::new(&[1; 32], 9).unwrap())
    }

    fn seal(sealer: &mut FrameSealer) -> Vec<u8> {
        let mut frame = vec![0; sealer.frame_size(4).unwrap()];
        sealer.seal(b"text", b"", &mut frame).unwrap();
        frame
    }

    fn open(opener: &mut FrameOpener, frame: &[u8]) -> Result<(), Error> {
        opener.open(frame, b"", &mut vec![0; opened_size(frame)?])
    }

    #[test]
    fn nothing_shows() {
        let (sealer, opener) = pair(0);
        assert_eq!(format!("{sealer:?} {opener:?}"), "<FrameSealer: redacted> <FrameOpener: redacted>");
    }

    #[test]
    fn a_place_of_another_size_is_refused() {
        let (mut sealer, mut opener) = pair(0);
        let frame = seal(&mut sealer);
        for wrong in [0, 3, 5] {
            assert_eq!(opener.open(&frame, b"", &mut vec![0; wrong]), Err(NOT_AUTHENTIC));
            assert_eq!(sealer.seal(b"text", b"", &mut vec![0; wrong]), Err(ENCRYPTION_REFUSED));
        }
        assert_eq!(sealer.counter(), 1);
        assert_eq!(open(&mut opener, &frame), Ok(()));
    }

    #[test]
    fn the_last_number() {
        let (mut sealer, mut opener) = pair(u64::MAX - 1);
        for _ in 0..2 {
            let frame = seal(&mut sealer);
            assert_eq!(open(&mut opener, &frame), Ok(()));
            assert_eq!(open(&mut opener, &frame), Err(OPENED));
        }
        assert_eq!(sealer.frame_size(0), Err(USED_UP));
        assert_eq!(sealer.seal(b"", b"", &mut [0; 18]), Err(USED_UP));
        assert_eq!(sealer.counter(), 1 << 64);
    }

    /// Against a set of all that was opened: what the window lets pass, and what it does not.
    #[test]
    fn the_window_is_a_set() {
        let (mut window, mut opened, mut counter) =
            (Window::default(), std::collections::BTreeSet::new(), 5_u64);
        let mut random = 1_u64;
        for _ in 0..200_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let step = random >> 40;
            counter = match step % 64 {
                0 => counter + step % 3000,
                1..24 => counter + 1,
                _ => counter.saturating_sub(step / 64 % 1100),
            };
            let highest = opened.last().copied();
            let expected = if highest.is_some_and(|highest| counter + WINDOW <= highest) {
                Err(TOO_OLD)
            } else if opened.contains(&counter) {
                Err(OPENED)
            } else {
                Ok(())
            };
            assert_eq!(window.check(counter), expected);
            if expected.is_ok() && step % 5 > 0 {
                window.mark(counter);
                opened.insert(counter);
            }
            counter = counter.max(opened.last().copied().unwrap_or(0));
        }
        assert!(opened.len() > 20_000, "{}", opened.len());
    }
}
