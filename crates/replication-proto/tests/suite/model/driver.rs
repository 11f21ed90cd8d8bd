//! What a driver does around each machine of the model: the log, the links, the orders that are under way.

use replication_proto::Start as Order;

use super::*;

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Peer {
    pub machine: Node,
    pub now: Millis,
    pub run: u8,
    pub disk: Ledger,
    pub log: Vec<Entry>,
    /// Entries that survive a crash.
    pub synced: usize,
    pub log_generation: u64,
    /// What its log is open for.
    pub role: Role,
    pub control: Option<LinkId>,
    /// The shard link, and whether its answer was CONTINUE.
    pub shard: Option<(LinkId, Answered)>,
    pub feeds: Vec<Feed>,
    pub fetched: Option<(TransferId, Vec<Entry>)>,
    pub installing: Option<(TransferId, Vec<Entry>)>,
    pub promoting: Option<PromotionId>,
    /// What its primary's last message on the control link said.
    pub known: Option<Beat>,
    /// It persists, and does nothing else any more.
    pub is_dying: bool,
}

/// What a heartbeat says that may change anything: not how long the logs are.
fn gist(mut beat: Beat) -> Beat {
    beat.shards.iter_mut().for_each(|shard| shard.end = Lsn::ZERO);
    beat
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Answered {
    NotYet,
    Continue,
}

/// A link that frames go down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Feed {
    pub to: usize,
    pub link: LinkId,
    pub sent: usize,
}

/// Short times, so that healing takes few steps; no heartbeats or lag by themselves.
fn config() -> Config {
    let never = Millis(1 << 36);
    Config {
        connect_timeout: Millis(2_000),
        timeout: Millis(3_000),
        reply_timeout: Millis(2_500),
        progress_timeout: Millis(4_000),
        backoff_min: Millis(400),
        backoff_max: Millis(1_000),
        jitter_percent: 0,
        stable_after: Millis(5_000),
        retry_limit: 3,
        retry_cooldown: Millis(6_000),
        max_parallel_syncs: 1,
        heartbeat_every: never,
        lag_alarm: never,
        ..Config::default()
    }
}

impl Peer {
    pub fn new(disk: Ledger) -> Peer {
        Peer {
            machine: Node::new(Millis(0), config(), disk.clone(), 1),
            now: Millis(0),
            run: 0,
            disk,
            log: Vec::new(),
            synced: 0,
            log_generation: 1,
            role: Role::Replica,
            control: None,
            shard: None,
            feeds: Vec::new(),
            fetched: None,
            installing: None,
            promoting: None,
            known: None,
            is_dying: false,
        }
    }

    /// Whether clients can write here.
    pub fn writes(&self) -> bool {
        self.role == Role::Primary
    }

    pub fn unsent(&self) -> impl Iterator<Item = usize> {
        let end = self.log.len();
        let unsent = self.feeds.iter().enumerate().filter(move |(_, feed)| feed.sent < end);
        unsent.map(|(at, _)| at).collect::<Vec<_>>().into_iter()
    }

    fn run_id(&self) -> RunId {
        RunId([self.run; 20])
    }

    fn origin(&self) -> Option<Origin> {
        let (start, end) = (Lsn::ZERO, Lsn(self.log.len() as u64));
        let log_generation = self.log_generation;
        (!self.log.is_empty()).then(|| Origin { lineage: lineage(&self.log), start, end, log_generation })
    }

    fn beat(&self) -> Beat {
        let end = Lsn(self.log.len() as u64);
        let shard = ShardBeat { db: DB, log_generation: self.log_generation, end };
        let shards = if self.log.is_empty() { Vec::new() } else { vec![shard] };
        Beat { run: self.run_id(), role_generation: self.machine.role_generation(), path: self.machine.path(), shards }
    }

    /// The log is another one, or open for something else: nobody is fed from it any more.
    fn bump(&mut self) {
        self.log_generation += 1;
        self.feeds.clear();
    }

    /// The numbers that it has in use.
    pub fn numbers(&self) -> BTreeSet<u64> {
        let mut numbers = BTreeSet::new();
        drop(self.machine.canonical(&mut |number| {
            numbers.insert(number);
            number
        }));
        numbers.extend(self.control.map(|link| link.0));
        numbers.extend(self.shard.map(|(link, _)| link.0));
        numbers.extend(self.fetched.iter().chain(&self.installing).map(|(transfer, _)| transfer.0));
        numbers.extend(self.promoting.map(|promotion| promotion.0));
        numbers
    }

    pub fn hash_canonical<H: Hasher>(&self, rename: &mut dyn FnMut(u64) -> u64, hasher: &mut H) {
        self.machine.canonical(rename).hash(hasher);
        self.disk.hash(hasher);
        (self.run, &self.log, self.synced, self.log_generation, self.role).hash(hasher);
        self.control.map(|link| rename(link.0)).hash(hasher);
        self.shard.map(|(link, answered)| (rename(link.0), answered)).hash(hasher);
        for transfer in [&self.fetched, &self.installing] {
            transfer.as_ref().map(|(id, log)| (rename(id.0), log)).hash(hasher);
        }
        self.promoting.map(|promotion| rename(promotion.0)).hash(hasher);
        self.known.hash(hasher);
    }
}

impl World {
    /// A process starts with what is on its disk.
    pub(super) fn begin(&mut self, at: usize) {
        if self.peers[at].disk.primary.is_none() {
            self.open_epoch(at);
        }
        if self.peers[at].log.is_empty() {
            self.step(at, Input::Tick);
        } else {
            self.step(at, Input::Local(DB));
        }
    }

    /// What is not synced is lost, and everything in memory; a new process starts.
    pub(super) fn crash(&mut self, at: usize) {
        let old = &self.peers[at];
        let mut peer = Peer::new(old.disk.clone());
        peer.run = old.run + 1;
        peer.log = old.log[..old.synced].to_vec();
        peer.synced = old.synced;
        // A new process draws a new generation.
        peer.log_generation = u64::from(peer.run) * 100;
        self.peers[at] = peer;
        self.net.retain(|message| sender(message) != at && receiver(message) != at);
        for other in &mut self.peers {
            other.feeds.retain(|feed| feed.to != at);
        }
        self.begin(at);
    }

    /// A fresh era at the end of the log, synced.
    fn open_epoch(&mut self, at: usize) {
        self.eras += 1;
        self.writes += 1;
        let entry = Entry { era: self.eras, write: self.writes };
        let peer = &mut self.peers[at];
        peer.log.push(entry);
        peer.synced = peer.log.len();
        peer.role = Role::Primary;
        peer.bump();
    }

    pub(super) fn write(&mut self, at: usize) {
        self.writes += 1;
        let write = self.writes;
        let peer = &mut self.peers[at];
        let era = peer.log.last().unwrap().era;
        peer.log.push(Entry { era, write });
    }

    pub(super) fn promote(&mut self, at: usize) {
        let promotion = self.peers[at].promoting.take().unwrap();
        self.open_epoch(at);
        self.step(at, Input::Promoted(promotion));
    }

    pub(super) fn install(&mut self, at: usize) {
        let (transfer, log) = self.peers[at].installing.take().unwrap();
        let peer = &mut self.peers[at];
        peer.synced = log.len();
        peer.log = log;
        peer.bump();
        let end = Lsn(peer.log.len() as u64);
        self.step(at, Input::Installed { db: DB, transfer, end });
    }

    pub(super) fn feed(&mut self, at: usize, feed: usize) {
        let peer = &mut self.peers[at];
        let Feed { to, link, sent } = peer.feeds[feed].clone();
        peer.feeds[feed].sent += 1;
        let entry = peer.log[sent];
        self.net.push(Message::Frame { from: at, to, link, at: sent, entry });
    }

    /// Whether a heartbeat would tell the other node something.
    pub(super) fn has_news(&self, at: usize, to: usize) -> bool {
        let is_it =
            |message: &Message| matches!(message, Message::Beat { from, to: other, .. } if (*from, *other) == (at, to));
        let news = Some(gist(self.peers[at].beat()));
        self.link_between(at, to).is_some() && self.peers[to].known != news && !self.net.iter().any(is_it)
    }

    fn link_between(&self, at: usize, to: usize) -> Option<LinkId> {
        let other = &self.peers[to];
        let is_connected = other.machine.status().node.upstream == Some(id(at));
        other.control.filter(|_| is_connected)
    }

    pub(super) fn beat(&mut self, at: usize, to: usize) {
        let link = self.link_between(at, to).unwrap();
        let beat = Box::new(self.peers[at].beat());
        self.net.push(Message::Beat { from: at, to, link, beat });
    }

    pub(super) fn beat_if_linked(&mut self, at: usize, to: usize) {
        if self.link_between(at, to).is_some() {
            self.beat(at, to);
        }
    }

    /// `ALIVE`, if somebody feeds the node over the link that it believes in; else the link turns out to be broken.
    pub(super) fn assure(&mut self, at: usize) {
        let Some((link, Answered::Continue)) = self.peers[at].shard else {
            return;
        };
        let feeds = |peer: &&Peer| peer.feeds.iter().any(|feed| (feed.to, feed.link) == (at, link));
        match self.peers.iter().find(feeds).map(|peer| peer.log.len()) {
            Some(end) => self.tell_position(at, link, end),
            None => self.lose_shard(at, link, Cause::Closed),
        }
    }

    fn tell_position(&mut self, at: usize, link: LinkId, primary_end: usize) {
        let (own, end) = (Lsn(self.peers[at].log.len() as u64), Lsn(primary_end as u64));
        let positions = Positions { received: own, applied: own, synced: own };
        self.step(at, Input::Position { db: DB, link, positions, end });
    }

    fn lose_shard(&mut self, at: usize, link: LinkId, cause: Cause) {
        let peer = &mut self.peers[at];
        if peer.shard.is_some_and(|(open, _)| open == link) {
            peer.shard = None;
        }
        for other in &mut self.peers {
            other.feeds.retain(|feed| (feed.to, feed.link) != (at, link));
        }
        self.step(at, Input::ShardLost { db: DB, link, cause });
    }

    pub(super) fn step(&mut self, at: usize, input: Input) {
        let peer = &mut self.peers[at];
        let is_verdict = matches!(input, Input::Verdict { .. });
        let output = peer.machine.step(peer.now, input);
        peer.machine.invariants();
        self.obey(at, output, is_verdict);
    }

    fn obey(&mut self, at: usize, output: Output, is_verdict: bool) {
        if let Some(ledger) = output.persist {
            self.peers[at].disk = ledger;
        }
        if self.peers[at].is_dying {
            return;
        }
        for start in output.start {
            let discards = matches!(start, Order::Fetch { .. } | Order::Reset { .. });
            assert!(is_verdict || !discards, "a shard is replaced without a verdict");
            self.begin_or_end(at, start);
        }
    }

    fn begin_or_end(&mut self, at: usize, start: Order) {
        let upstream = self.peers[at].machine.primary().map(index);
        let peer = &mut self.peers[at];
        match start {
            Order::Demote => {
                if peer.promoting.take().is_some() {
                    self.open_epoch(at);
                }
                self.peers[at].role = Role::Replica;
                self.peers[at].bump();
            }
            Order::Promote(promotion) => peer.promoting = Some(promotion),
            Order::Dial { link, primary, .. } => {
                peer.control = Some(link);
                self.net.push(Message::Dial { from: at, to: index(&primary), link });
            }
            Order::CloseControl { link } => peer.control = peer.control.filter(|open| *open != link),
            Order::OpenShard { link, run, role_generation, bound, .. } => {
                peer.shard = Some((link, Answered::NotYet));
                let log = peer.log.clone();
                let asked = (run, role_generation);
                self.net.push(Message::Ask { from: at, to: upstream.unwrap(), link, asked, bound, log });
            }
            Order::CloseShard { link, .. } => {
                peer.shard = peer.shard.filter(|(open, _)| *open != link);
                for other in &mut self.peers {
                    other.feeds.retain(|feed| (feed.to, feed.link) != (at, link));
                }
            }
            Order::Fetch { transfer, .. } => {
                peer.fetched = None;
                self.net.push(Message::Want { from: at, to: upstream.unwrap(), transfer });
            }
            Order::Install { transfer, .. } => {
                let (id, log) = peer.fetched.take().unwrap();
                assert_eq!(id, transfer);
                peer.installing = Some((transfer, log));
            }
            Order::Reset { transfer, .. } => peer.installing = Some((transfer, Vec::new())),
            Order::AbortFetch { .. } | Order::DropFiles { .. } => peer.fetched = None,
        }
    }

    pub(super) fn deliver(&mut self, message: Message) {
        match message {
            Message::Dial { from, to, link } => {
                let peer = &self.peers[to];
                let Beat { run, role_generation, path, shards } = peer.beat();
                let meta = Meta { version: 1, node: id(to), run, role_generation, databases: 16, path, shards };
                self.net.push(Message::Meta { from: to, to: from, link, meta: Box::new(meta) });
            }
            Message::Meta { to, link, meta, .. } => {
                let Meta { run, role_generation, path, shards, .. } = (*meta).clone();
                self.hear(to, link, Beat { run, role_generation, path, shards });
                self.step(to, Input::Meta { link, meta: *meta });
            }
            Message::Ask { from, to, link, asked, bound, log } => self.answer((from, to, link), asked, (bound, &log)),
            Message::Answer { from, to, link, verdict } => self.take_answer(from, to, link, verdict),
            Message::Refusal { to, link, cause, .. } => self.lose_shard(to, link, cause),
            Message::Frame { to, link, at, entry, .. } => self.apply(to, link, at, entry),
            Message::Want { from, to, transfer } => {
                let log = self.peers[to].log.clone();
                // Snapshots are made of what is durable.
                let log = log[..self.peers[to].synced.max(usize::from(!log.is_empty()))].to_vec();
                self.net.push(Message::Content { from: to, to: from, transfer, log });
            }
            Message::Content { to, transfer, log, .. } => {
                if log.is_empty() {
                    let cause = Cause::LeaseLost;
                    return self.step(to, Input::TransferFailed { db: DB, transfer, cause });
                }
                if self.peers[to].installing.is_none() {
                    self.peers[to].fetched = Some((transfer, log));
                }
                self.step(to, Input::Fetched { db: DB, transfer });
            }
            Message::Beat { to, link, beat, .. } => {
                self.hear(to, link, (*beat).clone());
                self.step(to, Input::Beat { link, beat: *beat });
            }
        }
    }

    fn hear(&mut self, to: usize, link: LinkId, beat: Beat) {
        if self.peers[to].control == Some(link) {
            self.peers[to].known = Some(gist(beat));
        }
    }

    /// The side that is asked: judges, and feeds from then on.
    fn answer(
        &mut self,
        (from, to, link): (usize, usize, LinkId),
        asked: (RunId, u64),
        (bound, log): (Option<SyncReason>, &[Entry]),
    ) {
        let peer = &mut self.peers[to];
        let refuse = |cause| Message::Refusal { from: to, to: from, link, cause };
        if asked != (peer.run_id(), peer.machine.role_generation()) {
            return self.net.push(refuse(Cause::UpstreamChanged));
        }
        if peer.installing.is_some() || peer.promoting.is_some() {
            return self.net.push(refuse(Cause::Loading));
        }
        let ask = Ask { lineage: lineage(log), end: Lsn(log.len() as u64), bound };
        let verdict = judge(peer.machine.standing(DB), peer.origin().as_ref(), &ask).verdict;
        if let Verdict::Continue { from: at, .. } = verdict {
            peer.feeds.retain(|feed| feed.to != from);
            peer.feeds.push(Feed { to: from, link, sent: usize::try_from(at.0).unwrap() });
        }
        self.net.push(Message::Answer { from: to, to: from, link, verdict });
    }

    /// The side that asked.
    fn take_answer(&mut self, _from: usize, to: usize, link: LinkId, verdict: Verdict) {
        let peer = &mut self.peers[to];
        if let Verdict::Continue { from, .. } = verdict
            && from != Lsn(peer.log.len() as u64)
        {
            return self.lose_shard(to, link, Cause::Protocol);
        }
        let is_open = peer.shard == Some((link, Answered::NotYet));
        if is_open && matches!(verdict, Verdict::Continue { .. }) {
            peer.shard = Some((link, Answered::Continue));
        }
        self.step(to, Input::Verdict { db: DB, link, verdict });
    }

    /// A frame is applied only on the link that continues, and only at the log's end.
    fn apply(&mut self, to: usize, link: LinkId, at: usize, entry: Entry) {
        let peer = &mut self.peers[to];
        if peer.shard != Some((link, Answered::Continue)) {
            return;
        }
        if at != peer.log.len() {
            return self.lose_shard(to, link, Cause::Gap);
        }
        peer.log.push(entry);
        let end = peer.log.len();
        self.tell_position(to, link, end);
    }
}
