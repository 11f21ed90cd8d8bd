"""Round trips of redis-py against a running server: `redis_py.py PORT`. Exits 0 when all of it held."""

import sys
import threading

import redis


def round_trips(client):
    assert client.ping() is True
    client.flushdb()
    assert client.set("key", b"value \x00\xff") is True
    assert client.get("key") == b"value \x00\xff"
    assert client.get("absent") is None
    assert client.set("key", "other", nx=True) is None
    assert client.set("key", "new", get=True) == b"value \x00\xff"
    assert client.mset({"a": 1, "b": 2}) is True
    assert client.mget("a", "b", "absent") == [b"1", b"2", None]
    assert client.incrby("a", 41) == 42
    assert client.incrbyfloat("a", 0.5) == 42.5
    assert client.append("key", "er") == 5
    assert client.getrange("key", 1, 3) == b"ewe"
    assert client.expire("b", 100) and 90 < client.ttl("b") <= 100
    assert client.persist("b") and client.ttl("b") == -1
    assert client.type("a") == b"string"
    assert client.rename("a", "c") is True
    assert client.copy("c", "d") in (True, 1)
    assert client.exists("a", "c", "d") == 2
    assert client.delete("c", "d", "absent") == 2
    assert isinstance(client.info("server"), dict)
    assert client.config_get("maxclients")["maxclients"]
    assert client.client_id() > 0
    assert client.object("encoding", "b") == b"int"


def pipelines(client):
    with client.pipeline(transaction=False) as pipe:
        for n in range(5_000):
            pipe.set(f"pipe:{n}", n)
        assert all(pipe.execute())
        for n in range(5_000):
            pipe.get(f"pipe:{n}")
        assert pipe.execute() == [str(n).encode() for n in range(5_000)]


def scans(client):
    assert set(client.scan_iter(match="pipe:*", count=100)) == {f"pipe:{n}".encode() for n in range(5_000)}
    assert len(list(client.scan_iter(match="nothing*"))) == 0
    assert client.dbsize() == 5_002


def errors(client):
    client.set("text", "abc")
    for call, words in [
        (lambda: client.incr("text"), "value is not an integer or out of range"),
        (lambda: client.execute_command("NOSUCHCOMMAND"), "unknown command"),
        (lambda: client.execute_command("GET"), "wrong number of arguments"),
    ]:
        try:
            call()
        except redis.ResponseError as error:
            assert words in str(error), error
        else:
            raise AssertionError(words)
    assert client.ping() is True


def many_threads(port, protocol):
    client = redis.Redis(port=port, protocol=protocol)
    client.delete("counter")
    threads = [threading.Thread(target=lambda: [client.incr("counter") for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("counter") == b"4000"


def main():
    port = int(sys.argv[1])
    for protocol in (2, 3):
        client = redis.Redis(port=port, protocol=protocol)
        round_trips(client)
        pipelines(client)
        scans(client)
        errors(client)
        many_threads(port, protocol)
        print(f"redis-py {redis.__version__}, RESP{protocol}: ok")


main()
