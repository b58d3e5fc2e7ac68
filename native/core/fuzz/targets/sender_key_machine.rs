//! A channel's chain over a network that loses, repeats, reorders and changes: each message opens once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobium_core::ReceiverChain;
use mobium_fuzz::Input;
use mobium_fuzz::sender_key::pair;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (mut sender, mut reader) = pair();
    let mut travelling: Vec<(Vec<u8>, u8, bool)> = Vec::new();
    for step in 0_u8..=200 {
        if input.rest().is_empty() {
            break;
        }
        let order = input.byte();
        match order & 3 {
            0 | 1 => {
                let Ok(size) = sender.message_size(1) else { break };
                let mut message = vec![0; size];
                let Ok(next) = sender.encrypt(&[step], &[step; 16], &mut message) else {
                    unreachable!("a message of its own size is refused")
                };
                sender = next;
                travelling.push((message, step, false));
            }
            2 if !travelling.is_empty() => {
                let which = usize::from(input.byte()) % travelling.len();
                let (message, text, opened) = &mut travelling[which];
                match reader.decrypt(message) {
                    Ok((plaintext, next)) => {
                        assert!(!*opened, "a message opened twice");
                        assert_eq!(&plaintext[..], [*text]);
                        *opened = true;
                        reader = next;
                    }
                    Err(error) => assert!(*opened, "a message of the chain is refused: {error}"),
                }
            }
            _ => {
                let Some((message, ..)) = travelling.last() else { continue };
                let mut changed = message.clone();
                let at = usize::from(input.byte()) % changed.len();
                changed[at] ^= 1 << (order >> 5);
                assert!(reader.decrypt(&changed).is_err());
            }
        }
        let mut state = vec![0; reader.size()];
        reader.write(&mut state);
        let Ok(read) = ReceiverChain::read(&state) else { unreachable!("a state of its own is refused") };
        reader = read;
    }
});
