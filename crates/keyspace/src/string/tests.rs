//! Strings against a plain vector: whatever the encoding, the bytes are the same.

use alloc::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::view::{Limits, Page, Seek, Usage};

const KEY: &[u8] = b"key";
const C: u64 = CHUNK as u64;

/// Room for one string and its rows.
struct OneKey {
    limits: Limits,
    record: Option<(Head, Vec<u8>)>,
    rows: BTreeMap<(u64, Vec<u8>), Vec<u8>>,
    next_rows: u64,
    /// Bytes of the payload and of rows written since the last look.
    written: usize,
}

impl OneKey {
    fn new(threshold: usize) -> Self {
        let limits = Limits { string_chunk_threshold: threshold, ..Limits::default() };
        Self { limits, record: None, rows: BTreeMap::new(), next_rows: 1, written: 0 }
    }

    fn expect(&mut self, model: &[u8]) {
        let shape = look(self, KEY).unwrap().unwrap();
        assert_eq!(shape.len, model.len() as u64);
        assert_eq!(read_all(self, KEY).unwrap().unwrap(), model);
        for (rows, row) in self.rows.keys() {
            assert_eq!(Some(RowsId(*rows)), shape.rows, "an orphan");
            assert!((row_index(row).unwrap() + 1) * C <= shape.len, "a row behind the end");
        }
    }

    fn part(&mut self, from: u64, to: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        read(self, KEY, from, to, &mut |piece| bytes.extend_from_slice(piece)).unwrap();
        bytes
    }
}

impl View for OneKey {
    fn now(&self) -> Millis {
        Millis(0)
    }

    fn random(&mut self) -> u64 {
        unreachable!("strings do not ask this")
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn select(&mut self, _: usize) -> Result<(), Stop> {
        unreachable!("strings do not ask this")
    }

    fn databases(&self) -> usize {
        1
    }

    fn record(&mut self, _: &[u8]) -> Result<Option<Record<'_>>, Stop> {
        Ok(self.record.as_ref().map(|(head, payload)| Record { lsn: 0, head: *head, payload }))
    }

    fn put(&mut self, _: &[u8], head: &Head, payload: &[u8]) -> Result<(), Stop> {
        self.written += payload.len();
        let record = Record { lsn: 0, head: *head, payload };
        let kept = record.rows_id();
        self.rows.retain(|(rows, _), _| Some(RowsId(*rows)) == kept);
        self.record = Some((*head, payload.to_vec()));
        Ok(())
    }

    fn splice(&mut self, _: &[u8], at: usize, remove: usize, insert: &[u8]) -> Result<(), Stop> {
        self.written += insert.len();
        let (_, payload) = self.record.as_mut().unwrap();
        payload.splice(at..at + remove, insert.iter().copied());
        Ok(())
    }

    fn set_expiry(&mut self, _: &[u8], _: Option<Millis>) -> Result<(), Stop> {
        unreachable!("strings do not ask this")
    }

    fn delete(&mut self, _: &[u8]) -> Result<bool, Stop> {
        unreachable!("strings do not ask this")
    }

    fn rename(&mut self, _: &[u8], _: &[u8]) -> Result<(), Stop> {
        unreachable!("strings do not ask this")
    }

    fn new_rows(&mut self) -> RowsId {
        self.next_rows += 1;
        RowsId(self.next_rows)
    }

    fn row(&mut self, _: &[u8], rows: RowsId, row: &[u8], out: &mut Vec<u8>) -> Result<bool, Stop> {
        out.clear();
        let found = self.rows.get(&(rows.0, row.to_vec()));
        Ok(found.map(|value| out.extend_from_slice(value)).is_some())
    }

    fn rows(
        &mut self,
        _: &[u8],
        rows: RowsId,
        from: &[u8],
        to: &[u8],
        seen: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        for ((_, row), value) in self.rows.range((rows.0, from.to_vec())..(rows.0, to.to_vec())) {
            if !seen(row, value) {
                break;
            }
        }
        Ok(())
    }

    fn rows_back(
        &mut self,
        _: &[u8],
        _: RowsId,
        _: &[u8],
        _: &[u8],
        _: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Stop> {
        unreachable!("strings do not ask this")
    }

    fn put_row(&mut self, _: &[u8], rows: RowsId, row: &[u8], value: &[u8]) -> Result<(), Stop> {
        self.written += value.len();
        self.rows.insert((rows.0, row.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete_row(&mut self, _: &[u8], _: RowsId, _: &[u8]) -> Result<(), Stop> {
        unreachable!("strings do not ask this")
    }

    fn delete_rows(&mut self, _: &[u8], _: RowsId, _: &[u8], _: &[u8]) -> Result<(), Stop> {
        unreachable!("strings do not ask this")
    }

    fn touch(&mut self, _: &[u8]) -> Result<(), Stop> {
        Ok(())
    }

    fn heavy(&mut self, _: u64) -> Result<(), Stop> {
        Ok(())
    }

    fn walk(&mut self, _: Seek<'_>, _: &[u8], _: usize, _: &mut dyn FnMut(&[u8], &Record<'_>)) -> Result<Page, Stop> {
        unreachable!("strings do not ask this")
    }

    fn cursor(&mut self, _: &[u8]) -> u64 {
        unreachable!("strings do not ask this")
    }

    fn cursor_key(&mut self, _: u64) -> Option<Vec<u8>> {
        unreachable!("strings do not ask this")
    }

    fn random_key(&mut self) -> Result<Option<Vec<u8>>, Stop> {
        unreachable!("strings do not ask this")
    }

    fn count(&mut self) -> Result<u64, Stop> {
        unreachable!("strings do not ask this")
    }

    fn clear(&mut self) -> Result<(), Stop> {
        unreachable!("strings do not ask this")
    }

    fn usage(&mut self, _: &[u8]) -> Result<Option<Usage>, Stop> {
        unreachable!("strings do not ask this")
    }
}

/// Bytes that differ from chunk to chunk and are never zero.
fn filler(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| ((at / 7 + at % 251 + usize::from(seed)) % 255) as u8 + 1).collect()
}

fn write_model(model: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let end = offset as usize + bytes.len();
    model.resize(model.len().max(end), 0);
    model[offset as usize..end].copy_from_slice(bytes);
}

#[test]
fn a_gap_costs_nothing() {
    let mut view = OneKey::new(100);
    assert_eq!(write(&mut view, KEY, 1 << 30, b"x"), Ok((1 << 30) + 1));
    assert!(view.rows.is_empty());
    assert!(view.written < 2 * CHUNK);
    assert_eq!(view.part(1 << 29, (1 << 29) + 3), [0, 0, 0]);
    assert_eq!(view.part(1 << 30, u64::MAX), b"x");
}

#[test]
fn appending_writes_what_is_appended() {
    let mut view = OneKey::new(100);
    set(&mut view, KEY, &filler(10 * CHUNK + 5, 1), None).unwrap();
    view.written = 0;
    write(&mut view, KEY, 10 * C + 5, b"abc").unwrap();
    assert_eq!(view.written, 3 + 8, "the bytes, and the length");
}

#[test]
fn a_change_in_the_middle_writes_one_chunk() {
    let mut view = OneKey::new(100);
    set(&mut view, KEY, &filler(10 * CHUNK + 5, 1), Some(Millis(9))).unwrap();
    view.written = 0;
    write(&mut view, KEY, 3 * C + 1, b"abc").unwrap();
    assert_eq!(view.written, CHUNK);
    assert_eq!(look(&mut view, KEY).unwrap().unwrap().expire_at, Some(Millis(9)));
}

#[test]
fn exploding_keeps_the_expiry() {
    let mut view = OneKey::new(100);
    set(&mut view, KEY, b"short", Some(Millis(9))).unwrap();
    write(&mut view, KEY, 99, b"beyond").unwrap();
    let shape = look(&mut view, KEY).unwrap().unwrap();
    assert_eq!((shape.len, shape.expire_at), (105, Some(Millis(9))));
    assert!(shape.rows.is_some());
}

#[test]
fn a_header_that_contradicts_itself_is_a_fault() {
    let mut view = OneKey::new(100);
    view.record = Some((head(None), Header { rows: RowsId(1), len: C }.encode(b"")));
    assert!(look(&mut view, KEY).is_ok());
    view.record.as_mut().unwrap().1.push(1);
    assert_eq!(look(&mut view, KEY), Err(StringError::Stop(Stop::Fault)));
    view.record = Some((Head { kind: Kind::Hash, ..head(None) }, Vec::new()));
    assert_eq!(look(&mut view, KEY), Err(StringError::WrongType));
}

/// A change of a string.
#[derive(Clone, Debug)]
enum Change {
    Set { len: usize },
    Write { offset: u64, len: usize },
    Append { len: usize },
}

/// Lengths and offsets near the edges of chunks, and anywhere.
fn near_edges() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0u64..6, -2i64..3).prop_map(|(chunks, off)| (chunks * C).saturating_add_signed(off)),
        0u64..200,
        0u64..6 * C
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let len = || near_edges().prop_map(|len| len as usize);
    prop_oneof![
        1 => len().prop_map(|len| Change::Set { len }),
        6 => (near_edges(), len()).prop_map(|(offset, len)| Change::Write { offset, len: len % (2 * CHUNK + 3) }),
        3 => len().prop_map(|len| Change::Append { len: len % (CHUNK + 3) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn packed_and_exploded_answer_alike(
        threshold in prop_oneof![Just(0usize), Just(50), Just(CHUNK), Just(CHUNK + 1), Just(3 * CHUNK), Just(1 << 20)],
        changes in prop::collection::vec(change(), 1..12),
        parts in prop::collection::vec((near_edges(), near_edges()), 4),
    ) {
        let mut view = OneKey::new(threshold);
        let mut model = Vec::new();
        for (seed, change) in changes.into_iter().enumerate() {
            match change {
                Change::Set { len } => {
                    model = filler(len, seed as u8);
                    set(&mut view, KEY, &model, None).unwrap();
                }
                Change::Write { offset, len } => {
                    let bytes = filler(len, seed as u8);
                    write_model(&mut model, offset, &bytes);
                    prop_assert_eq!(write(&mut view, KEY, offset, &bytes), Ok(model.len() as u64));
                }
                Change::Append { len } => {
                    let bytes = filler(len, seed as u8);
                    let offset = model.len() as u64;
                    model.extend_from_slice(&bytes);
                    prop_assert_eq!(write(&mut view, KEY, offset, &bytes), Ok(model.len() as u64));
                }
            }
            view.expect(&model);
        }
        for (from, to) in parts {
            let end = (to as usize).min(model.len());
            let expected = model.get(from as usize..end).unwrap_or_default();
            prop_assert_eq!(view.part(from, to), expected);
        }
    }

    #[test]
    fn zeros_and_sparse_writes_read_back(
        writes in prop::collection::vec((0u64..40, 0u64..C, 0usize..40, any::<bool>()), 1..8),
    ) {
        let mut view = OneKey::new(0);
        let mut model = Vec::new();
        for (chunk, offset, len, zero) in writes {
            let bytes = if zero { vec![0; len] } else { filler(len, 3) };
            write_model(&mut model, chunk * C + offset, &bytes);
            write(&mut view, KEY, chunk * C + offset, &bytes).unwrap();
            view.expect(&model);
        }
    }
}
