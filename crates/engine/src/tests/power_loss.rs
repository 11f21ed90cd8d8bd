//! A primary whose power fails: what it had not synced is gone, and what comes instead is never taken for it.

use std::fs::File;

use lineage::{Fork, Lsn};

use super::Rig;
use crate::role::{Origin, Role};

/// The log's file is cut where it was synced last, as if the rest had never reached the disk.
fn lose_unsynced(rig: &mut Rig) {
    let (synced, segment) = {
        let shard = rig.shard(0);
        (shard.log.synced(), shard.log.segments().pop().unwrap())
    };
    rig.kill();
    rig.store(0).crash();
    let file = File::options().write(true).open(&segment.path).unwrap();
    file.set_len(replog::SEGMENT_HEADER as u64 + synced.since(segment.first)).unwrap();
    rig.open();
}

fn fork(primary: &Origin, replica: &Origin) -> Fork {
    primary.lineage.fork_point(primary.end, &replica.lineage, replica.end)
}

#[test]
fn a_primary_that_lost_its_tail_is_of_another_history_than_its_replica() {
    for later in [0, 1, 5] {
        let mut primary = Rig::with(|options| options.log_retain_bytes = u64::MAX);
        let mut replica = Rig::with(|options| options.role = Role::Replica);
        primary.set("a", "1");
        crate::settle::sync(&primary.shard(0), primary.shard(0).log.end().0).unwrap();
        let synced = primary.shard(0).log.end();
        primary.set("lost", "1");
        primary.write_logs();
        // The replica has what was written, synced or not.
        super::apply::feed(&primary, &replica, 1000, usize::MAX);
        let before = primary.shard(0).origin();
        assert_eq!(fork(&before, &replica.shard(0).origin()), Fork::At(before.end), "it may go on");

        lose_unsynced(&mut primary);
        for n in 0..later {
            primary.set(&format!("other{n}"), "1");
        }
        // As before anybody is told of it.
        primary.instance().begin_reign(0, primary.clock).unwrap();
        let now = primary.shard(0).origin();
        let era = *now.lineage.current().unwrap();
        assert_eq!((now.start, era.first), (Lsn(0), synced), "the new era begins where the old log ends now");
        assert!(now.end > era.first && now.generation != before.generation);
        assert!(!before.lineage.eras().iter().any(|old| old.id == era.id));
        let theirs = replica.shard(0).origin();
        assert_eq!(fork(&now, &theirs), Fork::At(synced), "they part where the loss began");
        assert!(theirs.end > synced, "so the replica cannot go on");
        assert_eq!((primary.get("lost"), replica.get("lost")), (None, Some(b"1".to_vec())));
        primary.write_logs();

        // The other way round: the replica takes over, and the old primary is what has parted.
        replica.instance().promote().unwrap();
        assert_eq!(fork(&replica.shard(0).origin(), &now), Fork::At(synced));
    }
}

#[test]
fn a_reign_survives_the_power_cut_after_it() {
    let mut rig = Rig::with(|options| options.role = Role::Replica);
    rig.instance().promote().unwrap();
    rig.instance().begin_reign(0, rig.clock).unwrap();
    let promoted = rig.shard(0).origin();
    rig.options.role = Role::Replica;
    lose_unsynced(&mut rig);
    let after = rig.shard(0).origin();
    assert_eq!((after.lineage, after.end), (promoted.lineage, promoted.end));
}
