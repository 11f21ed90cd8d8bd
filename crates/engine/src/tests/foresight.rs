//! Looking ahead: it finds what runs will look up, waits for nobody and changes nothing.

use std::collections::BTreeSet;

use super::Rig;
use crate::foresight::{MOST_KEYS, Outlook, each_entry, places};

const KEYS: [&str; 6] = ["a", "a", "b", "c", "d", "none"];

fn keys() -> impl Iterator<Item = &'static [u8]> {
    KEYS.iter().map(|key| key.as_bytes())
}

#[test]
fn it_finds_the_entries_but_those_that_somebody_holds() {
    let mut rig = Rig::new();
    ["a", "b", "c", "d"].into_iter().for_each(|key| rig.set(key, "value"));
    let shard = rig.shard(0);
    assert_eq!(places(&shard, keys()).len(), 5, "a key that follows itself is looked for once");
    let found = || {
        let mut found = BTreeSet::new();
        each_entry(&shard, &places(&shard, keys()), |entry| {
            found.insert(entry.key().to_vec());
        });
        found
    };
    let all = ["a", "b", "c", "d"].map(|key| key.as_bytes().to_vec());
    assert_eq!(found(), BTreeSet::from(all.clone()));

    let (hash, at) = shard.place(b"c");
    let held = shard.stripes[at].0.lock();
    let before = format!("{held:?}");
    assert_eq!(found(), all.into_iter().filter(|key| shard.place(key).1 != at).collect());
    for database in [0, 1, 99] {
        rig.instance().foresee(database, keys());
    }
    drop(held);
    rig.instance().foresee(0, keys());
    let stripe = shard.stripes[at].0.lock();
    assert_eq!(format!("{:?}", *stripe), before);
    assert_eq!(stripe.find(hash, b"c").map(|entry| entry.is_touched()), Some(false));
}

#[test]
fn keys_are_gathered_until_they_are_many_or_of_another_database() {
    let mut rig = Rig::new();
    let mut outlook = Outlook::default();
    assert!(!rig.instance().gather(&mut outlook, 0, b"a"), "there is nothing in memory");
    rig.set("a", "value");
    assert!(!rig.instance().gather(&mut outlook, 7, b"a"), "there is no such database");
    assert!(outlook.is_empty());
    let mut most = 0;
    for number in 0..100 {
        assert!(rig.instance().gather(&mut outlook, 0, format!("k{number}").as_bytes()));
        most = most.max(outlook.len());
    }
    assert!(most == MOST_KEYS && outlook.len() == 100 % MOST_KEYS);
    assert!(!rig.instance().gather(&mut outlook, 7, b"a"));
    assert!(outlook.is_empty(), "what was of another database was looked at");
    rig.instance().foresee_gathered(&mut outlook);
}
