"""A TCP proxy that misbehaves on command, between the parties of the soak. A process of its own, so that it costs the load none of
its time.

usage: proxy.py NAME=PORT ...    prints "NAME=PORT" of where it listens for each, then takes commands, a line each, and answers each
with the number of connections that it met:

    reset NAME           resets every connection (RST to both ends)
    half NAME            the next piece towards the client is cut in half, then both ends are reset
    freeze NAME SECONDS  nothing passes on the connections of now, which stay open
    silence NAME SECONDS the same, only where a watch runs
"""

import asyncio
import socket
import struct
import sys

PIECE = 1 << 17


class Link:
    """One connection of a client and the one to the server behind it."""

    def __init__(self, client, server):
        self.writers = (client, server)
        self.open = asyncio.Event()
        self.open.set()
        self.watches = self.half = False

    def reset(self):
        for writer in self.writers:
            sock = writer.transport.get_extra_info("socket")
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass  # closed already
            writer.transport.abort()

    def freeze(self, seconds):
        self.open.clear()
        asyncio.get_running_loop().call_later(seconds, self.open.set)

    async def up(self, reader, writer):
        while piece := await reader.read(PIECE):
            await self.open.wait()
            if piece.startswith(b"GET "):
                self.watches = b"watch=" in piece.partition(b"\r\n")[0]
            writer.write(piece)
            await writer.drain()

    async def down(self, reader, writer):
        while piece := await reader.read(PIECE):
            await self.open.wait()
            if self.half:
                writer.write(piece[:len(piece) // 2])
                await asyncio.sleep(0)
                self.reset()
                return
            writer.write(piece)
            await writer.drain()


class Road:
    """All connections from one listener to one port."""

    def __init__(self, port):
        self.port = port
        self.links = set()

    async def serve(self, client_reader, client):
        try:
            server_reader, server = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            client.transport.abort()
            return
        link = Link(client, server)
        self.links.add(link)
        ways = [asyncio.ensure_future(link.up(client_reader, server)), asyncio.ensure_future(link.down(server_reader, client))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.links.discard(link)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            client.close()
            server.close()

    def command(self, verb, *more):
        met = [link for link in self.links if verb != "silence" or link.watches]
        for link in met:
            if verb == "reset":
                link.reset()
            elif verb == "half":
                link.half = True
            else:
                link.freeze(float(more[0]))
        return len(met)


async def main():
    roads = {name: Road(int(port)) for name, port in (word.split("=") for word in sys.argv[1:])}
    for name, road in roads.items():
        listener = await asyncio.start_server(road.serve, "127.0.0.1", 0, backlog=1024)
        print(f"{name}={listener.sockets[0].getsockname()[1]}", flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        verb, name, *more = line.decode().split()
        print(roads[name].command(verb, *more), flush=True)


asyncio.run(main())
