#!/usr/bin/env python3
"""proxy.py SEED FROM:TO...: relays loopback connections, and cuts most of them 50 to 150 ms old, wherever in a frame that is.

One cut in two is a reset, the other an end of file. Prints "ready"; the line "heal" on standard input ends the cutting, of
connections that are open, too; the end of standard input ends it all. The last line: how many there were, how many cut."""

import asyncio
import random
import sys

SHARE = 0.7  # of the connections; the others live for seconds


class Relay:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.healed = False
        self.connections = self.cuts = 0

    async def serve(self, to, reader, writer):
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", to)
        except OSError:  # the node is down
            return writer.transport.abort()
        age = self.random.uniform(0.05, 0.15) if self.random.random() < SHARE else self.random.uniform(1, 5)
        both = asyncio.gather(self.pump(reader, up_writer), self.pump(up_reader, writer))
        graceful = True
        try:
            done, _ = await asyncio.wait([both], timeout=age)
            if not done and not self.healed:
                self.cuts += 1
                graceful = self.random.random() < 0.5
                both.cancel()
            await both
        except (asyncio.CancelledError, OSError):
            pass
        for side in writer, up_writer:
            side.close() if graceful else side.transport.abort()

    async def pump(self, reader, writer):
        """Small pieces, each waited for, so that a cut may fall in the midst of an answer."""
        while data := await reader.read(2048):
            writer.write(data)
            await writer.drain()
        writer.close()


async def main(seed, *pairs):
    relay, servers = Relay(int(seed)), []
    for pair in pairs:
        listen, to = map(int, pair.split(":"))
        servers.append(await asyncio.start_server(lambda r, w, to=to: relay.serve(to, r, w), "127.0.0.1", listen))
    print("ready", flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        relay.healed = relay.healed or line == b"heal\n"
    print(relay.connections, relay.cuts, flush=True)
    sys.stdout.close()
    for server in servers:
        server.close()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
