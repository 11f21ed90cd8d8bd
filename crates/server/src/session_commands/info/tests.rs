//! INFO's sections and the fields that tools read.

use std::collections::BTreeMap;

use super::super::testing::Server;
use super::*;

/// The fields of an INFO reply in RESP2, by name.
fn fields(reply: &str) -> BTreeMap<&str, &str> {
    let (_, text) = reply.split_once("\r\n").unwrap();
    assert!(text.split("\r\n").all(|line| !line.contains('\n')), "every line ends in CR LF");
    text.split("\r\n").filter_map(|line| line.split_once(':')).collect()
}

fn headings(reply: &str) -> Vec<&str> {
    reply.split("\r\n").filter_map(|line| line.strip_prefix("# ")).collect()
}

#[test]
fn sections_are_chosen_as_in_redis() {
    let server = Server::new(&[]);
    let mut session = server.session();
    let default = session.text(&["INFO"]);
    let redis = "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace Haypile";
    assert_eq!(headings(&default).join(" "), redis);
    assert_eq!(headings(&session.text(&["INFO", "default"])), headings(&default));
    assert!(headings(&session.text(&["INFO", "ALL"])).contains(&"Commandstats"));
    assert_eq!(headings(&session.text(&["INFO", "everything"])).len(), SECTIONS.len());
    assert_eq!(headings(&session.text(&["INFO", "keyspace", "Cpu", "cpu"])), ["CPU", "Keyspace"]);
    assert_eq!(session.text(&["INFO", "nosuch"]), "$0\r\n\r\n");
    assert_eq!(session.text(&["INFO", "cluster"]), "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n");
    session.state.set_protocol(resp::Protocol::Resp3);
    assert_eq!(session.text(&["INFO", "cluster"]), "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
}

#[test]
fn fields_that_tools_read_are_there() {
    let server = Server::new(&[]);
    let reply = server.session().text(&["INFO"]);
    let fields = fields(&reply);
    let read = "redis_version haypile_version redis_mode os arch_bits multiplexing_api process_id run_id tcp_port \
                uptime_in_seconds hz lru_clock config_file connected_clients maxclients blocked_clients used_memory \
                used_memory_human used_memory_rss used_memory_peak used_memory_dataset maxmemory maxmemory_policy \
                mem_fragmentation_ratio mem_allocator loading rdb_changes_since_last_save rdb_bgsave_in_progress \
                rdb_last_save_time rdb_last_bgsave_status aof_enabled aof_rewrite_in_progress aof_last_write_status \
                total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes \
                total_net_output_bytes rejected_connections expired_keys evicted_keys keyspace_hits keyspace_misses \
                latest_fork_usec role connected_slaves master_replid master_repl_offset second_repl_offset \
                repl_backlog_size used_cpu_sys used_cpu_user cluster_enabled";
    for name in read.split_whitespace() {
        assert!(fields.contains_key(name), "{name}");
    }
    assert_eq!(fields["redis_version"], "7.2.4");
    assert_eq!(fields["run_id"].len(), 40);
    assert_eq!(fields["master_replid"].len(), 40);
    assert_eq!(fields["connected_clients"], "1");
    assert_eq!((fields["used_memory"], fields["used_memory_rss_human"]), ("1000", "7.81K"));
    assert_eq!((fields["used_memory_peak_perc"], fields["mem_fragmentation_ratio"]), ("100.00%", "8.00"));
    assert_eq!(fields["maxmemory_human"], "1.00M");
    assert_eq!(fields["evicted_keys"], "0");
    assert_eq!(fields["aof_last_write_status"], "ok");
    assert!(fields["haypile_log_db0"].ends_with("health=ok"), "{}", fields["haypile_log_db0"]);
    assert!(reply.find("role:master").unwrap() < reply.find("master_replid").unwrap());
}

#[test]
fn keys_are_counted_before_and_after_settle() {
    let server = Server::new(&[]);
    let mut session = server.session();
    assert_eq!(session.text(&["INFO", "keyspace"]), "$12\r\n# Keyspace\r\n\r\n");
    server.keys(&["SET", "a", "1"]);
    server.keys(&["SET", "b", "1"]);
    let reply = session.text(&["INFO", "keyspace"]);
    assert_eq!(fields(&reply)["db0"], "keys=2,expires=0,avg_ttl=0");
    server.shared.instance.settle().unwrap();
    server.keys(&["DEL", "a"]);
    let reply = session.text(&["INFO", "keyspace"]);
    assert_eq!(fields(&reply)["db0"], "keys=1,expires=0,avg_ttl=0");
    let reply = session.text(&["INFO", "haypile"]);
    assert!(fields(&reply)["db0_records"].ends_with("stored=2"), "{reply}");
}

#[test]
fn counters_of_commands_and_errors_are_shown() {
    let server = Server::new(&[]);
    let stats = &server.shared.stats;
    let ping = crate::catalog::all().iter().position(|listed| listed.name == "ping").unwrap();
    let get = crate::catalog::all().iter().position(|listed| listed.name == "config|get").unwrap();
    let counters = |at: usize| stats.thread(0).command(crate::catalog::CommandNumber(u32::try_from(at).unwrap()));
    counters(ping).calls.add(4);
    counters(ping).nanos.add(6000);
    counters(get).rejected.add(1);
    stats.count_error(b"WRONGTYPE x");
    let mut session = server.session();
    let reply = session.text(&["INFO", "commandstats", "errorstats"]);
    let fields = fields(&reply);
    assert_eq!(fields["cmdstat_ping"], "calls=4,usec=6,usec_per_call=1.50,rejected_calls=0,failed_calls=0");
    assert_eq!(fields["cmdstat_config|get"], "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0");
    assert_eq!(fields["errorstat_WRONGTYPE"], "count=1");
}
