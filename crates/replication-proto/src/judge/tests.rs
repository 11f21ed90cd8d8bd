//! Every verdict, and the pure cases of "what went wrong elsewhere" that are about verdicts.

use super::*;
use lineage::{Epoch, Era, ReplId};

fn lineage(eras: &[(u8, u64)]) -> Lineage {
    let mut lineage = Lineage::new();
    for (n, &(id, first)) in eras.iter().enumerate() {
        lineage.push(Era { epoch: Epoch(n as u64 + 1), id: ReplId([id; 20]), first: Lsn(first) }).unwrap();
    }
    lineage
}

fn origin(eras: &[(u8, u64)], start: u64, end: u64) -> Origin {
    Origin { lineage: lineage(eras), start: Lsn(start), end: Lsn(end), log_generation: 7 }
}

fn ask(eras: &[(u8, u64)], end: u64) -> Ask {
    Ask { lineage: lineage(eras), end: Lsn(end), bound: None }
}

fn verdict(own: &Origin, ask: &Ask) -> Verdict {
    judge(Standing::Primary, Some(own), ask).verdict
}

fn continues(from: u64) -> Verdict {
    Verdict::Continue { log_generation: 7, from: Lsn(from) }
}

#[test]
fn an_end_on_our_history_and_in_our_log_continues() {
    let own = origin(&[(1, 0), (2, 100)], 50, 200);
    assert_eq!(verdict(&own, &ask(&[(1, 0)], 50)), continues(50));
    assert_eq!(verdict(&own, &ask(&[(1, 0)], 100)), continues(100));
    assert_eq!(verdict(&own, &ask(&[(1, 0), (2, 100)], 200)), continues(200));
    assert_eq!(verdict(&own, &ask(&[(1, 0)], 49)), Verdict::FullSync(SyncReason::Trimmed));
}

#[test]
fn who_has_nothing_reads_the_whole_log_if_it_is_whole() {
    let nothing = ask(&[], 0);
    assert_eq!(verdict(&origin(&[(1, 0)], 0, 200), &nothing), continues(0));
    assert_eq!(verdict(&origin(&[(1, 0)], 1, 200), &nothing), Verdict::FullSync(SyncReason::Empty));
}

#[test]
fn who_wants_a_copy_anyway_is_not_continued() {
    let bound = |eras: &[(u8, u64)], end| Ask { bound: Some(SyncReason::Forced), ..ask(eras, end) };
    let own = origin(&[(1, 0), (2, 100)], 0, 200);
    for end in [0, 50, 100] {
        assert_eq!(verdict(&own, &bound(&[(1, 0)], end)), Verdict::FullSync(SyncReason::Forced));
    }
    // What else there is to say is said.
    assert_eq!(verdict(&own, &bound(&[(1, 0)], 150)), Verdict::FullSync(SyncReason::Diverged(Lsn(100))));
    let absent = judge(Standing::Primary, None, &bound(&[], 0)).verdict;
    assert_eq!(absent, Verdict::Continue { log_generation: 0, from: Lsn(0) }, "there is nothing to copy");
}

/// The primary lost its unsynced tail, wrote on under a fresh id: the old position is never taken for a valid one.
#[test]
fn case_06_a_primary_with_a_shorter_log_is_followed_by_full_sync() {
    let own = origin(&[(1, 0), (2, 90)], 0, 95);
    assert_eq!(verdict(&own, &ask(&[(1, 0)], 150)), Verdict::FullSync(SyncReason::Diverged(Lsn(90))));
    let impossible = origin(&[(1, 0)], 0, 90);
    assert_eq!(verdict(&impossible, &ask(&[(1, 0)], 150)), Verdict::FullSync(SyncReason::Ahead));
}

/// The old primary wrote after the new one had begun; positions alone would fit.
#[test]
fn case_07_an_old_primary_with_extra_writes_is_diverged_though_its_position_is_valid() {
    let own = origin(&[(1, 0), (2, 100)], 0, 200);
    let judgement = judge(Standing::Primary, Some(&own), &ask(&[(1, 0)], 150));
    assert_eq!(judgement.verdict, Verdict::FullSync(SyncReason::Diverged(Lsn(100))));
    assert_eq!(judgement.rewind, Some(Lsn(100)));
    let trimmed = origin(&[(1, 0), (2, 100)], 101, 200);
    assert_eq!(judge(Standing::Primary, Some(&trimmed), &ask(&[(1, 0)], 150)).rewind, None);
}

/// Positions are frame boundaries of a byte-identical log, so one inside what others call a batch is as good as any.
#[test]
fn case_08_any_position_on_the_history_continues() {
    let own = origin(&[(1, 0)], 0, 200);
    for end in 1..=200 {
        assert_eq!(verdict(&own, &ask(&[(1, 0)], end)), continues(end));
    }
}

#[test]
fn strangers_get_a_full_sync() {
    let own = origin(&[(1, 0)], 0, 200);
    assert_eq!(verdict(&own, &ask(&[(9, 0)], 10)), Verdict::FullSync(SyncReason::Disjoint));
    let empty = origin(&[], 0, 0);
    assert_eq!(verdict(&empty, &ask(&[(9, 0)], 10)), Verdict::FullSync(SyncReason::Disjoint));
}

#[test]
fn a_database_that_the_primary_lacks_gets_a_verdict_too() {
    let absent = |standing, end| judge(standing, None, &ask(&[(1, 0)][..usize::from(end > 0)], end)).verdict;
    assert_eq!(absent(Standing::Primary, 10), Verdict::FullSync(SyncReason::Absent));
    assert_eq!(absent(Standing::Following, 10), Verdict::FullSync(SyncReason::Absent));
    assert_eq!(absent(Standing::Adrift, 10), Verdict::NotYet);
    assert_eq!(absent(Standing::Primary, 0), Verdict::Continue { log_generation: 0, from: Lsn::ZERO });
}

#[test]
fn a_replica_never_costs_others_data_that_its_primary_may_have() {
    let own = origin(&[(1, 0), (2, 100)], 0, 200);
    let judged = |standing, ask: &Ask| judge(standing, Some(&own), ask).verdict;
    let ahead = ask(&[(1, 0), (2, 100)], 250);
    assert_eq!(judged(Standing::Primary, &ahead), Verdict::FullSync(SyncReason::Ahead));
    assert_eq!(judged(Standing::Following, &ahead), Verdict::NotYet);
    assert_eq!(judged(Standing::Adrift, &ahead), Verdict::NotYet);
    let diverged = ask(&[(1, 0), (3, 100)], 150);
    assert_eq!(judged(Standing::Following, &diverged), Verdict::FullSync(SyncReason::Diverged(Lsn(100))));
    assert_eq!(judged(Standing::Adrift, &diverged), Verdict::NotYet);
    let behind = ask(&[(1, 0)], 60);
    assert_eq!(judged(Standing::Adrift, &behind), continues(60));
}

/// A follower that has not heard of the newest epoch yet must not judge those who have.
#[test]
fn who_has_all_that_a_follower_has_and_more_waits_for_it() {
    let own = origin(&[(1, 0)], 0, 100);
    let newer = ask(&[(1, 0), (5, 100)], 120);
    assert_eq!(judge(Standing::Following, Some(&own), &newer).verdict, Verdict::NotYet);
    assert_eq!(verdict(&own, &newer), Verdict::FullSync(SyncReason::Ahead));
    // Unless nothing more came for a while: then it is not going to come.
    assert_eq!(judge(Standing::Settled, Some(&own), &newer).verdict, Verdict::FullSync(SyncReason::Ahead));
    let empty = origin(&[], 0, 0);
    assert_eq!(judge(Standing::Following, Some(&empty), &newer).verdict, Verdict::NotYet);
    assert_eq!(judge(Standing::Adrift, Some(&empty), &newer).verdict, Verdict::NotYet);
    assert_eq!(judge(Standing::Settled, Some(&empty), &newer).verdict, Verdict::FullSync(SyncReason::Disjoint));
}
