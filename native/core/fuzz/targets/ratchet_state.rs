//! A stored ratchet: what can be read is written again letter by letter, whole or in parts, and works or refuses.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobium_core::Ratchet;
use mobium_core::skipped::RECORD;

fuzz_target!(|data: &[u8]| {
    let Ok(ratchet) = Ratchet::read(data) else { return };
    let mut whole = vec![0; ratchet.size()];
    ratchet.write(&mut whole);
    assert_eq!(whole, data);
    let mut head = vec![0; ratchet.head_size()];
    ratchet.write_head(&mut head);
    let records: Vec<[u8; RECORD]> = ratchet
        .skipped()
        .map(|record| {
            let mut bytes = [0; RECORD];
            record.write(&mut bytes);
            bytes
        })
        .collect();
    let slices: Vec<&[u8]> = records.iter().map(<[u8; RECORD]>::as_slice).collect();
    let Ok(again) = Ratchet::from_parts(&head, &slices) else {
        unreachable!("its own parts do not fit together")
    };
    let mut parts = vec![0; again.size()];
    again.write(&mut parts);
    assert_eq!(parts, data);
    if let Ok(size) = ratchet.message_size(1) {
        let mut message = vec![0; size];
        assert!(ratchet.encrypt(b"a", &[7; 16], &mut message).is_ok());
        let _ = ratchet.decrypt(&message, Some(&[9; 32]), 0);
    }
});
