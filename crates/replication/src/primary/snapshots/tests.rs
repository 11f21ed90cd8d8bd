//! What becomes of copies that nobody fetches any more. Fetching itself is tested against real servers.

use engine::memory_store::MemoryStores;
use replication_proto::{Path, RunId};

use super::*;

const REPLICA: NodeId = NodeId([7; 20]);

/// A primary.
struct Root;

impl Node for Root {
    fn id(&self) -> NodeId {
        NodeId([1; 20])
    }

    fn run(&self) -> RunId {
        RunId([2; 20])
    }

    fn role_generation(&self) -> u64 {
        0
    }

    fn path(&self) -> Path {
        Path { nodes: vec![self.id()], root: replication_proto::Root::Primary }
    }

    fn standing(&self, _db: Db) -> Standing {
        Standing::Primary
    }

    fn now_ms(&self) -> u64 {
        0
    }
}

/// Copies whose clock is ahead by so much.
fn later(mut snapshots: Arc<Snapshots>, by: Duration) -> Arc<Snapshots> {
    let own = Arc::get_mut(&mut snapshots).expect("nobody makes a copy now");
    own.started = own.started.checked_sub(by).expect("the machine runs longer than a lease");
    snapshots
}

fn ask(snapshots: &Arc<Snapshots>, request: &SnapshotRequest) -> String {
    String::from_utf8_lossy(&snapshots.answer(request)).into_owned()
}

#[test]
fn a_copy_that_goes_on_after_an_interruption_is_one_copy() {
    let dir = tempfile::tempdir().unwrap();
    let clock = engine::instance::system_clock();
    let options = engine::Options::new(dir.path(), Arc::new(MemoryStores::default()));
    let (instance, _) = Instance::open(options, clock).unwrap();
    let snapshots = Arc::new(Snapshots::new(Arc::clone(&instance), Arc::new(Root), 2));
    let lease_of = |node| {
        let open = SnapshotRequest::Open { version: VERSION, node, db: Db(0) };
        while !ask(&snapshots, &open).contains("SNAPSHOT") {}
        snapshots.state.lock().leases.iter().map(|(id, _)| id.0).max().unwrap()
    };
    lease_of(REPLICA);
    let lease = lease_of(REPLICA);
    assert_eq!(snapshots.granted(), 1, "it asked again for what it had begun to fetch");
    lease_of(NodeId([8; 20]));
    assert_eq!(snapshots.granted(), 2);
    assert!(ask(&snapshots, &SnapshotRequest::Close { lease }).contains("OK"));
    lease_of(REPLICA);
    assert_eq!(snapshots.granted(), 3, "it had all of it, and wants another one");
}

/// A replica died in the middle of a copy: the files and the log that were kept for it are let go.
#[test]
fn case_12_a_lease_of_a_replica_that_died_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let clock = engine::instance::system_clock();
    let options = engine::Options::new(dir.path(), Arc::new(MemoryStores::default()));
    let (instance, _) = Instance::open(options, clock).unwrap();
    let snapshots = Arc::new(Snapshots::new(Arc::clone(&instance), Arc::new(Root), 1));
    let open = |node| SnapshotRequest::Open { version: VERSION, node, db: Db(0) };
    while !ask(&snapshots, &open(REPLICA)).contains("SNAPSHOT") {}
    snapshots.state.lock().makers.drain(..).for_each(|maker| maker.join().unwrap());
    let lease = snapshots.state.lock().leases.iter().map(|(id, _)| id.0).max().unwrap();
    let files = || fs::read_dir(dir.path().join(FOLDER)).map_or(0, Iterator::count);
    let busy = ask(&snapshots, &open(NodeId([8; 20])));
    assert!(busy.contains("BUSYSYNC"), "the only slot is taken: {busy}");
    let life = Duration::from_millis(Leases::LIFE.0);
    let snapshots = later(snapshots, life / 2);
    // A word of the replica in between is worth another life.
    assert!(ask(&snapshots, &SnapshotRequest::Keep { lease }).contains("OK"));
    let snapshots = later(snapshots, life * 3 / 4);
    snapshots.tidy(u64::MAX);
    assert_eq!((snapshots.fetching(), files()), (vec![(REPLICA, Db(0))], 1));
    let snapshots = later(snapshots, life / 2);
    snapshots.tidy(u64::MAX);
    assert_eq!((snapshots.fetching(), files()), (Vec::new(), 0), "it is over");
    assert!(snapshots.state.lock().copies.is_empty(), "and the log is not kept for it any more");
    assert!(ask(&snapshots, &SnapshotRequest::Keep { lease }).contains("NOLEASE"));
    while !ask(&snapshots, &open(NodeId([8; 20]))).contains("SNAPSHOT") {}
}
