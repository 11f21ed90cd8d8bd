//! Random commands on strings: whether a value is packed or exploded must not show.

use commands::{Args, Context, Error, Run, Settings, Waiting, resolve};
use keyspace::{Limits, Millis, View};
use proptest::prelude::*;
use resp::{Protocol, Reply};
use testkit::MemoryView;

/// The lowest threshold at which no number is exploded.
const LOW: usize = 64;
const HIGH: usize = 1 << 20;

fn view(threshold: usize) -> MemoryView {
    let mut view = MemoryView::new(2, Millis(1000), 1);
    view.set_limits(Limits { string_chunk_threshold: threshold, ..Limits::default() });
    view
}

fn run(view: &mut MemoryView, args: &[Vec<u8>]) -> Vec<u8> {
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let args = Args::new(&args);
    let mut reply = Reply::new(Protocol::Resp3);
    let settings = Settings::default();
    let Run::View(run) = resolve(args).unwrap().run else { panic!("{args:?} runs on no view") };
    view.select(0).unwrap();
    let mut context = Context { view, reply: &mut reply, database: 0, settings: &settings, waiting: Waiting::Refused };
    let result = run(&mut context, args);
    if let Err(error) = result {
        let Error::Reply(text) = error else { panic!("{error:?}") };
        reply.truncate(0);
        reply.error_bytes(&text);
    }
    view.check();
    reply.into_buffer()
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("b".to_owned())]
}

/// Places near the edges of chunks, and anywhere.
fn place() -> impl Strategy<Value = i64> {
    prop_oneof![(0i64..4, -2i64..3).prop_map(|(chunks, off)| chunks * 4096 + off), 0i64..14_000, -14_000i64..0]
}

fn value() -> impl Strategy<Value = String> {
    (prop_oneof![0usize..80, 4090usize..4100, 0usize..13_000], "[ab\0]{1,3}")
        .prop_map(|(len, unit)| unit.repeat(len.div_ceil(unit.len())))
}

fn command() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words = prop_oneof![
        (key(), value()).prop_map(|(k, v)| vec!["SET".into(), k, v]),
        (key(), value()).prop_map(|(k, v)| vec!["APPEND".into(), k, v]),
        (key(), place(), value()).prop_map(|(k, at, v)| vec!["SETRANGE".into(), k, at.to_string(), v]),
        (key(), place(), place()).prop_map(|(k, from, to)| vec![
            "GETRANGE".into(),
            k,
            from.to_string(),
            to.to_string()
        ]),
        key().prop_map(|k| vec!["GET".into(), k]),
        key().prop_map(|k| vec!["STRLEN".into(), k]),
        key().prop_map(|k| vec!["INCR".into(), k]),
        key().prop_map(|k| vec!["DIGEST".into(), k]),
        key().prop_map(|k| vec!["GETDEL".into(), k]),
        (key(), value(), value()).prop_map(|(k, v, old)| vec!["SET".into(), k, v, "IFEQ".into(), old, "GET".into()]),
        (key(), place(), 0..2u8).prop_map(|(k, at, bit)| vec![
            "SETBIT".into(),
            k,
            (at * 8 + 3).to_string(),
            bit.to_string()
        ]),
        (key(), place()).prop_map(|(k, at)| vec!["GETBIT".into(), k, (at * 8 + 3).to_string()]),
        (key(), place(), place(), "BIT|BYTE").prop_map(|(k, from, to, unit)| vec![
            "BITCOUNT".into(),
            k,
            from.to_string(),
            to.to_string(),
            unit
        ]),
        (key(), 0..2u8, place()).prop_map(|(k, bit, from)| vec!["BITPOS".into(), k, bit.to_string(), from.to_string()]),
        (key(), key()).prop_map(|(a, b)| vec!["COPY".into(), a, b, "REPLACE".into()]),
        (key(), key()).prop_map(|(a, b)| vec!["RENAME".into(), a, b]),
    ];
    words.prop_map(|words| words.into_iter().map(String::into_bytes).collect())
}

proptest! {
    #[test]
    fn packed_and_exploded_strings_answer_alike(commands in prop::collection::vec(command(), 1..30)) {
        let (mut exploded, mut packed) = (view(LOW), view(HIGH));
        for command in commands {
            prop_assert!(run(&mut exploded, &command) == run(&mut packed, &command), "{command:?}");
        }
    }
}
