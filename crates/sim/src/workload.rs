//! Clients: random commands of every type, on whoever believes to be primary.

use commands::{Args, Context, Error, Settings, Waiting};
use engine::{Abort, LockKey, Place, Ran, Request, Scope};
use keyspace::Stop;
use resp::{Protocol, Reply};

use crate::net::NodeNumber;
use crate::rng::Rng;
use crate::settings;
use crate::world::{Marker, World};

impl World {
    /// Some client writes something to each node that leads.
    pub fn write(&mut self) {
        for node in 0..self.hosts.len() {
            if !self.leads(node) {
                continue;
            }
            if self.rng.percent(20) {
                self.write_marker(node);
            }
            let database =
                if self.rng.percent(60) { 0 } else { self.rng.below(u64::from(settings::DATABASES)) as usize };
            let line = line(&mut self.rng, database);
            let words: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
            if self.execute(node, database, &words).is_some() {
                self.counts.commands += 1;
            }
        }
    }

    fn write_marker(&mut self, node: NodeNumber) {
        let number = self.markers.len() as u64;
        let (key, value) = (marker_key(number), number.to_string());
        if self.execute(node, 0, &[b"set", key.as_bytes(), value.as_bytes()]).is_none() {
            return;
        }
        let Some(process) = &self.hosts[node].process else { return };
        let Some(shard) = process.instance.shard(0) else { return };
        let Some(era) = shard.log.lineage().current().map(|era| era.id) else { return };
        let end = shard.log.end().0;
        self.markers.push(Marker { number, node, era, end, acknowledged: false });
    }

    /// Runs a command as a session would; `None` if it was refused.
    pub fn execute(&mut self, node: NodeNumber, database: usize, words: &[&[u8]]) -> Option<Vec<u8>> {
        let clock = self.hosts[node].clock(self.now);
        let process = self.hosts[node].process.as_mut()?;
        let args = Args::new(words);
        let command = commands::resolve(args).unwrap_or_else(|_| unreachable!("the simulation's own lines are whole"));
        let commands::spec::Run::View(run) = command.run else { unreachable!("only commands on keys are run") };
        let mut keys = Vec::new();
        commands::keys(command, args, database, &mut keys).expect("the simulation's own lines name their keys");
        let locks: Vec<_> =
            keys.iter().map(|key| LockKey { database: key.database, key: args.at(key.index) }).collect();
        let declared = match command.scope {
            commands::spec::Scope::Keys => Scope::Keys(&locks),
            commands::spec::Scope::Walk => Scope::Walk,
            commands::spec::Scope::Shard => Scope::Shard,
            commands::spec::Scope::AllShards => Scope::AllShards,
        };
        let mut reply = Reply::new(Protocol::Resp2);
        for scope in [declared, Scope::Shard] {
            let request = Request { place: Place::Desk, scope, database, clock };
            let ran = process.instance.run(&request, &mut process.scratch, &mut |view| {
                reply.truncate(0);
                let settings = Settings::default();
                let context =
                    &mut Context { view, reply: &mut reply, database, settings: &settings, waiting: Waiting::Refused };
                match run(context, args) {
                    Ok(()) => Ok(()),
                    Err(Error::Stop(stop)) => Err(Abort::Stop(stop)),
                    Err(Error::Reply(_)) => Err(Abort::Undo),
                    Err(Error::Wait(_)) => Err(Abort::Stop(Stop::Fault)),
                }
            });
            match ran {
                Ok(Ran::Done(_)) => return Some(reply.buffer().to_vec()),
                Ok(Ran::Undeclared) => {}
                Ok(Ran::Later) | Err(_) => return None,
            }
        }
        None
    }
}

/// The key of a marker.
#[must_use]
pub fn marker_key(number: u64) -> String {
    format!("marker:{number}")
}

/// A command line. Few keys, so that commands meet; database 0, where the markers are, is never cleared.
fn line(rng: &mut Rng, database: usize) -> Vec<Vec<u8>> {
    let key = format!("key:{}", rng.below(12));
    let other = format!("key:{}", rng.below(12));
    let member = format!("m{}", rng.below(40));
    let long = "x".repeat(rng.within(1, 700) as usize);
    let number = rng.below(1000).to_string();
    let words: Vec<&str> = match rng.below(31) {
        0..=2 => vec!["set", &key, &long],
        3 => vec!["append", &key, &long],
        4 => vec!["setrange", &key, &number, &member],
        5 => vec!["incrby", &key, &number],
        6 => vec!["del", &key],
        7 => vec!["rename", &key, &other],
        8 => vec!["set", &key, &member, "px", &number],
        9 => vec!["mset", &key, &member, &other, &number],
        10 => vec!["copy", &key, &other, "replace"],
        11 => vec!["expire", &key, &number],
        12 => vec!["persist", &key],
        13..=15 => vec!["hset", &key, &member, &number],
        16 => vec!["hdel", &key, &member],
        17..=18 => vec!["sadd", &key, &member, &number],
        19 => vec!["spop", &key],
        20 => vec!["smove", &key, &other, &member],
        21..=22 => vec!["rpush", &key, &member, &number, &member],
        23 => vec!["lpush", &key, &long],
        24 => vec!["lpop", &key],
        25 => vec!["lset", &key, "1", &member],
        26..=27 => vec!["zadd", &key, &number, &member],
        28 => vec!["zrem", &key, &member],
        29 => vec!["zincrby", &key, &number, &member],
        _ if database > 0 && rng.percent(20) => vec!["flushdb"],
        _ => vec!["getdel", &key],
    };
    words.into_iter().map(|word| word.as_bytes().to_vec()).collect()
}
