//! The class `Ratchet`.

use mobium_core::ratchet::SALT;
use mobium_core::skipped::{KEY, RECORD, Record};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::errors::{exact, raise};
use crate::run;

/// One side of a session at one moment. Every method leaves it untouched; those that step return the next one.
#[pyclass(frozen, module = "mobium._native")]
struct Ratchet(mobium_core::Ratchet);

type Records<'py> = Vec<Bound<'py, PyBytes>>;

fn bytes_of<'py>(py: Python<'py>, record: &Record) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, RECORD, |out| {
        record.write(out);
        Ok(())
    })
}

#[pymethods]
impl Ratchet {
    #[staticmethod]
    fn initiate(
        shared_secret: &[u8],
        remote_public: &[u8],
        associated_data: &[u8],
        ratchet_private: &[u8],
    ) -> PyResult<Self> {
        let shared_secret = exact::<KEY>("shared_secret", shared_secret)?;
        let remote_public = exact::<KEY>("remote_public", remote_public)?;
        let ratchet_private = exact::<KEY>("ratchet_private", ratchet_private)?;
        mobium_core::Ratchet::initiate(shared_secret, remote_public, associated_data, ratchet_private)
            .map(Self)
            .map_err(raise)
    }

    #[staticmethod]
    fn accept(shared_secret: &[u8], ratchet_private: &[u8], associated_data: &[u8]) -> PyResult<Self> {
        let shared_secret = exact::<KEY>("shared_secret", shared_secret)?;
        let ratchet_private = exact::<KEY>("ratchet_private", ratchet_private)?;
        mobium_core::Ratchet::accept(shared_secret, ratchet_private, associated_data).map(Self).map_err(raise)
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

    fn decrypt<'py>(
        &self,
        py: Python<'py>,
        message: &[u8],
        ratchet_private: Option<&[u8]>,
        now: u64,
    ) -> PyResult<(Bound<'py, PyBytes>, Self)> {
        let ratchet_private = match ratchet_private {
            Some(bytes) => Some(exact::<KEY>("ratchet_private", bytes)?),
            None => None,
        };
        let opened = run(py, message.len(), || self.0.decrypt(message, ratchet_private, now));
        let (plaintext, next) = opened.map_err(raise)?;
        Ok((PyBytes::new(py, &plaintext), Self(next)))
    }

    fn knows(&self, message: &[u8]) -> bool {
        self.0.knows(message)
    }

    fn expire(&self, before: u64) -> Self {
        Self(self.0.expire(before))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, self.0.size(), |out| {
            self.0.write(out);
            Ok(())
        })
    }

    #[staticmethod]
    fn from_bytes(data: &[u8]) -> PyResult<Self> {
        mobium_core::Ratchet::read(data).map(Self).map_err(raise)
    }

    fn head<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, self.0.head_size(), |out| {
            self.0.write_head(out);
            Ok(())
        })
    }

    fn skipped<'py>(&self, py: Python<'py>) -> PyResult<Records<'py>> {
        self.0.skipped().map(|record| bytes_of(py, record)).collect()
    }

    #[staticmethod]
    fn from_parts(head: &[u8], skipped: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut records = Vec::new();
        for record in skipped.try_iter()? {
            records.push(record?.cast_into::<PyBytes>()?);
        }
        let records: Vec<&[u8]> = records.iter().map(PyBytesMethods::as_bytes).collect();
        mobium_core::Ratchet::from_parts(head, &records).map(Self).map_err(raise)
    }

    fn changes<'py>(
        &self,
        py: Python<'py>,
        previous: &Self,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        let (added, removed) = self.0.changes(&previous.0);
        let added: Records<'py> =
            added.into_iter().map(|record| bytes_of(py, record)).collect::<PyResult<_>>()?;
        let removed: Records<'py> = removed.iter().map(|id| PyBytes::new(py, id)).collect();
        Ok((PyList::new(py, added)?, PyList::new(py, removed)?))
    }

    #[expect(clippy::unused_self, reason = "nothing of it may show")]
    fn __repr__(&self) -> &'static str {
        "<Ratchet: redacted>"
    }
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Ratchet>()
}
