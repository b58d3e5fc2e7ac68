//! Each error of the core as its class in `mobium.errors`.

use mobium_core::Error;
use pyo3::PyErr;

mod classes {
    pyo3::import_exception!(mobium.errors, CryptoError);
    pyo3::import_exception!(mobium.errors, Duplicate);
    pyo3::import_exception!(mobium.errors, Invalid);
    pyo3::import_exception!(mobium.errors, InvalidInput);
    pyo3::import_exception!(mobium.errors, PaddingError);
    pyo3::import_exception!(mobium.errors, StateError);
    pyo3::import_exception!(mobium.errors, TooFar);
}

/// The Python exception of a kernel's error.
pub(crate) fn raise(error: Error) -> PyErr {
    let text = error.text();
    match error {
        Error::Duplicate(_) => classes::Duplicate::new_err(text),
        Error::TooFar(_) => classes::TooFar::new_err(text),
        Error::Invalid(_) => classes::Invalid::new_err(text),
        Error::Padding(_) => classes::PaddingError::new_err(text),
        Error::State(_) => classes::StateError::new_err(text),
        Error::Input(_) => classes::InvalidInput::new_err(text),
        _ => classes::CryptoError::new_err(text),
    }
}

/// `bytes` as an array, or `InvalidInput` that names the argument.
pub(crate) fn exact<'a, const N: usize>(name: &str, bytes: &'a [u8]) -> Result<&'a [u8; N], PyErr> {
    bytes.try_into().map_err(|_| classes::InvalidInput::new_err(format!("{name} has {N} bytes.")))
}
