//! What the primitives of AWS-LC take by themselves: below it no kernel that calls them can come. `benches/python/bench_floors.py` reads these
//! results beside the whole operations.

#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use criterion::{Criterion, criterion_group, criterion_main};

/// A frame of voice, and the header with the metadata in front of it.
const VOICE: usize = 120;
const AAD: [u8; 74] = [3; 74];
/// What is signed of a channel message in the 512 B bucket.
const SIGNED: usize = 749;

fn steps(criterion: &mut Criterion) -> Result<(), Unspecified> {
    let mut group = criterion.benchmark_group("floor");
    let own = PrivateKey::from_private_key(&X25519, &[5; 32])?;
    let other = PrivateKey::from_private_key(&X25519, &[6; 32])?.compute_public_key()?;
    group.bench_function("x25519 agree", |bencher| {
        bencher.iter(|| {
            let key = UnparsedPublicKey::new(&X25519, black_box(other.as_ref()));
            agreement::agree(&own, key, Unspecified, |shared| Ok(shared[0]))
        });
    });
    group.bench_function("x25519 key pair", |bencher| {
        bencher.iter(|| PrivateKey::from_private_key(&X25519, black_box(&[5; 32]))?.compute_public_key());
    });
    let signing = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).map_err(|_| Unspecified)?;
    let text = [0x61; SIGNED];
    group.bench_function("ed25519 sign", |bencher| bencher.iter(|| signing.sign(black_box(&text))));
    let signature = signing.sign(&text);
    let public = ParsedPublicKey::new(&ED25519, signing.public_key().as_ref()).map_err(|_| Unspecified)?;
    group.bench_function("ed25519 verify", |bencher| {
        bencher.iter(|| public.verify_sig(black_box(&text), signature.as_ref()));
    });
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[8; 32])?);
    let mut data = vec![0x61; VOICE];
    group.bench_function("aes-256-gcm seal and open", |bencher| {
        bencher.iter(|| -> Result<(), Unspecified> {
            let nonce = || Nonce::assume_unique_for_key([9; 12]);
            data.truncate(VOICE);
            key.seal_in_place_append_tag(nonce(), Aad::from(&AAD), &mut data)?;
            key.open_in_place(nonce(), Aad::from(&AAD), black_box(&mut data)).map(|_| ())
        });
    });
    group.finish();
    Ok(())
}

fn all(criterion: &mut Criterion) {
    if steps(criterion).is_err() {
        eprintln!("a bench could not be set up");
        std::process::exit(1);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
