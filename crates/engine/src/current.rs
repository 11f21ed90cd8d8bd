//! The file `db<N>.current`: which folder holds the shard of a database, and what is to become of folders that held it
//! before. It is replaced as a whole; without it the folder is `db<N>`.
//!
//! ```text
//! haypile current 1
//! shard db0.3
//! old db0.2 delete
//! old db0 quarantine db0-20261122-203000-4100
//! ```
//!
//! Folders of the database that it does not name are shards that were never finished.

use std::fmt::Write as _;

const FIRST_LINE: &str = "haypile current 1";
/// Folders may wait for their end while somebody still uses their shards: so many at most are remembered.
const MOST_OLD: usize = 64;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    /// The name of the folder of the shard.
    pub shard: String,
    /// Folders that are no longer used.
    pub old: Vec<Old>,
}

/// A folder that is no longer used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Old {
    /// Its name.
    pub folder: String,
    /// What is to become of it.
    pub fate: Fate,
}

/// What becomes of a shard that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All that it held is in the one that took its place.
    Delete,
    /// It is kept, under this name.
    Quarantine(String),
}

impl Current {
    /// Of a database whose shard was never replaced.
    pub(crate) fn first(database: usize) -> Self {
        Self { shard: format!("db{database}"), old: Vec::new() }
    }

    pub(crate) fn encode(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nshard {}\n", self.shard);
        for Old { folder, fate } in &self.old {
            let _ = match fate {
                Fate::Delete => writeln!(text, "old {folder} delete"),
                Fate::Quarantine(name) => writeln!(text, "old {folder} quarantine {name}"),
            };
        }
        text
    }

    /// `None`: it is not what [`Current::encode`] makes for this database.
    pub(crate) fn decode(text: &str, database: usize) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let is_ours = |folder: &&str| incarnation_of(folder, database).is_some();
        let shard = lines.next()?.strip_prefix("shard ").filter(is_ours)?.to_owned();
        let mut old = Vec::new();
        for line in lines {
            let (folder, fate) = line.strip_prefix("old ")?.split_once(' ')?;
            let fate = match fate.split_once(' ') {
                None if fate == "delete" => Fate::Delete,
                Some(("quarantine", name)) if is_plain(name) => Fate::Quarantine(name.to_owned()),
                None | Some(_) => return None,
            };
            old.push(Old { folder: Some(folder).filter(is_ours)?.to_owned(), fate });
        }
        let sound = old.len() <= MOST_OLD && old.iter().all(|old| old.folder != shard);
        sound.then_some(Self { shard, old })
    }

    /// Puts another folder in the place of the present one.
    pub(crate) fn replace(&mut self, shard: String, fate: Fate) {
        let folder = std::mem::replace(&mut self.shard, shard);
        self.old.push(Old { folder, fate });
        if self.old.len() > MOST_OLD {
            self.old.remove(0);
        }
    }
}

/// Which of the folders of a database this is: 0 for `db<N>`, `k` for `db<N>.<k>`. `None`: it is none of them.
pub(crate) fn incarnation_of(folder: &str, database: usize) -> Option<u64> {
    let rest = folder.strip_prefix(&format!("db{database}"))?;
    if rest.is_empty() {
        return Some(0);
    }
    let number = rest.strip_prefix('.')?;
    number.parse().ok().filter(|incarnation: &u64| *incarnation > 0 && incarnation.to_string() == number)
}

/// A name that stays in its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let mut current = Current::first(0);
        current.replace("db0.2".into(), Fate::Quarantine("db0-20261122-203000-4100".into()));
        current.replace("db0.3".into(), Fate::Delete);
        let golden = "haypile current 1\nshard db0.3\nold db0 quarantine db0-20261122-203000-4100\nold db0.2 delete\n";
        assert_eq!(current.encode(), golden);
        assert_eq!(Current::decode(golden, 0), Some(current));
    }

    #[test]
    fn anything_else_is_not_understood() {
        let good = "haypile current 1\nshard db1.3\nold db1 delete\n";
        assert!(Current::decode(good, 1).is_some() && Current::decode(good, 2).is_none());
        for wrong in [
            "",
            "haypile current 2\nshard db1\n",
            "haypile current 1\n",
            "haypile current 1\nshard db1.3",
            "haypile current 1\nshard db1.03\n",
            "haypile current 1\nshard ../db1\n",
            "haypile current 1\nshard db1\nold db1 delete\n",
            "haypile current 1\nshard db1.1\nold db1 quarantine ../x\n",
            "haypile current 1\nshard db1.1\nold db1 keep\n",
            "haypile current 1\nshard db1.1\n\n",
        ] {
            assert_eq!(Current::decode(wrong, 1), None, "{wrong:?}");
        }
    }
}
