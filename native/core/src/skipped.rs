//! Skipped message keys: what a ratchet holds for messages that have not arrived (docs/CRYPTO.md section 4).
//!
//! A set of them is a value, kept in chunks of at most 32 records in the order in which they were stored. States share chunks: a change copies the
//! chunks it touches and the list of chunks, never a key, and [`Skipped::changes`] looks only at the chunks that are not shared.
//! Twin of `mobium/_pure/skipped.py`. Not its concern: when keys are skipped, and where records are stored.

use core::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Error;
use crate::secret::Secret;

/// Bytes of a key of any kind.
pub const KEY: usize = 32;
/// Bytes of a record's id: ratchet public(32) ‖ n(u32).
pub const ID: usize = 36;
/// Bytes of a record: id ‖ message key(32) ‖ stored at(u64 s).
pub const RECORD: usize = 76;
/// Keys held at most: both limits on skipping together, so that no message ever evicts a key that it brought.
pub const MAX_STORED: usize = 2000;
/// No message has this number; a chain whose next number it is has been used up.
pub const COUNTER_END: u32 = u32::MAX;

/// Records of a chunk at most: copying one costs less than the HMACs of skipping a key, and 2,000 keys make some sixty chunks.
const CHUNK: usize = 32;

const ORDER: Error = Error::State("The stored skipped keys are out of order.");

/// The key of one message that has not arrived. Cloning it shares the key.
#[derive(Clone, Debug)]
pub struct Record {
    public: [u8; KEY],
    n: u32,
    key: Secret,
    stored_at: u64,
}

impl Record {
    pub(crate) const fn new(public: [u8; KEY], n: u32, key: Secret, stored_at: u64) -> Self {
        Self { public, n, key, stored_at }
    }

    /// The first 36 bytes of the stored form.
    #[must_use]
    pub fn id(&self) -> [u8; ID] {
        let mut id = [0; ID];
        id[..KEY].copy_from_slice(&self.public);
        id[KEY..].copy_from_slice(&self.n.to_be_bytes());
        id
    }

    /// Writes the stored form over all of `out`, which has 76 bytes. Secret.
    pub fn write(&self, out: &mut [u8]) {
        let (id, rest) = out.split_at_mut(ID);
        let (key, stored_at) = rest.split_at_mut(KEY);
        id.copy_from_slice(&self.id());
        key.copy_from_slice(self.key.bytes());
        stored_at.copy_from_slice(&self.stored_at.to_be_bytes());
    }

    fn read(stored: &[u8]) -> Option<Self> {
        let (public, rest) = stored.split_first_chunk::<KEY>()?;
        let (n, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_first_chunk::<KEY>()?;
        let stored_at = u64::from_be_bytes(rest.try_into().ok()?);
        Some(Self::new(*public, u32::from_be_bytes(*n), Secret::copy_of(key), stored_at))
    }

    fn cmp_id(&self, id: &[u8; ID]) -> Ordering {
        let (public, n) = id.split_at(KEY);
        self.public.as_slice().cmp(public).then_with(|| self.n.to_be_bytes().as_slice().cmp(n))
    }

    /// Whether both, of the same id, are stored as the same bytes.
    fn is(&self, other: &Self) -> bool {
        let same_key = self.key.is(&other.key) || self.key.bytes() == other.key.bytes();
        same_key && self.stored_at == other.stored_at
    }
}

/// Never empty in a set.
type Chunk = Arc<Vec<Record>>;

/// The skipped keys of one state, oldest first. Cloning it shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skipped {
    chunks: Arc<Vec<Chunk>>,
    len: usize,
}

/// Where a record stands: which chunk, and where in it.
pub(crate) struct Place(usize, usize);

impl Skipped {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether both are the same set in the same place.
    #[cfg(test)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The records of one ratchet key: they stand together, so a chunk that begins and ends with a key holds no other.
    fn of<'a>(&'a self, public: &[u8; KEY]) -> impl Iterator<Item = (Place, &'a Record)> {
        let public = *public;
        self.chunks.iter().enumerate().flat_map(move |(at, chunk)| {
            let alone = chunk.first().map(|record| record.public) == chunk.last().map(|record| record.public);
            let other = chunk.first().is_none_or(|record| record.public != public);
            let looked_at: &[Record] = if alone && other { &[] } else { chunk };
            looked_at
                .iter()
                .enumerate()
                .filter(move |(_, record)| record.public == public)
                .map(move |(index, record)| (Place(at, index), record))
        })
    }

    /// The key of a message, if it is held.
    pub(crate) fn find(&self, public: &[u8; KEY], n: u32) -> Option<(Place, &Secret)> {
        self.of(public).find(|(_, record)| record.n == n).map(|(place, record)| (place, &record.key))
    }

    /// Whether a key of this ratchet key's chain is held.
    pub(crate) fn holds_any(&self, public: &[u8; KEY]) -> bool {
        self.of(public).next().is_some()
    }

    /// This set with more records behind it; beyond [`MAX_STORED`] the oldest are evicted.
    pub(crate) fn hold(&self, added: Vec<Record>) -> Self {
        if added.is_empty() {
            return self.clone();
        }
        let len = self.len + added.len();
        let mut evict = len.saturating_sub(MAX_STORED);
        let mut chunks = Vec::with_capacity(self.chunks.len() + added.len() / CHUNK + 1);
        for chunk in self.chunks.iter() {
            if evict >= chunk.len() {
                evict -= chunk.len();
            } else if evict > 0 {
                chunks.push(Arc::new(chunk[evict..].to_vec()));
                evict = 0;
            } else {
                chunks.push(Arc::clone(chunk));
            }
        }
        let mut added = added.into_iter().skip(evict);
        if let Some(last) = chunks.last_mut() {
            let room = CHUNK.saturating_sub(last.len());
            if room > 0 {
                *last = Arc::new(last.iter().cloned().chain(added.by_ref().take(room)).collect());
            }
        }
        loop {
            let chunk: Vec<Record> = added.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                break;
            }
            chunks.push(Arc::new(chunk));
        }
        Self { chunks: Arc::new(chunks), len: len.min(MAX_STORED) }
    }

    /// This set less one record.
    pub(crate) fn without(&self, place: &Place) -> Self {
        let Place(at, index) = *place;
        let mut joiner = Joiner::with_capacity(self.chunks.len());
        for (i, chunk) in self.chunks.iter().enumerate() {
            if i == at {
                let mut rest = chunk.as_ref().clone();
                rest.remove(index);
                joiner.push_changed(rest);
            } else {
                joiner.push(chunk);
            }
        }
        Self { chunks: Arc::new(joiner.chunks), len: self.len - 1 }
    }

    /// This set less what was stored before that unix second.
    pub(crate) fn without_older(&self, before: u64) -> Self {
        let kept = self.iter().filter(|record| record.stored_at >= before).count();
        if kept == self.len {
            return self.clone();
        }
        let mut joiner = Joiner::with_capacity(self.chunks.len());
        for chunk in self.chunks.iter() {
            if chunk.iter().all(|record| record.stored_at >= before) {
                joiner.push(chunk);
            } else {
                joiner.push_changed(
                    chunk.iter().filter(|record| record.stored_at >= before).cloned().collect(),
                );
            }
        }
        Self { chunks: Arc::new(joiner.chunks), len: kept }
    }

    /// The records that `previous` does not hold as they are, oldest first, and the ids that only `previous` holds.
    pub(crate) fn changes(&self, previous: &Self) -> (Vec<&Record>, Vec<[u8; ID]>) {
        if Arc::ptr_eq(&self.chunks, &previous.chunks) {
            return (Vec::new(), Vec::new());
        }
        let (fresh, gone) = (self.not_in(previous), previous.not_in(self));
        let (after, before) = (by_id(&fresh), by_id(&gone));
        let find =
            |records: &[&'_ Record], id: &[u8; ID]| records.binary_search_by(|record| record.cmp_id(id)).ok();
        let added = fresh
            .iter()
            .filter(|record| !find(&before, &record.id()).is_some_and(|at| before[at].is(record)));
        let removed = gone.iter().map(|record| record.id()).filter(|id| find(&after, id).is_none());
        (added.copied().collect(), removed.collect())
    }

    /// The records of the chunks that are not shared with `other`, oldest first.
    fn not_in(&self, other: &Self) -> Vec<&Record> {
        let mut theirs: Vec<*const Vec<Record>> = other.chunks.iter().map(Arc::as_ptr).collect();
        theirs.sort_unstable();
        let fresh = self.chunks.iter().filter(|&chunk| theirs.binary_search(&Arc::as_ptr(chunk)).is_err());
        fresh.flat_map(|chunk| chunk.iter()).collect()
    }

    /// The keys of records in the only order in which steps can have stored them.
    ///
    /// One ratchet key's stand together and ascend; those of the key being received come last and lie below the number awaited. `receiving` is
    /// that key and that number; before anything was received there are none.
    pub(crate) fn checked<'a>(
        stored: impl ExactSizeIterator<Item = &'a [u8]>,
        receiving: Option<(&[u8; KEY], u32)>,
    ) -> Result<Self, Error> {
        if stored.len() == 0 {
            return Ok(Self::default());
        }
        if stored.len() > MAX_STORED {
            return Err(Error::State("The stored ratchet state holds too many skipped keys."));
        }
        let Some((remote, awaited)) = receiving else {
            return Err(Error::State(
                "The stored ratchet state holds skipped keys before it received anything.",
            ));
        };
        let mut records: Vec<Record> = Vec::with_capacity(stored.len());
        let mut begun = BTreeSet::new();
        for bytes in stored {
            let record =
                Record::read(bytes).ok_or(Error::State("A stored skipped key has the wrong length."))?;
            match records.last() {
                Some(last) if last.public == record.public => {
                    if record.n <= last.n {
                        return Err(ORDER);
                    }
                }
                _ => {
                    if begun.contains(&record.public) || begun.contains(remote) {
                        return Err(ORDER);
                    }
                    begun.insert(record.public);
                }
            }
            if record.n >= if record.public == *remote { awaited } else { COUNTER_END } {
                return Err(ORDER);
            }
            records.push(record);
        }
        Ok(Self::default().hold(records))
    }
}

fn by_id<'a>(records: &[&'a Record]) -> Vec<&'a Record> {
    let mut sorted = records.to_vec();
    sorted.sort_unstable_by(|a, b| a.public.cmp(&b.public).then(a.n.cmp(&b.n)));
    sorted
}

/// Puts chunks in a row and joins a changed one with a neighbour where both fit into one, so that a set that shrinks keeps few chunks.
struct Joiner {
    chunks: Vec<Chunk>,
    /// Whether the last chunk was changed and may be joined with an unchanged one.
    open: bool,
}

impl Joiner {
    fn with_capacity(capacity: usize) -> Self {
        Self { chunks: Vec::with_capacity(capacity), open: false }
    }

    fn push(&mut self, chunk: &Chunk) {
        if self.open && self.join(chunk) {
            return;
        }
        self.open = false;
        self.chunks.push(Arc::clone(chunk));
    }

    fn push_changed(&mut self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        if !self.join(&records) {
            self.chunks.push(Arc::new(records));
        }
        self.open = true;
    }

    fn join(&mut self, records: &[Record]) -> bool {
        match self.chunks.last_mut() {
            Some(last) if last.len() + records.len() <= CHUNK => {
                *last = Arc::new(last.iter().chain(records).cloned().collect());
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator, so that the test's course is the same each time.
    struct Steps(u64);

    impl Steps {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % end
        }
    }

    fn record(public: u8, n: u32, stored_at: u64) -> Record {
        Record::new([public; KEY], n, Secret::copy_of(&[public ^ n.to_le_bytes()[0]; KEY]), stored_at)
    }

    fn ids(set: &Skipped) -> Vec<[u8; ID]> {
        set.iter().map(Record::id).collect()
    }

    fn few_chunks(set: &Skipped) {
        assert!(set.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
        assert_eq!(set.iter().count(), set.len());
        assert!(
            set.chunks.len() <= 2 * set.len().div_ceil(CHUNK) + 2,
            "{} in {}",
            set.len(),
            set.chunks.len()
        );
    }

    /// Random steps on the set and on a plain list of what it should hold.
    #[test]
    fn equals_a_list() {
        let mut steps = Steps(1);
        let mut set = Skipped::default();
        let mut list: Vec<Record> = Vec::new();
        let (mut public, mut n) = (0_u8, 0_u32);
        for time in 0..3000 {
            let before = (set.clone(), list.clone());
            match steps.below(10) {
                0 => {
                    (public, n) = (public.wrapping_add(1), 0);
                    if set.holds_any(&[public; KEY]) {
                        break;
                    }
                }
                1..=3 => {
                    let count = [1, 1, 2, 40, 300][steps.below(5)];
                    let added: Vec<_> = (n..n + count).map(|n| record(public, n, time)).collect();
                    n += count;
                    list.extend(added.iter().cloned());
                    list.drain(..list.len().saturating_sub(MAX_STORED));
                    set = set.hold(added);
                }
                4..=8 if !list.is_empty() => {
                    let gone = list.remove(steps.below(list.len()));
                    let (place, key) = set.find(&gone.public, gone.n).unwrap();
                    assert!(key.is(&gone.key));
                    set = set.without(&place);
                    assert!(set.find(&gone.public, gone.n).is_none());
                }
                _ => {
                    let limit = time.saturating_sub(200);
                    list.retain(|record| record.stored_at >= limit);
                    set = set.without_older(limit);
                }
            }
            few_chunks(&set);
            assert_eq!(ids(&set), list.iter().map(Record::id).collect::<Vec<_>>());
            // The old set is what it was, and the changes lead from it to the new one.
            assert_eq!(ids(&before.0), before.1.iter().map(Record::id).collect::<Vec<_>>());
            let (added, removed) = set.changes(&before.0);
            let mut replayed = ids(&before.0);
            replayed.retain(|id| !removed.contains(id));
            replayed.extend(added.iter().map(|record| record.id()));
            assert_eq!(replayed, ids(&set));
            assert!(
                set.holds_any(&[public; KEY]) == list.iter().any(|record| record.public == [public; KEY])
            );
        }
    }

    #[test]
    fn a_change_shares_the_rest() {
        let full = Skipped::default().hold((0..2000).map(|n| record(1, n, 0)).collect());
        let shared = |a: &Skipped, b: &Skipped| {
            a.chunks.iter().filter(|&chunk| b.chunks.iter().any(|other| Arc::ptr_eq(chunk, other))).count()
        };
        assert_eq!(full.chunks.len(), 63);
        assert!(Arc::ptr_eq(&full.hold(Vec::new()).chunks, &full.chunks));
        assert!(Arc::ptr_eq(&full.without_older(0).chunks, &full.chunks));
        let (place, _) = full.find(&[1; KEY], 1000).unwrap();
        assert_eq!(shared(&full.without(&place), &full), 62);
        let next = full.hold(vec![record(2, 0, 0)]);
        assert_eq!((next.len(), shared(&next, &full)), (MAX_STORED, 61));
        assert_eq!(next.changes(&full).0.len(), 1);
        assert_eq!(next.changes(&full).1, [record(1, 0, 0).id()]);
    }

    #[test]
    fn keys_never_show() {
        let set = Skipped::default().hold(vec![record(1, 2, 3)]);
        assert!(format!("{set:?}").contains("Secret(redacted)"));
    }
}
