//! Walks and random keys, from outside.

use engine::Scope;
use keyspace::{Head, Page, Seek};

use crate::support::{Home, Session};

#[test]
fn a_walk_of_a_prefix_meets_it_and_nothing_else() {
    let home = Home::new();
    let instance = home.open();
    let mut session = Session::new(&instance, 1);
    for name in ["a", "ab", "abc", "abd", "ac", "b"] {
        session.on(&[name], |view| Ok(view.put(name.as_bytes(), &Head::string(None), b"v")?));
        if name == "abc" {
            instance.reload().unwrap();
        }
    }
    session.on(&["ab"], |view| {
        view.delete(b"ab")?;
        Ok(())
    });
    let mut met = Vec::new();
    session.run(Scope::Walk, 0, &mut |view| {
        met.clear();
        let page = view.walk(Seek::Start, b"ab", 1, &mut |key, _| met.push(key.to_vec()))?;
        assert_eq!(page, Page::More(b"abc".to_vec()));
        let page = view.walk(Seek::After(b"abc"), b"ab", 10, &mut |key, _| met.push(key.to_vec()))?;
        assert_eq!(page, Page::End);
        assert_eq!(view.walk(Seek::After(b"z"), b"ab", 10, &mut |_, _| panic!("beyond"))?, Page::End);
        Ok(())
    });
    assert_eq!(met, [b"abc", b"abd"]);
    instance.close().unwrap();
}

#[test]
fn a_random_key_is_a_live_one_wherever_it_lies() {
    let home = Home::new();
    let instance = home.open();
    let mut session = Session::new(&instance, 1);
    let pick = |session: &mut Session| {
        let mut key = None;
        session.run(Scope::Walk, 0, &mut |view| {
            key = view.random_key()?;
            Ok(())
        });
        key
    };
    assert_eq!(pick(&mut session), None);
    for n in 0..40 {
        let name = format!("key{n}");
        session.on(&[&name], |view| Ok(view.put(name.as_bytes(), &Head::string(None), b"v")?));
    }
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..400 {
        if round == 200 {
            instance.reload().unwrap();
        }
        seen.insert(pick(&mut session).expect("there are keys"));
    }
    assert!(seen.len() > 20, "{} of 40 keys in 400 picks", seen.len());
    for n in 1..40 {
        let name = format!("key{n}");
        session.on(&[&name], |view| {
            view.delete(name.as_bytes())?;
            Ok(())
        });
    }
    for round in 0..3 {
        assert_eq!(pick(&mut session).as_deref(), Some(&b"key0"[..]), "round {round}");
        instance.reload().unwrap();
    }
    instance.close().unwrap();
}
