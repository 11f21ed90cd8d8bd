//! Commands on keys that hold no string, which no script can make yet.

use commands::{Args, Context, Error, Run, Settings, Waiting, resolve};
use keyspace::{Encoding, Head, Kind, Millis, View};
use resp::{Protocol, Reply};
use testkit::MemoryView;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// A packed hash at `packed`, and an exploded set with three rows at `exploded`.
fn view() -> MemoryView {
    let mut view = MemoryView::new(2, Millis(1000), 1);
    let packed = Head::new(Kind::Hash, Encoding::Packed, None);
    view.put(b"packed", &packed, b"\0\x01f\x01v").unwrap();
    let rows = view.new_rows();
    let exploded = Head::new(Kind::Set, Encoding::Exploded, Some(Millis(5000)));
    view.put(b"exploded", &exploded, &[rows.0.to_le_bytes().as_slice(), b"more"].concat()).unwrap();
    for row in [b"a", b"b", b"c"] {
        view.put_row(b"exploded", rows, row, &[b'v'; 1 << 20]).unwrap();
    }
    view
}

fn run(view: &mut MemoryView, line: &str) -> String {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let args = Args::new(&args);
    let mut reply = Reply::new(Protocol::Resp2);
    let settings = Settings::default();
    let Run::View(run) = resolve(args).unwrap().run else { panic!("{line} runs on no view") };
    view.select(0).unwrap();
    let mut context = Context { view, reply: &mut reply, database: 0, settings: &settings, waiting: Waiting::Refused };
    let result = run(&mut context, args);
    match result {
        Ok(()) => {}
        Err(error @ (Error::Stop(_) | Error::Wait(_))) => panic!("no reply: {error:?}"),
        Err(Error::Reply(text)) => {
            reply.truncate(0);
            reply.error_bytes(&text);
        }
    }
    view.check();
    String::from_utf8(reply.into_buffer()).unwrap()
}

#[test]
fn commands_on_strings_refuse_other_types() {
    for key in ["packed", "exploded"] {
        for line in [
            "GET k",
            "GETDEL k",
            "GETEX k",
            "GETEX k EX 1",
            "GETSET k v",
            "SET k v GET",
            "SET k v NX GET",
            "STRLEN k",
            "SET k v IFEQ x",
            "SET k v IFDNE x",
            "DIGEST k",
            "APPEND k v",
            "SETRANGE k 0 v",
            "SETRANGE k 0 ",
            "GETRANGE k 0 1",
            "SUBSTR k 0 1",
            "INCR k",
            "DECRBY k 1",
            "INCRBYFLOAT k 1",
            "SETBIT k 0 1",
            "GETBIT k 0",
            "BITCOUNT k",
            "BITPOS k 1",
        ] {
            let line = line.replace(" k", &format!(" {key}"));
            let mut view = view();
            let before = view.clone();
            assert_eq!(run(&mut view, &line), WRONG_TYPE, "{line}");
            assert!(view.same_content(&before), "{line}");
        }
    }
}

#[test]
fn other_texts_for_the_same() {
    let mut view = view();
    assert_eq!(run(&mut view, "LCS packed x"), "-ERR The specified keys must contain string values\r\n");
    assert_eq!(
        run(&mut view, "DELEX packed IFEQ x"),
        "-ERR Key should be of string type if conditions are specified\r\n"
    );
    assert_eq!(run(&mut view, "MGET packed exploded"), "*2\r\n$-1\r\n$-1\r\n");
    assert_eq!(run(&mut view, "TYPE packed"), "+hash\r\n");
    assert_eq!(run(&mut view, "OBJECT ENCODING packed"), "$8\r\nlistpack\r\n");
    assert_eq!(run(&mut view, "OBJECT ENCODING exploded"), "$9\r\nhashtable\r\n");
    assert_eq!(run(&mut view, "SCAN 0 TYPE set"), "*2\r\n$1\r\n0\r\n*1\r\n$8\r\nexploded\r\n");
}

#[test]
fn overwriting_and_deleting_takes_the_rows_along() {
    for line in ["SET exploded v", "SETEX exploded 5 v", "MSET exploded v", "DEL exploded", "DELEX exploded"] {
        let mut view = view();
        run(&mut view, line);
        assert!(!has_row(&mut view, 1, b"exploded"), "{line}");
    }
}

#[test]
fn copies_have_rows_of_their_own() {
    let mut view = view();
    assert_eq!(run(&mut view, "COPY exploded twin"), ":1\r\n");
    assert_eq!(run(&mut view, "PTTL twin"), ":4000\r\n");
    assert_eq!(run(&mut view, "DEL exploded"), ":1\r\n");
    let record = view.record(b"twin").unwrap().unwrap();
    let (rows, payload) = (record.rows_id().unwrap(), record.payload.to_vec());
    assert_eq!(&payload[8..], b"more");
    let mut seen = Vec::new();
    view.rows(b"twin", rows, b"", b"", &mut |row, value| {
        seen.push((row.to_vec(), value.len()));
        true
    })
    .unwrap();
    let expected: Vec<_> = [b"a", b"b", b"c"].map(|row| (row.to_vec(), 1 << 20)).into();
    assert_eq!(seen, expected);
    assert_eq!(run(&mut view, "MOVE twin 1"), ":1\r\n");
    assert_eq!(run(&mut view, "EXISTS twin"), ":0\r\n");
    assert_eq!(run(&mut view, "RENAME packed renamed"), "+OK\r\n");
    view.select(1).unwrap();
    let moved = view.record(b"twin").unwrap().unwrap().rows_id().unwrap();
    assert!(has_row(&mut view, moved.0, b"twin"));
}

fn has_row(view: &mut MemoryView, rows: u64, key: &[u8]) -> bool {
    let mut out = Vec::new();
    view.row(key, keyspace::RowsId(rows), b"a", &mut out).unwrap()
}
