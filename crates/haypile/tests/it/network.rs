//! Networks of their own for two nodes, whose link goes down or swallows what one side sends.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use resp::Value;
use tempfile::TempDir;

use crate::cluster::{QUICK, fill, info, until_same};
use crate::server::{haypile, until};
use crate::wire::Client;

/// The port of both nodes; nobody else is in their networks.
const PORT: &str = "6379";

/// Two network namespaces with a cable between them; gone when dropped.
struct Cable {
    names: [String; 2],
}

/// The two sides, with their addresses.
#[derive(Clone, Copy)]
enum Side {
    Primary,
    Replica,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Replica,
            Self::Replica => Self::Primary,
        }
    }

    const fn address(self) -> &'static str {
        match self {
            Self::Primary => "10.77.0.1",
            Self::Replica => "10.77.0.2",
        }
    }
}

/// Runs `ip`; what it says is the error.
fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("ip {}: {said}", args.join(" "))) }
}

impl Cable {
    /// `None`: this machine does not let the test have one, and that has been said.
    fn lay() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("hp{side}{}-{number}", std::process::id());
        // From here on its end cleans up, also after half of the work.
        let cable = Self { names: [name("a"), name("b")] };
        match cable.connect() {
            Ok(()) => Some(cable),
            Err(why) => {
                println!("left out, there can be no network namespace: {why}");
                None
            }
        }
    }

    fn connect(&self) -> Result<(), String> {
        let [a, b] = &self.names;
        ip(&["netns", "add", a])?;
        ip(&["netns", "add", b])?;
        ip(&["-n", a, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", b])?;
        for (name, side) in [(a, Side::Primary), (b, Side::Replica)] {
            ip(&["-n", name, "address", "add", &format!("{}/24", side.address()), "dev", "wire"])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
            ip(&["-n", name, "link", "set", "wire", "up"])?;
        }
        Ok(())
    }

    fn name(&self, side: Side) -> &str {
        match side {
            Side::Primary => &self.names[0],
            Side::Replica => &self.names[1],
        }
    }

    /// Pulls the plug of one side, or puts it in.
    fn set(&self, side: Side, state: &str) {
        ip(&["-n", self.name(side), "link", "set", "wire", state]).unwrap();
    }

    /// Has what this side sends to the other vanish without an error, being addressed to nobody; what the other sends
    /// arrives.
    fn swallow(&self, side: Side) {
        let nobody = ["lladdr", "02:00:00:00:00:77", "dev", "wire", "nud", "permanent"];
        ip(&[&["-n", self.name(side), "neighbour", "replace", side.other().address()], &nobody[..]].concat()).unwrap();
    }

    /// Ends that.
    fn deliver(&self, side: Side) {
        ip(&["-n", self.name(side), "neighbour", "delete", side.other().address(), "dev", "wire"]).unwrap();
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            // One that was never made cannot be removed.
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

/// A node in one of the networks; its clients come by a socket in a folder.
struct Node {
    child: Child,
    folder: TempDir,
}

impl Node {
    fn start(cable: &Cable, side: Side, args: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let (data, socket) = (folder.path().join("data"), folder.path().join("socket"));
        let [data, socket] = [&data, &socket].map(|path| path.to_str().unwrap());
        let own =
            ["--bind", "0.0.0.0", "--port", PORT, "--dir", data, "--unixsocket", socket, "--protected-mode", "no"];
        let small = ["--maxmemory", "128mb", "--workers", "2", "--desk-threads", "4"];
        let binary = haypile(&[]).get_program().to_owned();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", cable.name(side)]).arg(binary).args(own).args(small).args(QUICK).args(args);
        command.stdin(Stdio::null()).stdout(File::create(folder.path().join("stdout")).unwrap());
        let node = Self { child: command.spawn().unwrap(), folder };
        until("the node to answer", || std::os::unix::net::UnixStream::connect(node.socket()).is_ok());
        node
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn connect(&self) -> Client {
        Client::unix(&self.socket())
    }

    fn full_syncs(&self) -> usize {
        let events = std::fs::read_to_string(self.folder.path().join("data/events.jsonl")).unwrap();
        events.matches("\"to\":\"WaitDbSync\"").count()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.folder.path().join("stdout")).unwrap_or_default();
            eprintln!("--- a node in a network of its own ---\n{said}");
        }
    }
}

/// A primary and a replica, each in a network of its own, that have the same.
fn begin(cable: &Cable) -> (Node, Node) {
    let primary = Node::start(cable, Side::Primary, &[]);
    let follows = format!("{} {PORT}", Side::Primary.address());
    let replica = Node::start(cable, Side::Replica, &["--replicaof", &follows]);
    fill(&mut primary.connect(), "a", 100, 10);
    until_same(&mut primary.connect(), &mut replica.connect());
    (primary, replica)
}

/// Loses the link by what `harm` does and has it come back by `mend`; nothing else is done.
fn lose_and_heal(harm: impl Fn(&Cable), mend: impl Fn(&Cable)) {
    let Some(cable) = Cable::lay() else { return };
    let (primary, replica) = begin(&cable);
    let (mut source, mut copy) = (primary.connect(), replica.connect());
    for round in 0..2 {
        harm(&cable);
        fill(&mut source, &format!("round-{round}"), 100, 10);
        until("the replica to notice", || info(&mut copy, "master_link_status") == "down");
        until("the primary to notice", || info(&mut source, "connected_slaves") == "0");
        assert!(matches!(copy.ask("GET a:1"), Value::Bulk(_)));
        mend(&cable);
        until_same(&mut source, &mut copy);
    }
    assert_eq!(replica.full_syncs(), 0);
}

#[test]
fn a_cable_that_is_pulled_and_put_in_again_at_the_replica_heals() {
    lose_and_heal(|cable| cable.set(Side::Replica, "down"), |cable| cable.set(Side::Replica, "up"));
}

#[test]
fn a_cable_that_is_pulled_and_put_in_again_at_the_primary_heals() {
    lose_and_heal(|cable| cable.set(Side::Primary, "down"), |cable| cable.set(Side::Primary, "up"));
}

/// Half-open: nobody is told anything.
#[test]
fn case_20_packets_of_the_primary_that_vanish_are_noticed_and_heal() {
    lose_and_heal(|cable| cable.swallow(Side::Primary), |cable| cable.deliver(Side::Primary));
}

/// Half-open the other way: the replica hears its primary, which hears nothing.
#[test]
fn case_20_packets_of_the_replica_that_vanish_are_noticed_and_heal() {
    lose_and_heal(|cable| cable.swallow(Side::Replica), |cable| cable.deliver(Side::Replica));
}
