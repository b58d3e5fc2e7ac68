//! Whatever comes as a message opens nothing, and leaves the state as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobium_fuzz::ratchet::{encrypt, established, stored};

fuzz_target!(|data: &[u8]| {
    let (_, receiver) = established();
    let _ = receiver.knows(data);
    let before = stored(&receiver);
    assert!(receiver.decrypt(data, Some(&[9; 32]), 0).is_err());
    assert!(receiver.decrypt(data, None, 0).is_err());
    // the same below a header of this very session
    let (sender, _) = established();
    let mut message = encrypt(&sender, b"a").0;
    let size = data.len().min(message.len());
    message[..size].iter_mut().zip(data).for_each(|(byte, other)| *byte ^= other);
    if data.iter().take(size).any(|byte| *byte != 0) {
        assert!(receiver.decrypt(&message, Some(&[9; 32]), 0).is_err());
    }
    assert_eq!(stored(&receiver), before);
});
