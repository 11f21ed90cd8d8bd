//! Golden bytes, round trips, and bytes that are no messages.

use lineage::{Epoch, Era, Lineage, Lsn, ReplId};
use proptest::prelude::*;
use replication_proto::{Db, NodeId, Path, Root, RunId, SnapshotId, SyncReason};

use super::*;

fn ids() -> (NodeId, RunId) {
    (NodeId([0xab; 20]), RunId([0xcd; 20]))
}

fn lineage() -> Lineage {
    let mut lineage = Lineage::new();
    lineage.push(Era { epoch: Epoch(1), id: ReplId([7; 20]), first: Lsn(0) }).unwrap();
    lineage
}

fn manifest() -> Manifest {
    let files = vec![
        FileEntry { path: "log/0.seg".to_owned(), size: 4096, checksum: Checksum([1; 32]) },
        FileEntry { path: "store/000007.sst".to_owned(), size: 5, checksum: Checksum([2; 32]) },
    ];
    Manifest {
        id: SnapshotId::new("snap-9").unwrap(),
        db: Db(3),
        lineage: lineage(),
        from: Lsn(10),
        finish: Lsn(20),
        files,
    }
}

fn replica_says() -> Vec<Request> {
    let ack = Ack { received: Lsn(30), applied: Lsn(20), synced: Lsn(10) };
    let (node, run) = ids();
    let question = SyncShard {
        version: 1,
        node,
        primary_run: run,
        role_generation: 4,
        db: Db(2),
        end: Lsn(77),
        lineage: lineage(),
        bound: None,
    };
    vec![
        Request::SyncMeta(SyncMeta { version: 1, node, run, databases: 16, role_generation: 4 }),
        Request::SyncShard(question.clone()),
        Request::SyncShard(SyncShard { bound: Some(SyncReason::Forced), ..question }),
        Request::Heartbeat(ReplicaHeartbeat {
            role_generation: 4,
            now_ms: 1000,
            shards: vec![ShardAck { db: Db(0), ack }, ShardAck { db: Db(5), ack }],
        }),
        Request::Ack(ack),
        Request::Snapshot(SnapshotRequest::Open { version: 1, node, db: Db(1) }),
        Request::Snapshot(SnapshotRequest::Read { lease: 8, file: 2, offset: 4096, length: 100 }),
        Request::Snapshot(SnapshotRequest::Keep { lease: 8 }),
        Request::Snapshot(SnapshotRequest::Close { lease: 8 }),
    ]
}

fn primary_says() -> Vec<Reply<'static>> {
    let (node, run) = ids();
    vec![
        Reply::Ok,
        Reply::Refused(Refusal::new("INCOMPATIBLE other version")),
        Reply::Meta(PrimaryMeta {
            version: 1,
            node,
            run,
            role_generation: 6,
            databases: 16,
            now_ms: 1000,
            path: Path { nodes: vec![node, NodeId([0xcd; 20])], root: Root::Primary },
            shards: vec![ShardMeta { db: Db(1), generation: 5, start: Lsn(0), end: Lsn(9), lineage: lineage() }],
        }),
        Reply::Heartbeat(PrimaryHeartbeat {
            run,
            role_generation: 6,
            now_ms: 1000,
            path: Path { nodes: vec![node], root: Root::Unknown },
            shards: vec![ShardBeat { db: Db(1), generation: 5, start: Lsn(0), end: Lsn(9), synced: Lsn(8) }],
        }),
        Reply::Continue { generation: 5, from: Lsn(9), lineage: lineage() },
        Reply::FullSync { reason: "it is too old".to_owned() },
        Reply::Rewind { to: Lsn(4) },
        Reply::Preparing { percent: 40 },
        Reply::Frames { lsn: Lsn(9), bytes: b"\r\n*1" },
        Reply::Alive { end: Lsn(9), written: Lsn(8), now_ms: 1000 },
        Reply::Fsync,
        Reply::Snapshot { lease: 3, manifest: manifest() },
        Reply::Chunk { crc: 12, bytes: b"content" },
    ]
}

fn request_bytes(request: &Request) -> Vec<u8> {
    let mut out = Vec::new();
    request.encode(&mut out);
    out
}

fn reply_bytes(reply: &Reply<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    reply.encode(&mut out);
    out
}

/// `words` as an array of bulk strings.
fn array(words: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    resp::encode_command(words, &mut out);
    out
}

const LINEAGE: &[u8] = b"\x01\x01\x00\x01\0\0\0\0\0\0\0\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\
      \x07\x07\x07\x07\x07\0\0\0\0\0\0\0\0";
const AB: &[u8] = b"abababababababababababababababababababab";
const CD: &[u8] = b"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

#[test]
fn golden_bytes_of_requests() {
    assert_eq!(request_bytes(&Request::Ack(Ack::default())), b"*4\r\n$3\r\nACK\r\n$1\r\n0\r\n$1\r\n0\r\n$1\r\n0\r\n");
    let golden: Vec<Vec<u8>> = vec![
        array(&[b"SYNCMETA", b"1", AB, CD, b"16", b"4"]),
        array(&[b"SYNCSHARD", b"1", AB, CD, b"4", b"2", b"77", LINEAGE]),
        array(&[b"SYNCSHARD", b"1", AB, CD, b"4", b"2", b"77", LINEAGE, b"forced"]),
        array(&[b"HEARTBEAT", b"4", b"1000", b"0", b"30", b"20", b"10", b"5", b"30", b"20", b"10"]),
        array(&[b"ACK", b"30", b"20", b"10"]),
        array(&[b"SNAPSHOT", b"OPEN", b"1", AB, b"1"]),
        array(&[b"SNAPSHOT", b"READ", b"8", b"2", b"4096", b"100"]),
        array(&[b"SNAPSHOT", b"KEEP", b"8"]),
        array(&[b"SNAPSHOT", b"CLOSE", b"8"]),
    ];
    let bytes: Vec<Vec<u8>> = replica_says().iter().map(request_bytes).collect();
    assert_eq!(bytes, golden);
}

#[test]
fn golden_bytes_of_replies() {
    let path = [AB, b",", CD].concat();
    let lost = [AB, b",?"].concat();
    let golden: Vec<Vec<u8>> = vec![
        b"+OK\r\n".to_vec(),
        b"-INCOMPATIBLE other version\r\n".to_vec(),
        array(&[b"SYNCMETA", b"1", AB, CD, b"6", b"16", b"1000", &path, b"1", b"5", b"0", b"9", LINEAGE]),
        array(&[b"HEARTBEAT", CD, b"6", b"1000", &lost, b"1", b"5", b"0", b"9", b"8"]),
        array(&[b"CONTINUE", b"5", b"9", LINEAGE]),
        array(&[b"FULLSYNC", b"it is too old"]),
        array(&[b"REWIND", b"4"]),
        array(&[b"PREPARING", b"40"]),
        b"*3\r\n$6\r\nFRAMES\r\n$1\r\n9\r\n$4\r\n\r\n*1\r\n".to_vec(),
        array(&[b"ALIVE", b"9", b"8", b"1000"]),
        array(&[b"FSYNC"]),
        array(&[b"SNAPSHOT", b"3", &manifest().encode()]),
        array(&[b"CHUNK", b"12", b"content"]),
    ];
    let bytes: Vec<Vec<u8>> = primary_says().iter().map(reply_bytes).collect();
    assert_eq!(bytes, golden);
}

#[test]
fn golden_bytes_of_a_manifest() {
    let golden = [
        [1].as_slice(),
        &[6],
        b"snap-9",
        &[3, 0, 0, 0],
        &[10, 0, 0, 0, 0, 0, 0, 0],
        &[20, 0, 0, 0, 0, 0, 0, 0],
        &[39, 0, 0, 0],
        LINEAGE,
        &[2, 0, 0, 0],
        &[9, 0],
        b"log/0.seg",
        &[0, 16, 0, 0, 0, 0, 0, 0],
        &[1; 32],
        &[16, 0],
        b"store/000007.sst",
        &[5, 0, 0, 0, 0, 0, 0, 0],
        &[2; 32],
    ]
    .concat();
    assert_eq!(manifest().encode(), golden);
    assert_eq!(Manifest::decode(&golden), Some(manifest()));
    assert_eq!(manifest().bytes(), 4101);
    assert!((0..golden.len()).all(|len| Manifest::decode(&golden[..len]).is_none()));
    assert_eq!(Manifest::decode(&[golden.as_slice(), b"x"].concat()), None);
}

#[test]
fn a_manifest_cannot_name_a_file_elsewhere() {
    for path in ["store/000007.sst", "log/00000000000000000000.seg", "CURRENT", "store/OPTIONS-000005"] {
        assert!(is_safe_path(path), "{path}");
    }
    let long = "a".repeat(MAX_FILE_PATH + 1);
    for path in ["", "/etc", "../x", "a/../b", "a//b", "a/", ".hidden", "a\\b", "c:x", "a b", "a\0b", "é", &long] {
        assert!(!is_safe_path(path), "{path}");
    }
    let swapped = |from: &[u8], to: &[u8]| {
        let bytes = manifest().encode();
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    };
    assert!(Manifest::decode(&swapped(b"log/0.seg", b"log/1.seg")).is_some());
    assert_eq!(Manifest::decode(&swapped(b"log/0.seg", b"../../seg")), None);
    assert_eq!(Manifest::decode(&swapped(b"log/0.seg", b"zog/0.seg")), None, "out of order");
}

#[test]
fn messages_arrive_in_any_pieces() {
    let stream: Vec<u8> = primary_says().iter().flat_map(reply_bytes).collect();
    for step in [1, 2, 3, 7, 64, stream.len()] {
        let mut inbox = Inbox::new(Side::FromPrimary, Vec::new());
        let mut seen = Vec::new();
        for piece in stream.chunks(step) {
            inbox.room().extend_from_slice(piece);
            while let Some(reply) = inbox.next_reply().unwrap() {
                seen.push(reply_bytes(&reply));
            }
        }
        assert_eq!(seen.concat(), stream, "in pieces of {step}");
        assert!(inbox.is_empty());
    }
}

#[test]
fn what_a_session_had_read_already_is_not_lost() {
    let stream: Vec<u8> = replica_says().iter().flat_map(request_bytes).collect();
    let (early, late) = stream.split_at(stream.len() / 2);
    let mut inbox = Inbox::new(Side::FromReplica, early.to_vec());
    let mut seen = Vec::new();
    while let Some(request) = inbox.next_request().unwrap() {
        seen.push(request);
    }
    inbox.room().extend_from_slice(late);
    while let Some(request) = inbox.next_request().unwrap() {
        seen.push(request);
    }
    assert_eq!(seen, replica_says());
}

#[test]
fn a_promised_length_takes_no_memory() {
    let mut inbox = Inbox::new(Side::FromPrimary, b"*3\r\n$6\r\nFRAMES\r\n$1\r\n0\r\n$600000000\r\nab".to_vec());
    assert_eq!(inbox.next_reply(), Ok(None));
    assert!(inbox.room().capacity() < 1 << 20);
}

#[test]
fn memory_of_a_long_message_is_given_back() {
    let frame = vec![b'x'; 8 << 20];
    let mut inbox = Inbox::new(Side::FromPrimary, Vec::new());
    for piece in reply_bytes(&Reply::Frames { lsn: Lsn(0), bytes: &frame }).chunks(100_000) {
        assert_eq!(inbox.next_reply(), Ok(None));
        inbox.room().extend_from_slice(piece);
    }
    assert_eq!(inbox.next_reply(), Ok(Some(Reply::Frames { lsn: Lsn(0), bytes: &frame })));
    assert!(inbox.room().capacity() <= 1 << 20);
}

#[test]
fn what_breaks_a_bound_is_refused() {
    let from_replica = |bytes: &[u8]| Inbox::new(Side::FromReplica, bytes.to_vec()).next_request().unwrap_err();
    assert!(matches!(from_replica(b"GET a\r\n"), WireError::Framing(_)));
    assert!(matches!(from_replica(b"+OK\r\n"), WireError::Framing(_)));
    assert!(matches!(from_replica(b"*1\r\n$100000\r\n"), WireError::Framing(_)));
    assert!(matches!(from_replica(b"*1000000\r\n"), WireError::Framing(_)));
    assert_eq!(from_replica(&array(&[b"GET", b"a"])), WireError::Unknown("GET".to_owned()));
    let wrong = |message, field| WireError::Field { message, field };
    for (words, error) in [
        (vec![b"ACK".as_slice(), b"1", b"2"], wrong("ACK", "synced")),
        (vec![b"ACK", b"1", b"2", b"03"], wrong("ACK", "synced")),
        (vec![b"ACK", b"1", b"2", b"3", b"4"], wrong("ACK", "number of fields")),
        (vec![b"SYNCMETA", b"1", b"ab", CD, b"16", b"4"], wrong("SYNCMETA", "node id")),
        (vec![b"SYNCMETA", b"1", AB, CD, b"2000", b"4"], wrong("SYNCMETA", "number of databases")),
        (vec![b"SYNCSHARD", b"1", AB, CD, b"4", b"2000", b"0", LINEAGE], wrong("SYNCSHARD", "database")),
        (vec![b"SYNCSHARD", b"1", AB, CD, b"4", b"2", b"0", b"x"], wrong("SYNCSHARD", "lineage")),
        (vec![b"SYNCSHARD", b"1", AB, CD, b"4", b"2", b"0", LINEAGE, b"trimmed"], wrong("SYNCSHARD", "reason")),
        (
            vec![b"SYNCSHARD", b"1", AB, CD, b"4", b"2", b"0", LINEAGE, b"stuck", b"x"],
            wrong("SYNCSHARD", "number of fields"),
        ),
        (vec![b"SNAPSHOT", b"READ", b"1", b"0", b"0", b"5000000"], wrong("SNAPSHOT", "length")),
        (vec![b"SNAPSHOT", b"READ", b"1", b"0", b"0", b"0"], wrong("SNAPSHOT", "length")),
        (vec![b"SNAPSHOT", b"BURN", b"1"], wrong("SNAPSHOT", "verb")),
        (
            vec![b"HEARTBEAT", b"4", b"9", b"5", b"3", b"2", b"1", b"5", b"3", b"2", b"1"],
            wrong("HEARTBEAT", "database"),
        ),
    ] {
        assert_eq!(from_replica(&array(&words)), error);
    }
    let from_primary = |bytes: &[u8]| {
        let mut inbox = Inbox::new(Side::FromPrimary, bytes.to_vec());
        inbox.next_reply().map(|reply| reply.is_some()).unwrap_err()
    };
    assert!(matches!(from_primary(b"+PONG\r\n"), WireError::Unknown(_)));
    assert!(matches!(from_primary(b":1\r\n"), WireError::Framing(_)));
    assert!(matches!(from_primary(&vec![b'-'; 20_000]), WireError::Framing(_)));
    let long = vec![AB; Path::MAX + 1].join(&b","[..]);
    let beat = array(&[b"HEARTBEAT", CD, b"6", b"1000", &long]);
    assert_eq!(from_primary(&beat), wrong("HEARTBEAT", "path"));
}

#[test]
fn refusals_tell_their_class_by_their_first_word() {
    for (text, class) in [
        ("NOAUTH Authentication required.", Class::Auth),
        ("WRONGPASS invalid username-password pair or user is disabled.", Class::Auth),
        ("LOADING Redis is loading the dataset in memory", Class::Loading),
        ("INCOMPATIBLE versions", Class::Incompatible),
        ("CYCLE of nodes", Class::Cycle),
        ("ITSELF", Class::Itself),
        ("BUSYSYNC", Class::Busy),
        ("NOLEASE 7", Class::NoLease),
        ("DAMAGED the log", Class::Damaged),
        ("ERR unknown command", Class::Other),
        ("", Class::Other),
    ] {
        assert_eq!(Refusal::new(text).class, class, "{text}");
        let line = format!("-{text}\r\n");
        let mut inbox = Inbox::new(Side::FromPrimary, line.into_bytes());
        assert_eq!(inbox.next_reply(), Ok(Some(Reply::Refused(Refusal { class, text: text.to_owned() }))));
    }
    let two_lines = Reply::Refused(Refusal { class: Class::Other, text: "ERR a\r\nb".to_owned() });
    assert_eq!(reply_bytes(&two_lines), b"-ERR a  b\r\n");
}

fn any_lineage() -> impl Strategy<Value = Lineage> {
    prop::collection::vec((1..1000_u64, 1..1_000_000_u64, any::<[u8; 20]>()), 0..5).prop_map(|steps| {
        let (mut lineage, mut epoch, mut first) = (Lineage::new(), 0, 0);
        for (more, further, id) in steps {
            (epoch, first) = (epoch + more, first + further);
            // An id that occurs twice is refused, and the lineage stays as it is.
            let _ = lineage.push(Era { epoch: Epoch(epoch), id: ReplId(id), first: Lsn(first) });
        }
        lineage
    })
}

prop_compose! {
    fn any_ack()(received: u64, applied: u64, synced: u64) -> Ack {
        Ack { received: Lsn(received), applied: Lsn(applied), synced: Lsn(synced) }
    }
}

fn databases() -> impl Strategy<Value = Vec<Db>> {
    prop::collection::btree_set(0..MAX_DATABASES as u32, 0..6).prop_map(|set| set.into_iter().map(Db).collect())
}

proptest! {
    #[test]
    fn requests_survive_the_wire(
        node: [u8; 20], run: [u8; 20], numbers: [u64; 3], of in databases(), ack in any_ack(), lineage in any_lineage(),
    ) {
        let [version, role_generation, now_ms] = numbers;
        let shards = of.iter().map(|&db| ShardAck { db, ack }).collect();
        let db = of.first().copied().unwrap_or(Db(0));
        let (node, primary_run) = (NodeId(node), RunId(run));
        let requests = [
            Request::SyncMeta(SyncMeta { version, node, run: primary_run, databases: 1024, role_generation }),
            Request::SyncShard(SyncShard {
                version, node, primary_run, role_generation, db, end: ack.received, lineage,
                bound: (numbers[0] % 2 == 0).then_some(SyncReason::Stuck),
            }),
            Request::Heartbeat(ReplicaHeartbeat { role_generation, now_ms, shards }),
            Request::Ack(ack),
        ];
        let mut inbox = Inbox::new(Side::FromReplica, requests.iter().flat_map(request_bytes).collect());
        for request in requests {
            prop_assert_eq!(inbox.next_request(), Ok(Some(request)));
        }
        prop_assert_eq!(inbox.next_request(), Ok(None));
    }

    #[test]
    fn replies_survive_the_wire(
        ids in prop::collection::vec(any::<[u8; 20]>(), 1..Path::MAX), numbers: [u64; 3], of in databases(),
        ack in any_ack(), lineage in any_lineage(), bytes: Vec<u8>, reason in ".{0,100}",
    ) {
        let [generation, role_generation, now_ms] = numbers;
        let (node, run) = (NodeId(ids[0]), RunId(ids[0]));
        let path = Path { nodes: ids.into_iter().map(NodeId).collect(), root: Root::Unknown };
        let (start, end) = (ack.synced, ack.received);
        let metas = of.iter().map(|&db| ShardMeta { db, generation, start, end, lineage: lineage.clone() });
        let beats = of.iter().map(|&db| ShardBeat { db, generation, start, end, synced: ack.applied });
        let replies = [
            Reply::Meta(PrimaryMeta {
                version: 1, node, run, role_generation, databases: 16, now_ms, path: path.clone(), shards: metas.collect(),
            }),
            Reply::Heartbeat(PrimaryHeartbeat { run, role_generation, now_ms, path, shards: beats.collect() }),
            Reply::Continue { generation, from: end, lineage: lineage.clone() },
            Reply::FullSync { reason },
            Reply::Frames { lsn: end, bytes: &bytes },
            Reply::Chunk { crc: 5, bytes: &bytes },
        ];
        let mut inbox = Inbox::new(Side::FromPrimary, replies.iter().flat_map(reply_bytes).collect());
        for reply in replies {
            prop_assert_eq!(inbox.next_reply(), Ok(Some(reply)));
        }
    }

    #[test]
    fn no_bytes_bring_a_decoder_down(bytes: Vec<u8>, at in 0..400_usize, with: u8) {
        for stream in [
            bytes,
            primary_says().iter().flat_map(reply_bytes).collect(),
            replica_says().iter().flat_map(request_bytes).collect(),
        ] {
            let mut stream = stream;
            if let Some(byte) = stream.get_mut(at) {
                *byte = with;
            }
            let mut inbox = Inbox::new(Side::FromPrimary, stream.clone());
            while let Ok(Some(_)) = inbox.next_reply() {}
            let mut inbox = Inbox::new(Side::FromReplica, stream);
            while let Ok(Some(_)) = inbox.next_request() {}
        }
    }
}
