//! The durations and bounds that an operator may set: [`Config`].

use crate::Millis;

/// All parameters of the machine. They may change at any time ([`crate::Input::Configure`]); what already waits is
/// measured by the new values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Config {
    /// How many databases this node may have. A primary that may have more cannot be followed.
    pub databases: u32,
    /// `repl-connect-timeout`: dial, authentication and meta sync together.
    pub connect_timeout: Millis,
    /// `repl-timeout`: a link without a byte for so long is lost.
    pub timeout: Millis,
    /// `repl-reply-timeout`: the answer to a shard's question.
    pub reply_timeout: Millis,
    /// `repl-progress-timeout`: a full sync that gets nowhere for so long is stalled.
    pub progress_timeout: Millis,
    /// `repl-backoff-min`: the shortest pause before a retry.
    pub backoff_min: Millis,
    /// `repl-backoff-max`: the longest pause before a retry.
    pub backoff_max: Millis,
    /// Each pause is longer or shorter by up to this share of it.
    pub jitter_percent: u8,
    /// `repl-stable-after`: connected for so long, the retries are forgotten.
    pub stable_after: Millis,
    /// `repl-retry-limit`: failures in an episode until the budget is spent; 0 is no limit.
    pub retry_limit: u32,
    /// `repl-retry-cooldown`: rest after a spent budget; 0 is until an operator resets.
    pub retry_cooldown: Millis,
    /// `repl-max-parallel-syncs`: full syncs under way at the same time, at least 1.
    pub max_parallel_syncs: u32,
    /// Both sides of a control link send a heartbeat this often.
    pub heartbeat_every: Millis,
    /// A shard whose data is older than this raises the alarm `lag`.
    pub lag_alarm: Millis,
}

impl Config {
    /// The same parameters within the bounds that the machine needs: nothing retries without a pause, and nothing that
    /// waits waits no time at all.
    pub(crate) fn bounded(self) -> Config {
        let least = Millis(1);
        let backoff_min = self.backoff_min.max(least);
        Config {
            connect_timeout: self.connect_timeout.max(least),
            timeout: self.timeout.max(least),
            reply_timeout: self.reply_timeout.max(least),
            progress_timeout: self.progress_timeout.max(least),
            backoff_min,
            backoff_max: self.backoff_max.max(backoff_min),
            jitter_percent: self.jitter_percent.min(50),
            max_parallel_syncs: self.max_parallel_syncs.max(1),
            heartbeat_every: self.heartbeat_every.max(least),
            lag_alarm: self.lag_alarm.max(least),
            ..self
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            databases: 16,
            connect_timeout: Millis::seconds(5),
            timeout: Millis::seconds(10),
            reply_timeout: Millis::seconds(10),
            progress_timeout: Millis::seconds(30),
            backoff_min: Millis(100),
            backoff_max: Millis::seconds(30),
            jitter_percent: 20,
            stable_after: Millis::seconds(30),
            retry_limit: 64,
            retry_cooldown: Millis::seconds(300),
            max_parallel_syncs: 2,
            heartbeat_every: Millis::seconds(1),
            lag_alarm: Millis::seconds(10),
        }
    }
}
