//! Looking ahead: it finds what runs will look up, waits for nobody and changes nothing.

use std::collections::BTreeSet;

use keyspace::map::{Batch, Deadline, Editor};
use keyspace::{Kind, RowsId, Stop, map, zset};

use super::Rig;
use crate::foresight::{Glance, MOST_KEYS, Outlook, each_entry, elements, places};
use crate::rows::{Overlaid, RowKey};
use crate::run::Abort;

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

fn glance<'k>(key: &'k str, words: Option<[&'k str; 2]>) -> Glance<'k> {
    Glance { key: key.as_bytes(), words: words.map(|words| words.map(str::as_bytes)) }
}

fn fault<E>(_: E) -> Abort {
    Abort::Stop(Stop::Fault)
}

#[test]
fn it_finds_the_rows_of_the_elements_that_requests_name() {
    let mut rig = Rig::new();
    rig.set("string", "value");
    rig.instance().foresee_requests(0, [glance("s", Some(["m1", "m2"]))].into_iter());
    let names: Vec<String> = (0..400).map(|number| format!("m{number}")).collect();
    for (key, kind) in [("h", Kind::Hash), ("s", Kind::Set)] {
        rig.on(&[key], |view| {
            let mut editor = Editor::open(view, key.as_bytes(), kind, Batch::Many(names.len())).map_err(fault)?;
            for name in &names {
                editor.put(name.as_bytes(), b"", Deadline::Keep).map_err(fault)?;
            }
            editor.finish().map_err(fault)
        });
    }
    rig.on(&["z"], |view| {
        for name in &names {
            zset::update(view, b"z", name.as_bytes(), &mut |_| Some(1.0)).map_err(fault)?;
        }
        Ok(())
    });
    let shard = rig.shard(0);
    let requests = [
        glance("h", Some(["m1", "x"])),
        glance("z", Some(["1", "m2"])),
        glance("string", Some(["m3", "m3"])),
        glance("none", Some(["m3", "m3"])),
        glance("s", None),
        glance("s", Some(["m4", "m5"])),
        glance("s", Some(["m6", "m6"])),
    ];
    let found = elements(&shard, &requests[..6]);
    let rows: Vec<&[u8]> = found.iter().map(|(_, row)| row.as_slice()).collect();
    assert_eq!(rows, ["m1", "m2", "m4"].map(|name| map::rows::row_key(name.as_bytes()).to_vec()));
    for (rows, row) in &found {
        assert_eq!(shard.rows.look(*rows, row, &mut Vec::new()), Overlaid::Is);
    }
    // Whatever it is asked for, it changes nothing, and waits for nobody.
    let before = shard.rows.total_size();
    rig.instance().foresee_requests(0, requests.into_iter());
    let gone = (RowsId(u64::MAX), RowKey::from_slice(b"row"));
    shard.rows.look_ahead(&[gone.clone(), gone]);
    let (_, at) = shard.place(b"s");
    let held = shard.stripes[at].0.lock();
    assert_eq!(elements(&shard, &requests[4..]).len(), 0);
    drop(held);
    assert_eq!(elements(&shard, &requests[4..]).len(), 2);
    assert_eq!(shard.rows.total_size(), before);
    shard.rows.check();
}
