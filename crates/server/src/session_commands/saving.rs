//! LASTSAVE, SAVE, BGSAVE, BGREWRITEAOF.
//!
//! A save is a snapshot of all databases in a folder of `backup-dir` that is named after the time. BGSAVE makes it on a
//! thread of its own, for its client does not wait.

use std::path::PathBuf;
use std::sync::Arc;

use commands::{Error, text};
use engine::Fault;

use super::{Answer, Call, Outcome, at_desk};
use crate::code::fault_text;
use crate::saves::Status;
use crate::shared::{Shared, clock};

const RUNNING: &str = "ERR Background save already in progress";
const DAY_MS: u64 = 86_400_000;

pub(super) fn run(name: &str, call: &mut Call<'_>) -> Answer {
    match name {
        "lastsave" => {
            let last = call.shared.saves.state().last;
            call.reply.integer(i64::try_from(last).unwrap_or(i64::MAX));
        }
        "save" => return save(),
        "bgsave" => bgsave(call)?,
        "bgrewriteaof" => return bgrewriteaof(),
        _ => return super::not_built(),
    }
    Ok(Outcome::Done)
}

fn save() -> Answer {
    at_desk(|context, reply| {
        if !context.shared.saves.begin(clock().0 / 1000, context.shared.stats.changed()) {
            return Err(RUNNING.into());
        }
        snapshot(context.shared).map_err(|fault| Error::from(fault_text(&fault)))?;
        reply.ok();
        Ok(())
    })
}

/// With SCHEDULE the same: nothing but another save keeps one from starting.
fn bgsave(call: &mut Call<'_>) -> Result<(), Error> {
    let args = call.args;
    if args.len() > 2 || (args.len() == 2 && !args.is(1, "SCHEDULE")) {
        return Err(text::SYNTAX.into());
    }
    if !call.shared.saves.begin(clock().0 / 1000, call.shared.stats.changed()) {
        return Err(RUNNING.into());
    }
    let shared = Arc::clone(call.shared);
    // What went wrong is logged where it went wrong, and INFO shows it.
    let started = std::thread::Builder::new().name("save".to_owned()).spawn(move || drop(snapshot(&shared)));
    if let Err(error) = started {
        call.shared.saves.end(clock().0 / 1000, Status::Failed);
        return Err(format!("ERR The thread for the snapshot cannot be started: {error}").into());
    }
    call.reply.simple("Background saving started");
    Ok(())
}

/// Makes the snapshot of the save that has begun, and ends it.
fn snapshot(shared: &Shared) -> Result<(), Fault> {
    let path = snapshot_path(shared, clock().0);
    tracing::info!("making a snapshot in {}", path.display());
    let made = shared.instance.snapshot(&path);
    let status = match &made {
        Ok(_) => {
            tracing::info!("the snapshot in {} is complete", path.display());
            Status::Ok
        }
        Err(fault) => {
            tracing::error!("no snapshot in {}: {fault}", path.display());
            Status::Failed
        }
    };
    shared.saves.end(clock().0 / 1000, status);
    made.map(drop)
}

fn snapshot_path(shared: &Shared, now_ms: u64) -> PathBuf {
    shared.instance.dir().join(&shared.config.load().backup_dir).join(utc_name(now_ms))
}

/// `20261122-171500-042`: date, time of day and milliseconds in UTC, so that names sort by time.
fn utc_name(now_ms: u64) -> String {
    let (year, month, day) = civil(now_ms / DAY_MS);
    let ms = now_ms % DAY_MS;
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}-{:03}", ms % 1000)
}

/// The date of a day counted from 1970-01-01. Years begin in March here, so that the leap day is the last one.
fn civil(day: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const FOUR_CENTURIES: u64 = 146_097;
    let day = day + DAYS_TO_1970;
    let (era, in_era) = (day / FOUR_CENTURIES, day % FOUR_CENTURIES);
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day_of_month = in_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day_of_month)
}

/// The log is cut by itself once the stores have what it holds; so all there is to do is to let them have it.
fn bgrewriteaof() -> Answer {
    at_desk(|context, reply| {
        let instance = &context.shared.instance;
        for shard in instance.shards() {
            shard.flush(instance).map_err(|fault| Error::from(fault_text(&fault)))?;
        }
        reply.simple("Background append only file rewriting started");
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;

    #[test]
    fn names_are_dates() {
        assert_eq!(utc_name(0), "19700101-000000-000");
        assert_eq!(utc_name(951_782_399_999), "20000228-235959-999");
        assert_eq!(utc_name(951_782_400_000), "20000229-000000-000");
        assert_eq!(utc_name(951_868_800_000), "20000301-000000-000");
        assert_eq!(utc_name(1_795_367_700_042), "20261122-171500-042");
        assert_eq!(utc_name(4_107_542_399_000), "21000228-235959-000");
        assert_eq!(utc_name(4_107_542_400_000), "21000301-000000-000");
    }

    #[test]
    fn a_save_is_a_folder_named_after_the_time() {
        let server = Server::new(&["--backup-dir", "kept"]);
        let path = snapshot_path(&server.shared, 0);
        assert_eq!(path, server.dir.path().join("kept/19700101-000000-000"));
        let absolute = Server::new(&["--backup-dir", "/srv/kept"]);
        assert_eq!(snapshot_path(&absolute.shared, 0), PathBuf::from("/srv/kept/19700101-000000-000"));
    }

    /// Puts a file where the folder of the snapshots belongs.
    fn block_snapshots(server: &Server) {
        let folder = server.shared.instance.dir().join(&server.shared.config.load().backup_dir);
        std::fs::write(folder, []).unwrap();
    }

    #[test]
    fn one_save_at_a_time() {
        let server = Server::new(&[]);
        let mut session = server.session();
        assert_eq!(session.text(&["BGSAVE", "foo"]), "-ERR syntax error\r\n");
        assert_eq!(session.text(&["BGSAVE", "SCHEDULE", "x"]), "-ERR syntax error\r\n");
        assert!(server.shared.saves.begin(1, 0));
        assert_eq!(session.text(&["BGSAVE"]), format!("-{RUNNING}\r\n"));
        assert_eq!(session.text(&["SAVE"]), format!("-{RUNNING}\r\n"));
        assert!(session.text(&["INFO", "persistence"]).contains("rdb_bgsave_in_progress:1\r\n"));
        server.shared.saves.end(2, Status::Ok);
        assert_eq!(session.text(&["LASTSAVE"]), ":2\r\n");
        assert!(session.text(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:ok\r\n"));
        block_snapshots(&server);
        assert_eq!(session.text(&["BGSAVE", "schedule"]), "+Background saving started\r\n");
        while server.shared.saves.state().running_since.is_some() {
            std::thread::yield_now();
        }
        assert_eq!(server.shared.saves.state().status, Status::Failed);
        assert!(session.text(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err\r\n"));
    }

    #[test]
    fn a_failed_save_says_so_and_the_next_may_begin() {
        let server = Server::new(&[]);
        let mut session = server.session();
        block_snapshots(&server);
        for _ in 0..2 {
            let reply = session.text(&["SAVE"]);
            assert!(reply.starts_with("-ERR ") && reply != format!("-{RUNNING}\r\n"), "{reply}");
            assert_eq!(server.shared.saves.state().status, Status::Failed);
        }
    }

    #[test]
    fn a_rewrite_of_the_log_flushes() {
        let server = Server::new(&[]);
        server.keys(&["SET", "a", "1"]);
        let reply = server.session().text(&["BGREWRITEAOF"]);
        assert_eq!(reply, "+Background append only file rewriting started\r\n");
        let stats = server.shared.instance.shard(0).unwrap().stats();
        assert_eq!((stats.flushed, stats.stored_records), (stats.log_end, 1));
    }
}
