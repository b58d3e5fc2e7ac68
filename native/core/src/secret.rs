//! Secret bytes: shared instead of copied, wiped when the last owner goes, never shown.

use core::fmt;
use std::sync::Arc;

use zeroize::Zeroize;

use crate::skipped::KEY;

struct Wiped([u8; KEY]);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

/// A key that states share: cloning it copies no key, and the bytes stay in one place until they are wiped.
#[derive(Clone)]
pub(crate) struct Secret(Arc<Wiped>);

impl Secret {
    /// Takes the bytes over and wipes where they came from.
    pub(crate) fn take(bytes: &mut [u8; KEY]) -> Self {
        let secret = Self(Arc::new(Wiped(*bytes)));
        bytes.as_mut_slice().zeroize();
        secret
    }

    /// Copies the bytes of somebody who keeps them.
    pub(crate) fn copy_of(bytes: &[u8; KEY]) -> Self {
        Self(Arc::new(Wiped(*bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY] {
        &self.0.0
    }

    /// Whether both are the same bytes in the same place: a cheap sign that neither was changed.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(redacted)")
    }
}

/// Bytes of any number that are wiped when dropped. `Zeroizing<Vec<u8>>` wipes byte by byte, which took a third of opening a megabyte.
pub(crate) struct WipedBytes(pub(crate) Vec<u8>);

impl Drop for WipedBytes {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}
