//! A ratchet of a head and skipped keys that do not come from one state.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobium_core::Ratchet;
use mobium_core::skipped::RECORD;
use mobium_fuzz::Input;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let records = usize::from(input.byte());
    let (skipped, head) = input.rest().split_at(input.rest().len().min(records * RECORD));
    let slices: Vec<&[u8]> = skipped.chunks(RECORD).collect();
    let Ok(ratchet) = Ratchet::from_parts(head, &slices) else { return };
    let mut whole = vec![0; ratchet.size()];
    ratchet.write(&mut whole);
    assert!(Ratchet::read(&whole).is_ok());
    let (added, removed) = ratchet.changes(&ratchet);
    assert!(added.is_empty() && removed.is_empty());
    let _ = ratchet.expire(u64::from(u32::MAX));
});
