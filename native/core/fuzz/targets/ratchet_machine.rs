//! Two sides, and a network that loses, repeats, reorders and changes: each message opens once, with its own text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobium_core::Ratchet;
use mobium_fuzz::Input;
use mobium_fuzz::ratchet::{established, stored};

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (first, second) = established();
    let mut sides = [first, second];
    let mut travelling: Vec<Vec<(Vec<u8>, u8, bool)>> = vec![Vec::new(), Vec::new()]; // message, its text, opened
    for step in 0_u8..=200 {
        if input.rest().is_empty() {
            break;
        }
        let order = input.byte();
        let writer = usize::from(order & 1);
        match order >> 1 & 3 {
            0 | 1 => {
                if let Ok(size) = sides[writer].message_size(1) {
                    let mut message = vec![0; size];
                    let Ok(next) = sides[writer].encrypt(&[step], &[step; 16], &mut message) else {
                        unreachable!("a message of its own size is refused")
                    };
                    sides[writer] = next;
                    travelling[writer].push((message, step, false));
                }
            }
            2 => {
                if travelling[writer].is_empty() {
                    continue;
                }
                let which = usize::from(input.byte()) % travelling[writer].len();
                let (message, text, opened) = &mut travelling[writer][which];
                let reader = 1 - writer;
                match sides[reader].decrypt(message, Some(&fresh(step)), u64::from(step)) {
                    Ok((plaintext, next)) => {
                        assert!(!*opened, "a message opened twice");
                        assert_eq!(&plaintext[..], [*text]);
                        *opened = true;
                        sides[reader] = next;
                    }
                    Err(error) => assert!(*opened, "a message of the session is refused: {error}"),
                }
            }
            _ => {
                let Some((message, ..)) = travelling[writer].last() else { continue };
                let mut changed = message.clone();
                let at = usize::from(input.byte()) % changed.len();
                changed[at] ^= 1 << (order >> 5);
                assert!(sides[1 - writer].decrypt(&changed, Some(&fresh(step)), 0).is_err());
            }
        }
        for side in &mut sides {
            let state = stored(side);
            let Ok(read) = Ratchet::read(&state) else { unreachable!("a state of its own is refused") };
            *side = read;
        }
    }
});

fn fresh(step: u8) -> [u8; 32] {
    [step.wrapping_add(100); 32]
}
