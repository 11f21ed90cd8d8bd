//! How things are called: databases, nodes, runs, links, transfers, and the [`Path`] from a node to its root primary.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use lineage::{ReplId, ReplIdError};

/// The number of a database, and so of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Db(pub u32);

impl fmt::Display for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a primary is reached, as the operator wrote it: a name, an IPv4 or an IPv6 address, without blanks; and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Not resolved: the driver resolves it anew for each dial.
    pub host: String,
    /// The server's ordinary port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host, self.port)
    }
}

macro_rules! random_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 20]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                ReplId(self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ReplIdError;

            fn from_str(text: &str) -> Result<$name, ReplIdError> {
                text.parse().map(|ReplId(bytes)| $name(bytes))
            }
        }
    };
}

random_name! {
    /// A node's name for as long as its data folder lives: drawn once, kept in the ledger. 40 hexadecimal digits.
    NodeId
}
random_name! {
    /// One run of a node's process: drawn at each start. 40 hexadecimal digits.
    RunId
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A control link or a shard link, from the order to open it until it is lost. Never used twice in a run.
    LinkId
}
number! {
    /// One attempt at a shard's full sync or reset. Never used twice in a run; the files may outlive it.
    TransferId
}
number! {
    /// One attempt at becoming primary. Never used twice in a run.
    PromotionId
}

/// Whether a path's last node is known to be a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Root {
    /// It is.
    Primary,
    /// It follows somebody whom it does not reach at present.
    Unknown,
}

/// The nodes from one node, first, along those it follows, to the root primary. Heartbeats carry it, so that a cycle and
/// a chain without a primary are noticed.
///
/// Text: node ids with commas; an unknown root is written as a last element `?`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    /// Never empty, at most [`Path::MAX`].
    pub nodes: Vec<NodeId>,
    /// What the last of them is.
    pub root: Root,
}

impl Path {
    /// A longer chain is refused as a cycle.
    pub const MAX: usize = 32;
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, node) in self.nodes.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{node}")?;
        }
        match self.root {
            Root::Primary => Ok(()),
            Root::Unknown => f.write_str(",?"),
        }
    }
}

/// A text is not a path: not ids with commas, none at all, or more than [`Path::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathError;

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A path is 1 to {} node ids with commas, then perhaps a question mark.", Path::MAX)
    }
}

impl core::error::Error for PathError {}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Path, PathError> {
        let (ids, root) = match text.strip_suffix(",?") {
            Some(ids) => (ids, Root::Unknown),
            None => (text, Root::Primary),
        };
        let mut nodes = Vec::new();
        for id in ids.split(',') {
            if nodes.len() == Path::MAX {
                return Err(PathError);
            }
            nodes.push(id.parse().map_err(|ReplIdError| PathError)?);
        }
        Ok(Path { nodes, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn paths_read_as_they_are_written() {
        let nodes = vec![NodeId([0xab; 20]), NodeId([1; 20])];
        for root in [Root::Primary, Root::Unknown] {
            let path = Path { nodes: nodes.clone(), root };
            assert_eq!(path.to_string().parse(), Ok(path));
        }
        let a = "abababababababababababababababababababab";
        assert_eq!(Path { nodes: vec![NodeId([0xab; 20])], root: Root::Unknown }.to_string(), alloc::format!("{a},?"));
    }

    #[test]
    fn other_texts_are_no_paths() {
        let a = "abababababababababababababababababababab";
        let long = vec![a; Path::MAX + 1].join(",");
        for text in ["", "?", ",?", "x", &alloc::format!("{a},"), &alloc::format!("{a},?,?"), &long] {
            assert_eq!(text.parse::<Path>(), Err(PathError), "{text}");
        }
        assert!(vec![a; Path::MAX].join(",").parse::<Path>().is_ok());
    }
}
