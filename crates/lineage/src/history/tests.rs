//! The rules, the golden bytes and the text of a lineage.

use super::*;
use alloc::string::{String, ToString};
use alloc::vec;
use proptest::prelude::*;

fn era(epoch: u64, id: u8, first: u64) -> Era {
    Era { epoch: Epoch(epoch), id: ReplId([id; 20]), first: Lsn(first) }
}

fn lineage(eras: &[Era]) -> Lineage {
    let mut lineage = Lineage::new();
    for &era in eras {
        lineage.push(era).unwrap();
    }
    lineage
}

#[test]
fn epochs_and_positions_increase_and_ids_are_unique() {
    let mut grown = lineage(&[era(1, 1, 0), era(3, 2, 100)]);
    let before = grown.clone();
    assert_eq!(grown.push(era(3, 3, 200)), Err(LineageError::Order));
    assert_eq!(grown.push(era(4, 3, 100)), Err(LineageError::Order));
    assert_eq!(grown.push(era(4, 1, 200)), Err(LineageError::Duplicate));
    assert_eq!(grown, before);
    assert_eq!(grown.push(era(4, 3, 200)), Ok(()));
    assert_eq!(grown.current(), Some(&era(4, 3, 200)));
}

#[test]
fn a_byte_belongs_to_the_era_that_wrote_it() {
    let grown = lineage(&[era(1, 1, 10), era(3, 2, 100)]);
    assert_eq!(grown.era_at(Lsn(9)), None);
    assert_eq!(grown.era_at(Lsn(10)), Some(&era(1, 1, 10)));
    assert_eq!(grown.era_at(Lsn(99)), Some(&era(1, 1, 10)));
    assert_eq!(grown.era_at(Lsn(100)), Some(&era(3, 2, 100)));
    assert_eq!(grown.era_at(Lsn::MAX), Some(&era(3, 2, 100)));
    assert_eq!(grown.cut(Lsn(100)), lineage(&[era(1, 1, 10)]));
    assert_eq!(grown.cut(Lsn(101)), grown);
}

#[test]
fn the_oldest_era_is_forgotten_at_the_bound() {
    let mut grown = Lineage::new();
    for n in 0..=MAX_ERAS {
        let number = u8::try_from(n).unwrap();
        grown.push(era(n as u64 + 1, number, n as u64 * 10)).unwrap();
    }
    assert_eq!(grown.eras().len(), MAX_ERAS);
    assert_eq!(grown.eras()[0].first, Lsn(10));
    let mut bytes = Vec::new();
    grown.encode(&mut bytes);
    assert_eq!(bytes.len(), MAX_ENCODED);
    assert_eq!(Lineage::decode(&bytes), Ok(grown.clone()));
    assert_eq!(grown.to_string().parse(), Ok(grown));
}

#[test]
fn golden_bytes() {
    let mut bytes = Vec::new();
    lineage(&[era(1, 0xab, 0), era(0x0102, 0xcd, 0x1122_3344)]).encode(&mut bytes);
    let mut golden = vec![1, 2, 0];
    golden.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    golden.extend([0xab; 20]);
    golden.extend([0; 8]);
    golden.extend([2, 1, 0, 0, 0, 0, 0, 0]);
    golden.extend([0xcd; 20]);
    golden.extend([0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0]);
    assert_eq!(bytes, golden);
}

#[test]
fn golden_text() {
    let text = lineage(&[era(1, 0xab, 0), era(258, 0xcd, 70)]).to_string();
    let expected = "1:abababababababababababababababababababab:0,258:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd:70";
    assert_eq!(text, expected);
    assert_eq!(Lineage::new().to_string(), "");
    assert_eq!("".parse(), Ok(Lineage::new()));
}

#[test]
fn malformed_bytes_are_refused() {
    let mut good = Vec::new();
    lineage(&[era(1, 1, 0), era(2, 2, 5)]).encode(&mut good);
    for cut in 0..good.len() {
        assert_eq!(Lineage::decode(&good[..cut]), Err(LineageError::Syntax), "cut at {cut}");
    }
    let mut long = good.clone();
    long.push(0);
    assert_eq!(Lineage::decode(&long), Err(LineageError::Syntax));
    let mut newer = good.clone();
    newer[0] = 2;
    assert_eq!(Lineage::decode(&newer), Err(LineageError::Version(2)));
    let mut endless = good;
    endless[1..3].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_eq!(Lineage::decode(&endless), Err(LineageError::TooLong));
}

#[test]
fn malformed_text_is_refused() {
    let id = "abababababababababababababababababababab";
    let wrong = [",", "1", "1:2", ":::", "+1:ID:0", "01:ID:0", "1:ID:", "1:ID:0:", "1:ID:0,", "1:ID:-1", " 1:ID:0"];
    for text in wrong {
        let text = text.replace("ID", id);
        assert_eq!(text.parse::<Lineage>(), Err(LineageError::Syntax), "{text}");
    }
    let backwards = alloc::format!("2:{id}:0,1:{}:9", id.replace('a', "b"));
    assert_eq!(backwards.parse::<Lineage>(), Err(LineageError::Order));
}

#[test]
fn a_text_with_too_many_eras_is_refused() {
    let text: Vec<String> = (0..=MAX_ERAS).map(|n| alloc::format!("{}:{:040x}:{n}", n + 1, n)).collect();
    assert_eq!(text.join(",").parse::<Lineage>(), Err(LineageError::TooLong));
}

proptest! {
    #[test]
    fn bytes_and_text_lose_nothing(steps in prop::collection::vec((1..1_000_u64, any::<[u8; 20]>(), 1..u64::from(u32::MAX)), 0..20)) {
        let mut grown = Lineage::new();
        let (mut epoch, mut first) = (0, 0);
        for (up, id, on) in steps {
            epoch += up;
            grown.push(Era { epoch: Epoch(epoch), id: ReplId(id), first: Lsn(first) }).unwrap();
            first += on;
        }
        let mut bytes = Vec::new();
        grown.encode(&mut bytes);
        prop_assert_eq!(Lineage::decode(&bytes), Ok(grown.clone()));
        prop_assert_eq!(grown.to_string().parse(), Ok(grown));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Lineage::decode(&bytes);
    }
}
