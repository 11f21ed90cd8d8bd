//! Sums against a table of what a running Redis 7.0.15 answered, and the edges of the format.

use alloc::string::String;

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Option<LongDouble> {
    LongDouble::parse(text.as_bytes())
}

fn format(value: LongDouble) -> String {
    let mut out = Vec::new();
    value.format_human(&mut out);
    String::from_utf8(out).unwrap()
}

fn sum(a: &str, b: &str) -> String {
    format(parse(a).unwrap().add(parse(b).unwrap()))
}

/// One line a sum: two numbers and what INCRBYFLOAT answered, tabs between.
#[test]
fn sums_are_those_of_redis() {
    let table = include_str!("incrbyfloat.tsv");
    for line in table.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [a, b, expected] = fields[..] else { panic!("not three fields: {line}") };
        assert_eq!(sum(a, b), expected, "{a} + {b}");
    }
    assert!(table.lines().count() >= 60);
}

#[test]
fn refuses_what_redis_refuses() {
    for text in
        ["", " 1", "1 ", "nan", "-nan", "0x", "0x.", "0x1p", "1e", ".", "1e5000", "1e-5000", "1.8e-4951", "0x1p-16446"]
    {
        assert_eq!(parse(text), None, "{text:?}");
    }
    let longest = "1.".chars().chain(core::iter::repeat_n('0', 5117)).collect::<String>();
    assert_eq!(parse(&longest).map(format).as_deref(), Some("1"));
    assert_eq!(parse(&(longest + "0")), None);
}

#[test]
fn the_range_ends_where_the_processors_does() {
    assert!(parse("1.18973149535723176502e4932").is_some());
    assert_eq!(parse("1.18973149535723176509e4932"), None);
    let most = parse("0x1.fffffffffffffffep16383").unwrap();
    assert_eq!(parse("1.18973149535723176502e4932"), Some(most));
    assert!(most.add(most).is_nan_or_infinite());
    assert_eq!(parse("0x1p16384"), None);
    let least = parse("0x1p-16445").unwrap();
    assert_eq!(parse("4e-4951"), Some(least));
    assert_eq!(least.add(least), parse("0x1p-16444").unwrap());
    assert_eq!(format(least), "0");
}

#[test]
fn infinities() {
    let (plus, minus, one) = (parse("inf").unwrap(), parse("-Infinity").unwrap(), parse("1").unwrap());
    assert!(plus.is_nan_or_infinite() && !one.is_nan_or_infinite());
    let nan = plus.add(minus);
    for (value, text) in [
        (plus.add(one), "inf"),
        (one.add(minus), "-inf"),
        (minus.add(minus), "-inf"),
        (nan, "nan"),
        (nan.add(one), "nan"),
        (one.add(nan), "nan"),
        (plus.add(nan), "nan"),
        (nan.add(plus), "nan"),
    ] {
        assert_eq!(format(value), text);
    }
}

#[test]
fn zero_has_no_sign_when_printed() {
    for text in ["0", "-0", "-0.0", "-1e-18", "1e-18", "0e99999", "-0x0p0", "-4e-4951"] {
        assert_eq!(parse(text).map(format).as_deref(), Some("0"), "{text}");
    }
}

/// 2^-18 has eighteen digits after the point, the last one a 5: a true tie at the seventeenth.
#[test]
fn printing_rounds_ties_to_even() {
    assert_eq!(parse("0x1p-18").map(format).as_deref(), Some("0.00000381469726562"));
    assert_eq!(parse("0x3p-18").map(format).as_deref(), Some("0.00001144409179688"));
    assert_eq!(parse("0.99999999999999999999").map(format).as_deref(), Some("1"));
}

proptest! {
    #[test]
    fn short_and_long_paths_agree(digits in 1u64..u64::MAX, power in 0u32..=27) {
        let denominator = { let mut n = Natural::new(1); n.multiply_by_power_of_five(power); n };
        let slow = divide(Natural::new(digits), denominator, -i64::from(power));
        prop_assert_eq!(Magnitude::from_binary(divide_by_power_of_five(digits, power)), Magnitude::from_binary(slow));
    }

    #[test]
    fn integers_are_exact(a in -(1i64 << 62)..1 << 62, b in -(1i64 << 62)..1 << 62) {
        prop_assert_eq!(sum(&alloc::format!("{a}"), &alloc::format!("{b}")), alloc::format!("{}", a + b));
    }

    #[test]
    fn addition_commutes_and_cancels(
        a in "-?[0-9]{1,25}\\.[0-9]{0,25}(e-?[0-9]{1,2})?",
        b in "-?[0-9]{1,25}(e-?[0-9]{1,3})?",
    ) {
        let (x, y) = (parse(&a).unwrap(), parse(&b).unwrap());
        prop_assert_eq!(x.add(y), y.add(x));
        let minus = LongDouble { negative: !x.negative, ..x };
        prop_assert_eq!(format(x.add(minus)), "0");
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[-+.0-9a-fA-FxXpPinINFTYy]{0,40}") {
        if let Some(value) = parse(&text) {
            format(value.add(value));
        }
    }
}
