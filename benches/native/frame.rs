//! The frames of media in Rust alone. `benches/python/bench_frame.py` measures the same calls from Python, and reads these results.

#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mobium_core::{Error, FrameOpener, FrameSealer, frame};

const KEY: [u8; 32] = [7; 32];
const KID: u64 = 0x8123_4500;
const FIRST: u64 = 1 << 24;
const METADATA: [u8; 65] = [3; 65];

fn seal(sealer: &mut FrameSealer, text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut data = vec![0; sealer.frame_size(text.len())?];
    sealer.seal(text, &METADATA, &mut data)?;
    Ok(data)
}

/// The time of opening `rounds` frames. An opener takes each of them once, so each round of all begins with a new one, untimed.
fn open(frames: &[Vec<u8>], size: usize, mut rounds: u64) -> Result<Duration, Error> {
    let mut out = vec![0; size];
    let mut taken = Duration::ZERO;
    while rounds > 0 {
        let now = frames.len().min(usize::try_from(rounds).unwrap_or(usize::MAX));
        let mut opener = FrameOpener::new(&KEY, KID)?;
        let start = Instant::now();
        for data in &frames[..now] {
            opener.open(black_box(data), &METADATA, &mut out)?;
        }
        taken += start.elapsed();
        rounds -= now as u64;
    }
    Ok(taken)
}

fn steps(criterion: &mut Criterion) -> Result<(), Error> {
    let mut group = criterion.benchmark_group("frame");
    for size in [60, 120, 200, 1000, 60_000, 1_000_000] {
        let text = vec![0x61; size];
        let mut sealer = FrameSealer::new(&KEY, KID, FIRST)?;
        let frames: Vec<Vec<u8>> = (0..(2_000_000 / size).clamp(2, 1000))
            .map(|_| seal(&mut sealer, &text))
            .collect::<Result<_, _>>()?;
        assert_eq!(frame::opened_size(&frames[0])?, size);
        let mut out = frames[0].clone();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("seal {size} B"), |bencher| {
            bencher.iter(|| sealer.seal(black_box(&text), &METADATA, &mut out));
        });
        group.bench_function(format!("open {size} B"), |bencher| {
            bencher.iter_custom(|rounds| {
                open(&frames, size, rounds).unwrap_or_else(|error| {
                    eprintln!("a frame was not opened: {error}");
                    std::process::exit(1);
                })
            });
        });
    }
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
