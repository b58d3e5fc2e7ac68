//! The classes `SenderChain` and `ReceiverChain`, and `read_head`.

use mobium_core::ratchet::SALT;
use mobium_core::sender_key;
use mobium_core::skipped::KEY;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{exact, raise};
use crate::run;

/// The sender's side of a chain at one moment. Every method leaves it untouched; `encrypt` returns the next one.
#[pyclass(frozen, module = "mobium._native")]
struct SenderChain(mobium_core::SenderChain);

/// A reader's side of a chain at one moment. Every method leaves it untouched; `decrypt` returns the next one.
#[pyclass(frozen, module = "mobium._native")]
struct ReceiverChain(mobium_core::ReceiverChain);

#[pyfunction]
fn read_head(message: &[u8]) -> PyResult<(u32, u32)> {
    sender_key::read_head(message).map_err(raise)
}

#[pymethods]
impl SenderChain {
    #[staticmethod]
    fn create(
        channel_id: &[u8],
        sender: &[u8],
        roster_index: u32,
        roster_hash: &[u8],
        key_id: u32,
        chain_key: &[u8],
        signing_seed: &[u8],
    ) -> PyResult<Self> {
        let channel_id = exact::<KEY>("channel_id", channel_id)?;
        let sender = exact::<KEY>("sender", sender)?;
        let roster_hash = exact::<KEY>("roster_hash", roster_hash)?;
        let chain_key = exact::<KEY>("chain_key", chain_key)?;
        let signing_seed = exact::<KEY>("signing_seed", signing_seed)?;
        mobium_core::SenderChain::create(
            channel_id,
            sender,
            roster_index,
            roster_hash,
            key_id,
            chain_key,
            signing_seed,
        )
        .map(Self)
        .map_err(raise)
    }

    #[getter]
    fn channel_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.channel_id())
    }

    #[getter]
    fn sender<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.sender())
    }

    #[getter]
    fn roster_index(&self) -> u32 {
        self.0.roster_index()
    }

    #[getter]
    fn roster_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.roster_hash())
    }

    #[getter]
    fn key_id(&self) -> u32 {
        self.0.key_id()
    }

    #[getter]
    fn iteration(&self) -> u32 {
        self.0.iteration()
    }

    fn distribution<'py>(&self, py: Python<'py>, nickname: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.distribution(nickname).map_err(raise)?))
    }

    fn encrypt<'py>(
        &self,
        py: Python<'py>,
        plaintext: &[u8],
        salt: &[u8],
    ) -> PyResult<(Bound<'py, PyBytes>, Self)> {
        let salt = exact::<SALT>("salt", salt)?;
        let size = self.0.message_size(plaintext.len()).map_err(raise)?;
        let mut next = None;
        let message = PyBytes::new_with(py, size, |out| {
            next = Some(run(py, size, || self.0.encrypt(plaintext, salt, out)).map_err(raise)?);
            Ok(())
        })?;
        // `new_with` succeeds only if its closure did.
        next.map(|next| (message, Self(next))).ok_or_else(|| pyo3::exceptions::PySystemError::new_err(()))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, self.0.size(), |out| {
            self.0.write(out);
            Ok(())
        })
    }

    #[staticmethod]
    fn from_bytes(data: &[u8]) -> PyResult<Self> {
        mobium_core::SenderChain::read(data).map(Self).map_err(raise)
    }

    #[expect(clippy::unused_self, reason = "nothing of it may show")]
    fn __repr__(&self) -> &'static str {
        "<SenderChain: redacted>"
    }
}

#[pymethods]
impl ReceiverChain {
    #[staticmethod]
    fn from_distribution(data: &[u8], channel_id: &[u8], sender: &[u8]) -> PyResult<Self> {
        let channel_id = exact::<KEY>("channel_id", channel_id)?;
        let sender = exact::<KEY>("sender", sender)?;
        mobium_core::ReceiverChain::from_distribution(data, channel_id, sender).map(Self).map_err(raise)
    }

    #[getter]
    fn channel_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.channel_id())
    }

    #[getter]
    fn sender<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.sender())
    }

    #[getter]
    fn roster_index(&self) -> u32 {
        self.0.roster_index()
    }

    #[getter]
    fn roster_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.roster_hash())
    }

    #[getter]
    fn key_id(&self) -> u32 {
        self.0.key_id()
    }

    #[getter]
    fn iteration(&self) -> u32 {
        self.0.iteration()
    }

    #[getter]
    fn nickname<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.nickname())
    }

    fn decrypt<'py>(&self, py: Python<'py>, message: &[u8]) -> PyResult<(Bound<'py, PyBytes>, Self)> {
        let opened = run(py, message.len(), || self.0.decrypt(message));
        let (plaintext, next) = opened.map_err(raise)?;
        Ok((PyBytes::new(py, &plaintext), Self(next)))
    }

    fn skipped(&self) -> Vec<u32> {
        self.0.skipped().collect()
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, self.0.size(), |out| {
            self.0.write(out);
            Ok(())
        })
    }

    #[staticmethod]
    fn from_bytes(data: &[u8]) -> PyResult<Self> {
        mobium_core::ReceiverChain::read(data).map(Self).map_err(raise)
    }

    #[expect(clippy::unused_self, reason = "nothing of it may show")]
    fn __repr__(&self) -> &'static str {
        "<ReceiverChain: redacted>"
    }
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<SenderChain>()?;
    module.add_class::<ReceiverChain>()?;
    module.add_function(wrap_pyfunction!(read_head, module)?)
}
