#!/usr/bin/env python3
"""capture.py BIN_DIR CORPUS_DIR: makes the fuzzers' corpora of what a real Kafka says.

Starts one behind a proxy on loopback, writes records with every codec, in transactions and without, lets a consumer of BIN_DIR read and
commit them, and keeps a few answers of each API, record batches, what is in them, and streams of whole connections. To be run by hand, in
tests/kafka/venv's Python, when a new version of a message is added."""

import asyncio
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
APIS = {1: "fetch", 2: "list_offsets", 3: "metadata", 8: "offset_commit", 9: "offset_fetch", 10: "find_coordinator",
        18: "api_versions", 23: "offset_for_leader_epoch", 68: "consumer_group_heartbeat"}
CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
MOST_FILES, MOST_BYTES = 12, 4000


class Corpus:
    def __init__(self, root):
        self.root = root
        self.seen = {}

    def add(self, target, data):
        kept = self.seen.setdefault(target, set())
        if len(data) > MOST_BYTES or len(kept) == MOST_FILES or (data[:1], len(data)) in kept:
            return
        kept.add((data[:1], len(data)))
        folder = self.root / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{len(kept):02}").write_bytes(data)


async def frames(reader):
    """Whole frames without their length."""
    try:
        while True:
            size = struct.unpack(">i", await reader.readexactly(4))[0]
            yield await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass


async def until_open(port):
    for _ in range(240):
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            return
        except ConnectionError:
            await asyncio.sleep(0.25)
    raise TimeoutError(f"nothing listens at port {port}")


async def relay(corpus, ports, reader, writer):
    if "broker" not in ports:
        return writer.close()
    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", ports["broker"])
    asked, stream = {}, bytearray(b"\x0f")

    async def requests():
        async for frame in frames(reader):
            key, version, correlation = struct.unpack_from(">hhi", frame)
            asked[correlation] = key, version
            up_writer.write(struct.pack(">i", len(frame)) + frame)
        up_writer.close()

    async def answers():
        async for frame in frames(up_reader):
            key, version = asked.pop(struct.unpack_from(">i", frame)[0], (None, None))
            if key in APIS:
                corpus.add(APIS[key], bytes([version]) + frame[4:])
            whole = struct.pack(">i", len(frame)) + frame
            if len(stream) + len(whole) < MOST_BYTES:
                stream.extend(whole)
            writer.write(whole)
        corpus.add("frame", bytes(stream))
        writer.close()

    await asyncio.gather(requests(), answers(), return_exceptions=True)


def produce(bootstrap):
    from confluent_kafka import Producer
    for codec in ["none", *CODECS.values()]:
        for name, settings in {"plain": {}, "transactional": {"transactional.id": f"t-{codec}"}}.items():
            p = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 50, **settings})
            for commits in [True, False] if settings else [True]:
                if settings:
                    if commits:
                        p.init_transactions()
                    p.begin_transaction()
                for i in range(7):
                    p.produce("captured", key=f"{name}-{i}", value=None if i == 3 else f"{codec} " * i,
                              headers={"n": str(i)} if i % 2 else None)
                p.flush()
                if settings:
                    p.commit_transaction() if commits else p.abort_transaction()


def keep_batches(corpus, log):
    at = 0
    while at + 61 <= len(log):
        size = 12 + struct.unpack_from(">i", log, at + 8)[0]
        batch = log[at:at + size]
        codec = struct.unpack_from(">h", batch, 21)[0] & 7
        corpus.add("record_batch", batch)
        if codec in CODECS:
            corpus.add(CODECS[codec], batch[61:])
        at += size
    corpus.add("record_batch", log[:MOST_BYTES])


async def main(bin_dir, corpus):
    with tempfile.TemporaryDirectory() as folder:
        ports = {}
        server = await asyncio.start_server(lambda r, w: relay(corpus, ports, r, w), "127.0.0.1", 0)
        proxy = server.sockets[0].getsockname()[1]
        up = await asyncio.create_subprocess_exec(
            HERE.parent / "kafka" / "kafka-up", folder, "1", "0", f"advertised.listeners=PLAINTEXT://127.0.0.1:{proxy}",
            "auto.create.topics.enable=true", stdout=subprocess.PIPE, env={**os.environ, "KAFKA_OWNER": str(os.getpid())})
        # It waits for the advertised port, which is ours and open.
        ports["broker"] = int((await up.communicate())[0].decode().strip().rsplit(":", 1)[1])
        await until_open(ports["broker"])
        try:
            await asyncio.to_thread(produce, f"127.0.0.1:{proxy}")
            for isolation in "read_committed", "read_uncommitted":
                settings = pathlib.Path(folder) / "consumer.properties"
                settings.write_text(f"isolation.level={isolation}\nmax.partition.fetch.bytes=400\nfetch.max.bytes=400\n")
                consumer = await asyncio.create_subprocess_exec(
                    pathlib.Path(bin_dir) / "verifiable_consumer", "--bootstrap-server", f"127.0.0.1:{proxy}", "--topic", "captured",
                    "--group-id", isolation, "--group-protocol", "consumer", "--reset-policy", "earliest", "--max-messages", "50",
                    "--command-config", settings, stdout=subprocess.DEVNULL)
                await asyncio.wait_for(consumer.wait(), 60)
            for log in sorted(pathlib.Path(folder).glob("data1/captured-*/*.log")):
                keep_batches(corpus, log.read_bytes())
        finally:
            subprocess.run([HERE.parent / "kafka" / "kafka-down", folder], check=False)
            server.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], Corpus(pathlib.Path(sys.argv[2]))))
