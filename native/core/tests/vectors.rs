//! Follows the frozen vectors in tests/vectors step by step: the same bytes, the same errors, the same stored states.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::HashMap;
use std::path::Path;

use mobium_core::{Error, FrameOpener, FrameSealer, Ratchet, ReceiverChain, SenderChain, frame, padding};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn load(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn hash(data: &[u8]) -> Vec<u8> {
    Sha256::digest(data).to_vec()
}

fn text(size: usize) -> Vec<u8> {
    (0..251).cycle().take(size).collect()
}

fn class(error: Error) -> &'static str {
    match error {
        Error::Duplicate(_) => "Duplicate",
        Error::TooFar(_) => "TooFar",
        Error::Invalid(_) => "Invalid",
        Error::Padding(_) => "PaddingError",
        Error::State(_) => "StateError",
        Error::Input(_) => "InvalidInput",
        _ => "CryptoError",
    }
}

#[test]
fn padding_vectors() {
    let vectors = load("padding.json");
    assert_eq!(size(&vectors["largest"]), padding::LARGEST);
    let good = vectors["pad"].as_array().unwrap();
    for vector in good {
        let plaintext = text(size(&vector["size"]));
        let mut padded = vec![0xFF; padding::padded_size(plaintext.len()).unwrap()];
        assert_eq!(padded.len(), size(&vector["padded_size"]));
        padding::pad(&plaintext, &mut padded).unwrap();
        assert_eq!(hash(&padded), bytes(&vector["sha256"]));
        assert_eq!(padding::unpad(&padded).unwrap(), plaintext);
    }
    let bad = vectors["unpad_refuses"].as_array().unwrap();
    for vector in bad {
        let mut padded = bytes(&vector["start"]);
        padded.resize(size(&vector["size"]), 0);
        assert_eq!(class(padding::unpad(&padded).unwrap_err()), vector["error"].as_str().unwrap());
    }
    assert!(good.len() > 28 && bad.len() == 8);
}

fn head(ratchet: &Ratchet) -> Vec<u8> {
    let mut head = vec![0; ratchet.head_size()];
    ratchet.write_head(&mut head);
    head
}

fn state(ratchet: &Ratchet) -> Vec<u8> {
    let mut state = vec![0; ratchet.size()];
    ratchet.write(&mut state);
    state
}

fn seal(ratchet: &Ratchet, plaintext: &[u8], salt: &[u8; 16]) -> (Vec<u8>, Ratchet) {
    let mut message = vec![0xFF; ratchet.message_size(plaintext.len()).unwrap()];
    let next = ratchet.encrypt(plaintext, salt, &mut message).unwrap();
    (message, next)
}

/// Takes one step and returns the next state.
fn step(step: &Value, ratchet: &Ratchet, messages: &mut Vec<Vec<u8>>) -> Ratchet {
    match step["do"].as_str().unwrap() {
        "encrypt" => {
            let (message, next) = seal(ratchet, &text(size(&step["size"])), &array(&step["salt"]));
            let expected = &step["message"];
            if expected["hex"].is_string() {
                assert_eq!(message, bytes(&expected["hex"]));
            } else {
                assert_eq!(message.len(), size(&expected["size"]));
                assert_eq!(message[..57], bytes(&expected["start"]));
                assert_eq!(hash(&message), bytes(&expected["sha256"]));
            }
            messages.push(message);
            next
        }
        "burn" => (0..size(&step["count"])).fold(ratchet.clone(), |next, _| seal(&next, b"", &[0; 16]).1),
        "decrypt" => {
            let mut message = messages[size(&step["message"])].clone();
            if step["start"].is_string() {
                message[..57].copy_from_slice(&bytes(&step["start"]));
            }
            assert_eq!(ratchet.knows(&message), step["knows"].as_bool().unwrap());
            let private = array(&step["ratchet_private"]);
            match ratchet.decrypt(&message, Some(&private), step["now"].as_u64().unwrap()) {
                Ok((plaintext, next)) => {
                    assert_eq!(*plaintext, text(size(&step["opens"])));
                    next
                }
                Err(error) => {
                    assert_eq!(class(error), step["error"].as_str().unwrap());
                    ratchet.clone()
                }
            }
        }
        "expire" => ratchet.expire(step["before"].as_u64().unwrap()),
        other => panic!("no step {other}"),
    }
}

#[test]
fn ratchet_vectors() {
    let vectors = load("ratchet.json");
    let conversations = vectors["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), 5);
    for story in conversations {
        let associated_data = bytes(&story["associated_data"]);
        let shared_secret = array(&story["shared_secret"]);
        let a = Ratchet::initiate(
            &shared_secret,
            &array(&story["responder_public"]),
            &associated_data,
            &array(&story["initiator_private"]),
        );
        let b = Ratchet::accept(&shared_secret, &array(&story["responder_private"]), &associated_data);
        let mut ends = HashMap::from([("a", a.unwrap()), ("b", b.unwrap())]);
        let mut messages = Vec::new();
        for (at, vector) in story["steps"].as_array().unwrap().iter().enumerate() {
            let who = vector["who"].as_str().unwrap();
            let next = step(vector, &ends[who], &mut messages);
            let place = format!("{} step {at}", story["name"]);
            assert_eq!(head(&next), bytes(&vector["head"]), "{place}");
            assert_eq!(next.skipped().count(), size(&vector["skipped"]), "{place}");
            assert_eq!(hash(&state(&next)), bytes(&vector["state_sha256"]), "{place}");
            // Every state goes through its stored form before it is used again.
            let stored = Ratchet::read(&state(&next)).unwrap();
            assert_eq!(state(&stored), state(&next), "{place}");
            ends.insert(who, stored);
        }
    }
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn sending(chain: &SenderChain) -> Vec<u8> {
    let mut state = vec![0; chain.size()];
    chain.write(&mut state);
    state
}

fn receiving(chain: &ReceiverChain) -> Vec<u8> {
    let mut state = vec![0; chain.size()];
    chain.write(&mut state);
    state
}

fn seal_for_all(chain: &SenderChain, plaintext: &[u8], salt: &[u8; 16]) -> (Vec<u8>, SenderChain) {
    let mut message = vec![0xFF; chain.message_size(plaintext.len()).unwrap()];
    let next = chain.encrypt(plaintext, salt, &mut message).unwrap();
    (message, next)
}

fn compare(message: &[u8], expected: &Value) {
    if expected["hex"].is_string() {
        assert_eq!(message, bytes(&expected["hex"]));
    } else {
        assert_eq!(message.len(), size(&expected["size"]));
        assert_eq!(message[..57], bytes(&expected["start"]));
        assert_eq!(message[message.len() - 64..], bytes(&expected["end"]));
        assert_eq!(hash(message), bytes(&expected["sha256"]));
    }
}

/// Opens a message and returns the next state, or the same one after the error that the vector names.
fn receive(vector: &Value, chain: &ReceiverChain, messages: &[Vec<u8>]) -> ReceiverChain {
    let message = match &vector["edited"] {
        Value::String(_) => bytes(&vector["edited"]),
        _ => messages[size(&vector["message"])].clone(),
    };
    match chain.decrypt(&message) {
        Ok((plaintext, next)) => {
            assert_eq!(*plaintext, text(size(&vector["opens"])));
            next
        }
        Err(error) => {
            assert_eq!(class(error), vector["error"].as_str().unwrap());
            chain.clone()
        }
    }
}

#[test]
fn sender_key_vectors() {
    let vectors = load("sender_key.json");
    let channels = vectors["channels"].as_array().unwrap();
    assert_eq!(channels.len(), 4);
    for channel in channels {
        let (channel_id, sender) = (array(&channel["channel_id"]), array(&channel["sender"]));
        let mut chain = SenderChain::create(
            &channel_id,
            &sender,
            number(&channel["roster_index"]),
            &array(&channel["roster_hash"]),
            number(&channel["key_id"]),
            &array(&channel["chain_key"]),
            &array(&channel["signing_seed"]),
        )
        .unwrap();
        let mut readers = HashMap::new();
        let mut messages = Vec::new();
        for (at, vector) in channel["steps"].as_array().unwrap().iter().enumerate() {
            let place = format!("{} step {at}", channel["name"]);
            let after = match vector["do"].as_str().unwrap() {
                "encrypt" => {
                    let (message, next) =
                        seal_for_all(&chain, &text(size(&vector["size"])), &array(&vector["salt"]));
                    compare(&message, &vector["message"]);
                    messages.push(message);
                    chain = SenderChain::read(&sending(&next)).unwrap();
                    sending(&next)
                }
                "burn" => {
                    for _ in 0..size(&vector["count"]) {
                        chain = seal_for_all(&chain, b"", &[0; 16]).1;
                    }
                    sending(&chain)
                }
                "used_up" => {
                    assert_eq!(class(chain.message_size(0).unwrap_err()), "CryptoError");
                    assert_eq!(class(chain.distribution(b"").unwrap_err()), "CryptoError");
                    continue;
                }
                "distribute" => {
                    let data = chain.distribution(&bytes(&vector["nickname"])).unwrap();
                    assert_eq!(*data, bytes(&vector["data"]), "{place}");
                    let reader = ReceiverChain::from_distribution(&data, &channel_id, &sender).unwrap();
                    assert_eq!(reader.nickname(), bytes(&vector["nickname"]));
                    let state = receiving(&reader);
                    readers.insert(vector["reader"].as_str().unwrap(), reader);
                    state
                }
                "refuse" => {
                    let data = bytes(&vector["data"]);
                    let refused = ReceiverChain::from_distribution(&data, &channel_id, &sender).unwrap_err();
                    assert_eq!(class(refused), vector["error"].as_str().unwrap(), "{place}");
                    continue;
                }
                "decrypt" => {
                    let reader = vector["reader"].as_str().unwrap();
                    let next = receive(vector, &readers[reader], &messages);
                    let skipped: Vec<u32> = next.skipped().collect();
                    let expected: Vec<u32> =
                        vector["skipped"].as_array().unwrap().iter().map(number).collect();
                    assert_eq!(skipped, expected, "{place}");
                    let state = receiving(&next);
                    // Every state goes through its stored form before it is used again.
                    readers.insert(reader, ReceiverChain::read(&state).unwrap());
                    state
                }
                other => panic!("no step {other}"),
            };
            assert_eq!(hash(&after), bytes(&vector["state_sha256"]), "{place}");
        }
    }
}

fn seal_frame(sealer: &mut FrameSealer, plaintext: &[u8], metadata: &[u8]) -> Vec<u8> {
    let mut data = vec![0xFF; sealer.frame_size(plaintext.len()).unwrap()];
    sealer.seal(plaintext, metadata, &mut data).unwrap();
    data
}

fn open_frame(opener: &mut FrameOpener, data: &[u8], metadata: &[u8]) -> Result<Vec<u8>, Error> {
    let mut plaintext = vec![0xFF; frame::opened_size(data)?];
    opener.open(data, metadata, &mut plaintext)?;
    Ok(plaintext)
}

#[test]
fn frame_vectors() {
    let vectors = load("frame.json");
    let streams = vectors["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 5);
    for stream in streams {
        let (base_key, kid) = (bytes(&stream["base_key"]), stream["kid"].as_u64().unwrap());
        let mut sealer = FrameSealer::new(&base_key, kid, stream["counter"].as_u64().unwrap()).unwrap();
        let mut openers = HashMap::new();
        let mut frames = Vec::new();
        for (at, vector) in stream["steps"].as_array().unwrap().iter().enumerate() {
            let place = format!("{} step {at}", stream["name"]);
            match vector["do"].as_str().unwrap() {
                "seal" => {
                    let metadata = bytes(&vector["metadata"]);
                    let data = seal_frame(&mut sealer, &text(size(&vector["size"])), &metadata);
                    let expected = &vector["frame"];
                    if expected["hex"].is_string() {
                        assert_eq!(data, bytes(&expected["hex"]), "{place}");
                    } else {
                        assert_eq!(data.len(), size(&expected["size"]), "{place}");
                        assert_eq!(hash(&data), bytes(&expected["sha256"]), "{place}");
                    }
                    frames.push((data, metadata));
                }
                "burn" => {
                    for _ in 0..size(&vector["count"]) {
                        seal_frame(&mut sealer, b"", b"");
                    }
                }
                "used_up" => {
                    assert_eq!(class(sealer.frame_size(0).unwrap_err()), vector["error"].as_str().unwrap());
                }
                "open" => {
                    let (data, metadata) = &frames[size(&vector["frame"])];
                    let given = |name: &str, own: &[u8]| match &vector[name] {
                        value @ Value::String(_) => bytes(value),
                        _ => own.to_vec(),
                    };
                    let opener = openers
                        .entry(vector["opener"].as_str().unwrap())
                        .or_insert_with(|| FrameOpener::new(&base_key, kid).unwrap());
                    match open_frame(opener, &given("edited", data), &given("metadata", metadata)) {
                        Ok(plaintext) => assert_eq!(plaintext, text(size(&vector["opens"])), "{place}"),
                        Err(error) => assert_eq!(class(error), vector["error"].as_str().unwrap(), "{place}"),
                    }
                }
                other => panic!("no step {other}"),
            }
        }
    }
}

/// RFC 9605, appendix C, as it is.
#[test]
fn sframe_vectors() {
    let vectors = load("sframe_rfc9605.json");
    let headers = vectors["header"].as_array().unwrap();
    assert_eq!(headers.len(), 17 * 17);
    for vector in headers {
        let (kid, counter) = (vector["kid"].as_u64().unwrap(), vector["ctr"].as_u64().unwrap());
        let mut sealer = FrameSealer::new(&[1; 32], kid, counter).unwrap();
        let data = seal_frame(&mut sealer, b"", b"");
        assert_eq!(data[..data.len() - 16], bytes(&vector["encoded"]));
        assert_eq!(frame::frame_header(&data), Ok((kid, counter)));
    }
    let frames = vectors["sframe"].as_array().unwrap();
    assert_eq!(frames.len(), 1);
    for vector in frames {
        let (base_key, metadata) = (bytes(&vector["base_key"]), bytes(&vector["metadata"]));
        let kid = vector["kid"].as_u64().unwrap();
        let mut sealer = FrameSealer::new(&base_key, kid, vector["ctr"].as_u64().unwrap()).unwrap();
        let data = seal_frame(&mut sealer, &bytes(&vector["pt"]), &metadata);
        assert_eq!(data, bytes(&vector["ct"]));
        let mut opener = FrameOpener::new(&base_key, kid).unwrap();
        assert_eq!(open_frame(&mut opener, &data, &metadata), Ok(bytes(&vector["pt"])));
    }
}
