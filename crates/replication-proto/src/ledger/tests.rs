//! The ledger's golden bytes, what it refuses, and who decides at start.

use super::*;
use alloc::vec::Vec;
use lineage::Lsn;
use proptest::prelude::*;

fn at(host: &str) -> Address {
    Address { host: host.into(), port: 7001 }
}

fn full() -> Ledger {
    let mut ledger = Ledger::new(NodeId([0xab; 20]));
    ledger.primary = Some(at("fe80::1"));
    ledger.file = Some(at("db.example"));
    ledger.detached = [Db(3), Db(5)].into();
    let snapshot = SnapshotId::new("snap-17");
    ledger.syncs.insert(Db(0), UnfinishedSync { reason: SyncReason::Diverged(Lsn(4100)), attempts: 2, snapshot });
    ledger.syncs.insert(Db(1), UnfinishedSync { reason: SyncReason::Empty, attempts: 0, snapshot: None });
    ledger
}

#[test]
fn golden_bytes() {
    let golden = "haypile-ledger 1\n\
        node abababababababababababababababababababab\n\
        primary fe80::1 7001\n\
        file db.example 7001\n\
        detached 3\n\
        detached 5\n\
        sync 0 diverged@4100 2 snap-17\n\
        sync 1 empty 0 -\n\
        crc b6382afd\n";
    assert_eq!(full().encode(), golden);
    assert_eq!(Ledger::decode(golden.as_bytes()), Ok(full()));
}

#[test]
fn the_checksum_is_the_usual_one() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn any_damaged_byte_is_noticed() {
    let good = full().encode().into_bytes();
    for at in 0..good.len() {
        for flip in [1, 0x10, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            assert!(Ledger::decode(&bad).is_err(), "byte {at} flipped by {flip}");
        }
        assert!(Ledger::decode(&good[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn a_newer_version_is_named() {
    assert_eq!(Ledger::decode(b"haypile-ledger 2\nwhatever"), Err(LedgerError::Version(2)));
}

#[test]
fn another_spelling_is_refused() {
    let sealed = |body: &str| format!("{body}crc {:08x}\n", crc32c(body.as_bytes()));
    let node = "haypile-ledger 1\nnode abababababababababababababababababababab\n";
    assert!(Ledger::decode(sealed(node).as_bytes()).is_ok());
    let wrong = [
        "detached 5\ndetached 3\n",
        "detached 3\ndetached 3\n",
        "detached 03\n",
        "primary h 70000\n",
        "primary h\n",
        "primary h i 7\n",
        "sync 1 empty 0\n",
        "sync 1 why 0 -\n",
        "sync 1 diverged@ 0 -\n",
        "color red\n",
        "\n",
    ];
    for lines in wrong {
        assert_eq!(Ledger::decode(sealed(&format!("{node}{lines}")).as_bytes()), Err(LedgerError::Syntax), "{lines}");
    }
}

#[test]
fn a_file_that_was_changed_wins_and_one_that_was_not_does_not() {
    let ledger = full();
    assert_eq!(ledger.clone().at_start(Some(at("db.example"))), (ledger.clone(), Decided::ByLedger));
    let (changed, decided) = ledger.clone().at_start(Some(at("other")));
    assert_eq!((changed.primary, changed.file, decided), (Some(at("other")), Some(at("other")), Decided::ByFile));
    let (freed, decided) = ledger.at_start(None);
    assert_eq!((freed.primary, freed.file, decided), (None, None, Decided::ByFile));
    assert!(freed.syncs.is_empty() && freed.detached.is_empty());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Ledger::decode(&bytes);
    }

    #[test]
    fn text_loses_nothing(
        hosts in prop::collection::vec("[!-~]{1,20}", 0..3),
        detached in prop::collection::btree_set(any::<u32>().prop_map(Db), 0..4),
        syncs in prop::collection::btree_map(any::<u32>().prop_map(Db), (any::<u64>(), any::<u32>(), "[!-~]{1,64}"), 0..4),
    ) {
        let mut hosts = hosts.into_iter().map(|host| Address { host, port: 1 });
        let syncs = syncs.into_iter().map(|(db, (at, attempts, name))| {
            let snapshot = SnapshotId::new(&name);
            (db, UnfinishedSync { reason: SyncReason::Diverged(Lsn(at)), attempts, snapshot })
        });
        let ledger = Ledger { node: NodeId([9; 20]), primary: hosts.next(), file: hosts.next(), detached, syncs: syncs.collect() };
        let bytes: Vec<u8> = ledger.encode().into();
        prop_assert_eq!(Ledger::decode(&bytes), Ok(ledger));
    }
}
