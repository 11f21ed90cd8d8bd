//! Why a machine left a state: [`Cause`], and how its [`Class`] is retried.

use core::fmt;

/// What is done about a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Passes by itself: retried from `repl-backoff-min` on.
    Transient,
    /// Somebody has to do something, here or there: retried from 5 s on.
    Waiting,
    /// This node was told to follow itself: retried every 30 s.
    SelfInflicted,
    /// Not a fault: somebody or something above wanted it.
    Wanted,
}

/// Declares each cause once: its name in Rust, its name in text, its class, and a sentence for people.
macro_rules! causes {
    ($($name:ident, $text:literal, $class:ident, $why:literal;)*) => {
        /// Why a machine left a state. What exactly happened (an error's text, a path) is the driver's to log.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $(#[doc = $why] $name,)*
        }

        impl Cause {
            /// Every cause, in the order of their declaration.
            pub const ALL: &'static [Cause] = &[$(Cause::$name,)*];

            /// The name that logs, `INFO` and events show.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Cause::$name => $text,)* }
            }

            /// How it is retried.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Cause::$name => Class::$class,)* }
            }

            /// A sentence for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Cause::$name => $why,)* }
            }
        }
    };
}

causes! {
    Timeout, "timeout", Transient, "No answer to a dial, a handshake or a question in time.";
    Silence, "silence", Transient, "Not a byte came for `repl-timeout`.";
    Closed, "closed", Transient, "The other side closed the link, or it broke.";
    Refused, "refused", Transient, "Nothing listens at the primary's address.";
    Unreachable, "unreachable", Transient, "No route to the primary, or its name does not resolve.";
    Busy, "busy", Transient, "The primary serves as many syncs as it may, or cannot judge yet (`-BUSYSYNC`).";
    Loading, "loading", Transient, "The primary is loading or installing its own data (`-LOADING`).";
    Stalled, "stalled", Transient, "A full sync, or a feed that has more to bring, made no progress for `repl-progress-timeout`.";
    UpstreamChanged, "upstream_changed", Transient, "The primary's role, upstream or log changed; a position must be agreed on anew.";
    LeaseLost, "lease_lost", Transient, "The primary no longer has the snapshot that was being fetched (`-NOLEASE`).";
    BadChunk, "bad_chunk", Transient, "A fetched file did not have the promised content.";
    Gap, "gap", Transient, "Frames did not begin where the log ends.";
    BadFrame, "bad_frame", Transient, "A frame failed its checksum, here or at the primary.";
    Damaged, "damaged", Transient, "A frame did not fit the data here; the shard is copied anew.";
    Protocol, "protocol", Transient, "The other side sent what this build cannot read.";
    InstallFailed, "install_failed", Transient, "The fetched shard could not be opened, replayed or swapped in.";
    SyncLoop, "sync_loop", Transient, "A full sync ended well, and soon after it the verdict is a full sync again.";
    AuthRefused, "auth_refused", Waiting, "The primary refused `masteruser` or `masterauth`.";
    Forbidden, "forbidden", Waiting, "The user is known but may not replicate (`-NOPERM`).";
    Version, "version", Waiting, "The primary speaks another version of the protocol.";
    Incompatible, "incompatible", Waiting, "The primary may have more databases than this node.";
    NotAPeer, "not_a_peer", Waiting, "What listens there does not replicate as Haypile does.";
    Rejected, "rejected", Waiting, "The primary answered with an error that is none of the others.";
    NoSpace, "no_space", Waiting, "The disk here is full.";
    DiskFault, "disk_fault", Waiting, "The disk here failed.";
    Itself, "itself", SelfInflicted, "The address is this node's own.";
    Cycle, "cycle", SelfInflicted, "The primary follows this node, perhaps through others.";
    Operator, "operator", Wanted, "An operator's command.";
    Start, "start", Wanted, "The process started.";
    Due, "due", Wanted, "The time to retry has come.";
    Agreed, "agreed", Wanted, "Both sides agreed.";
    FullSync, "full_sync", Wanted, "The primary's verdict is a full sync.";
    SyncDone, "sync_done", Wanted, "The full sync ended well.";
    NoSlot, "no_slot", Wanted, "As many full syncs are under way as may be.";
    NodeLeft, "node_left", Wanted, "The node is not connected any more.";
    Detached, "detached", Wanted, "The database was detached with DBSLAVEOF NO ONE.";
}

impl Cause {
    /// Whether a failure for this cause is charged to the retry budget. A primary that says "not yet", or whose role
    /// changed, is not a failure.
    #[must_use]
    pub const fn is_charged(self) -> bool {
        !matches!(self, Cause::Busy | Cause::Loading | Cause::UpstreamChanged)
    }

    /// Whether the next frames, and not the link that they come on, are at fault.
    #[must_use]
    pub const fn is_of_frames(self) -> bool {
        matches!(self, Cause::Gap | Cause::BadFrame)
    }

    /// The cause with this text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Cause> {
        Cause::ALL.iter().copied().find(|cause| cause.as_str() == text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
