//! The one write path of a shard: hot records, commit, settle, recovery, snapshots.
//!
//! ```text
//! command --> Instance::run --> Txn: locks, changes in place, ops
//!                                |  commit
//!                                v
//!             hot records  <-- frame --> log (replog)
//!                  |  settle
//!                  v
//!                store (trait Store)     recovery: store, then the log from its settled mark on
//! ```
//!
//! It knows no protocol, no command and no storage library.

mod apply;
mod awaited;
mod ballast;
pub mod budget;
mod changes;
mod current;
pub mod entropy;
mod expire;
pub mod fault;
pub mod files;
mod folder;
mod foresight;
mod hot;
pub mod instance;
pub mod memory_store;
mod prefetch;
mod quarantine;
mod recovery;
mod replace;
mod role;
mod row_memory;
mod row_walk;
mod rows;
pub mod run;
mod settle;
pub mod shard;
mod slot;
pub mod snapshot;
pub mod store;
mod txn;
mod walk;

pub use apply::{Applied, ApplyFault};
pub use awaited::Expectation;
pub use budget::Budget;
pub use changes::Changes;
pub use fault::{Fault, FaultKind};
pub use foresight::{Glance, Outlook};
pub use instance::{Instance, Options};
pub use lineage::Lsn;
pub use quarantine::Kept;
pub use recovery::Recovery;
pub use replace::{Installed, Promise};
pub use replog::{Background, FsyncPolicy};
pub use role::{Origin, Role};
pub use run::{Abort, LockKey, Place, Ran, Request, Scope};
pub use shard::{Shard, ShardStats};
pub use slot::{ShardId, ShardRef};
pub use snapshot::{ShardSnapshot, Snapshot};
pub use txn::{Gate, Scratch, Tally, Trace, Transaction};

#[cfg(test)]
mod tests;
