//! `BUCKETS`, `pad` and `unpad`.

use mobium_core::padding;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::errors::raise;
use crate::run;

#[pyfunction]
fn pad<'py>(py: Python<'py>, plaintext: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let size = padding::padded_size(plaintext.len()).map_err(raise)?;
    PyBytes::new_with(py, size, |out| run(py, size, || padding::pad(plaintext, out)).map_err(raise))
}

#[pyfunction]
fn unpad<'py>(py: Python<'py>, padded: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, padding::unpad(padded).map_err(raise)?))
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("BUCKETS", PyTuple::new(module.py(), padding::BUCKETS)?)?;
    module.add_function(wrap_pyfunction!(pad, module)?)?;
    module.add_function(wrap_pyfunction!(unpad, module)?)
}
