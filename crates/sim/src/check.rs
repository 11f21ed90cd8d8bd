//! What must be true at the end: the nodes hold the same, and nothing acknowledged is missing.

use std::collections::BTreeMap;

use engine::{Abort, Instance, Place, Request, Scope, Scratch};
use keyspace::{Millis, Page, Seek, Stop};

use crate::workload::marker_key;
use crate::world::World;

/// Everything that readers of a database could see, and how it is stored: keys with their records, the rows of those that
/// have any.
pub type Contents = BTreeMap<Vec<u8>, (Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>)>;

/// What a database holds at the time `clock`.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn contents(instance: &Instance, database: usize, clock: Millis) -> Contents {
    let mut contents = Contents::new();
    let request = Request { place: Place::Desk, scope: Scope::Shard, database, clock };
    let ran = instance.run(&request, &mut Scratch::new(1), &mut |view| {
        contents.clear();
        let mut exploded = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let seek = after.as_deref().map_or(Seek::Start, Seek::After);
            let page = view.walk(seek, b"", 100, &mut |key, record| {
                let mut bytes = record.lsn.to_le_bytes().to_vec();
                record.head.encode(&mut bytes);
                bytes.extend_from_slice(record.payload);
                contents.insert(key.to_vec(), (bytes, BTreeMap::new()));
                exploded.extend(record.rows_id().map(|rows| (key.to_vec(), rows)));
            })?;
            match page {
                Page::More(key) => after = Some(key),
                Page::End => break,
            }
        }
        for (key, rows) in &exploded {
            let mut found = BTreeMap::new();
            view.rows(key, *rows, b"", b"", &mut |row, value| {
                found.insert(row.to_vec(), value.to_vec());
                true
            })?;
            contents.get_mut(key).ok_or(Abort::Stop(Stop::Fault))?.1 = found;
        }
        Ok(())
    });
    ran.unwrap_or_else(|fault| panic!("database {database} cannot be read: {fault}"));
    contents
}

impl World {
    /// Compares all nodes with the leader, and looks for what was acknowledged.
    ///
    /// # Panics
    /// When something is missing or differs.
    pub fn check(&mut self) {
        let clock = self.hosts[self.leader].clock(self.now);
        let leader = self.hosts[self.leader].process.as_ref().expect("the leader is up at the end").instance.clone();
        for database in 0..leader.databases() {
            let expected = contents(&leader, database, clock);
            for (number, host) in self.hosts.iter().enumerate() {
                let process = host.process.as_ref().expect("every node is up at the end");
                let found = contents(&process.instance, database, clock);
                let differs = expected.keys().chain(found.keys()).find(|key| expected.get(*key) != found.get(*key));
                if let Some(key) = differs {
                    panic!(
                        "database {database} of node {number} differs at {:?}: {:?}, the leader's is {:?}\n{}",
                        String::from_utf8_lossy(key),
                        found.get(key),
                        expected.get(key),
                        self.story.join("\n")
                    );
                }
            }
        }
        let held = contents(&leader, 0, clock);
        let lost = self
            .markers
            .iter()
            .find(|marker| marker.acknowledged && !held.contains_key(marker_key(marker.number).as_bytes()));
        if let Some(marker) = lost {
            panic!("an acknowledged write is gone: {marker:?}\n{}", self.story.join("\n"));
        }
    }
}
