//! The classes `FrameSealer` and `FrameOpener`, and `frame_header`. Both change in place, so none lets other threads run meanwhile: half a megabyte,
//! the largest picture, takes less than a tenth of a millisecond.

use mobium_core::frame;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::raise;

/// The metadata of a frame that is bound to none.
const NOTHING: &[u8] = &[];

/// Seals frames under one KID, each with the next counter.
#[pyclass(module = "mobium._native")]
struct FrameSealer(mobium_core::FrameSealer);

/// Opens each frame of one KID once.
#[pyclass(module = "mobium._native")]
struct FrameOpener(mobium_core::FrameOpener);

#[pyfunction]
fn frame_header(data: &[u8]) -> PyResult<(u64, u64)> {
    frame::frame_header(data).map_err(raise)
}

#[pymethods]
impl FrameSealer {
    #[new]
    #[pyo3(signature = (base_key, kid, counter = 0))]
    fn new(base_key: &[u8], kid: u64, counter: u64) -> PyResult<Self> {
        mobium_core::FrameSealer::new(base_key, kid, counter).map(Self).map_err(raise)
    }

    #[getter]
    fn kid(&self) -> u64 {
        self.0.kid()
    }

    #[getter]
    fn counter(&self) -> u128 {
        self.0.counter()
    }

    #[pyo3(signature = (frame, metadata = NOTHING), text_signature = "($self, frame, metadata=b'')")]
    fn seal<'py>(&mut self, py: Python<'py>, frame: &[u8], metadata: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let size = self.0.frame_size(frame.len()).map_err(raise)?;
        PyBytes::new_with(py, size, |out| self.0.seal(frame, metadata, out).map_err(raise))
    }

    #[expect(clippy::unused_self, reason = "nothing of it may show")]
    fn __repr__(&self) -> &'static str {
        "<FrameSealer: redacted>"
    }
}

#[pymethods]
impl FrameOpener {
    #[new]
    fn new(base_key: &[u8], kid: u64) -> PyResult<Self> {
        mobium_core::FrameOpener::new(base_key, kid).map(Self).map_err(raise)
    }

    #[getter]
    fn kid(&self) -> u64 {
        self.0.kid()
    }

    #[pyo3(signature = (data, metadata = NOTHING), text_signature = "($self, data, metadata=b'')")]
    fn open<'py>(&mut self, py: Python<'py>, data: &[u8], metadata: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let size = frame::opened_size(data).map_err(raise)?;
        PyBytes::new_with(py, size, |out| self.0.open(data, metadata, out).map_err(raise))
    }

    #[expect(clippy::unused_self, reason = "nothing of it may show")]
    fn __repr__(&self) -> &'static str {
        "<FrameOpener: redacted>"
    }
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FrameSealer>()?;
    module.add_class::<FrameOpener>()?;
    module.add_function(wrap_pyfunction!(frame_header, module)?)
}
