//! The fields of stored and sent layouts: written one behind the other, and taken off the front again. Internal.
//!
//! Twin of `mobium/_pure/fields.py`. Not its concern: which fields a layout has, and what they mean.

use crate::Error;

/// Fills a slice from its front. Whoever makes one has computed how long it is, so it never runs out.
pub(crate) struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { rest: out }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let (place, rest) = core::mem::take(&mut self.rest).split_at_mut(bytes.len());
        place.copy_from_slice(bytes);
        self.rest = rest;
    }

    pub(crate) fn number(&mut self, number: u32) {
        self.put(&number.to_be_bytes());
    }

    /// What was not filled yet.
    pub(crate) fn rest(self) -> &'a mut [u8] {
        self.rest
    }
}

/// Takes fields off the front and refuses to take what is not there.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    cut_off: Error,
    too_long: Error,
}

impl<'a> Reader<'a> {
    /// `cut_off` is said where bytes are missing, `too_long` where some are left at the end.
    pub(crate) const fn new(data: &'a [u8], cut_off: Error, too_long: Error) -> Self {
        Self { rest: data, cut_off, too_long }
    }

    pub(crate) fn take(&mut self, size: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(self.cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(self.cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number of four bytes.
    pub(crate) fn number(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(*self.array()?))
    }

    /// A length of two bytes.
    pub(crate) fn length(&mut self) -> Result<usize, Error> {
        Ok(usize::from(u16::from_be_bytes(*self.array()?)))
    }

    /// Bytes behind their length of one byte.
    pub(crate) fn short(&mut self) -> Result<&'a [u8], Error> {
        let [length] = *self.array()?;
        self.take(usize::from(length))
    }

    pub(crate) fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.too_long) }
    }
}
