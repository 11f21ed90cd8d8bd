//! Random walks: whatever happens in whatever order, the machine neither breaks nor stays broken.

use lineage::Lsn;
use proptest::prelude::*;
use replication_proto::{
    Beat, Cause, Config, Db, DbOrder, Input, LinkId, Meta, Millis, Occurrence, Output, Path, Positions, Progress,
    PromotionId, Role, Root, Scope, ShardBeat, ShardStateName, Start, StateName, SyncReason, TransferId, Verdict,
};

use crate::text;
use crate::world::{Manners, World, address, snapshot};

/// One step: how long after the last, and what.
#[derive(Debug, Clone)]
struct Step {
    after: u64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// An input that may carry any number, right or wrong.
    Raw(Input),
    /// Time until the machine itself wants to act.
    Wait,
    /// A right answer to what is open for this database, of this kind.
    Answer(Db, u8),
}

fn cause() -> impl Strategy<Value = Cause> {
    prop::sample::select(Cause::ALL)
}

fn db() -> impl Strategy<Value = Db> {
    (0..4_u32).prop_map(Db)
}

fn reason() -> impl Strategy<Value = SyncReason> {
    prop::sample::select(&[SyncReason::Empty, SyncReason::Diverged(Lsn(5)), SyncReason::Ahead, SyncReason::Absent][..])
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => (0..9_u64).prop_map(|log_generation| Verdict::Continue { log_generation, from: Lsn(9) }),
        2 => reason().prop_map(Verdict::FullSync),
        1 => Just(Verdict::Rewind(Lsn(3))),
        1 => Just(Verdict::NotYet),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    let names = prop::sample::select(&["b", "b", "b", "b,c", "b,a"][..]);
    (names, any::<bool>()).prop_map(|(names, rooted)| {
        let nodes = names.split(',').map(text::node).collect();
        Path { nodes, root: if rooted { Root::Primary } else { Root::Unknown } }
    })
}

fn beats() -> impl Strategy<Value = Vec<ShardBeat>> {
    let beat = (db(), 0..9_u64, 0..200_u64);
    prop::collection::vec(
        beat.prop_map(|(db, log_generation, end)| ShardBeat { db, log_generation, end: Lsn(end) }),
        0..4,
    )
}

fn raw() -> impl Strategy<Value = Input> {
    let id = || 0..40_u64;
    let run = || prop::sample::select(&[b'1', b'1', b'2'][..]).prop_map(|n| replication_proto::RunId([n; 20]));
    let operator = prop_oneof![
        Just(Input::ReplicaOf(address())),
        Just(Input::ReplicaOf(replication_proto::Address { host: "::1".into(), port: 7 })),
        Just(Input::NoOne),
        (db(), prop::sample::select(&[DbOrder::NoOne, DbOrder::Sync, DbOrder::Force][..]))
            .prop_map(|(db, order)| Input::DbSlaveOf(db, order)),
        Just(Input::Reset(Scope::Everything)),
        db().prop_map(|db| Input::Reset(Scope::Shard(db))),
        (1..4_u32, 1..8_u32)
            .prop_map(|(max_parallel_syncs, retry_limit)| Input::Configure(config(max_parallel_syncs, retry_limit))),
        Just(Input::FileSays(None)),
        db().prop_map(Input::Local),
        id().prop_map(|id| Input::Promoted(PromotionId(id))),
        (id(), cause()).prop_map(|(id, cause)| Input::PromoteFailed(PromotionId(id), cause)),
    ];
    let control = prop_oneof![
        (id(), path(), beats(), 1..3_u64, run()).prop_map(|(id, path, shards, role_generation, run)| {
            let meta = Meta { version: 1, node: text::node("b"), run, role_generation, databases: 16, path, shards };
            Input::Meta { link: LinkId(id), meta }
        }),
        (id(), path(), beats(), 1..4_u64, run()).prop_map(|(id, path, shards, role_generation, run)| {
            Input::Beat { link: LinkId(id), beat: Beat { run, role_generation, path, shards } }
        }),
        (id(), cause()).prop_map(|(id, cause)| Input::ControlLost { link: LinkId(id), cause }),
    ];
    let shard = prop_oneof![
        (db(), id(), verdict()).prop_map(|(db, id, verdict)| Input::Verdict { db, link: LinkId(id), verdict }),
        (db(), id()).prop_map(|(db, id)| Input::Preparing { db, link: LinkId(id), percent: 3 }),
        (db(), id(), 0..200_u64, 0..200_u64).prop_map(|(db, id, at, end)| {
            let at = Lsn(at);
            let positions = Positions { received: at, applied: at, synced: at };
            Input::Position { db, link: LinkId(id), positions, end: Lsn(end) }
        }),
        (db(), id(), cause()).prop_map(|(db, id, cause)| Input::ShardLost { db, link: LinkId(id), cause }),
        (db(), id()).prop_map(|(db, id)| Input::Fetched { db, transfer: TransferId(id) }),
        (db(), id(), cause()).prop_map(|(db, id, cause)| Input::TransferFailed { db, transfer: TransferId(id), cause }),
    ];
    prop_oneof![2 => operator, 2 => control, 3 => shard]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![
        4 => raw().prop_map(What::Raw),
        3 => Just(What::Wait),
        8 => (db(), any::<u8>()).prop_map(|(db, kind)| What::Answer(db, kind)),
    ];
    let after = prop_oneof![Just(0_u64), 1..50_u64, 1..20_000_u64];
    prop::collection::vec((after, what).prop_map(|(after, what)| Step { after, what }), 0..120)
}

fn config(max_parallel_syncs: u32, retry_limit: u32) -> Config {
    Config { max_parallel_syncs, retry_limit, retry_cooldown: Millis::seconds(60), ..Config::default() }
}

/// A right answer to something that is open.
fn answer(world: &World, db: Db, kind: u8) -> Input {
    let open = &world.open;
    let odd = kind % 2 == 1;
    if let Some(promotion) = open.promotion.filter(|_| world.node.role() == Role::Promoting) {
        return if odd { Input::Promoted(promotion) } else { Input::PromoteFailed(promotion, Cause::NoSpace) };
    }
    if let Some(link) = open.dial.filter(|_| world.node.status().node.upstream.is_none()) {
        return if kind < 200 {
            Input::Meta { link, meta: world.meta() }
        } else {
            Input::ControlLost { link, cause: Cause::Refused }
        };
    }
    if let Some(transfer) = open.installs.get(&db).copied() {
        return match kind % 3 {
            0 => {
                Input::Progress { db, transfer, progress: Progress::Installing { bytes: u64::from(kind), total: 300 } }
            }
            1 => Input::Installed { db, transfer, end: Lsn(100) },
            _ => Input::TransferFailed { db, transfer, cause: Cause::InstallFailed },
        };
    }
    if let Some(transfer) = open.fetches.get(&db).copied() {
        return match kind % 4 {
            0 => Input::Progress { db, transfer, progress: Progress::Chosen { snapshot: snapshot(), total: 300 } },
            1 => Input::Progress { db, transfer, progress: Progress::Fetched { bytes: u64::from(kind), total: 300 } },
            2 => Input::Fetched { db, transfer },
            _ => Input::TransferFailed { db, transfer, cause: Cause::LeaseLost },
        };
    }
    let Some(link) = open.asks.get(&db).copied() else { return Input::Tick };
    match kind % 5 {
        0 => Input::Verdict { db, link, verdict: Verdict::FullSync(SyncReason::Trimmed) },
        1 => Input::Verdict { db, link, verdict: Verdict::FullSync(SyncReason::Absent) },
        2 => Input::ShardLost { db, link, cause: if kind > 100 { Cause::Gap } else { Cause::Damaged } },
        3 | 4 => Input::Verdict { db, link, verdict: Verdict::Continue { log_generation: 7, from: Lsn(100) } },
        _ => unreachable!(),
    }
}

/// What must be true of every output, whatever came before.
fn check_output(input: &Input, output: &Output) {
    for event in &output.events {
        if let Occurrence::Transition { from, to: StateName::Shard(ShardStateName::Connected), .. } = event.what {
            assert_eq!(from, StateName::Shard(ShardStateName::WaitReply), "Connected is entered only from WaitReply");
            assert!(matches!(input, Input::Verdict { verdict: Verdict::Continue { .. }, .. }), "{input:?}");
        }
    }
    for start in &output.start {
        match start {
            Start::Fetch { .. } | Start::Reset { .. } => {
                assert!(
                    matches!(input, Input::Verdict { .. }),
                    "a shard is replaced only on a verdict, not on {input:?}"
                );
                assert!(output.persist.is_some(), "the intent is durable before the transfer begins");
            }
            Start::Install { .. } => assert!(matches!(input, Input::Fetched { .. }), "{input:?}"),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_walk_ends_well_once_faults_stop(steps in steps(), primary in any::<bool>()) {
        let mut world = World::new(config(1, 4), [0, 1, 2]);
        if !primary {
            drop(world.step(Input::NoOne));
        }
        world.behave(Manners::Silent);
        for Step { after, what } in steps {
            let input = match what {
                What::Raw(input) => { world.now = world.now + Millis(after); input }
                What::Wait => { world.now = world.node.deadline().unwrap_or(world.now).max(world.now); Input::Tick }
                What::Answer(db, kind) => { world.now = world.now + Millis(after); answer(&world, db, kind) }
            };
            let output = world.step(input.clone());
            check_output(&input, &output);
        }
        // Faults stop. Whatever was open and is not an install or a promotion is never answered.
        world.behave(Manners::Perfect);
        world.stale.insert(Db(1), SyncReason::Trimmed);
        if world.node.primary().is_none() {
            world.run_for(Millis::seconds(100));
            prop_assert_eq!(world.node.role(), Role::Primary);
            drop(world.step(Input::ReplicaOf(address())));
        }
        world.heal(Millis::seconds(300));
        // Links of the silent time, over which nothing comes, are found out; then nothing is left that would change anything.
        world.run_for(Millis::seconds(60));
        world.heal(Millis::seconds(300));
        let before = world.events.len();
        world.run_for(Millis::seconds(100));
        let fell = world.events[before..].iter().any(|event| matches!(event.what, Occurrence::Transition { .. }));
        prop_assert!(!fell, "{:?}", &world.events[before..]);
    }
}
