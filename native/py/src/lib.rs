//! `mobium._native`: the kernels of mobium-core for CPython. Conversions only: what Python sees is `python/mobium/_native.pyi`, each error is
//! raised as its class in `mobium.errors`. Not its concern: any algorithm, entropy, time.

mod errors;
mod frame;
mod padding;
mod ratchet;
mod sender_key;

use pyo3::prelude::*;

/// Work on this many bytes or more lets other threads run: some 40 us of encryption. Below it the hand-over costs more than it gives, and a thread
/// that lets go may wait five milliseconds for its turn.
const LET_GO: usize = 128 * 1024;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("KERNEL_VERSION", mobium_core::KERNEL_VERSION)?;
    frame::add(module)?;
    padding::add(module)?;
    ratchet::add(module)?;
    sender_key::add(module)
}

/// Runs `work`, on many bytes without holding the interpreter.
fn run<T: Send>(py: Python<'_>, bytes: usize, work: impl FnOnce() -> T + Send) -> T {
    if bytes < LET_GO { work() } else { py.detach(work) }
}
