//! Random histories with power failures: what was synced is there, what is there was written, and nothing is mistaken
//! for damage.

use proptest::prelude::*;

use super::fake_disk::{FakeDisk, Rng, Trouble};
use super::*;
use crate::frame::{self, Kind};

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    /// A frame of another node, which knew its own log synced up to the frame.
    Receive(usize),
    Write,
    Sync,
    Roll,
    PowerFailure(u64),
    Kill,
    Close,
    /// The power fails after so many operations of the disk, while a segment ends; then again while the log is opened.
    PowerFailureInside {
        seed: u64,
        ending: usize,
        opening: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..120_usize).prop_map(Step::Append),
        3 => (0..40_usize).prop_map(Step::Receive),
        4 => Just(Step::Write),
        3 => Just(Step::Sync),
        1 => Just(Step::Roll),
        2 => any::<u64>().prop_map(Step::PowerFailure),
        1 => Just(Step::Kill),
        1 => Just(Step::Close),
        2 => (any::<u64>(), 0..24_usize, 0..24_usize)
            .prop_map(|(seed, ending, opening)| Step::PowerFailureInside { seed, ending, opening }),
    ]
}

struct History {
    disk: FakeDisk,
    options: LogOptions,
    log: Option<Log>,
    expected: Vec<(Lsn, Vec<u8>)>,
}

impl History {
    fn new(segment_bytes: u64, piece: usize) -> History {
        let disk = FakeDisk::new();
        disk.set(Trouble { piece, ..Trouble::NONE });
        let options = LogOptions {
            fatal: Arc::new(|_| {}),
            disk: Arc::new(disk.clone()),
            segment_bytes,
            ..manual(Path::new("/log"))
        };
        let log = Some(open(&options).0);
        History { disk, options, log, expected: Vec::new() }
    }

    fn log(&self) -> &Log {
        self.log.as_ref().unwrap()
    }

    fn payload(&self, size: usize) -> Vec<u8> {
        (0..size).map(|i| (i + self.expected.len()) as u8).collect()
    }

    /// Ends the log, lets `between` happen, opens it again, and checks what is there.
    fn reopen(&mut self, at_least: Lsn, between: impl FnOnce(&FakeDisk)) {
        self.log = None;
        between(&self.disk);
        let (log, found) = open(&self.options);
        assert_eq!(found.damage, None);
        assert!(found.end >= at_least, "{:?}: {at_least} was promised", found);
        self.expected.retain(|(lsn, _)| *lsn < found.end);
        assert_eq!(frames(&log, Lsn(0)), self.expected);
        assert_eq!((log.end(), log.synced()), (found.end, found.end));
        self.log = Some(log);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Append(size) => {
                let payload = self.payload(size);
                let lsn = self.log().append(1, &payload).unwrap().lsn;
                self.expected.push((lsn, payload));
            }
            Step::Receive(size) => {
                let payload = self.payload(size);
                let lsn = self.log().end();
                let head = frame::header(lsn, Kind::Ops, 1, lsn, size, crc32c::crc32c(&payload)).to_vec();
                receive(self.log(), &[head, payload.clone()].concat(), lsn).unwrap();
                self.expected.push((lsn, payload));
            }
            Step::Write => self.log().step_writer(),
            Step::Sync => sync(self.log()),
            Step::Roll => {
                let at = self.log().roll().unwrap();
                assert!(self.log().synced() >= at);
            }
            Step::PowerFailure(seed) => {
                self.reopen(self.log().synced(), |disk| disk.crash(&mut Rng(seed)));
            }
            Step::Kill => self.reopen(self.log().written(), |_| {}),
            Step::Close => {
                let end = self.log().end();
                self.log().close().unwrap();
                let seed = end.0;
                self.reopen(end, |disk| disk.crash(&mut Rng(seed)));
            }
            Step::PowerFailureInside { seed, ending, opening } => self.power_failure_inside(seed, ending, opening),
        }
    }

    fn power_failure_inside(&mut self, seed: u64, ending: usize, opening: usize) {
        self.disk.set(Trouble { fuse: ending, piece: 2_000, ..Trouble::NONE });
        let _ = self.log().roll();
        self.log().step_syncer();
        let _ = self.log().close();
        let options = self.options.clone();
        self.reopen(self.log().synced(), |disk| {
            let mut rng = Rng(seed);
            disk.crash(&mut rng);
            disk.set(Trouble { fuse: opening, piece: 2_000, ..Trouble::NONE });
            drop(Log::open(options));
            disk.crash(&mut rng);
            disk.set(Trouble::NONE);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_power_failure_takes_nothing_that_was_synced(
        steps in prop::collection::vec(step(), 1..60),
        segment_bytes in 50..2_000_u64,
        piece in prop_oneof![Just(usize::MAX), 1..100_usize],
    ) {
        let mut history = History::new(segment_bytes, piece);
        for step in steps {
            history.take(step);
        }
        history.take(Step::PowerFailure(7));
        history.take(Step::PowerFailure(8));
    }
}
