//! The hot kernels of mobium: algorithms only.
//!
//! Entropy and time are arguments, every step returns a value, and nothing here reads a file, a clock or a random number. Each module has a
//! twin of its name in `python/mobium/_pure`: same order, same errors, same bytes. Not its concern: Python (`native/py`), and everything cold.

#![forbid(unsafe_code)]

mod aead;
mod error;
mod hmac;
mod kdf;
pub mod padding;
#[cfg(test)]
mod primitives_test;
pub mod ratchet;
mod secret;
pub mod skipped;
mod state;
mod x25519;

pub use error::Error;
pub use ratchet::{Plaintext, Ratchet};

/// Raised whenever this crate or the binding changes what Python sees; equal to `mobium._backend.KERNEL_VERSION`.
pub const KERNEL_VERSION: u32 = 1;
