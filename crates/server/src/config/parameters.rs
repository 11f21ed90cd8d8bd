//! The parameters: the one place where each is declared. See `table` for how to read a declaration.
//!
//! The first sentence of help says what the parameter is for, and is also the field's documentation. `no_effect` is taken
//! away when the feature is built.

use super::composite::{EventClasses, MemoryShare, OutputLimits, PrimaryAddress, SavePoint};
use super::table::{Group, Parameter, parameters};
use super::value::{AppendFsync, Compression, Field, LogFormat, LogLevel, Number, Permission, Text, integer, memory};

/// Redis's bounds: those of its C types.
const MAX_I32: i64 = i32::MAX as i64;
const MAX_U32: i64 = u32::MAX as i64;
const MAX_I64: i64 = i64::MAX;
const MAX_MEMORY: u64 = i64::MAX as u64;

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;

parameters! {
    [Network]
    /// Addresses to listen on; one that begins with '-' may be missing on this machine.
    bind: Vec<String> = vec!["127.0.0.1".to_owned(), "-::1".to_owned()], start_only;
    /// TCP port; 0 opens none.
    port: u16 [integer(0, 65535)] = 6379, start_only;
    /// Path of a unix socket to listen on as well; empty opens none.
    unixsocket: String [Text::Any] = String::new(), start_only;
    /// Permissions of the unix socket; 0 leaves them to the umask.
    unixsocketperm: u32 [Number::Octal(0o777)] = 0, start_only;
    /// How many connections may wait to be accepted.
    tcp_backlog: u32 [integer(0, MAX_I32)] = 511, start_only;
    /// Seconds of silence after which TCP asks whether a client is still there; 0 never asks.
    tcp_keepalive: u32 [integer(0, MAX_I32)] = 300;
    /// Seconds after which an idle client is disconnected; 0 never.
    timeout: u32 [integer(0, MAX_I32)] = 0;
    /// How many clients may be connected at a time.
    maxclients: u32 [integer(1, MAX_U32)] = 10_000;

    [Security]
    /// Refuse clients of other machines as long as there is no password.
    protected_mode: bool = true;
    /// Password of the default user; empty asks for none.
    requirepass: String [Text::Any] = String::new(), secret;
    /// Who may use DEBUG.
    enable_debug_command: Permission = Permission::Local, start_only;
    /// No parameter is protected: those that would be are set only at start.
    enable_protected_configs: String [Text::OneOf(&["no", "yes", "local"])] = "no".to_owned(), start_only, no_effect;

    [Process]
    /// Folder of the data; it is made when it does not exist.
    dir: String [Text::Any] = "./data".to_owned(), start_only;
    /// How many databases there are; each is a shard with its own log and store.
    databases: u32 [integer(1, 1024)] = 16, start_only;
    /// Threads that serve clients; 0 is one for each core but one, 1 to 8.
    workers: u32 [integer(0, 256)] = 0, start_only;
    /// Threads for commands that must wait for the disk or a lock; 0 is four for each core, 8 to 64.
    desk_threads: u32 [integer(0, 1024)] = 0, start_only;
    /// The process stays in the foreground: a service manager puts it into the background.
    daemonize: bool = false, start_only, no_effect;
    /// No pid file is written: the service manager knows the process.
    pidfile: String [Text::Any] = String::new(), start_only, no_effect;
    /// How Redis tells its service manager that it is ready.
    supervised: String [Text::OneOf(&["upstart", "systemd", "auto", "no"])] = "no".to_owned(), start_only, no_effect;
    /// The title of the process is left alone.
    set_proc_title: bool = true, start_only, no_effect;
    /// How Redis's process title looks.
    proc_title_template: String [Text::Any] = "{title} {listen-addr} {server-mode}".to_owned(), no_effect;
    /// Whether Redis adjusts its score for the kernel's out-of-memory killer.
    oom_score_adj: String [Text::OneOf(&["no", "yes", "relative", "absolute"])] = "no".to_owned(), no_effect;
    /// Redis's scores for a primary, a replica, and a background child.
    oom_score_adj_values: [i64; 3] = [0, 200, 800], no_effect;
    /// Transparent huge pages are left as they are.
    disable_thp: bool = true, start_only, no_effect;
    /// Redis's number of threads for network input and output; see `workers`.
    io_threads: u32 [integer(1, 128)] = 1, start_only, no_effect;
    /// Workers always read and parse.
    io_threads_do_reads: bool = false, start_only, no_effect;
    /// There is no logo.
    always_show_logo: bool = false, start_only, no_effect;
    /// Seconds for which Redis waits for its replicas at shutdown.
    shutdown_timeout: u32 [integer(0, MAX_I32)] = 10, no_effect;

    [Memory]
    /// Budget for hot records, block cache and memtables together; 0 is half of the machine's memory. It limits memory, never the data.
    maxmemory: u64 [memory(0, MAX_MEMORY)] = 0;
    /// The whole budget's percentage that is the store's block cache.
    block_cache_percent: u8 [integer(0, 90)] = 25, start_only;
    /// Only cached copies leave memory and data is never lost, so every policy means the same.
    maxmemory_policy: String [Text::OneOf(POLICIES)] = "noeviction".to_owned(), no_effect;
    /// How many keys Redis looks at to find one to evict.
    maxmemory_samples: u32 [integer(1, MAX_I32)] = 5, no_effect;
    /// How hard Redis tries to evict.
    maxmemory_eviction_tenacity: u32 [integer(0, 100)] = 10, no_effect;
    /// Memory of all clients together at which Redis disconnects the largest.
    maxmemory_clients: MemoryShare = MemoryShare::Bytes(0), no_effect;
    /// How slowly Redis's counter of uses grows.
    lfu_log_factor: u32 [integer(0, MAX_I32)] = 10, no_effect;
    /// Minutes after which Redis's counter of uses shrinks.
    lfu_decay_time: u32 [integer(0, MAX_I32)] = 1, no_effect;
    /// Whether eviction frees memory in the background.
    lazyfree_lazy_eviction: bool = false, no_effect;
    /// Whether expiry frees memory in the background.
    lazyfree_lazy_expire: bool = false, no_effect;
    /// Whether an implicit DEL frees memory in the background.
    lazyfree_lazy_server_del: bool = false, no_effect;
    /// Whether DEL frees memory in the background.
    lazyfree_lazy_user_del: bool = false, no_effect;
    /// Whether FLUSHDB and FLUSHALL free memory in the background.
    lazyfree_lazy_user_flush: bool = false, no_effect;
    /// Whether Redis defragments its memory.
    activedefrag: bool = false, no_effect;
    /// Wasted bytes below which Redis does not defragment.
    active_defrag_ignore_bytes: u64 [memory(1, MAX_MEMORY)] = 100 * MB, no_effect;
    /// Percentage of fragmentation at which Redis starts.
    active_defrag_threshold_lower: u32 [integer(0, 1000)] = 10, no_effect;
    /// Percentage of fragmentation at which Redis tries hardest.
    active_defrag_threshold_upper: u32 [integer(0, 1000)] = 100, no_effect;
    /// Least percentage of CPU for it.
    active_defrag_cycle_min: u32 [integer(1, 99)] = 1, no_effect;
    /// Highest percentage of CPU for it.
    active_defrag_cycle_max: u32 [integer(1, 99)] = 25, no_effect;
    /// Fields of a collection that it treats at once.
    active_defrag_max_scan_fields: u64 [integer(1, MAX_I64)] = 1000, no_effect;

    [Durability]
    /// When the log is fsynced: everysec loses at most about a second in a power cut, always nothing, no what the system had not written.
    appendfsync: AppendFsync = AppendFsync::Everysec;
    /// The log is always on: 'no' does not switch it off.
    appendonly: bool = true, no_effect;
    /// Size at which a new segment of the log begins.
    log_segment_bytes: u64 [memory(MB, 4 * GB)] = 64 * MB, start_only;
    /// How much of the log is kept although the store does not need it any more: replicas and backups continue from it.
    log_retain_bytes: u64 [memory(0, MAX_MEMORY)] = GB;
    /// How much log a recovery may have to replay; the store is flushed in time.
    recovery_log_max: u64 [memory(MB, MAX_MEMORY)] = 256 * MB;
    /// Milliseconds between two moves of changed records into the store.
    settle_interval_ms: u32 [integer(1, 60_000)] = 3000;
    /// Folder of backups; relative to `dir`.
    backup_dir: String [Text::Any] = "backups".to_owned(), start_only;
    /// When Redis writes its dump file; every write is in the log already.
    save: Vec<SavePoint> = Vec::new(), no_effect;
    /// Whether Redis refuses writes when its dump failed.
    stop_writes_on_bgsave_error: bool = true, no_effect;
    /// Whether Redis compresses its dump file.
    rdbcompression: bool = true, no_effect;
    /// Whether Redis's dump file has a checksum.
    rdbchecksum: bool = true, start_only, no_effect;
    /// Name of Redis's dump file.
    dbfilename: String [Text::FileName("dbfilename")] = "dump.rdb".to_owned(), start_only, no_effect;
    /// Whether Redis fsyncs its dump file as it is written.
    rdb_save_incremental_fsync: bool = true, no_effect;
    /// Whether Redis removes the dump files of replication.
    rdb_del_sync_files: bool = false, no_effect;
    /// Name of Redis's append-only file.
    appendfilename: String [Text::FileName("appendfilename")] = "appendonly.aof".to_owned(), start_only, no_effect;
    /// Folder of Redis's append-only files.
    appenddirname: String [Text::FileName("appenddirname")] = "appendonlydir".to_owned(), start_only, no_effect;
    /// Growth in percent at which Redis rewrites its append-only file; the log is cut by itself.
    auto_aof_rewrite_percentage: u32 [integer(0, MAX_I32)] = 100, no_effect;
    /// Size below which Redis does not rewrite its append-only file.
    auto_aof_rewrite_min_size: u64 [memory(0, MAX_MEMORY)] = 64 * MB, no_effect;
    /// Whether Redis skips fsync while it rewrites.
    no_appendfsync_on_rewrite: bool = false, no_effect;
    /// A torn end of the log is always cut off with a warning.
    aof_load_truncated: bool = true, no_effect;
    /// Whether Redis's append-only file begins with a dump.
    aof_use_rdb_preamble: bool = true, no_effect;
    /// Whether Redis fsyncs its append-only file as it is rewritten.
    aof_rewrite_incremental_fsync: bool = true, no_effect;
    /// Every frame of the log has its time.
    aof_timestamp_enabled: bool = false, no_effect;

    [Storage]
    /// How the store compresses its blocks.
    compression: Compression = Compression::Lz4, start_only;
    /// Bits for each key in the filters that spare reads of absent keys; 0 is no filter.
    bloom_bits: u8 [integer(0, 32)] = 10, start_only;
    /// Threads that flush and compact the store; 0 is chosen from the cores.
    rocksdb_background_threads: u32 [integer(0, 64)] = 0, start_only;

    [Encoding]
    /// Bytes up to which a collection stays packed in one record.
    packed_max_bytes: u64 [memory(64, MB)] = 8 * KB;
    /// Bytes from which a string is kept in chunks.
    string_chunk_threshold: u64 [memory(4 * KB, 512 * MB)] = 64 * KB;
    /// Fields up to which a hash stays packed.
    hash_max_listpack_entries: u64 [integer(0, MAX_I64)] = 128, alias("hash-max-ziplist-entries");
    /// Bytes of a field or value up to which a hash stays packed.
    hash_max_listpack_value: u64 [memory(0, MAX_MEMORY)] = 64, alias("hash-max-ziplist-value");
    /// Members up to which a set of integers stays packed.
    set_max_intset_entries: u64 [integer(0, MAX_I64)] = 512;
    /// Members up to which a set stays packed.
    set_max_listpack_entries: u64 [integer(0, MAX_I64)] = 128;
    /// Bytes of a member up to which a set stays packed.
    set_max_listpack_value: u64 [memory(0, MAX_MEMORY)] = 64;
    /// Members up to which a sorted set stays packed.
    zset_max_listpack_entries: u64 [integer(0, MAX_I64)] = 128, alias("zset-max-ziplist-entries");
    /// Bytes of a member up to which a sorted set stays packed.
    zset_max_listpack_value: u64 [memory(0, MAX_MEMORY)] = 64, alias("zset-max-ziplist-value");
    /// Size of a node of a list: elements if positive; -1 to -5 is 4, 8, 16, 32, 64 KiB.
    list_max_listpack_size: i32 [integer(-MAX_I32 - 1, MAX_I32)] = -2, alias("list-max-ziplist-size");
    /// Nodes at both ends of a list that Redis does not compress; the store compresses its blocks.
    list_compress_depth: u32 [integer(0, MAX_I32)] = 0, no_effect;
    /// Bytes up to which a HyperLogLog stays sparse.
    hll_sparse_max_bytes: u64 [memory(0, MAX_MEMORY)] = 3000;
    /// Bytes up to which a node of a stream grows; 0 is no limit.
    stream_node_max_bytes: u64 [memory(0, MAX_MEMORY)] = 4 * KB;
    /// Entries up to which a node of a stream grows; 0 is no limit.
    stream_node_max_entries: u64 [integer(0, MAX_I64)] = 100;

    [Clients]
    /// Bytes of the longest string that a client may send.
    proto_max_bulk_len: u64 [memory(MB, MAX_MEMORY)] = 512 * MB;
    /// Bytes that a client may have sent without having been served.
    client_query_buffer_limit: u64 [memory(MB, MAX_MEMORY)] = GB;
    /// Unsent output at which a client is disconnected: at once at the hard limit, or after so many seconds at the soft one; 0 is no limit.
    client_output_buffer_limit: OutputLimits = OutputLimits::default();
    /// Milliseconds after which a script is called slow, and other clients are told so.
    busy_reply_threshold: u64 [integer(0, MAX_I64)] = 5000, alias("lua-time-limit"), no_effect;
    /// How many keys the table of client-side caching may hold; 0 is no limit.
    tracking_table_max_keys: u64 [integer(0, MAX_I64)] = 1_000_000, no_effect;

    [Monitoring]
    /// The least important messages that are logged.
    loglevel: LogLevel = LogLevel::Notice;
    /// File of the log; empty is the standard output.
    logfile: String [Text::Any] = String::new(), start_only;
    /// Shape of a line of the log.
    log_format: LogFormat = LogFormat::Human, start_only;
    /// Microseconds from which a command is kept in SLOWLOG; 0 keeps all, -1 none.
    slowlog_log_slower_than: i64 [integer(-1, MAX_I64)] = 10_000;
    /// How many commands SLOWLOG keeps.
    slowlog_max_len: u64 [integer(0, MAX_I64)] = 128;
    /// Milliseconds from which LATENCY records an event; 0 records none.
    latency_monitor_threshold: u64 [integer(0, MAX_I64)] = 0;
    /// Which keyspace events are published, and on which channels; empty publishes none.
    notify_keyspace_events: EventClasses = EventClasses::default();
    /// Whether Redis logs a report when it crashes.
    crash_log_enabled: bool = true, no_effect;
    /// Whether Redis tests the memory when it crashes.
    crash_memcheck_enabled: bool = true, no_effect;

    [Replication]
    /// The primary that this instance follows.
    replicaof: Option<PrimaryAddress> = None, alias("slaveof"), start_only;
    /// Password for the primary.
    masterauth: String [Text::Any] = String::new(), secret;
    /// User for the primary.
    masteruser: String [Text::Any] = String::new();
    /// Whether a replica that lost its primary answers reads.
    replica_serve_stale_data: bool = true, alias("slave-serve-stale-data");
    /// A replica always refuses writes of clients: its log is its primary's.
    replica_read_only: bool = true, alias("slave-read-only"), no_effect;
    /// Sentinel promotes the replica with the lowest; 0 is never promoted.
    replica_priority: u32 [integer(0, MAX_I32)] = 100, alias("slave-priority");
    /// Whether Sentinel is told of this replica.
    replica_announced: bool = true;
    /// Address that a replica reports to its primary; empty is the one it connects from.
    replica_announce_ip: String [Text::Any] = String::new(), alias("slave-announce-ip");
    /// Port that a replica reports to its primary; 0 is its own.
    replica_announce_port: u16 [integer(0, 65535)] = 0, alias("slave-announce-port");
    /// Seconds without a byte after which the other side counts as gone.
    repl_timeout: u32 [integer(1, MAX_I32)] = 10;
    /// Seconds that connecting to the primary and the first exchange with it may take.
    repl_connect_timeout: u32 [integer(1, MAX_I32)] = 5;
    /// Seconds in which the primary must answer from where a replica may continue.
    repl_reply_timeout: u32 [integer(1, MAX_I32)] = 10;
    /// Seconds without progress after which a full copy is interrupted; it is resumed later.
    repl_progress_timeout: u32 [integer(1, MAX_I32)] = 30;
    /// Milliseconds before the first new attempt after a failure; each further one waits a ninth longer.
    repl_backoff_min: u32 [integer(1, MAX_I32)] = 100;
    /// Milliseconds that two attempts are apart at most.
    repl_backoff_max: u32 [integer(1, MAX_I32)] = 30_000;
    /// Seconds of working replication after which earlier failures are forgotten.
    repl_stable_after: u32 [integer(1, MAX_I32)] = 30;
    /// Failed attempts in a row after which an alarm is raised and attempts pause; 0 is no limit.
    repl_retry_limit: u32 [integer(0, MAX_I32)] = 64;
    /// Seconds of that pause; 0 is until an operator says REPLICATION RESET.
    repl_retry_cooldown: u32 [integer(0, MAX_I32)] = 300;
    /// Full copies that may run at the same time, given or taken.
    repl_max_parallel_syncs: u32 [integer(1, 1024)] = 2;
    /// Bytes a second that full copies together may take from the primary; 0 is no limit.
    repl_fullsync_rate: u64 [memory(0, MAX_MEMORY)] = 0;
    /// How much log is kept for replicas that are behind, beyond `log-retain-bytes`; 0 is no limit.
    repl_log_retain_max: u64 [memory(0, MAX_MEMORY)] = 8 * GB;
    /// Replicas that must have synced a write, as this node must then, before it is answered; 0 is none.
    repl_sync_replicas: u32 [integer(0, MAX_I32)] = 0;
    /// Milliseconds for which such an answer waits; then it is an error, NOREPLICAS: the write is applied, but unconfirmed.
    repl_sync_timeout: u32 [integer(1, MAX_I32)] = 1000;
    /// Seconds for which data that a full copy replaced, and that the primary lacks, is kept; less where the disk has no room.
    quarantine_keep: u64 [integer(0, MAX_I64)] = 604_800;
    /// Program that is run when an alarm is raised or cleared, with words before those that it gets: raised or cleared, alarm, database or -, detail.
    alarm_command: String [Text::Any] = String::new(), start_only;
    /// Seconds between two signs of life of a primary.
    repl_ping_replica_period: u32 [integer(1, MAX_I32)] = 10, alias("repl-ping-slave-period"), no_effect;
    /// Size of Redis's buffer for replicas that come back; they continue from the log here, see `log-retain-bytes`.
    repl_backlog_size: u64 [memory(1, MAX_MEMORY)] = MB, no_effect;
    /// Seconds after which Redis frees that buffer.
    repl_backlog_ttl: u64 [integer(0, MAX_I64)] = 3600, no_effect;
    /// Whether Redis sends a full copy without a file.
    repl_diskless_sync: bool = true, no_effect;
    /// Seconds for which Redis waits for further replicas before a full copy.
    repl_diskless_sync_delay: u32 [integer(0, MAX_I32)] = 5, no_effect;
    /// Replicas after which Redis does not wait any longer.
    repl_diskless_sync_max_replicas: u32 [integer(0, MAX_I32)] = 0, no_effect;
    /// Whether a replica of Redis takes a full copy without a file.
    repl_diskless_load: String [Text::OneOf(&["disabled", "on-empty-db", "swapdb"])] = "disabled".to_owned(), no_effect;
    /// Whether small packets to replicas are collected.
    repl_disable_tcp_nodelay: bool = false, no_effect;
    /// Replicas that must follow closely, else writes are refused; 0 is none.
    min_replicas_to_write: u32 [integer(0, MAX_I32)] = 0, alias("min-slaves-to-write");
    /// Seconds of lag up to which a replica follows closely.
    min_replicas_max_lag: u32 [integer(0, MAX_I32)] = 10, alias("min-slaves-max-lag");
    /// Whether a replica evicts only what its primary evicts.
    replica_ignore_maxmemory: bool = true, alias("slave-ignore-maxmemory"), no_effect;
    /// Whether a replica drops its old data in the background.
    replica_lazy_flush: bool = false, alias("slave-lazy-flush"), no_effect;

    [Compatibility]
    /// How often in a second Redis does its housekeeping.
    hz: u32 [integer(0, MAX_I32)] = 10, no_effect;
    /// Whether Redis does it more often for many clients.
    dynamic_hz: bool = true, no_effect;
    /// Whether Redis grows its tables in its housekeeping.
    activerehashing: bool = true, no_effect;
    /// How hard Redis looks for expired keys.
    active_expire_effort: u32 [integer(1, 10)] = 1, no_effect;
}

/// Redis's policies of eviction.
const POLICIES: &[&str] = &[
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];
