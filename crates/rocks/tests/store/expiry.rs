//! Expired records are reported by compactions, and left where they are.

use super::*;
use engine::store::ExpiredRecord;

#[test]
fn a_compaction_reports_what_expired_before_the_horizon_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .write(&[
            put(b"gone", &string(11, Some(999), b"v")),
            put(b"here", &string(12, Some(1000), b"v")),
            put(b"old version", &string(13, Some(1), b"v")),
            put(b"stays", &string(14, None, b"v")),
        ])
        .unwrap();
    store.flush().unwrap();
    store.compact().unwrap();
    assert_eq!(store.take_expired(10), [], "no horizon, no report");

    store.write(&[put(b"old version", &string(15, None, b"v"))]).unwrap();
    store.set_expiry_horizon(Millis(1000));
    store.compact().unwrap();
    assert_eq!(store.take_expired(10), [ExpiredRecord { key: b"gone".to_vec(), lsn: 11 }]);
    assert_eq!(store.take_expired(10), []);
    assert_eq!(record(&*store, b"gone"), Some(string(11, Some(999), b"v")));
    assert_eq!(keys(store.records(b"", b"").unwrap()).len(), 4);

    store.compact().unwrap();
    assert_eq!(store.take_expired(0), []);
    assert_eq!(store.take_expired(1).len(), 1, "not removed, so met again");
}
