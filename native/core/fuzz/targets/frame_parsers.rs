//! Frames of media from anywhere: the header is read or refused, and nothing opens that was not sealed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobium_core::{FrameOpener, frame};

fuzz_target!(|data: &[u8]| {
    let _ = frame::frame_header(data);
    let (kid, _) = frame::frame_header(data).unwrap_or_default();
    let Ok(mut opener) = FrameOpener::new(&[5; 32], kid) else {
        unreachable!("a base of 32 bytes is refused")
    };
    if let Ok(size) = frame::opened_size(data) {
        assert!(opener.open(data, b"a room", &mut vec![0; size]).is_err());
    }
});
