//! What went wrong in other databases, case by case. The numbers are those of the list that replication was designed
//! with; cases without a process or a network in them are tested where they can be shown best.

use crate::cluster::{Pair, QUICK, field, fill, info, number, until_down, until_equal, until_up};
use crate::proxy::{Proxy, Weather};
use crate::replication::{Load, full_syncs};
use crate::server::{Server, until};
use crate::wire::ok;

/// The error state was skipped by the loop for ever, and REPLICAOF with the same address did nothing.
#[test]
fn case_01_an_error_is_retried_and_the_same_address_restarts_the_link() {
    let pair = Pair::begin(&["--requirepass", "secret"], &["--masterauth", "wrong"]);
    let mut replica = pair.replica.connect();
    until("the error", || info(&mut replica, "repl_state") == "Error");
    assert_eq!(info(&mut replica, "repl_cause"), "auth_refused");
    assert_eq!(replica.ask("CONFIG SET masterauth secret"), ok());
    assert_eq!(replica.ask(&format!("REPLICAOF 127.0.0.1 {}", pair.proxy.port)), ok());
    until_up(&pair.replica);
    let before = pair.proxy.connections();
    assert_eq!(replica.ask(&format!("REPLICAOF 127.0.0.1 {}", pair.proxy.port)), ok());
    until("new links", || pair.proxy.connections() > before);
    until_up(&pair.replica);
}

/// Waiting for a reply had no timer: a lost reply hung for ever.
#[test]
fn case_02_a_reply_that_never_comes_is_not_waited_for_for_ever() {
    let pair = Pair::start(&[], &[]);
    let before = pair.proxy.connections();
    pair.proxy.set(Weather::Deaf);
    until_down(&pair.replica);
    until("several attempts", || pair.proxy.connections() > before + 3);
    pair.proxy.set(Weather::Fair);
    until_up(&pair.replica);
    fill(&mut pair.primary.connect(), "a", 10, 10);
    pair.until_equal();
}

/// One shard was in error, another one healthy: its keepalives kept the link alive, and the bad one was never retried.
#[test]
fn case_03_a_database_that_is_down_heals_while_another_one_is_up() {
    let pair = Pair::start(&[], &[]);
    let mut primary = pair.primary.connect();
    for database in [0, 1, 2] {
        assert_eq!(primary.ask(&format!("SELECT {database}")), ok());
        fill(&mut primary, "a", 20, 10);
    }
    pair.until_equal();
    let mut replica = pair.replica.connect();
    until("three databases", || field(&mut replica, 2, "state") == "Connected");
    // Three shard links and the control link: each is lost alone.
    for nth in 0..pair.proxy.connections() {
        pair.proxy.kill(nth);
    }
    fill(&mut primary, "b", 20, 10);
    until_up(&pair.replica);
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 0);
}

/// A blocking connect ran in the one thread that also sent keepalives.
#[test]
fn case_11_who_cannot_be_reached_holds_nobody_else_up() {
    let pair = Pair::start(&[], &[]);
    let follows = format!("127.0.0.1 {}", pair.replica.port);
    let last = Server::start(&[QUICK, &["--replicaof", &follows]].concat());
    until_up(&last);
    // The middle node's primary accepts and says nothing any more.
    pair.proxy.set(Weather::Frozen);
    until_down(&pair.replica);
    let mut client = last.connect();
    let lost =
        || std::fs::read_to_string(last.path("data/events.jsonl")).unwrap().matches("\"to\":\"Connect\"").count();
    let before = lost();
    let start = number(&mut pair.replica.connect(), "uptime_in_seconds");
    until("a few attempts", || number(&mut pair.replica.connect(), "uptime_in_seconds") > start + 2);
    assert_eq!(info(&mut client, "repl_state"), "Connected", "the middle node's heartbeats go on");
    assert_eq!(lost(), before);
    pair.proxy.set(Weather::Fair);
    until_up(&pair.replica);
}

/// The replica acknowledged before it applied; a crash lost the difference.
#[test]
fn case_13_a_replica_that_is_killed_goes_on_where_it_was() {
    let mut pair = Pair::start(&[], &[]);
    let load = Load::on(&pair.primary);
    for _ in 0..3 {
        load.more(500);
        pair.replica = pair.replica.crash_and_restart();
        until_up(&pair.replica);
    }
    load.more(100);
    load.stop();
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 0, "never a full sync");
}

/// Auth was wrong, then corrected on the primary: must heal by itself.
#[test]
fn case_18_a_password_that_becomes_right_on_either_side_heals() {
    let pair = Pair::begin(&["--requirepass", "new"], &["--masterauth", "old"]);
    let mut replica = pair.replica.connect();
    until("the error", || info(&mut replica, "repl_cause") == "auth_refused");
    let mut primary = pair.primary.connect();
    assert_eq!(primary.ask("AUTH new"), ok());
    assert_eq!(primary.ask("CONFIG SET requirepass old"), ok());
    until_up(&pair.replica);
    assert_eq!(primary.ask("CONFIG SET requirepass other"), ok());
    pair.proxy.set(Weather::Cut);
    until("the loss of the control link", || info(&mut replica, "repl_state") != "Connected");
    pair.proxy.set(Weather::Fair);
    until("the error", || info(&mut replica, "repl_cause") == "auth_refused");
    assert_eq!(replica.ask("CONFIG SET masterauth other"), ok());
    until_up(&pair.replica);
}

/// An operator who has corrected the password need not wait for the back-off, nor know how to end it.
#[test]
fn other_credentials_are_tried_at_once() {
    let slow = ["--repl-backoff-min", "600000", "--repl-backoff-max", "600000", "--masterauth", "old"];
    let pair = Pair::begin(&["--requirepass", "new"], &slow);
    let mut replica = pair.replica.connect();
    until("the error", || info(&mut replica, "repl_cause") == "auth_refused");
    // Whether the next attempt still uses this one or not.
    assert_eq!(replica.ask("CONFIG SET masterauth other"), ok());
    assert_eq!(replica.ask("CONFIG SET masterauth new"), ok());
    until_up(&pair.replica);
}

/// A connection that is dead without being closed.
#[test]
fn case_20_a_half_open_connection_is_given_up() {
    let pair = Pair::start(&[], &[]);
    let load = Load::on(&pair.primary);
    load.more(500);
    pair.proxy.set(Weather::Frozen);
    until_down(&pair.replica);
    pair.proxy.set(Weather::Fair);
    until_up(&pair.replica);
    load.stop();
    pair.until_equal();
    assert_eq!(full_syncs(&pair.replica), 0);
}

/// Weather that changes all the time ends in a healthy pair, without a copy.
#[test]
fn case_17_changing_weather_is_no_storm() {
    let pair = Pair::start(&[], &[]);
    let load = Load::on(&pair.primary);
    let kinds = [Weather::Cut, Weather::Fair, Weather::Frozen, Weather::Fair, Weather::Deaf, Weather::Fair];
    for weather in kinds {
        pair.proxy.set(weather);
        load.more(300);
    }
    until_up(&pair.replica);
    let before = pair.proxy.connections();
    load.more(500);
    assert!(pair.proxy.connections() < before + 20, "no retry is faster than its pause");
    load.stop();
    pair.until_equal();
}

/// A proxy to nobody: refused, and found as soon as somebody is there.
#[test]
fn a_primary_that_comes_later_is_found() {
    let proxy = Proxy::to(crate::server::free_port());
    let follows = format!("127.0.0.1 {}", proxy.port);
    let replica = Server::start(&[QUICK, &["--replicaof", &follows]].concat());
    let mut client = replica.connect();
    until("some attempts", || proxy.connections() > 2);
    assert_eq!(info(&mut client, "master_link_status"), "down");
    let primary = Server::start(QUICK);
    fill(&mut primary.connect(), "a", 10, 10);
    proxy.retarget(primary.port);
    until_equal(&primary, &replica);
}
