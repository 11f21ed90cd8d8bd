//! Which segments a log has, and how long each must stay: [`Pin`] is a named lease on everything from an LSN on.

use std::sync::Arc;

use lineage::Lsn;
use parking_lot::Mutex;

/// The segments of a log and the leases on them.
#[derive(Default)]
pub(crate) struct Catalog(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// The first LSNs of the segments, in order. The last one is being written.
    firsts: Vec<Lsn>,
    /// What the caller itself wants to keep.
    floor: Lsn,
    pins: Vec<(u64, String, Lsn)>,
    next_pin: u64,
}

impl Catalog {
    pub(crate) fn new(firsts: Vec<Lsn>) -> Catalog {
        assert!(!firsts.is_empty(), "a log has a segment");
        Catalog(Mutex::new(Entries { firsts, ..Entries::default() }))
    }

    /// The first LSN that is there.
    pub(crate) fn start(&self) -> Lsn {
        self.0.lock().firsts[0]
    }

    /// The first LSNs of all segments.
    pub(crate) fn firsts(&self) -> Vec<Lsn> {
        self.0.lock().firsts.clone()
    }

    /// The segment that holds `lsn` and the first LSN of the one after it; `None` if `lsn` was trimmed.
    pub(crate) fn locate(&self, lsn: Lsn) -> Option<(Lsn, Option<Lsn>)> {
        let entries = self.0.lock();
        let after = entries.firsts.partition_point(|&first| first <= lsn);
        let first = *entries.firsts.get(after.checked_sub(1)?)?;
        Some((first, entries.firsts.get(after).copied()))
    }

    /// Notes a new last segment. A segment that holds nothing is replaced by one of the same first LSN.
    pub(crate) fn add(&self, first: Lsn) {
        let mut entries = self.0.lock();
        let last = entries.firsts.last().copied();
        assert!(last.is_none_or(|last| last <= first), "segments are added in order");
        if last != Some(first) {
            entries.firsts.push(first);
        }
    }

    pub(crate) fn set_floor(&self, floor: Lsn) {
        self.0.lock().floor = floor;
    }

    /// Takes the oldest segment off the list if nothing needs it and it is not the last one.
    pub(crate) fn retire_oldest(&self) -> Option<Lsn> {
        let mut entries = self.0.lock();
        let needed = entries.pins.iter().map(|pin| pin.2).fold(entries.floor, Lsn::min);
        let ends = *entries.firsts.get(1)?;
        (ends <= needed).then(|| entries.firsts.remove(0))
    }

    /// Everyone who holds a lease, and from where on.
    pub(crate) fn pins(&self) -> Vec<(String, Lsn)> {
        self.0.lock().pins.iter().map(|(_, name, lsn)| (name.clone(), *lsn)).collect()
    }

    /// A lease on everything from `lsn` on; `None` if that is already trimmed.
    pub(crate) fn pin(self: &Arc<Self>, name: &str, lsn: Lsn) -> Option<Pin> {
        let mut entries = self.0.lock();
        if lsn < entries.firsts[0] {
            return None;
        }
        let id = entries.next_pin;
        entries.next_pin += 1;
        entries.pins.push((id, name.to_owned(), lsn));
        Some(Pin { catalog: self.clone(), id, lsn })
    }
}

/// A lease: while it lives, nothing from its LSN on is trimmed. Dropping it ends the lease.
pub struct Pin {
    catalog: Arc<Catalog>,
    id: u64,
    lsn: Lsn,
}

impl Pin {
    /// From where on the log is kept.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// Gives up what lies below `lsn`. A lease never goes back: a lower `lsn` changes nothing.
    pub fn advance(&mut self, lsn: Lsn) {
        self.lsn = self.lsn.max(lsn);
        let mut entries = self.catalog.0.lock();
        if let Some(pin) = entries.pins.iter_mut().find(|pin| pin.0 == self.id) {
            pin.2 = self.lsn;
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.catalog.0.lock().pins.retain(|pin| pin.0 != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Arc<Catalog> {
        Arc::new(Catalog::new(vec![Lsn(0), Lsn(100), Lsn(200)]))
    }

    #[test]
    fn a_position_is_in_the_segment_that_begins_before_it() {
        let catalog = catalog();
        assert_eq!(catalog.locate(Lsn(99)), Some((Lsn(0), Some(Lsn(100)))));
        assert_eq!(catalog.locate(Lsn(100)), Some((Lsn(100), Some(Lsn(200)))));
        assert_eq!(catalog.locate(Lsn(999)), Some((Lsn(200), None)));
        catalog.set_floor(Lsn(100));
        assert_eq!(catalog.retire_oldest(), Some(Lsn(0)));
        assert_eq!(catalog.locate(Lsn(99)), None);
    }

    #[test]
    fn the_lowest_lease_decides_and_the_last_segment_stays() {
        let catalog = catalog();
        let mut pin = catalog.pin("backup", Lsn(50)).unwrap();
        let other = catalog.pin("replica", Lsn(150)).unwrap();
        catalog.set_floor(Lsn(500));
        assert_eq!(catalog.retire_oldest(), None);
        pin.advance(Lsn(100));
        pin.advance(Lsn(0));
        assert_eq!(catalog.pins(), [("backup".to_owned(), Lsn(100)), ("replica".to_owned(), Lsn(150))]);
        assert_eq!(catalog.retire_oldest(), Some(Lsn(0)));
        assert_eq!(catalog.retire_oldest(), None);
        drop((pin, other));
        assert_eq!(catalog.retire_oldest(), Some(Lsn(100)));
        assert_eq!(catalog.retire_oldest(), None);
        assert!(catalog.pin("late", Lsn(100)).is_none());
    }

    #[test]
    fn an_empty_last_segment_is_replaced() {
        let catalog = catalog();
        catalog.add(Lsn(200));
        catalog.add(Lsn(300));
        assert_eq!(catalog.firsts(), [Lsn(0), Lsn(100), Lsn(200), Lsn(300)]);
    }
}
