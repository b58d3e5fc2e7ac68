//! The ratchet and the padding in Rust alone. `benches/python/bench_ratchet.py` measures the same calls from Python, and reads these results.

#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mobium_core::{Error, Ratchet, padding};

const TEXT: [u8; 200] = [0x61; 200];
const SALT: [u8; 16] = [7; 16];
const NOW: u64 = 1_800_000_000;

fn seal(ratchet: &Ratchet, text: &[u8]) -> Result<(Vec<u8>, Ratchet), Error> {
    let mut message = vec![0; ratchet.message_size(text.len())?];
    let next = ratchet.encrypt(text, &SALT, &mut message)?;
    Ok((message, next))
}

/// Two sides that have both sent and received; the first was the last to send.
fn pair() -> Result<(Ratchet, Ratchet), Error> {
    let public_of_fours = {
        // The responder's first ratchet key, read from its stored head: version, stage, root, private, public.
        let responder = Ratchet::accept(&[1; 32], &[4; 32], &[9; 32])?;
        let mut head = vec![0; responder.head_size()];
        responder.write_head(&mut head);
        let mut public = [0; 32];
        public.copy_from_slice(&head[66..98]);
        public
    };
    let a = Ratchet::initiate(&[1; 32], &public_of_fours, &[9; 32], &[2; 32])?;
    let b = Ratchet::accept(&[1; 32], &[4; 32], &[9; 32])?;
    let (message, a) = seal(&a, &TEXT)?;
    let (_, b) = b.decrypt(&message, Some(&[5; 32]), NOW)?;
    let (message, b) = seal(&b, &TEXT)?;
    let (_, a) = a.decrypt(&message, Some(&[6; 32]), NOW)?;
    let (message, a) = seal(&a, &TEXT)?;
    let (_, b) = b.decrypt(&message, Some(&[8; 32]), NOW)?;
    Ok((a, b))
}

/// The same two after `b` skipped 2,000 messages of `a`.
fn pair_with_skipped() -> Result<(Ratchet, Ratchet), Error> {
    let (mut a, mut b) = pair()?;
    for _ in 0..2 {
        for _ in 0..1000 {
            a = seal(&a, &TEXT)?.1;
        }
        let (message, next) = seal(&a, &TEXT)?;
        (a, b) = (next, b.decrypt(&message, None, NOW)?.1);
    }
    Ok((a, b))
}

fn steps(criterion: &mut Criterion) -> Result<(), Error> {
    let mut group = criterion.benchmark_group("ratchet");
    for (name, (a, b)) in [("", pair()?), (", 2000 held", pair_with_skipped()?)] {
        let mut out = vec![0; b.message_size(TEXT.len())?];
        group.bench_function(format!("encrypt 200 B{name}"), |bencher| {
            bencher.iter(|| b.encrypt(black_box(&TEXT), &SALT, &mut out));
        });
        let (message, a) = seal(&a, &TEXT)?;
        group.bench_function(format!("decrypt 200 B{name}"), |bencher| {
            bencher.iter(|| b.decrypt(black_box(&message), None, NOW));
        });
        let (ahead, _) = seal(&a, &TEXT)?;
        group.bench_function(format!("decrypt 200 B, skipping one{name}"), |bencher| {
            bencher.iter(|| b.decrypt(black_box(&ahead), None, NOW));
        });
        let (answer, _) = seal(&b, &TEXT)?;
        group.bench_function(format!("decrypt 200 B, new ratchet key{name}"), |bencher| {
            bencher.iter(|| a.decrypt(black_box(&answer), Some(&[3; 32]), NOW));
        });
        let (_, skipping) = b.decrypt(&ahead, None, NOW)?;
        group.bench_function(format!("changes{name}"), |bencher| {
            bencher.iter(|| skipping.changes(black_box(&b)).0.len());
        });
    }
    let (a, b) = pair()?;
    for size in [60, 1000, 60_000, 1_000_000] {
        let text = vec![0x61; size];
        let (message, _) = seal(&a, &text)?;
        let mut out = vec![0; message.len()];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("encrypt {size} B"), |bencher| {
            bencher.iter(|| a.encrypt(black_box(&text), &SALT, &mut out));
        });
        group.bench_function(format!("decrypt {size} B"), |bencher| {
            bencher.iter(|| b.decrypt(black_box(&message), None, NOW));
        });
    }
    group.finish();
    Ok(())
}

fn paddings(criterion: &mut Criterion) -> Result<(), Error> {
    let mut group = criterion.benchmark_group("padding");
    for size in [60, 1000, 60_000, 1_000_000] {
        let text = vec![0x61; size];
        let padded_size = padding::padded_size(size)?;
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("pad {size} B"), |bencher| {
            bencher.iter_batched_ref(
                || vec![0; padded_size],
                |out| padding::pad(black_box(&text), out),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
    Ok(())
}

fn all(criterion: &mut Criterion) {
    for result in [steps(criterion), paddings(criterion)] {
        if let Err(error) = result {
            eprintln!("a bench could not be set up: {error}");
            std::process::exit(1);
        }
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
