//! Replies of both protocols, whole, cut short, and wrong.

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::writer::{Protocol, Reply};

fn parse(input: &[u8]) -> Result<Option<(Value, usize)>, ReplyError> {
    parse_reply(input, &ReplyLimits::default())
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.into())
}

#[test]
fn every_type_reads() {
    for (input, value) in [
        (&b"+OK\r\n"[..], Value::Simple(b"OK".to_vec())),
        (b"-ERR x\r\n", Value::Error(b"ERR x".to_vec())),
        (b"!5\r\nERR x\r\n", Value::Error(b"ERR x".to_vec())),
        (b":-5\r\n", Value::Integer(-5)),
        (b"$2\r\n\r\n\r\n", bulk("\r\n")),
        (b"$-1\r\n", Value::NullBulk),
        (b"*-1\r\n", Value::NullArray),
        (b"_\r\n", Value::Null),
        (b"*2\r\n:1\r\n*0\r\n", Value::Array(vec![Value::Integer(1), Value::Array(vec![])])),
        (b"%1\r\n$1\r\na\r\n:1\r\n", Value::Map(vec![(bulk("a"), Value::Integer(1))])),
        (b"~1\r\n#t\r\n", Value::Set(vec![Value::Boolean(true)])),
        (b">1\r\n#f\r\n", Value::Push(vec![Value::Boolean(false)])),
        (b",1.5\r\n", Value::Double(1.5)),
        (b",-inf\r\n", Value::Double(f64::NEG_INFINITY)),
        (b"(-12345678901234567890\r\n", Value::BigNumber(b"-12345678901234567890".to_vec())),
        (b"=6\r\ntxt:hi\r\n", Value::Verbatim { format: *b"txt", text: b"hi".to_vec() }),
        (
            b"|1\r\n+k\r\n:1\r\n_\r\n",
            Value::Attributed {
                attributes: vec![(Value::Simple(b"k".to_vec()), Value::Integer(1))],
                value: Box::new(Value::Null),
            },
        ),
    ] {
        assert_eq!(parse(input), Ok(Some((value, input.len()))));
        for cut in 0..input.len() {
            assert_eq!(parse(&input[..cut]), Ok(None), "{:?}", &input[..cut]);
        }
    }
    assert!(matches!(parse(b",nan\r\n"), Ok(Some((Value::Double(value), 6))) if value.is_nan()));
}

#[test]
fn wrong_replies_are_refused() {
    for input in [
        &b"+a\rb\r\n"[..],
        b":x\r\n",
        b":\r\n",
        b"$x\r\n",
        b"$-2\r\n",
        b"$1\r\nabc",
        b"*-2\r\n",
        b"%-1\r\n",
        b"#x\r\n",
        b"_x\r\n",
        b",x\r\n",
        b"(x\r\n",
        b"(-\r\n",
        b"=3\r\ntxt\r\n",
        b"$?\r\n",
        b"*?\r\n",
    ] {
        assert_eq!(parse(input), Err(ReplyError::MalformedLine), "{input:?}");
    }
    assert_eq!(parse(b"PING\r\n"), Err(ReplyError::UnknownType(b'P')));
    assert_eq!(parse(&[b'+'; MAX_LINE + 2]), Err(ReplyError::MalformedLine));
}

#[test]
fn bounds_hold() {
    let limits = ReplyLimits { max_bulk_len: 3, max_elements: 2, max_depth: 2 };
    let parse = |input: &[u8]| parse_reply(input, &limits);
    assert_eq!(parse(b"$4\r\n"), Err(ReplyError::TooLong));
    assert_eq!(parse(b"*3\r\n"), Err(ReplyError::TooManyElements));
    assert_eq!(parse(b"*1\r\n*1\r\n*1\r\n"), Err(ReplyError::TooDeep));
    assert!(matches!(parse(b"*1\r\n*1\r\n:1\r\n"), Ok(Some(_))));
    let nested = b"|0\r\n".repeat(100_000);
    assert_eq!(parse(&nested), Err(ReplyError::TooDeep));
}

fn arb_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[a-zA-Z ]{0,10}".prop_map(|text| Value::Simple(text.into_bytes())),
        "ERR [a-zA-Z ]{0,10}".prop_map(|text| Value::Error(text.into_bytes())),
        any::<i64>().prop_map(Value::Integer),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Value::Bulk),
        Just(Value::Null),
        any::<f64>().prop_filter("NaN is not equal to itself", |value| !value.is_nan()).prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        "-?[0-9]{1,40}".prop_map(|digits| Value::BigNumber(digits.into_bytes())),
        "[a-z ]{0,20}".prop_map(|text| Value::Verbatim { format: *b"txt", text: text.into_bytes() }),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let pairs = prop::collection::vec((inner.clone(), inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..14).prop_map(Value::Array),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Set),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Push),
            pairs.clone().prop_map(Value::Map),
            (pairs, inner).prop_map(|(attributes, value)| Value::Attributed { attributes, value: Box::new(value) }),
        ]
    })
}

fn write(value: &Value, reply: &mut Reply) {
    let text = |bytes: &[u8]| alloc::string::String::from_utf8(bytes.to_vec()).unwrap();
    match value {
        Value::Simple(bytes) => reply.simple(&text(bytes)),
        Value::Error(bytes) => reply.error_bytes(bytes),
        Value::Integer(value) => reply.integer(*value),
        Value::Bulk(bytes) => reply.bulk(bytes),
        Value::NullBulk | Value::Null => reply.null(),
        Value::NullArray => reply.null_array(),
        Value::Double(value) => reply.double(*value),
        Value::Boolean(value) => reply.boolean(*value),
        Value::BigNumber(digits) => reply.big_number(&text(digits)),
        Value::Verbatim { format, text } => reply.verbatim(format, text),
        Value::Array(values) => {
            reply.array(values.len());
            values.iter().for_each(|value| write(value, reply));
        }
        Value::Set(values) => {
            reply.set(values.len());
            values.iter().for_each(|value| write(value, reply));
        }
        Value::Push(values) => {
            reply.push(values.len());
            values.iter().for_each(|value| write(value, reply));
        }
        Value::Map(pairs) => {
            reply.map(pairs.len());
            write_pairs(pairs, reply);
        }
        Value::Attributed { attributes, value } => {
            reply.attribute(attributes.len());
            write_pairs(attributes, reply);
            write(value, reply);
        }
    }
}

fn write_pairs(pairs: &[(Value, Value)], reply: &mut Reply) {
    for (key, value) in pairs {
        write(key, reply);
        write(value, reply);
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in arb_value(), cut: prop::sample::Index) {
        let mut reply = Reply::new(Protocol::Resp3);
        write(&value, &mut reply);
        let bytes = reply.into_buffer();
        prop_assert_eq!(parse(&bytes), Ok(Some((value, bytes.len()))));
        prop_assert_eq!(parse(&bytes[..cut.index(bytes.len())]), Ok(None));
    }

    #[test]
    fn arbitrary_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse(&input);
    }

    #[test]
    fn near_replies_never_panic(input in "[-+:$*_%~>,#(=|!0-9a-z\r\n]{0,60}") {
        let _ = parse(input.as_bytes());
    }
}
