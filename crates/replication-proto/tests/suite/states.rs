//! No state waits without a deadline, except wanted rest.
//!
//! A graph of inputs is walked until nothing new is found, so that every state and every way to wait in it is seen; at each of them the
//! rule is checked. (`Node::invariants`, called after every step of every other test, checks it as well.)

use std::collections::BTreeSet;

use replication_proto::{
    Cause, Config, Db, DbOrder, Input, LinkId, Millis, Node, NodeStateName, Role, ShardStateName, TransferId,
};

use crate::text;
use crate::world::World;

/// What an input may do to each node that was reached so far.
fn inputs(link: u64) -> Vec<String> {
    let mut lines: Vec<String> = [
        "tick",
        "no-one",
        "replicaof 10.0.0.1 7001",
        "dbslaveof 0 no-one",
        "dbslaveof 0 sync",
        "dbslaveof 0 force",
        "reset",
    ]
    .map(Into::into)
    .to_vec();
    for id in link.saturating_sub(2)..=link {
        lines.push(format!("meta {id} node=b run=b1 path=b shards=0:7:100,1:7:100"));
        lines.push(format!("control-lost {id} closed"));
        lines.push(format!("control-lost {id} not_a_peer"));
        lines.push(format!("continue 0 {id} log=7 from=100"));
        lines.push(format!("full-sync 0 {id} trimmed"));
        lines.push(format!("full-sync 1 {id} absent"));
        lines.push(format!("preparing 0 {id} 5"));
        lines.push(format!("shard-lost 0 {id} busy"));
        lines.push(format!("shard-lost 0 {id} no_space"));
        lines.push(format!("fetched 0 {id}"));
        lines.push(format!("installed 0 {id} 100"));
        lines.push(format!("transfer-failed 0 {id} stalled"));
        lines.push(format!("promoted {id}"));
        lines.push(format!("promote-failed {id} no_space"));
    }
    lines
}

/// Whether nothing more will happen by itself, and nothing should.
fn is_wanted_rest(node: &Node, config: &Config) -> bool {
    let status = node.status();
    let is_primary = status.role == Role::Primary && status.node.state == NodeStateName::NoConnect;
    let is_spent =
        config.retry_limit > 0 && config.retry_cooldown == Millis(0) && status.node.state == NodeStateName::Error;
    is_primary || is_spent
}

fn explore(config: &Config) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut ledger = World::new(config.clone(), []).ledger;
    ledger.primary = None;
    let mut reached = vec![(Node::new(Millis(0), config.clone(), ledger, 1), Millis(0), 0_u64)];
    while let Some((before, then, numbers)) = reached.pop() {
        for line in inputs(numbers) {
            let mut node = before.clone();
            let now = if line == "tick" { node.deadline().unwrap_or(then) } else { then + Millis(1) };
            let output = node.step(now, text::parse(&line));
            node.invariants();
            check(&node, config);
            let newest = output.start.iter().filter_map(number).max().unwrap_or(numbers).max(numbers);
            if seen.insert(shape(&node)) {
                reached.push((node, now, newest));
            }
        }
    }
    seen
}

fn number(start: &replication_proto::Start) -> Option<u64> {
    use replication_proto::Start;
    match start {
        Start::Dial { link: LinkId(number), .. }
        | Start::OpenShard { link: LinkId(number), .. }
        | Start::Fetch { transfer: TransferId(number), .. }
        | Start::Reset { transfer: TransferId(number), .. } => Some(*number),
        Start::Promote(promotion) => Some(promotion.0),
        Start::Demote
        | Start::CloseControl { .. }
        | Start::CloseShard { .. }
        | Start::Install { .. }
        | Start::AbortFetch { .. }
        | Start::DropFiles { .. } => None,
    }
}

/// The states, and what they wait for, without figures.
fn shape(node: &Node) -> String {
    let status = node.status();
    let mut shape = format!("{:?} {:?} ", status.role, status.node.state);
    for shard in status.shards {
        let phase = shard.transfer.map(|transfer| std::mem::discriminant(&transfer.phase));
        shape += &format!(" {}:{:?} {phase:?} {} {}", shard.db, shard.state, shard.detached, shard.next_at.is_some());
    }
    shape
}

fn check(node: &Node, config: &Config) {
    let status = node.status();
    assert!(node.deadline().is_some() || is_wanted_rest(node, config), "{}", text::states(node));
    assert!(status.node.next_at.is_some() || is_wanted_rest(node, config), "{}", text::states(node));
    for shard in &status.shards {
        let rests = shard.state == ShardStateName::NoConnect
            || (config.retry_cooldown == Millis(0) && shard.state == ShardStateName::Error && config.retry_limit > 0);
        assert!(shard.next_at.is_some() || rests, "db{}: {}", shard.db, text::states(node));
        let excused = shard.detached || status.node.state != NodeStateName::Connected;
        assert!(shard.state != ShardStateName::NoConnect || excused, "{}", text::states(node));
    }
}

#[test]
fn no_state_but_wanted_rest_lacks_a_deadline() {
    let usual = Config { jitter_percent: 0, ..Config::default() };
    let spent = Config { retry_limit: 2, retry_cooldown: Millis(0), ..usual.clone() };
    for config in [usual, spent] {
        let shapes = explore(&config);
        let all_nodes =
            NodeStateName::ALL.iter().all(|name| shapes.iter().any(|shape| shape.contains(&format!(" {name:?} "))));
        let all_shards =
            ShardStateName::ALL.iter().all(|name| shapes.iter().any(|shape| shape.contains(&format!(":{name:?} "))));
        assert!(all_nodes && all_shards, "not every state was reached: {shapes:#?}");
        assert!(shapes.len() >= 70, "{}", shapes.len());
    }
}

/// A shard that is detached or an install that is awaited is rest or not, whatever is set to what.
#[test]
fn parameters_of_zero_are_no_deadline_of_never() {
    let zero = Millis(0);
    let config = Config {
        connect_timeout: zero,
        timeout: zero,
        reply_timeout: zero,
        progress_timeout: zero,
        backoff_min: zero,
        backoff_max: zero,
        jitter_percent: 100,
        stable_after: zero,
        retry_limit: 0,
        max_parallel_syncs: 0,
        heartbeat_every: zero,
        lag_alarm: zero,
        ..Config::default()
    };
    let mut world = World::new(config, [0]);
    for _ in 0..1_000 {
        world.run_for(Millis(1));
    }
    drop(world.step(Input::DbSlaveOf(Db(0), DbOrder::Force)));
    world.cut(Cause::Closed);
    assert!(world.node.deadline().is_some());
}
