//! A sealer and an opener: every frame opens once, in any order within the window, and no changed one does.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobium_core::{FrameOpener, FrameSealer, frame};
use mobium_fuzz::Input;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let kid = u64::from_be_bytes(input.array());
    let first = u64::from_be_bytes(input.array());
    let (Ok(mut sealer), Ok(mut opener)) =
        (FrameSealer::new(&[5; 32], kid, first), FrameOpener::new(&[5; 32], kid))
    else {
        unreachable!("a base of 32 bytes is refused")
    };
    let mut travelling: Vec<(Vec<u8>, u8, bool)> = Vec::new();
    for step in 0_u8..=250 {
        if input.rest().is_empty() {
            break;
        }
        let order = input.byte();
        match order & 3 {
            0 | 1 => {
                let Ok(size) = sealer.frame_size(1) else { break };
                let mut sealed = vec![0; size];
                assert_eq!(sealer.seal(&[step], b"a room", &mut sealed), Ok(()));
                assert!(matches!(frame::frame_header(&sealed), Ok((of, _)) if of == kid));
                travelling.push((sealed, step, false));
            }
            2 if !travelling.is_empty() => {
                let which = usize::from(input.byte()) % travelling.len();
                let (sealed, text, opened) = &mut travelling[which];
                let mut out = [0];
                let done = opener.open(sealed, b"a room", &mut out);
                assert_eq!(done.is_ok(), !*opened, "of 250 frames each opens once");
                if done.is_ok() {
                    assert_eq!(out, [*text]);
                    *opened = true;
                }
            }
            _ => {
                let Some((sealed, ..)) = travelling.last() else { continue };
                let mut changed = sealed.clone();
                let at = usize::from(input.byte()) % changed.len();
                changed[at] ^= 1 << (order >> 5);
                if let Ok(size) = frame::opened_size(&changed) {
                    assert!(opener.open(&changed, b"a room", &mut vec![0; size]).is_err());
                }
                assert!(opener.open(sealed, b"another room", &mut [0]).is_err());
            }
        }
    }
});
