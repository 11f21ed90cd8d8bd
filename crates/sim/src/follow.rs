//! The replica's side of a driver: obeys the machine, and tells it what came of that.

use std::collections::VecDeque;
use std::fs;

use lineage::{Lineage, Lsn};
use replication_proto::{Cause, Db, Input, LinkId, Output, Positions, Progress, Start, TransferId, Transmit, Verdict};

use crate::manifest::{Manifest, checksum};
use crate::net::{Arrival, ConnId, End, Listens, Message, NodeNumber};
use crate::process::{Fetch, ShardLink};
use crate::serve::CHUNK;
use crate::storm::Replicas;
use crate::world::{Weather, World, node_at};

/// An acknowledgement is repeated so often, in milliseconds.
const ACK_EVERY: u64 = 150;

impl World {
    /// Gives the machine an input and obeys its output.
    pub fn step(&mut self, node: NodeNumber, input: Input) {
        /// Answers to one input, each the consequence of the one before.
        const MOST: usize = 1000;
        let mut inputs = VecDeque::from([input]);
        for _ in 0..MOST {
            let Some(input) = inputs.pop_front() else { return };
            let now = self.now;
            let Some(process) = &mut self.hosts[node].process else { return };
            let at = process.monotonic(now);
            let output = process.machine.step(at, input);
            process.machine.invariants();
            self.obey(node, output, &mut inputs);
        }
        panic!("the machine of node {node} does not come to rest\n{}", self.story.join("\n"));
    }

    fn obey(&mut self, node: NodeNumber, output: Output, inputs: &mut VecDeque<Input>) {
        if let Some(ledger) = output.persist {
            if self.weather == Weather::Stormy && self.rng.below(300) == 0 {
                // The worst moments: just before it is durable, and just after.
                if self.rng.percent(50) {
                    self.hosts[node].ledger = ledger.encode();
                }
                self.crash(node, crate::net::Ending::Killed);
                return;
            }
            self.hosts[node].ledger = ledger.encode();
        }
        for start in output.start {
            self.begin(node, start, inputs);
        }
        for Transmit::Heartbeat { link, .. } in output.send {
            let control = self.hosts[node].process.as_ref().and_then(|process| process.control);
            if let Some((_, conn)) = control.filter(|(known, _)| *known == link) {
                self.net.send(self.now, &mut self.rng, conn, End::Client, Message::Heartbeat);
            }
        }
        for event in output.events {
            self.tell(|| format!("node {node} {}: {}", event.level, event.what));
        }
    }

    fn begin(&mut self, node: NodeNumber, start: Start, inputs: &mut VecDeque<Input>) {
        let Some(process) = &mut self.hosts[node].process else { return };
        match start {
            Start::Demote => process.instance.demote(),
            Start::Promote(promotion) => {
                let promoted = process.instance.promote();
                self.counts.promotions += 1;
                inputs.push_back(match promoted {
                    Ok(()) => Input::Promoted(promotion),
                    Err(_) => Input::PromoteFailed(promotion, Cause::NoSpace),
                });
            }
            Start::Dial { link, primary, .. } => {
                let conn = self.dial(node, node_at(&primary));
                self.net.send(self.now, &mut self.rng, conn, End::Client, Message::Hello);
                if let Some(process) = &mut self.hosts[node].process {
                    process.control = Some((link, conn));
                }
            }
            Start::CloseControl { link } => {
                if let Some((_, conn)) = process.control.take_if(|(known, _)| *known == link) {
                    self.net.close(self.now, &mut self.rng, conn, End::Client);
                }
            }
            Start::OpenShard { db, link, run, role_generation, bound } => {
                let Some(primary) = process.machine.primary().map(node_at) else { return };
                let origin = process.instance.shard(db.0 as usize).map(|shard| shard.origin());
                let generation = origin.as_ref().map_or(0, |origin| origin.generation);
                let (lineage, end) =
                    origin.map_or((Lineage::new(), Lsn(0)), |origin| (origin.lineage.clone(), origin.end));
                let conn = self.dial(node, primary);
                let ask = Message::Ask { db, run, role_generation, lineage, end, bound };
                self.net.send(self.now, &mut self.rng, conn, End::Client, ask);
                if let Some(process) = &mut self.hosts[node].process {
                    let link = ShardLink { link, conn, generation, end, acked: None };
                    process.links.insert(db, link);
                }
            }
            Start::CloseShard { db, link } => {
                if process.links.get(&db).is_some_and(|known| known.link == link)
                    && let Some(link) = process.links.remove(&db)
                {
                    self.net.close(self.now, &mut self.rng, link.conn, End::Client);
                }
            }
            Start::Fetch { db, transfer, .. } => {
                let Some(primary) = process.machine.primary().map(node_at) else { return };
                let conn = self.dial(node, primary);
                self.net.send(self.now, &mut self.rng, conn, End::Client, Message::Open(db));
                if let Some(process) = &mut self.hosts[node].process {
                    let fetch = Fetch { transfer, conn: Some(conn), manifest: None, next: (0, 0), bytes: 0 };
                    process.fetches.insert(db, fetch);
                }
            }
            Start::AbortFetch { db, transfer } => self.end_fetch(node, db, transfer),
            Start::DropFiles { db } => self.hosts[node].drop_files(db),
            Start::Install { db, transfer } => inputs.push_back(self.install(node, db, transfer)),
            Start::Reset { db, transfer } => inputs.push_back(self.reset(node, db, transfer)),
        }
    }

    fn dial(&mut self, node: NodeNumber, target: NodeNumber) -> ConnId {
        let listens = if self.is_up(target) { Listens::Yes } else { Listens::No };
        self.net.dial(self.now, &mut self.rng, [node, target], listens)
    }

    fn end_fetch(&mut self, node: NodeNumber, db: Db, transfer: TransferId) {
        let Some(process) = &mut self.hosts[node].process else { return };
        if process.fetches.get(&db).is_some_and(|fetch| fetch.transfer == transfer)
            && let Some(conn) = process.fetches.remove(&db).and_then(|fetch| fetch.conn)
        {
            self.net.close(self.now, &mut self.rng, conn, End::Client);
        }
    }

    fn install(&mut self, node: NodeNumber, db: Db, transfer: TransferId) -> Input {
        let dir = self.hosts[node].incoming(db);
        let failed = Input::TransferFailed { db, transfer, cause: Cause::InstallFailed };
        let Some(process) = &mut self.hosts[node].process else { return failed };
        let Some(manifest) = process.fetches.remove(&db).and_then(|fetch| fetch.manifest) else { return failed };
        match crate::engine_side::install(&process.instance, db, &dir, &manifest) {
            Ok(end) => {
                self.counts.full_syncs += 1;
                Input::Installed { db, transfer, end }
            }
            Err(fault) => {
                self.tell(|| format!("node {node} cannot install database {db}: {fault}"));
                failed
            }
        }
    }

    fn reset(&mut self, node: NodeNumber, db: Db, transfer: TransferId) -> Input {
        let failed = Input::TransferFailed { db, transfer, cause: Cause::InstallFailed };
        let Some(process) = &mut self.hosts[node].process else { return failed };
        match crate::engine_side::reset(&process.instance, db) {
            Ok(()) => Input::Installed { db, transfer, end: Lsn(0) },
            Err(fault) => {
                self.tell(|| format!("node {node} cannot reset database {db}: {fault}"));
                failed
            }
        }
    }

    /// Something arrived on a connection.
    pub fn arrive(&mut self, node: NodeNumber, conn: ConnId, end: End, arrival: Arrival) {
        match end {
            End::Server => self.asked(node, conn, arrival),
            End::Client => self.answered(node, conn, arrival),
        }
    }

    fn answered(&mut self, node: NodeNumber, conn: ConnId, arrival: Arrival) {
        let Some(process) = &self.hosts[node].process else { return };
        if let Some((link, _)) = process.control.filter(|(_, known)| *known == conn) {
            return self.control_answered(node, link, arrival);
        }
        let link = process.links.iter().find(|(_, link)| link.conn == conn).map(|(db, link)| (*db, link.link));
        if let Some((db, link)) = link {
            return self.shard_answered(node, db, link, arrival);
        }
        let fetch = process.fetches.iter().find(|(_, fetch)| fetch.conn == Some(conn));
        if let Some((db, transfer)) = fetch.map(|(db, fetch)| (*db, fetch.transfer)) {
            self.snapshot_answered(node, db, transfer, arrival);
        }
    }

    fn control_answered(&mut self, node: NodeNumber, link: LinkId, arrival: Arrival) {
        let lost = |cause| Input::ControlLost { link, cause };
        let input = match arrival {
            Arrival::Message(Message::Meta(meta)) => Input::Meta { link, meta },
            Arrival::Message(Message::Beat(beat)) => Input::Beat { link, beat },
            Arrival::Message(Message::Refused(cause)) => lost(cause),
            Arrival::Message(other) => panic!("node {node} got {other:?} on a control link"),
            Arrival::Closed => lost(Cause::Closed),
            Arrival::Refused => lost(Cause::Refused),
        };
        if matches!(input, Input::ControlLost { .. }) {
            self.forget_control(node, link);
        }
        self.step(node, input);
    }

    fn forget_control(&mut self, node: NodeNumber, link: LinkId) {
        let Some(process) = &mut self.hosts[node].process else { return };
        if let Some((_, conn)) = process.control.take_if(|(known, _)| *known == link) {
            self.net.close(self.now, &mut self.rng, conn, End::Client);
        }
    }

    fn shard_answered(&mut self, node: NodeNumber, db: Db, link: LinkId, arrival: Arrival) {
        let outcome = match arrival {
            Arrival::Message(Message::Verdict(verdict)) => self.judged(node, db, link, verdict),
            Arrival::Message(Message::Frames { at, bytes }) => self.apply(node, db, at, &bytes),
            Arrival::Message(Message::Alive(end)) => {
                let link = self.hosts[node].process.as_mut().and_then(|process| process.links.get_mut(&db));
                if let Some(link) = link {
                    link.end = link.end.max(end);
                }
                Ok(())
            }
            Arrival::Message(Message::Refused(cause)) => Err(cause),
            Arrival::Message(other) => panic!("node {node} got {other:?} on a shard link"),
            Arrival::Closed => Err(Cause::Closed),
            Arrival::Refused => Err(Cause::Refused),
        };
        match outcome {
            Ok(()) => self.report_position(node, db),
            Err(cause) => {
                let Some(process) = &mut self.hosts[node].process else { return };
                if process.links.get(&db).is_some_and(|known| known.link == link)
                    && let Some(gone) = process.links.remove(&db)
                {
                    self.net.close(self.now, &mut self.rng, gone.conn, End::Client);
                }
                self.step(node, Input::ShardLost { db, link, cause });
            }
        }
    }

    /// A verdict; frames may follow it.
    fn judged(&mut self, node: NodeNumber, db: Db, link: LinkId, verdict: Verdict) -> Result<(), Cause> {
        let Some(process) = &mut self.hosts[node].process else { return Ok(()) };
        if let Verdict::Continue { from, .. } = verdict {
            if process.instance.shard(db.0 as usize).is_none() {
                process.instance.create_replica_shard(db.0 as usize).map_err(|_| Cause::DiskFault)?;
            }
            let Some(shard) = process.instance.shard(db.0 as usize) else { return Err(Cause::DiskFault) };
            let Some(known) = process.links.get_mut(&db) else { return Ok(()) };
            if shard.log.end() != from {
                return Err(Cause::Gap);
            }
            known.generation = shard.generation();
            drop(shard);
            self.counts.continued += 1;
        }
        self.step(node, Input::Verdict { db, link, verdict });
        if matches!(verdict, Verdict::Continue { .. }) && !self.databases(node).is_empty() {
            self.step(node, Input::Local(db));
        }
        Ok(())
    }

    fn apply(&mut self, node: NodeNumber, db: Db, at: Lsn, bytes: &[u8]) -> Result<(), Cause> {
        let Some(process) = &mut self.hosts[node].process else { return Ok(()) };
        let Some(link) = process.links.get_mut(&db) else { return Ok(()) };
        link.end = link.end.max(at + bytes.len() as u64);
        let generation = link.generation;
        crate::engine_side::apply(&process.instance, db, bytes, at, generation)
    }

    fn report_position(&mut self, node: NodeNumber, db: Db) {
        let Some(process) = &self.hosts[node].process else { return };
        let Some(link) = process.links.get(&db) else { return };
        let Some(positions) = crate::engine_side::positions(&process.instance, db) else { return };
        let input = Input::Position { db, link: link.link, positions, end: link.end.max(positions.received) };
        self.step(node, input);
    }

    /// Tells primaries how far this node is.
    pub fn acknowledge(&mut self, node: NodeNumber) {
        let Some(process) = &mut self.hosts[node].process else { return };
        let mut acks: Vec<(ConnId, Positions)> = Vec::new();
        for (db, link) in &mut process.links {
            let Some(mut positions) = crate::engine_side::positions(&process.instance, *db) else { continue };
            match self.replicas {
                Replicas::Honest => {}
                Replicas::Boastful => positions.synced = positions.received,
            }
            let due = link.acked.is_none_or(|(last, at)| last != positions || self.now - at >= ACK_EVERY);
            if due {
                link.acked = Some((positions, self.now));
                acks.push((link.conn, positions));
            }
        }
        for (conn, positions) in acks {
            self.net.send(self.now, &mut self.rng, conn, End::Client, Message::Ack(positions));
        }
    }

    fn snapshot_answered(&mut self, node: NodeNumber, db: Db, transfer: TransferId, arrival: Arrival) {
        let outcome = match arrival {
            Arrival::Message(Message::Manifest(manifest)) => self.begin_files(node, db, transfer, manifest),
            Arrival::Message(Message::Chunk { checksum, bytes }) => {
                self.take_chunk(node, db, transfer, checksum, &bytes)
            }
            Arrival::Message(Message::Refused(cause)) => Err(cause),
            Arrival::Message(other) => panic!("node {node} got {other:?} on a snapshot link"),
            Arrival::Closed => Err(Cause::Closed),
            Arrival::Refused => Err(Cause::Refused),
        };
        match outcome {
            Ok(()) => self.ask_for_more(node, db, transfer),
            Err(cause) => {
                self.end_fetch(node, db, transfer);
                self.step(node, Input::TransferFailed { db, transfer, cause });
            }
        }
    }

    fn begin_files(&mut self, node: NodeNumber, db: Db, transfer: TransferId, manifest: Manifest) -> Result<(), Cause> {
        let dir = self.hosts[node].incoming(db);
        keep_what_fits(&dir, &manifest).map_err(|_| Cause::DiskFault)?;
        let chosen = Progress::Chosen { snapshot: manifest.snapshot.clone(), total: manifest.total() };
        if let Some(fetch) = self.hosts[node].process.as_mut().and_then(|process| process.fetches.get_mut(&db)) {
            fetch.manifest = Some(manifest);
        }
        self.step(node, Input::Progress { db, transfer, progress: chosen });
        Ok(())
    }

    fn take_chunk(
        &mut self,
        node: NodeNumber,
        db: Db,
        transfer: TransferId,
        promised: u64,
        bytes: &[u8],
    ) -> Result<(), Cause> {
        let dir = self.hosts[node].incoming(db);
        let Some(process) = &mut self.hosts[node].process else { return Ok(()) };
        let Some(fetch) = process.fetches.get_mut(&db) else { return Ok(()) };
        let Some(manifest) = &fetch.manifest else { return Err(Cause::Protocol) };
        if checksum(bytes) != promised {
            // Asked for again, from the same place.
            return Ok(());
        }
        let (at, offset) = fetch.next;
        let file = &manifest.files[at];
        let path = dir.join(&file.path);
        append(&path, offset, bytes).map_err(|_| Cause::DiskFault)?;
        fetch.next.1 += bytes.len() as u64;
        fetch.bytes += bytes.len() as u64;
        let progress = Progress::Fetched { bytes: fetch.bytes, total: manifest.total() };
        if fetch.next.1 >= file.size {
            let content = fs::read(&path).map_err(|_| Cause::DiskFault)?;
            if checksum(&content) != file.checksum {
                fs::remove_file(&path).map_err(|_| Cause::DiskFault)?;
                return Err(Cause::BadChunk);
            }
        }
        self.step(node, Input::Progress { db, transfer, progress });
        Ok(())
    }

    /// Asks for the next piece of the first file that is not whole.
    fn ask_for_more(&mut self, node: NodeNumber, db: Db, transfer: TransferId) {
        let dir = self.hosts[node].incoming(db);
        let Some(process) = &mut self.hosts[node].process else { return };
        let Some(fetch) = process.fetches.get_mut(&db).filter(|fetch| fetch.transfer == transfer) else { return };
        let (Some(conn), Some(manifest)) = (fetch.conn, &fetch.manifest) else { return };
        while let Some(file) = manifest.files.get(fetch.next.0) {
            let here = fs::metadata(dir.join(&file.path)).map_or(0, |metadata| metadata.len());
            if here < file.size || !dir.join(&file.path).exists() && file.size == 0 {
                fetch.next.1 = here;
                let read = Message::Read { file: fetch.next.0, offset: here };
                self.net.send(self.now, &mut self.rng, conn, End::Client, read);
                return;
            }
            fetch.next = (fetch.next.0 + 1, 0);
        }
        fetch.conn = None;
        self.net.close(self.now, &mut self.rng, conn, End::Client);
        self.step(node, Input::Fetched { db, transfer });
    }
}

/// Removes from a transfer's folder what is no whole file of this snapshot. (Real replicas keep beginnings, too.)
fn keep_what_fits(dir: &std::path::Path, manifest: &Manifest) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(dir).ok().and_then(|name| name.to_str()).unwrap_or_default();
            let wanted = manifest.files.iter().find(|file| file.path == name);
            let content = fs::read(&path)?;
            let whole =
                wanted.is_some_and(|file| content.len() as u64 == file.size && checksum(&content) == file.checksum);
            if !whole {
                fs::remove_file(&path)?;
            }
        }
    }
    Ok(())
}

fn append(path: &std::path::Path, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::{Seek as _, Write as _};
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    file.seek(std::io::SeekFrom::Start(offset))?;
    file.write_all(bytes)?;
    debug_assert!(bytes.len() <= CHUNK);
    Ok(())
}
