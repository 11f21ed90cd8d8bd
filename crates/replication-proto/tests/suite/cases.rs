//! "What went wrong elsewhere", as far as it can go wrong in the machine. The numbers are those of the list in
//! `docs/replication.md`; cases of verdicts and leases stand beside those.

use lineage::Lsn;
use replication_proto::{
    Address, Alarm, Beat, Cause, Config, Db, DbOrder, Input, Level, LinkId, Millis, Node, NodeStateName, Path,
    Positions, Progress, Role, Root, RunId, ShardStateName, Standing, Start, SyncPhase, SyncReason, Verdict,
};

use crate::text;
use crate::world::{Manners, World, address, at_the_end, snapshot};

const DB: Db = Db(0);
const SHARD: Level = Level::Shard(DB);
const MINUTE: Millis = Millis::seconds(60);

fn world() -> World {
    World::new(Config::default(), [0, 1])
}

fn connected() -> World {
    let mut world = world();
    world.heal(MINUTE);
    world.run_for(Millis::seconds(2));
    world
}

fn alarms(node: &Node) -> Vec<(Level, Alarm)> {
    node.status().alarms.iter().map(|(level, alarm, _)| (*level, *alarm)).collect()
}

/// The link of the question that is open, or of the shard that follows.
fn link(world: &World) -> LinkId {
    world.open.asks[&DB]
}

#[test]
fn case_01_error_state_is_left_by_itself() {
    let mut world = connected();
    world.behave(Manners::Silent);
    world.cut(Cause::Closed);
    for _ in 0..20 {
        world.run_for(Millis::seconds(40));
        world.cut(Cause::Refused);
    }
    assert!(world.count(Level::Node, NodeStateName::Error, NodeStateName::Connect) > 5);
    assert_eq!(
        alarms(&world.node),
        [(Level::Node, Alarm::NoPrimary), (Level::Shard(Db(0)), Alarm::Lag), (Level::Shard(Db(1)), Alarm::Lag)]
    );
    world.behave(Manners::Perfect);
    world.heal(MINUTE);
    world.run_for(Millis::seconds(2));
    assert_eq!(alarms(&world.node), []);
}

#[test]
fn case_01_the_same_address_again_restarts_the_link() {
    let mut world = connected();
    let before = world.open.dial;
    world.step(Input::ReplicaOf(address()));
    assert_ne!(world.open.dial, before);
    assert!(world.heal(MINUTE) < Millis(100));
    world.behave(Manners::Silent);
    world.cut(Cause::NotAPeer);
    world.run_until(world.now + MINUTE, |world| world.node.status().node.state == NodeStateName::Connecting);
    world.cut(Cause::NotAPeer);
    assert_eq!(world.node.status().node.state, NodeStateName::Error);
    world.step(Input::ReplicaOf(address()));
    assert_eq!(world.node.status().node.state, NodeStateName::Connecting, "without any pause");
}

#[test]
fn case_02_a_lost_reply_is_asked_for_again() {
    let mut world = connected();
    let lost = link(&world);
    world.step(Input::ShardLost { db: DB, link: lost, cause: Cause::Closed });
    world.run_until(world.now + MINUTE, |world| world.state(DB) == Some(ShardStateName::WaitReply));
    // The control link lives on, but nobody ever answers this question.
    let (asked_at, unanswered) = (world.now, link(&world));
    while world.state(DB) == Some(ShardStateName::WaitReply) {
        world.now = world.now + Millis(500);
        let beat = Input::Beat { link: world.open.dial.unwrap(), beat: world.beat() };
        world.step(beat);
    }
    assert_eq!(world.now.since(asked_at), Config::default().reply_timeout);
    assert_eq!(world.state(DB), Some(ShardStateName::Error));
    world.step(Input::Verdict { db: DB, link: unanswered, verdict: Verdict::FullSync(SyncReason::Disjoint) });
    assert_eq!(world.state(DB), Some(ShardStateName::Error), "the late answer is ignored");
    world.heal(MINUTE);
}

#[test]
fn case_03_a_healthy_shard_does_not_keep_a_bad_one_from_retrying() {
    let mut world = connected();
    for _ in 0..10 {
        let link = link(&world);
        world.step(Input::ShardLost { db: DB, link, cause: Cause::Rejected });
        assert_eq!(world.state(Db(1)), Some(ShardStateName::Connected));
        assert!(alarms(&world.node).contains(&(SHARD, Alarm::ShardError)));
        let healed = world.heal(MINUTE);
        assert!(healed < Millis::seconds(37), "{healed}");
    }
    assert_eq!(world.count(Level::Node, NodeStateName::Connected, NodeStateName::Connect), 0);
}

#[test]
fn case_04_a_slow_snapshot_is_not_a_failure() {
    let mut world = world();
    world.stale.insert(DB, SyncReason::Empty);
    world.run_until(Millis::seconds(10), |world| world.open.fetches.contains_key(&DB));
    let transfer = world.open.fetches[&DB];
    for second in 0..500_u64 {
        world.now = world.now + Millis::seconds(1);
        let percent = u8::try_from(second / 5).unwrap();
        world.step(Input::Progress { db: DB, transfer, progress: Progress::Preparing { percent } });
        let link = world.open.dial.unwrap();
        let beat = Input::Beat { link, beat: world.beat() };
        world.step(beat);
    }
    assert_eq!(world.state(DB), Some(ShardStateName::WaitDbSync));
    assert_eq!(world.node.status().shards[0].attempt, 0);
}

/// The other side of it: a primary that prepares for ever is not waited for for ever.
#[test]
fn case_04_a_snapshot_that_never_comes_is_noticed() {
    let config = Config { retry_limit: 0, ..Config::default() };
    let mut world = World::new(config, [0]);
    world.stale.insert(DB, SyncReason::Empty);
    world.run_until(Millis::seconds(10), |world| world.open.fetches.contains_key(&DB));
    let (transfer, begun) = (world.open.fetches[&DB], world.now);
    while world.state(DB) == Some(ShardStateName::WaitDbSync) {
        world.now = world.now + Millis::seconds(1);
        world.step(Input::Progress { db: DB, transfer, progress: Progress::Preparing { percent: 5 } });
        let beat = Input::Beat { link: world.open.dial.unwrap(), beat: world.beat() };
        world.step(beat);
        assert!(world.now.since(begun) < Millis::seconds(700));
    }
    assert!(world.now.since(begun) >= Millis::seconds(600));
}

#[test]
fn case_05_an_aborted_transfer_keeps_its_files_and_its_intent() {
    let mut world = world();
    world.stale.insert(DB, SyncReason::Trimmed);
    world.run_until(Millis::seconds(10), |world| world.open.fetches.contains_key(&DB));
    world.behave(Manners::Silent);
    let transfer = world.open.fetches[&DB];
    world.step(Input::Progress { db: DB, transfer, progress: Progress::Chosen { snapshot: snapshot(), total: 100 } });
    world.cut(Cause::Closed);
    assert_eq!(world.ledger.syncs[&DB].snapshot, Some(snapshot()));
    assert_eq!(world.node.status().shards[0].transfer.unwrap().phase, SyncPhase::Interrupted);
    // The process dies and starts again with what its disk holds.
    let mut restarted = World::with_ledger(Config::default(), world.ledger.clone(), [0, 1]);
    restarted.stale = world.stale.clone();
    restarted.run_until(Millis::seconds(10), |world| world.open.fetches.contains_key(&DB));
    let resumed = restarted.starts.iter().find_map(|(_, start)| match start {
        Start::Fetch { resume, .. } => Some(resume.clone()),
        _ => None,
    });
    assert_eq!(resumed, Some(Some(snapshot())));
    assert_eq!(restarted.ledger.syncs[&DB].attempts, 2);
    restarted.heal(MINUTE);
    assert!(restarted.ledger.syncs.is_empty());
    assert!(!world.starts.iter().any(|(_, start)| matches!(start, Start::DropFiles { .. })));
}

/// The crash between the swap and the ledger leaves an intent that is fulfilled: the next answer is CONTINUE.
#[test]
fn case_10_an_intent_that_outlived_its_swap_costs_one_question() {
    let mut world = world();
    world.stale.insert(DB, SyncReason::Trimmed);
    world.run_until(Millis::seconds(10), |world| world.open.installs.contains_key(&DB));
    let mut restarted = World::with_ledger(Config::default(), world.ledger.clone(), [0, 1]);
    assert!(restarted.heal(MINUTE) < Millis(100));
    assert!(restarted.ledger.syncs.is_empty());
    assert!(!restarted.starts.iter().any(|(_, start)| matches!(start, Start::Fetch { .. })));
}

#[test]
fn case_14_heartbeats_do_not_keep_a_frozen_feed_alive() {
    let mut world = connected();
    world.open.asks.remove(&DB);
    world.run_until(world.now + MINUTE, |world| world.state(DB) != Some(ShardStateName::Connected));
    assert_eq!(world.node.status().node.state, NodeStateName::Connected);
    assert_eq!(world.count(SHARD, ShardStateName::Connected, ShardStateName::NoConnect), 1);
    world.heal(MINUTE);
}

/// The other way to freeze: the feed says that it is alive and has more, and brings nothing.
#[test]
fn case_14_a_feed_that_only_says_that_it_is_alive_is_given_up() {
    let mut world = connected();
    let (link, begun) = (link(&world), world.now);
    world.open.asks.remove(&DB);
    let at = Positions { received: Lsn(100), applied: Lsn(100), synced: Lsn(100) };
    while world.state(DB) == Some(ShardStateName::Connected) {
        world.run_until(world.now + Millis(900), |world| world.state(DB) != Some(ShardStateName::Connected));
        drop(world.step(Input::Position { db: DB, link, positions: at, end: Lsn(500) }));
        assert!(world.now.since(begun) < MINUTE);
    }
    // The log was last known to be complete up to a second before.
    assert!(world.now.since(begun) + Millis::seconds(1) >= Config::default().progress_timeout);
    assert_eq!(world.node.status().shards[0].cause, Cause::Stalled);
    world.heal(MINUTE);
}

/// A replica answers for others only when it has been told for a while that there is nothing more.
#[test]
fn a_replica_is_settled_when_nothing_came_for_a_while() {
    let mut world = connected();
    assert_eq!(world.node.standing(DB), Standing::Following);
    world.run_for(Millis::seconds(12));
    assert_eq!(world.node.standing(DB), Standing::Settled);
    let mut beat = world.beat();
    beat.shards[0].end = Lsn(101);
    let link = world.open.dial.unwrap();
    world.step(Input::Beat { link, beat });
    assert_eq!(world.node.standing(DB), Standing::Following);
    world.cut(Cause::Closed);
    assert_eq!(world.node.standing(DB), Standing::Adrift);
}

#[test]
fn case_15_promotion_during_a_transfer_uses_the_old_consistent_shard() {
    let mut world = connected();
    world.stale.insert(DB, SyncReason::Disjoint);
    let link = link(&world);
    world.step(Input::ShardLost { db: DB, link, cause: Cause::Closed });
    world.run_until(world.now + MINUTE, |world| world.open.fetches.contains_key(&DB));
    world.step(Input::NoOne);
    assert!(world.open.fetches.is_empty() && world.open.installs.is_empty());
    assert!(world.ledger.syncs.is_empty());
    world.run_for(Millis::seconds(1));
    assert_eq!(world.node.role(), Role::Primary);
    assert!(!world.starts.iter().any(|(_, start)| matches!(start, Start::Install { .. })));
}

#[test]
fn case_17_full_syncs_take_turns() {
    let mut world = World::new(Config { max_parallel_syncs: 2, ..Config::default() }, 0..10);
    world.stale = (0..10).map(|db| (Db(db), SyncReason::Empty)).collect();
    let mut most = 0;
    while !world.is_whole() {
        world.run_until(world.now + Millis(1), |_| false);
        most = most.max(world.open.fetches.len() + world.open.installs.len());
        assert!(world.now < MINUTE);
    }
    assert_eq!(most, 2);
}

/// Machines that failed together do not retry together.
#[test]
fn case_17_pauses_are_spread() {
    let first_pause = |seed| {
        let mut ledger = world().ledger.clone();
        ledger.primary = Some(address());
        let mut node = Node::new(Millis(0), Config::default(), ledger, seed);
        drop(node.step(Millis(0), Input::Tick));
        drop(node.step(Millis(0), Input::ControlLost { link: LinkId(1), cause: Cause::Itself }));
        node.deadline().unwrap().0
    };
    let pauses: std::collections::BTreeSet<u64> = (0..100).map(first_pause).collect();
    assert!(pauses.len() > 30 && *pauses.first().unwrap() < 25_000 && *pauses.last().unwrap() > 35_000, "{pauses:?}");
}

#[test]
fn case_18_a_corrected_password_heals_within_one_back_off() {
    let mut world = world();
    world.behave(Manners::Silent);
    drop(world.step(Input::Tick));
    for _ in 0..30 {
        world.cut(Cause::AuthRefused);
        world.run_until(world.now + MINUTE, |world| world.node.status().node.state == NodeStateName::Connecting);
    }
    world.cut(Cause::AuthRefused);
    world.behave(Manners::Perfect);
    let healed = world.heal(MINUTE);
    assert!(healed < Millis::seconds(37), "{healed}");
}

/// Half-open: no byte comes, no error either.
#[test]
fn case_20_a_half_open_link_is_noticed_and_replaced() {
    let mut world = connected();
    let cut_at = world.now;
    world.behave(Manners::Silent);
    world.run_until(world.now + MINUTE, |world| world.node.status().node.state == NodeStateName::Connect);
    assert!(world.now.since(cut_at) <= Config::default().timeout);
    world.behave(Manners::Perfect);
    assert!(world.heal(MINUTE) < Millis(300));
}

/// The machine's clock is the driver's monotonic one, and even that may not surprise it.
#[test]
fn case_21_a_clock_that_jumps_breaks_nothing() {
    let mut world = connected();
    let before = world.node.status();
    drop(world.node.step(Millis(0), Input::Tick));
    world.node.invariants();
    assert_eq!(world.node.status(), before, "a step back is no step");
    world.now = world.now + Millis::seconds(1_000_000);
    drop(world.step(Input::Tick));
    world.heal(MINUTE);
}

#[test]
fn case_22_a_full_disk_heals_when_there_is_room() {
    let mut world = connected();
    for _ in 0..5 {
        let link = link(&world);
        world.step(Input::ShardLost { db: DB, link, cause: Cause::NoSpace });
        assert_eq!(world.state(DB), Some(ShardStateName::TryConnect));
        let healed = world.heal(MINUTE);
        assert!(healed >= Millis::seconds(4), "{healed}: not at once, somebody has to make room");
    }
    // The same while a full copy is installed.
    world.stale.insert(DB, SyncReason::Trimmed);
    let last = link(&world);
    world.step(Input::ShardLost { db: DB, link: last, cause: Cause::Closed });
    world.run_until(world.now + MINUTE, |world| world.open.installs.contains_key(&DB));
    let transfer = world.open.installs[&DB];
    world.step(Input::TransferFailed { db: DB, transfer, cause: Cause::NoSpace });
    assert_eq!(world.state(DB), Some(ShardStateName::Error));
    world.heal(MINUTE);
}

#[test]
fn case_23_a_replica_of_itself_and_cycles_are_named_and_heal() {
    let mut world = world();
    world.behave(Manners::Silent);
    drop(world.step(Input::Tick));
    let mut meta = world.meta();
    meta.node = text::node("a");
    let link = world.open.dial.unwrap();
    world.step(Input::Meta { link, meta });
    assert_eq!(world.node.status().node.cause, Cause::Itself);
    world.behave(Manners::Perfect);
    world.heal(MINUTE);
    let path = Path { nodes: vec![text::node("b"), text::node("c"), text::node("a")], root: Root::Unknown };
    let beat = Beat { path, ..world.beat() };
    let link = world.open.dial.unwrap();
    world.step(Input::Beat { link, beat });
    assert_eq!((world.node.status().node.state, world.node.status().node.cause), (NodeStateName::Error, Cause::Cycle));
    assert_eq!(world.node.path().root, Root::Unknown);
    world.heal(MINUTE);
}

/// Two nodes that follow each other cannot both believe to reach a primary; one of them notices.
#[test]
fn case_23_two_that_follow_each_other_notice() {
    let mut one = connected();
    let seen_by_other = one.node.path();
    assert_eq!(seen_by_other.nodes, [text::node("a"), text::node("b")]);
    let link = one.open.dial.unwrap();
    let path = Path { nodes: vec![text::node("b"), text::node("a")], root: Root::Unknown };
    let beat = Beat { path, run: RunId([b'b'; 20]), role_generation: 1, shards: Vec::new() };
    one.step(Input::Beat { link, beat });
    assert_eq!(one.node.status().node.cause, Cause::Cycle);
}

#[test]
fn a_detached_database_stays_so_until_it_is_attached() {
    let mut world = connected();
    world.step(Input::DbSlaveOf(DB, DbOrder::NoOne));
    world.cut(Cause::Closed);
    world.heal(MINUTE);
    assert_eq!(world.state(DB), Some(ShardStateName::NoConnect));
    let mut restarted = World::with_ledger(Config::default(), world.ledger.clone(), [0, 1]);
    restarted.heal(MINUTE);
    assert_eq!(restarted.state(DB), Some(ShardStateName::NoConnect));
    restarted.step(Input::DbSlaveOf(DB, DbOrder::Sync));
    restarted.run_for(Millis(20));
    assert_eq!(restarted.state(DB), Some(ShardStateName::Connected));
}

#[test]
fn a_database_created_on_the_primary_is_followed_at_once() {
    let mut world = connected();
    world.databases.insert(Db(5));
    let beat = Input::Beat { link: world.open.dial.unwrap(), beat: world.beat() };
    world.step(beat);
    assert!(world.heal(MINUTE) < Millis(50));
    assert_eq!(world.node.status().shards.len(), 3);
}

/// What Sentinel weighs candidates by: it grows for as long as the link as a whole is down, whatever the machines do
/// meanwhile.
#[test]
fn the_link_is_down_since_its_first_shard_was() {
    let config = Config { timeout: MINUTE.times(60), jitter_percent: 0, ..Config::default() };
    let mut world = World::new(config, [0, 9]);
    assert_eq!(world.node.status().node.cut_since, Some(Millis(0)), "since the start");
    world.heal(Millis(1_000));
    world.run_for(Millis(500));
    assert_eq!(world.node.status().node.cut_since, None);
    let lost_at = world.now;
    world.behave(Manners::Silent);
    for cause in [Cause::Closed, Cause::AuthRefused, Cause::AuthRefused, Cause::Refused] {
        let link = world.open.asks[&Db(9)];
        drop(world.step(Input::ShardLost { db: Db(9), link, cause }));
        world.run_until(world.now + Millis(8_000), |world| world.state(Db(9)) == Some(ShardStateName::WaitReply));
        assert_eq!(world.node.status().node.cut_since, Some(lost_at), "{}", text::states(&world.node));
    }
    world.cut(Cause::Closed);
    assert_eq!(world.node.status().node.cut_since, Some(lost_at), "the control link, too");
    world.behave(Manners::Perfect);
    world.heal(Millis(10_000));
    assert_eq!(world.node.status().node.cut_since, None);
    drop(world.step(Input::DbSlaveOf(Db(9), DbOrder::NoOne)));
    assert_eq!(world.node.status().node.cut_since, None, "what is detached is no loss");
    drop(world.step(Input::NoOne));
    assert_eq!(world.node.status().node.cut_since, None, "a primary has no link");
}

/// What an operator sees of the next try: there is one only where something failed, and none in a rest without an end.
#[test]
fn a_next_try_is_told_only_where_there_is_one() {
    let config = Config { jitter_percent: 0, retry_limit: 2, retry_cooldown: Millis(0), ..Config::default() };
    let mut world = World::new(config.clone(), [0]);
    let told = |world: &World| {
        let status = world.node.status();
        (status.node.retry_at, status.shards.first().and_then(|shard| shard.retry_at))
    };
    world.heal(MINUTE);
    assert_eq!(told(&world), (None, None), "all is well");
    world.behave(Manners::Silent);
    drop(world.step(Input::ShardLost { db: DB, link: link(&world), cause: Cause::Closed }));
    assert_eq!(told(&world), (None, Some(world.now + config.backoff_min)));
    world.run_for(config.backoff_min);
    assert_eq!(told(&world), (None, None), "it has asked");
    drop(world.step(Input::ShardLost { db: DB, link: link(&world), cause: Cause::Closed }));
    assert_eq!(world.state(DB), Some(ShardStateName::Error));
    assert_eq!(told(&world), (None, None), "it rests");
    world.cut(Cause::Closed);
    assert_eq!(told(&world), (Some(world.now + config.backoff_min), None), "shards wait for the node");
    world.run_for(config.backoff_min);
    world.cut(Cause::Refused);
    assert_eq!(told(&world), (None, None), "both rest");
    drop(world.step(Input::Configure(Config { retry_limit: 0, ..config })));
    assert_eq!(world.node.status().node.state, NodeStateName::Connecting);
}

/// What INFO makes of the first shard's lag: the end of the primary's log as last heard, and the age of the data here.
fn lag(world: &World) -> (Option<u64>, Option<u64>) {
    let shard = &world.node.status().shards[0];
    (shard.end.map(|end| end.0), shard.age.map(|age| age.0))
}

#[test]
fn a_position_moves_the_lag() {
    let mut world = connected();
    let (db, link) = (DB, link(&world));
    let at = |applied, end| {
        let positions = Positions { received: Lsn(applied), applied: Lsn(applied), synced: Lsn(applied) };
        Input::Position { db, link, positions, end: Lsn(end) }
    };
    world.step(at(100, 100));
    assert_eq!(lag(&world), (Some(100), Some(0)));
    world.step(at(100, 400));
    world.now = world.now + Millis(700);
    world.step(at(300, 500));
    assert_eq!(lag(&world), (Some(500), Some(700)));
}

fn beat_with_end(world: &World, end: u64) -> Input {
    let mut beat = world.beat();
    beat.shards.iter_mut().for_each(|shard| shard.end = Lsn(end));
    Input::Beat { link: world.open.dial.unwrap(), beat }
}

/// Whatever the shard does, its data grows older, and the control link tells how much more there is.
#[test]
fn the_lag_of_a_shard_that_does_not_follow_grows() {
    let mut world = connected();
    let (wrong, link) = (Cause::AuthRefused, link(&world));
    world.behave(Manners::Silent);
    drop(world.step(at_the_end(DB, link)));
    drop(world.step(Input::ShardLost { db: DB, link, cause: wrong }));
    world.now = world.now + Millis(1_500);
    drop(world.step(beat_with_end(&world, 900)));
    assert_eq!(lag(&world), (Some(900), Some(1_500)));
    world.cut(Cause::Closed);
    world.now = world.now + Millis(500);
    drop(world.step(Input::Tick));
    assert_eq!(lag(&world), (Some(900), Some(2_000)), "as last heard");
    drop(world.step(Input::DbSlaveOf(DB, DbOrder::NoOne)));
    world.now = world.now + Millis::seconds(20);
    drop(world.step(Input::Tick));
    assert_eq!(lag(&world), (Some(900), Some(22_000)), "a detached one's, too");
    assert!(!alarms(&world.node).contains(&(SHARD, Alarm::Lag)), "but nobody minds");
    drop(world.step(Input::DbSlaveOf(DB, DbOrder::Sync)));
    assert!(!alarms(&world.node).contains(&(SHARD, Alarm::Lag)), "until it is to follow again");
    world.now = world.now + Millis::seconds(10);
    drop(world.step(Input::Tick));
    assert!(alarms(&world.node).contains(&(SHARD, Alarm::Lag)));
    let elsewhere = Address { host: "10.0.0.9".into(), port: 7001 };
    drop(world.step(Input::ReplicaOf(elsewhere)));
    assert_eq!(lag(&world).0, None, "nothing is known of the new primary's log");
}

/// A link that came up tells the end of what it brings, which is not the end of all there is.
#[test]
fn a_new_link_does_not_make_old_data_current() {
    let mut world = connected();
    let first = link(&world);
    world.behave(Manners::Silent);
    drop(world.step(at_the_end(DB, first)));
    drop(world.step(Input::ShardLost { db: DB, link: first, cause: Cause::Closed }));
    drop(world.step(beat_with_end(&world, 900)));
    world.run_for(Millis(500));
    let (second, verdict) = (link(&world), Verdict::Continue { log_generation: 7, from: Lsn(100) });
    assert_ne!(first, second);
    drop(world.step(Input::Verdict { db: DB, link: second, verdict }));
    drop(world.step(at_the_end(DB, second)));
    assert_eq!(lag(&world), (Some(900), Some(500)));
}

/// Half-open: nothing is proven any more long before the link is given up.
#[test]
fn the_lag_over_a_silent_link_grows() {
    let mut world = connected();
    let last = at_the_end(DB, link(&world));
    world.behave(Manners::Silent);
    drop(world.step(last));
    world.now = world.now + Millis(2_000);
    drop(world.step(Input::Tick));
    assert_eq!(lag(&world), (Some(100), Some(0)), "the next sign of life may still come");
    world.now = world.now + Millis(1);
    drop(world.step(Input::Tick));
    assert_eq!(lag(&world), (Some(100), Some(2_001)));
    assert_eq!(world.state(DB), Some(ShardStateName::Connected));
}

/// Positions of another history say nothing here.
#[test]
fn the_lag_of_what_is_to_be_discarded_is_unknown() {
    let mut world = connected();
    world.stale.insert(DB, SyncReason::Diverged(Lsn(40)));
    world.behave(Manners::Silent);
    drop(world.step(Input::ShardLost { db: DB, link: link(&world), cause: Cause::Closed }));
    world.run_for(Millis(200));
    let verdict = Verdict::FullSync(SyncReason::Diverged(Lsn(40)));
    drop(world.step(Input::Verdict { db: DB, link: link(&world), verdict }));
    assert_eq!(world.state(DB), Some(ShardStateName::WaitDbSync));
    assert_eq!(lag(&world).0, None);
    assert!(lag(&world).1 >= Some(200));
}

/// Who never had the primary's data since the start has data that is too old, too.
#[test]
fn data_that_was_never_current_is_too_old_in_time() {
    let mut world = world();
    world.behave(Manners::Silent);
    drop(world.step(Input::Local(DB)));
    world.run_for(Millis(9_999));
    assert_eq!(lag(&world), (None, None), "nothing was heard");
    assert!(!alarms(&world.node).contains(&(SHARD, Alarm::Lag)));
    world.run_for(Millis(1));
    assert!(alarms(&world.node).contains(&(SHARD, Alarm::Lag)));
    world.behave(Manners::Perfect);
    world.heal(MINUTE);
    world.run_for(Millis::seconds(2));
    assert_eq!(alarms(&world.node), []);

    drop(world.step(Input::NoOne));
    world.run_for(MINUTE);
    assert_eq!(alarms(&world.node), [], "a primary's own data is current");
    world.behave(Manners::Silent);
    drop(world.step(Input::ReplicaOf(address())));
    assert!(!alarms(&world.node).contains(&(SHARD, Alarm::Lag)), "it was its own a moment ago");
    world.run_for(Millis::seconds(10));
    assert!(alarms(&world.node).contains(&(SHARD, Alarm::Lag)));
}
