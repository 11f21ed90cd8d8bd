// Round trips of ioredis against a running server: `ioredis.cjs PORT`. Exits 0 when all of it held.
"use strict";

const assert = require("node:assert/strict");
const Redis = require("ioredis");

async function roundTrips(redis) {
  await redis.flushdb();
  assert.equal(await redis.set("key", "value"), "OK");
  assert.equal(await redis.get("key"), "value");
  assert.equal(await redis.get("absent"), null);
  const bytes = Buffer.from([0, 13, 10, 255]);
  await redis.set("bytes", bytes);
  assert.deepEqual(await redis.getBuffer("bytes"), bytes);
  assert.equal(await redis.set("key", "x", "EX", 100, "XX"), "OK");
  const ttl = await redis.ttl("key");
  assert.ok(ttl > 90 && ttl <= 100);
  assert.equal(await redis.incrby("n", 5), 5);
  assert.deepEqual(await redis.mget("key", "n", "absent"), ["x", "5", null]);
  assert.equal(await redis.del("key", "n"), 2);
  await assert.rejects(redis.incr("bytes"), /value is not an integer or out of range/);
}

async function pipelines(redis) {
  const pipeline = redis.pipeline();
  for (let n = 0; n < 5000; n += 1) pipeline.set(`pipe:${n}`, n);
  const replies = await pipeline.exec();
  assert.ok(replies.every(([error, reply]) => error === null && reply === "OK"));
  const values = await Promise.all(Array.from({ length: 5000 }, (_, n) => redis.get(`pipe:${n}`)));
  assert.deepEqual(values, Array.from({ length: 5000 }, (_, n) => String(n)));
}

async function scans(redis) {
  const found = new Set();
  for await (const keys of redis.scanStream({ match: "pipe:*", count: 200 })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 5000);
  assert.equal(await redis.dbsize(), 5001);
}

async function main() {
  const redis = new Redis({ port: Number(process.argv[2]), host: "127.0.0.1", maxRetriesPerRequest: 1 });
  await roundTrips(redis);
  await pipelines(redis);
  await scans(redis);
  await redis.quit();
  console.log("ioredis: ok");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
