//! The parser, the writer and `encode_command` against the `redis-protocol` crate, which others wrote from the same
//! specification.

use proptest::prelude::*;
use redis_protocol::resp2::encode::encode as encode2;
use redis_protocol::resp2::types::{OwnedFrame as Frame2, Resp2Frame};
use redis_protocol::resp3::types::OwnedFrame as Frame3;
use redis_protocol::{resp2, resp3};
use resp::{Aggregate, Limits, Parsed, Parser, Protocol, Reply, Request, encode_command};

/// What the writer can be asked to write.
#[derive(Clone, Debug)]
enum Item {
    Ok,
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    Double(f64),
    Boolean(bool),
    Verbatim(String),
    BigNumber(String),
    Aggregate(Aggregate, Vec<Item>),
    Deferred(Aggregate, Vec<Item>),
}

fn arb_item() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        Just(Item::Ok),
        "[A-Za-z ]{1,12}".prop_map(Item::Simple),
        "ERR [A-Za-z ]{1,12}".prop_map(Item::Error),
        any::<i64>().prop_map(Item::Integer),
        (0i64..200).prop_map(Item::Integer),
        prop::collection::vec(any::<u8>(), 0..150).prop_map(Item::Bulk),
        Just(Item::Null),
        any::<f64>().prop_filter("NaN is not equal to itself", |value| !value.is_nan()).prop_map(Item::Double),
        any::<bool>().prop_map(Item::Boolean),
        "[a-z ]{0,12}".prop_map(Item::Verbatim),
        "-?[1-9][0-9]{0,40}".prop_map(Item::BigNumber),
    ];
    leaf.prop_recursive(3, 40, 12, |inner| {
        let kind = prop_oneof![Just(Aggregate::Array), Just(Aggregate::Map)];
        let items = prop::collection::vec(inner, 0..14);
        prop_oneof![
            (kind.clone(), items.clone()).prop_map(|(kind, items)| Item::Aggregate(kind, whole_pairs(kind, items))),
            (kind, items).prop_map(|(kind, items)| Item::Deferred(kind, whole_pairs(kind, items))),
        ]
    })
}

/// A map has an even number of items; the other crate keeps maps in a hash table, so keys must differ and be hashable.
fn whole_pairs(kind: Aggregate, items: Vec<Item>) -> Vec<Item> {
    if kind != Aggregate::Map {
        return items;
    }
    let keys = (0..).map(Item::Integer);
    keys.zip(items).flat_map(|(key, value)| [key, value]).collect()
}

fn count(kind: Aggregate, items: &[Item]) -> usize {
    if kind == Aggregate::Map { items.len() / 2 } else { items.len() }
}

fn write(item: &Item, reply: &mut Reply) {
    match item {
        Item::Ok => reply.ok(),
        Item::Simple(text) => reply.simple(text),
        Item::Error(text) => reply.error(text),
        Item::Integer(value) => reply.integer(*value),
        Item::Bulk(bytes) => reply.bulk(bytes),
        Item::Null => reply.null(),
        Item::Double(value) => reply.double(*value),
        Item::Boolean(value) => reply.boolean(*value),
        Item::Verbatim(text) => reply.verbatim(b"txt", text.as_bytes()),
        Item::BigNumber(digits) => reply.big_number(digits),
        Item::Aggregate(kind, items) => {
            reply.aggregate(*kind, count(*kind, items));
            items.iter().for_each(|item| write(item, reply));
        }
        Item::Deferred(kind, items) => {
            let deferred = reply.begin(*kind);
            items.iter().for_each(|item| write(item, reply));
            reply.end(deferred, count(*kind, items));
        }
    }
}

fn frame2(item: &Item) -> Frame2 {
    let double = |value: f64| {
        let mut text = Vec::new();
        resp::format_f64(value, &mut text);
        text
    };
    match item {
        Item::Ok => Frame2::SimpleString(b"OK".to_vec()),
        Item::Simple(text) => Frame2::SimpleString(text.clone().into_bytes()),
        Item::Error(text) => Frame2::Error(text.clone()),
        Item::Integer(value) => Frame2::Integer(*value),
        Item::Bulk(bytes) => Frame2::BulkString(bytes.clone()),
        Item::Null => Frame2::Null,
        Item::Double(value) => Frame2::BulkString(double(*value)),
        Item::Boolean(value) => Frame2::Integer(i64::from(*value)),
        Item::Verbatim(text) | Item::BigNumber(text) => Frame2::BulkString(text.clone().into_bytes()),
        Item::Aggregate(_, items) | Item::Deferred(_, items) => Frame2::Array(items.iter().map(frame2).collect()),
    }
}

fn frame3(item: &Item) -> Frame3 {
    let attributes = None;
    match item {
        Item::Ok => Frame3::SimpleString { data: b"OK".to_vec(), attributes },
        Item::Simple(text) => Frame3::SimpleString { data: text.clone().into_bytes(), attributes },
        Item::Error(text) => Frame3::SimpleError { data: text.clone(), attributes },
        Item::Integer(value) => Frame3::Number { data: *value, attributes },
        Item::Bulk(bytes) => Frame3::BlobString { data: bytes.clone(), attributes },
        Item::Null => Frame3::Null,
        Item::Double(value) => Frame3::Double { data: *value, attributes },
        Item::Boolean(value) => Frame3::Boolean { data: *value, attributes },
        Item::Verbatim(text) => Frame3::VerbatimString {
            data: text.clone().into_bytes(),
            format: resp3::types::VerbatimStringFormat::Text,
            attributes,
        },
        Item::BigNumber(digits) => Frame3::BigNumber { data: digits.clone().into_bytes(), attributes },
        Item::Aggregate(Aggregate::Map, items) | Item::Deferred(Aggregate::Map, items) => {
            let pairs = items.chunks(2).map(|pair| (frame3(&pair[0]), frame3(&pair[1])));
            Frame3::Map { data: pairs.collect(), attributes }
        }
        Item::Aggregate(_, items) | Item::Deferred(_, items) => {
            Frame3::Array { data: items.iter().map(frame3).collect(), attributes }
        }
    }
}

fn written(item: &Item, protocol: Protocol) -> Vec<u8> {
    let mut reply = Reply::new(protocol);
    write(item, &mut reply);
    reply.into_buffer()
}

proptest! {
    #[test]
    fn resp2_replies_decode_alike(item in arb_item()) {
        let bytes = written(&item, Protocol::Resp2);
        let decoded = resp2::decode::decode(&bytes).unwrap();
        prop_assert_eq!(decoded, Some((frame2(&item), bytes.len())));
    }

    #[test]
    fn resp3_replies_decode_alike(item in arb_item()) {
        let bytes = written(&item, Protocol::Resp3);
        let decoded = resp3::decode::complete::decode(&bytes).unwrap();
        prop_assert_eq!(decoded, Some((frame3(&item), bytes.len())));
    }

    #[test]
    fn commands_encode_alike_and_parse_back(
        args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1100), 1..5)
    ) {
        let frame = Frame2::Array(args.iter().cloned().map(Frame2::BulkString).collect());
        let mut theirs = vec![0; frame.encode_len(false)];
        encode2(&mut theirs, &frame, false).unwrap();
        let mut ours = Vec::new();
        encode_command(&args.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut ours);
        prop_assert_eq!(&ours, &theirs);
        let mut request = Request::new();
        let parsed = Parser::new().parse(&theirs, &Limits::default(), &mut request);
        prop_assert_eq!(parsed, Ok(Parsed::Complete { consumed: theirs.len() }));
        prop_assert_eq!(request.args(&theirs).collect::<Vec<_>>(), args);
    }
}
