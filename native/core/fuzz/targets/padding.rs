//! What `unpad` takes for padding holds what it gives in that bucket, and every text comes back. The filling is not looked at: it lay inside the AEAD.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobium_core::padding;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = padding::unpad(data) {
        assert!(pad(text).len() <= data.len());
        assert_eq!(&data[8..8 + text.len()], text);
    }
    assert_eq!(padding::unpad(&pad(data)).map(<[u8]>::to_vec), Ok(data.to_vec()));
});

fn pad(text: &[u8]) -> Vec<u8> {
    let size = padding::padded_size(text.len()).unwrap_or_default();
    let mut padded = vec![0xFF; size];
    assert_eq!(padding::pad(text, &mut padded), Ok(()));
    padded
}
