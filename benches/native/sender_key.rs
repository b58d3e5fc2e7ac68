//! The sender keys in Rust alone. `benches/python/bench_sender_key.py` measures the same calls from Python, and reads these results.

#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mobium_core::{Error, ReceiverChain, SenderChain};

const SALT: [u8; 16] = [7; 16];

fn seal(chain: &SenderChain, text: &[u8]) -> Result<(Vec<u8>, SenderChain), Error> {
    let mut message = vec![0; chain.message_size(text.len())?];
    let next = chain.encrypt(text, &SALT, &mut message)?;
    Ok((message, next))
}

fn steps(criterion: &mut Criterion) -> Result<(), Error> {
    let mut group = criterion.benchmark_group("sender_key");
    let chain = SenderChain::create(&[1; 32], &[2; 32], 3, &[4; 32], 5, &[6; 32], &[7; 32])?;
    let reader = ReceiverChain::from_distribution(&chain.distribution(b"")?, &[1; 32], &[2; 32])?;
    for size in [60, 200, 1000, 60_000, 1_000_000] {
        let text = vec![0x61; size];
        let (message, _) = seal(&chain, &text)?;
        let mut out = vec![0; message.len()];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("encrypt {size} B"), |bencher| {
            bencher.iter(|| chain.encrypt(black_box(&text), &SALT, &mut out));
        });
        group.bench_function(format!("decrypt {size} B"), |bencher| {
            bencher.iter(|| reader.decrypt(black_box(&message)));
        });
    }
    let mut last = chain;
    for _ in 0..999 {
        last = seal(&last, b"")?.1;
    }
    let (message, _) = seal(&last, &[0x61; 200])?;
    group.throughput(Throughput::Elements(999));
    group.bench_function("decrypt 200 B, skipping 999", |bencher| {
        bencher.iter(|| reader.decrypt(black_box(&message)));
    });
    group.finish();
    Ok(())
}

fn all(criterion: &mut Criterion) {
    if let Err(error) = steps(criterion) {
        eprintln!("a bench could not be set up: {error}");
        std::process::exit(1);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
