//! What the fuzz targets share: input taken byte by byte, and states to begin with. Keys are constants, so that a finding is one on every machine.

/// Input that gives zeros when it has ended.
#[derive(Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Input from its first byte on.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    /// The next bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let size = N.min(self.rest.len());
        let (taken, rest) = self.rest.split_at(size);
        out[..size].copy_from_slice(taken);
        self.rest = rest;
        out
    }

    /// What was not taken yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Sessions.
pub mod ratchet {
    use mobium_core::Ratchet;

    /// A message and the next state.
    ///
    /// # Panics
    /// If the kernel refuses.
    #[must_use]
    pub fn encrypt(sender: &Ratchet, text: &[u8]) -> (Vec<u8>, Ratchet) {
        let mut message = vec![0; sender.message_size(text.len()).unwrap_or_default()];
        match sender.encrypt(text, &[3; 16], &mut message) {
            Ok(next) => (message, next),
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Both sides of a session in which each has sent and received.
    ///
    /// # Panics
    /// If the kernel refuses.
    #[must_use]
    pub fn established() -> (Ratchet, Ratchet) {
        let made = (|| {
            let responder = Ratchet::accept(&[1; 32], &[2; 32], b"together")?;
            let mut head = vec![0; responder.head_size()];
            responder.write_head(&mut head);
            let mut public = [0; 32];
            public.copy_from_slice(&head[66..98]);
            let initiator = Ratchet::initiate(&[1; 32], &public, b"together", &[4; 32])?;
            let (message, initiator) = encrypt(&initiator, b"first");
            let (_, responder) = responder.decrypt(&message, Some(&[6; 32]), 0)?;
            let (answer, responder) = encrypt(&responder, b"second");
            let (_, initiator) = initiator.decrypt(&answer, Some(&[8; 32]), 0)?;
            Ok::<_, mobium_core::Error>((initiator, responder))
        })();
        match made {
            Ok(sides) => sides,
            Err(error) => unreachable!("{error}"),
        }
    }

    /// The whole state.
    #[must_use]
    pub fn stored(ratchet: &Ratchet) -> Vec<u8> {
        let mut state = vec![0; ratchet.size()];
        ratchet.write(&mut state);
        state
    }
}

/// Channels.
pub mod sender_key {
    use mobium_core::{ReceiverChain, SenderChain};

    /// The channel.
    pub const CHANNEL: [u8; 32] = [11; 32];
    /// Who sends.
    pub const SENDER: [u8; 32] = [12; 32];

    /// A chain and a reader of it, both at the first message.
    ///
    /// # Panics
    /// If the kernel refuses.
    #[must_use]
    pub fn pair() -> (SenderChain, ReceiverChain) {
        let made = (|| {
            let sender = SenderChain::create(&CHANNEL, &SENDER, 1, &[13; 32], 7, &[14; 32], &[15; 32])?;
            let reader = ReceiverChain::from_distribution(&sender.distribution(b"")?, &CHANNEL, &SENDER)?;
            Ok::<_, mobium_core::Error>((sender, reader))
        })();
        match made {
            Ok(both) => both,
            Err(error) => unreachable!("{error}"),
        }
    }
}
