//! The table of replicas. Links are tested against real servers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lineage::Lsn;
use replication_proto::{Db, NodeId};

use super::connection::Announced;
use super::replicas::{Measure, Need, ReplicaState, Replicas};
use crate::wire::Ack;

const ONE: NodeId = NodeId([1; 20]);
const TWO: NodeId = NodeId([2; 20]);

fn ack(received: u64, applied: u64, synced: u64) -> Ack {
    Ack { received: Lsn(received), applied: Lsn(applied), synced: Lsn(synced) }
}

/// The generation of the logs.
const NOW: u64 = 7;

/// What a replica says that takes part in nothing.
fn none() -> BTreeSet<Db> {
    BTreeSet::new()
}

fn need(db: u32, lsn: u64) -> Need {
    Need { db: Db(db), generation: NOW, lsn: Lsn(lsn) }
}

#[test]
fn replicas_count_for_what_they_acknowledged_on_links_that_are_up() {
    let (mut replicas, now) = (Replicas::default(), Instant::now());
    for (node, applied, synced) in [(ONE, 100, 50), (TWO, 80, 80)] {
        let link = replicas.follow(node, (Db(0), NOW), Lsn(10), now);
        assert!(replicas.acknowledge((node, Db(0), link), ack(100, applied, synced), Lsn(100), now));
    }
    assert_eq!(replicas.count(&[], Measure::Applied), 2);
    assert_eq!(replicas.count(&[need(0, 80)], Measure::Applied), 2);
    assert_eq!(replicas.count(&[need(0, 81)], Measure::Applied), 1);
    assert_eq!(replicas.count(&[need(0, 81)], Measure::Synced), 0);
    assert_eq!(replicas.count(&[need(0, 1), need(1, 1)], Measure::Applied), 0, "of database 1 nobody has anything");
    let held = |count, measure| replicas.held_by((Db(0), NOW), count, measure).0;
    assert_eq!((held(1, Measure::Applied), held(2, Measure::Applied), held(3, Measure::Applied)), (100, 80, 0));
    assert_eq!((held(1, Measure::Synced), held(2, Measure::Synced)), (80, 50));
    assert_eq!(held(0, Measure::Synced), u64::MAX);
}

#[test]
fn what_was_acknowledged_of_another_history_counts_for_nothing() {
    let (mut replicas, now) = (Replicas::default(), Instant::now());
    let old = replicas.follow(ONE, (Db(0), NOW - 1), Lsn(0), now);
    assert!(replicas.acknowledge((ONE, Db(0), old), ack(90, 90, 90), Lsn(90), now), "its link has not ended yet");
    assert_eq!(replicas.count(&[need(0, 50)], Measure::Synced), 0);
    assert_eq!(replicas.held_by((Db(0), NOW), 1, Measure::Synced), Lsn(0));
    let new = replicas.follow(ONE, (Db(0), NOW), Lsn(0), now);
    assert!(replicas.acknowledge((ONE, Db(0), new), ack(60, 60, 60), Lsn(90), now));
    assert_eq!(replicas.count(&[need(0, 50)], Measure::Synced), 1);
    assert_eq!(replicas.held_by((Db(0), NOW), 1, Measure::Synced), Lsn(60));
}

#[test]
fn what_a_replica_has_when_it_continues_counts_as_applied_but_not_as_durable() {
    let (mut replicas, now) = (Replicas::default(), Instant::now());
    replicas.follow(ONE, (Db(0), NOW), Lsn(70), now);
    assert_eq!(replicas.count(&[need(0, 70)], Measure::Applied), 1);
    assert_eq!(replicas.count(&[need(0, 70)], Measure::Synced), 0);
}

#[test]
fn a_later_link_takes_the_place_of_an_earlier_one() {
    let (mut replicas, now) = (Replicas::default(), Instant::now());
    let early = replicas.follow(ONE, (Db(0), NOW), Lsn(0), now);
    let late = replicas.follow(ONE, (Db(0), NOW), Lsn(0), now);
    assert!(!replicas.acknowledge((ONE, Db(0), early), ack(9, 9, 9), Lsn(9), now));
    replicas.unfollow(ONE, Db(0), early);
    assert!(
        replicas.acknowledge((ONE, Db(0), late), ack(5, 5, 5), Lsn(9), now),
        "the early one's end ends only itself"
    );
    assert!(replicas.acknowledge((ONE, Db(0), late), ack(3, 3, 3), Lsn(9), now));
    assert_eq!(replicas.held_by((Db(0), NOW), 1, Measure::Synced), Lsn(5), "nothing is taken back");
    replicas.unfollow(ONE, Db(0), late);
    assert_eq!(replicas.count(&[], Measure::Applied), 0);
    let (early, late) =
        (replicas.enter(ONE, Announced::default(), now), replicas.enter(ONE, Announced::default(), now));
    assert!(!replicas.heard(ONE, early, none(), now) && replicas.heard(ONE, late, none(), now));
    replicas.leave(ONE, early);
    assert_eq!(replicas.view(&[], now).len(), 1);
    replicas.leave(ONE, late);
    assert_eq!(replicas.view(&[], now), []);
}

#[test]
fn a_replica_is_online_when_it_follows_with_every_database() {
    let (mut replicas, now) = (Replicas::default(), Instant::now());
    let shards = [(Db(0), Lsn(100)), (Db(3), Lsn(50))];
    replicas.enter(ONE, Announced { address: "h".to_owned(), port: 7 }, now);
    replicas.follow(ONE, (Db(0), NOW), Lsn(100), now);
    let state = |replicas: &Replicas| replicas.view(&shards, now)[0].state;
    assert_eq!(state(&replicas), ReplicaState::Syncing);
    assert_eq!(replicas.good(&shards, Duration::ZERO, now), 0);
    replicas.follow(ONE, (Db(3), NOW), Lsn(20), now);
    assert_eq!(state(&replicas), ReplicaState::Online);
    assert_eq!(replicas.view(&shards, now)[0].offset(), 120);
    let later = now + Duration::from_secs(11);
    assert_eq!(replicas.good(&shards, Duration::from_secs(10), now), 1);
    assert_eq!(replicas.good(&shards, Duration::from_secs(10), later), 0, "it was not heard for long");
    assert_eq!(replicas.good(&shards, Duration::ZERO, later), 1, "no bound");
    assert_eq!(replicas.view(&shards, later)[0].silence, Duration::from_secs(11));
}

#[test]
fn what_was_detached_there_is_not_lacking() {
    let (mut replicas, now) = (Replicas::default(), Instant::now());
    let shards = [(Db(0), Lsn(100)), (Db(3), Lsn(50))];
    let link = replicas.enter(ONE, Announced::default(), now);
    let online = |parts: &[u32], replicas: &mut Replicas| {
        assert!(replicas.heard(ONE, link, parts.iter().map(|db| Db(*db)).collect(), now));
        replicas.online(&shards)
    };
    assert_eq!(online(&[0, 3], &mut replicas), 0, "it fetches both");
    replicas.follow(ONE, (Db(0), NOW), Lsn(100), now);
    assert_eq!(online(&[0, 3], &mut replicas), 0, "database 3 is yet to come");
    assert_eq!(online(&[0], &mut replicas), 1);
    assert_eq!(replicas.good(&shards, Duration::ZERO, now), 1);
    assert_eq!(online(&[], &mut replicas), 0, "it has not said");
    replicas.follow(ONE, (Db(3), NOW), Lsn(0), now);
    assert_eq!(online(&[], &mut replicas), 1);
}

#[test]
fn lag_counts_from_when_a_replica_last_had_all_that_there_was() {
    let (mut replicas, start) = (Replicas::default(), Instant::now());
    replicas.enter(ONE, Announced::default(), start);
    let link = replicas.follow(ONE, (Db(0), NOW), Lsn(0), start);
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut say = |applied: u64, end: u64, seconds: u64| {
        assert!(replicas.acknowledge((ONE, Db(0), link), ack(applied, applied, 0), Lsn(end), at(seconds)));
        replicas.view(&[(Db(0), Lsn(end))], at(seconds))[0].shards[0].behind_for.as_secs()
    };
    assert_eq!(say(10, 10, 0), 0);
    assert_eq!(say(10, 20, 1), 0);
    assert_eq!(say(15, 30, 4), 3, "it has not reached the 20 of second 1");
    assert_eq!(say(25, 40, 5), 0, "it has, by now");
    assert_eq!(say(40, 40, 6), 0);
}
