//! The language of the golden scripts: inputs are read from it, outputs and states are written in it.
//!
//! ```text
//! > 5 meta 1 node=b run=b1 gen=1 dbs=16 path=b shards=0:7:100
//! ```
//! At 5 ms the handshake of link 1 ends: node `b` in its run `b1`, role generation 1, may have 16 databases, is its own root,
//! and has database 0 with log generation 7, which ends at 100. Nodes are single letters, runs a letter and a digit.

use std::collections::HashMap;
use std::fmt::Write as _;

use lineage::Lsn;
use replication_proto::{
    Address, Beat, Cause, Config, Db, DbOrder, Input, Ledger, LinkId, Meta, Millis, Node, NodeId, Output, Path,
    Positions, Progress, PromotionId, Root, RunId, Scope, ShardBeat, SnapshotId, Start, Status, SyncReason, TransferId,
    Transmit, Verdict,
};

/// Node `a` is `aaaa..`.
pub fn node(name: &str) -> NodeId {
    let [letter] = name.as_bytes() else { panic!("not a node: {name}") };
    NodeId([*letter; 20])
}

fn run(name: &str) -> RunId {
    let [letter, number] = name.as_bytes() else { panic!("not a run: {name}") };
    let mut id = [*letter; 20];
    id[19] = *number;
    RunId(id)
}

fn path(text: &str) -> Path {
    let (names, root) = text.strip_suffix(",?").map_or((text, Root::Primary), |names| (names, Root::Unknown));
    Path { nodes: names.split(',').map(node).collect(), root }
}

/// Words without `=`, in order, and those with it, by name.
struct Words<'a> {
    line: &'a str,
    plain: Vec<&'a str>,
    named: HashMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Words<'a> {
        let words = || line.split_whitespace();
        let plain = words().filter(|word| !word.contains('=')).collect();
        Words { line, plain, named: words().filter_map(|word| word.split_once('=')).collect() }
    }

    fn word(&self, at: usize) -> &'a str {
        self.plain.get(at).unwrap_or_else(|| panic!("too short: {}", self.line))
    }

    fn number(&self, at: usize) -> u64 {
        self.word(at).parse().unwrap_or_else(|_| panic!("no number: {}", self.line))
    }

    fn db(&self, at: usize) -> Db {
        Db(self.number(at).try_into().unwrap())
    }

    fn link(&self, at: usize) -> LinkId {
        LinkId(self.number(at))
    }

    fn cause(&self, at: usize) -> Cause {
        Cause::parse(self.word(at)).unwrap_or_else(|| panic!("no cause: {}", self.line))
    }

    fn get(&self, name: &str) -> &'a str {
        self.named.get(name).unwrap_or_else(|| panic!("{name} is missing: {}", self.line))
    }

    fn get_number(&self, name: &str) -> u64 {
        self.get(name).parse().unwrap_or_else(|_| panic!("{name} is no number: {}", self.line))
    }

    fn get_or(&self, name: &str, otherwise: u64) -> u64 {
        if self.named.contains_key(name) { self.get_number(name) } else { otherwise }
    }

    fn shards(&self) -> Vec<ShardBeat> {
        let Some(text) = self.named.get("shards") else { return Vec::new() };
        let shard = |text: &str| {
            let mut numbers = text.split(':').map(|number| number.parse::<u64>().unwrap());
            let mut next = || numbers.next().unwrap();
            ShardBeat { db: Db(next().try_into().unwrap()), log_generation: next(), end: Lsn(next()) }
        };
        text.split(',').map(shard).collect()
    }
}

/// Reads one input.
pub fn parse(line: &str) -> Input {
    let words = Words::new(line);
    match words.word(0) {
        "replicaof" => Input::ReplicaOf(address(&words, 1)),
        "no-one" => Input::NoOne,
        "dbslaveof" => Input::DbSlaveOf(words.db(1), order(words.word(2))),
        "reset" if words.plain.len() == 1 => Input::Reset(Scope::Everything),
        "reset" => Input::Reset(Scope::Shard(words.db(1))),
        "config" => Input::Configure(config(line)),
        "file" if words.plain.len() == 1 => Input::FileSays(None),
        "file" => Input::FileSays(Some(address(&words, 1))),
        "local" => Input::Local(words.db(1)),
        "tick" => Input::Tick,
        "promoted" => Input::Promoted(PromotionId(words.number(1))),
        "promote-failed" => Input::PromoteFailed(PromotionId(words.number(1)), words.cause(2)),
        "meta" | "beat" | "control-lost" => parse_control(&words),
        _ => parse_shard(&words),
    }
}

fn address(words: &Words<'_>, at: usize) -> Address {
    Address { host: words.word(at).into(), port: words.number(at + 1).try_into().unwrap() }
}

fn order(word: &str) -> DbOrder {
    match word {
        "no-one" => DbOrder::NoOne,
        "sync" => DbOrder::Sync,
        "force" => DbOrder::Force,
        other => panic!("no order: {other}"),
    }
}

fn parse_control(words: &Words<'_>) -> Input {
    let link = words.link(1);
    let (run, role_generation) = (|| run(words.get("run")), || words.get_or("gen", 1));
    match words.word(0) {
        "meta" => {
            let meta = Meta {
                version: words.get_or("version", 1).try_into().unwrap(),
                node: node(words.get("node")),
                run: run(),
                role_generation: role_generation(),
                databases: words.get_or("dbs", 16).try_into().unwrap(),
                path: path(words.get("path")),
                shards: words.shards(),
            };
            Input::Meta { link, meta }
        }
        "beat" => {
            let (path, shards) = (path(words.get("path")), words.shards());
            Input::Beat { link, beat: Beat { run: run(), role_generation: role_generation(), path, shards } }
        }
        _ => Input::ControlLost { link, cause: words.cause(2) },
    }
}

fn parse_shard(words: &Words<'_>) -> Input {
    let db = words.db(1);
    let (link, transfer) = (|| words.link(2), || TransferId(words.number(2)));
    let verdict = |verdict| Input::Verdict { db, link: link(), verdict };
    let progress = |progress| Input::Progress { db, transfer: transfer(), progress };
    let (bytes, total) = (|| words.number(3), || words.number(4));
    match words.word(0) {
        "continue" => {
            verdict(Verdict::Continue { log_generation: words.get_number("log"), from: Lsn(words.get_number("from")) })
        }
        "full-sync" => verdict(Verdict::FullSync(SyncReason::parse(words.word(3)).unwrap())),
        "rewind" => verdict(Verdict::Rewind(Lsn(words.number(3)))),
        "not-yet" => verdict(Verdict::NotYet),
        "preparing" => Input::Preparing { db, link: link(), percent: words.number(3).try_into().unwrap() },
        "position" => {
            let at = Lsn(words.number(3));
            let positions = Positions { received: at, applied: at, synced: at };
            Input::Position { db, link: link(), positions, end: Lsn(words.number(4)) }
        }
        "shard-lost" => Input::ShardLost { db, link: link(), cause: words.cause(3) },
        "snapshot-preparing" => progress(Progress::Preparing { percent: words.number(3).try_into().unwrap() }),
        "chosen" => {
            progress(Progress::Chosen { snapshot: SnapshotId::new(words.word(3)).unwrap(), total: words.number(4) })
        }
        "fetching" => progress(Progress::Fetched { bytes: bytes(), total: total() }),
        "fetched" => Input::Fetched { db, transfer: transfer() },
        "installing" => progress(Progress::Installing { bytes: bytes(), total: total() }),
        "installed" => Input::Installed { db, transfer: transfer(), end: Lsn(words.number(3)) },
        "transfer-failed" => Input::TransferFailed { db, transfer: transfer(), cause: words.cause(3) },
        other => panic!("no input: {other}"),
    }
}

/// Parameters: the defaults, without jitter, changed by the names in the line.
pub fn config(line: &str) -> Config {
    let words = Words::new(line);
    let mut config = Config { jitter_percent: 0, ..Config::default() };
    for (name, value) in &words.named {
        let number: u64 = value.parse().unwrap();
        let small = u32::try_from(number).unwrap_or(u32::MAX);
        match *name {
            "databases" => config.databases = small,
            "retry_limit" => config.retry_limit = small,
            "max_parallel_syncs" => config.max_parallel_syncs = small,
            "retry_cooldown" => config.retry_cooldown = Millis(number),
            "backoff_max" => config.backoff_max = Millis(number),
            "backoff_min" => config.backoff_min = Millis(number),
            "timeout" => config.timeout = Millis(number),
            "connect_timeout" => config.connect_timeout = Millis(number),
            "stable_after" => config.stable_after = Millis(number),
            "lag_alarm" => config.lag_alarm = Millis(number),
            "heartbeat_every" => config.heartbeat_every = Millis(number),
            other => panic!("no parameter: {other}"),
        }
    }
    config
}

/// Every line of an output, in the order in which a driver obeys it.
pub fn output(output: &Output) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(output.persist.as_ref().map(|ledger| format!("persist {}", content(ledger))));
    lines.extend(output.start.iter().map(|start| format!("start   {}", begin(start))));
    lines.extend(output.send.iter().map(|transmit| format!("send    {}", message(transmit))));
    lines.extend(output.events.iter().map(|event| format!("event   {} {}", event.level, event.what)));
    lines
}

/// The ledger without its frame.
fn content(ledger: &Ledger) -> String {
    let text = ledger.encode();
    let lines: Vec<_> = text.lines().skip(2).filter(|line| !line.starts_with("crc ")).collect();
    if lines.is_empty() { "nothing".into() } else { lines.join("; ") }
}

fn begin(start: &Start) -> String {
    match start {
        Start::Demote => "demote".into(),
        Start::Promote(promotion) => format!("promote {promotion}"),
        Start::Dial { link, primary, role_generation } => format!("dial link={link} {primary} gen={role_generation}"),
        Start::CloseControl { link } => format!("close-control link={link}"),
        Start::OpenShard { db, link, role_generation, bound, .. } => {
            let bound = bound.map_or_else(String::new, |reason| format!(" bound={reason}"));
            format!("ask db{db} link={link} gen={role_generation}{bound}")
        }
        Start::CloseShard { db, link } => format!("close-shard db{db} link={link}"),
        Start::Fetch { db, transfer, reason, resume } => {
            let resume = resume.as_ref().map_or("nothing", SnapshotId::as_str);
            format!("fetch db{db} transfer={transfer} {reason} resume={resume}")
        }
        Start::Install { db, transfer } => format!("install db{db} transfer={transfer}"),
        Start::Reset { db, transfer } => format!("reset db{db} transfer={transfer}"),
        Start::AbortFetch { db, transfer } => format!("abort db{db} transfer={transfer}"),
        Start::DropFiles { db } => format!("drop-files db{db}"),
    }
}

fn message(transmit: &Transmit) -> String {
    let Transmit::Heartbeat { link, role_generation, positions } = transmit;
    let mut text = format!("heartbeat link={link} gen={role_generation}");
    for (db, positions) in positions {
        write!(text, " db{db}:{}", positions.applied).unwrap();
    }
    text
}

/// The states in one line.
pub fn states(node: &Node) -> String {
    let Status { role, node: machine, shards, alarms, .. } = node.status();
    let mut text = format!("{role:?} {}", machine.state.as_str());
    for shard in shards {
        write!(text, " db{}={}", shard.db, shard.state.as_str()).unwrap();
    }
    for (level, alarm, _) in alarms {
        write!(text, " !{level}:{alarm}").unwrap();
    }
    let deadline = node.deadline().map_or("none".into(), |at| at.to_string());
    write!(text, " | next {deadline}").unwrap();
    text
}
