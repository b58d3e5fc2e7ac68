//! The kernels' errors. The binding raises each as the class of the same name in `mobium.errors`, with this sentence.

use core::fmt;

/// Why a kernel refused. Every sentence is constant, so none can hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The operation is refused in this state: `CryptoError`.
    Refused(&'static str),
    /// The message's number was used: `Duplicate`.
    Duplicate(&'static str),
    /// The message's number lies too far ahead: `TooFar`.
    TooFar(&'static str),
    /// No message for this state: `Invalid`.
    Invalid(&'static str),
    /// Too large a plaintext, or padding that does not fit: `PaddingError`.
    Padding(&'static str),
    /// Stored state that cannot be read: `StateError`.
    State(&'static str),
    /// An argument that cannot be used: `InvalidInput`.
    Input(&'static str),
}

impl Error {
    /// The sentence for people.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Refused(text)
            | Self::Duplicate(text)
            | Self::TooFar(text)
            | Self::Invalid(text)
            | Self::Padding(text)
            | Self::State(text)
            | Self::Input(text) => text,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_sentence() {
        let kinds: [fn(&'static str) -> Error; 7] = [
            Error::Refused,
            Error::Duplicate,
            Error::TooFar,
            Error::Invalid,
            Error::Padding,
            Error::State,
            Error::Input,
        ];
        for kind in kinds {
            assert_eq!(kind("A sentence.").text(), "A sentence.");
            assert_eq!(kind("A sentence.").to_string(), "A sentence.");
        }
    }
}
