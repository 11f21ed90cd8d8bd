//! Leases live, are shared, end, and pin the log.

use super::*;
use proptest::prelude::*;

const A: NodeId = NodeId([b'a'; 20]);
const B: NodeId = NodeId([b'b'; 20]);

fn snapshot(name: &str) -> SnapshotId {
    SnapshotId::new(name).unwrap()
}

fn open(leases: &mut Leases, at: u64, node: NodeId, finish: u64) -> Result<LeaseId, LeaseError> {
    leases.open(Millis(at), (Db(0), node), (snapshot("s1"), Lsn(finish)), 2)
}

#[test]
fn a_lease_lives_while_it_is_renewed() {
    let mut leases = Leases::new(7);
    let id = open(&mut leases, 0, A, 100).unwrap();
    assert_eq!(id, LeaseId(7));
    assert!(leases.renew(Millis(59_999), id).is_ok());
    assert_eq!(leases.deadline(), Some(Millis(119_999)));
    assert!(leases.expire(Millis(119_998)).is_empty());
    assert!(leases.uses(&snapshot("s1")));
    assert_eq!(leases.renew(Millis(119_999), id).map(|_| ()), Err(LeaseError::Unknown), "late, though not yet removed");
    assert_eq!(leases.expire(Millis(119_999)).len(), 1);
    assert!(!leases.uses(&snapshot("s1")));
    assert_eq!((leases.pin(Db(0)), leases.deadline()), (None, None));
}

/// The snapshot is not deleted while anybody fetches it, and the log is kept until the replica has continued.
#[test]
fn case_12_a_snapshot_lives_as_long_as_somebody_fetches_it() {
    let mut leases = Leases::new(1);
    let (a, b) = (open(&mut leases, 0, A, 100).unwrap(), open(&mut leases, 0, B, 100).unwrap());
    leases.close(Millis(10), a).unwrap();
    assert!(leases.uses(&snapshot("s1")), "b still reads");
    leases.close(Millis(20), b).unwrap();
    assert!(!leases.uses(&snapshot("s1")));
    assert_eq!(leases.renew(Millis(21), a).map(|_| ()), Err(LeaseError::Unknown));
    assert_eq!(leases.pin(Db(0)), Some(Lsn(100)));
    leases.continued(A, Db(0), Lsn(99));
    leases.continued(A, Db(1), Lsn(200));
    assert_eq!(leases.iter().count(), 2, "from before, or of another shard");
    leases.continued(A, Db(0), Lsn(100));
    leases.continued(B, Db(0), Lsn(150));
    assert_eq!(leases.pin(Db(0)), None);
}

#[test]
fn case_17_no_more_replicas_fetch_than_may() {
    let mut leases = Leases::new(1);
    let a = open(&mut leases, 0, A, 100).unwrap();
    open(&mut leases, 0, B, 100).unwrap();
    let third = NodeId([b'c'; 20]);
    assert_eq!(open(&mut leases, 0, third, 100), Err(LeaseError::Busy));
    let again = open(&mut leases, 1, A, 120).unwrap();
    assert_ne!(a, again, "the same replica asks anew");
    assert_eq!(leases.renew(Millis(2), a).map(|_| ()), Err(LeaseError::Unknown));
    assert_eq!(leases.pin(Db(0)), Some(Lsn(100)));
    leases.close(Millis(3), again).unwrap();
    assert!(open(&mut leases, 4, third, 130).is_ok(), "files given back make room");
    leases.revoke(Db(0));
    assert_eq!(leases.iter().count(), 0);
}

proptest! {
    #[test]
    fn the_log_is_kept_for_the_slowest_but_not_without_bound(needs in prop::collection::vec(0..1_000_u64, 0..5), end in 1_000..2_000_u64, most in 0..2_000_u64) {
        let floor = retention_floor(needs.iter().map(|need| Lsn(*need)), Lsn(end), most);
        match needs.iter().min() {
            None => prop_assert_eq!(floor, None),
            Some(slowest) => {
                let floor = floor.unwrap().0;
                prop_assert!(floor >= *slowest && end - floor <= most.max(end - slowest));
                prop_assert!(floor == *slowest || end - floor == most);
            }
        }
    }
}
