//! The hot kernels of mobium: algorithms only.
//!
//! Entropy and time are arguments, every step returns a value (but for those of `frame`, which says why), and nothing here reads a file, a clock or
//! a random number. Each module has a twin of its name in `python/mobium/_pure`: same order, same errors, same bytes. Not its concern: Python
//! (`native/py`), and everything cold.

#![forbid(unsafe_code)]

mod aead;
mod ed25519;
mod error;
mod fields;
pub mod frame;
mod hmac;
mod kdf;
pub mod padding;
#[cfg(test)]
mod primitives_test;
pub mod ratchet;
mod secret;
pub mod sender_key;
pub mod skipped;
mod state;
mod x25519;

pub use error::Error;
pub use frame::{FrameOpener, FrameSealer};
pub use ratchet::{Plaintext, Ratchet};
pub use sender_key::{ReceiverChain, SenderChain};

/// Raised whenever this crate or the binding changes what Python sees; equal to `mobium._backend.KERNEL_VERSION`.
pub const KERNEL_VERSION: u32 = 3;
