//! Messages, distributions and stored chains of channels: what is read is written again, and nothing forged opens.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobium_core::sender_key::read_head;
use mobium_core::{ReceiverChain, SenderChain};
use mobium_fuzz::sender_key::{CHANNEL, SENDER, pair};

fuzz_target!(|data: &[u8]| {
    let _ = read_head(data);
    if let Ok(chain) = SenderChain::read(data) {
        let mut written = vec![0; chain.size()];
        chain.write(&mut written);
        assert_eq!(written, data);
        let _ = chain.distribution(b"name");
    }
    if let Ok(chain) = ReceiverChain::read(data) {
        let mut written = vec![0; chain.size()];
        chain.write(&mut written);
        assert_eq!(written, data);
        let _ = chain.decrypt(data);
    }
    if let Ok(chain) = ReceiverChain::from_distribution(data, &CHANNEL, &SENDER) {
        let mut written = vec![0; chain.size()];
        chain.write(&mut written);
        assert!(ReceiverChain::read(&written).is_ok());
    }
    let (_, reader) = pair();
    assert!(reader.decrypt(data).is_err());
});
