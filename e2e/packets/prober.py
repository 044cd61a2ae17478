"""Sends packets from the network namespaces of one host, and says which of them arrived in which.

Reads one specification from stdin and writes one report to stdout, both JSON; prober.ts has their types. In between the
folder of the specification is where it is steered: it makes `ready` there once it listens and watches, sends once there
is `begin`, and reports once there is `end`. A socket belongs to the network namespace in which it was made, so that one process has sockets in all of them. It needs root and
Python 3.11.

Every probe has a number. Its packets carry it: TCP and UDP as source port, 20000 more than the number, everything else
as text in the payload. A watcher in a namespace thereby knows each packet that arrives there, whatever became of its
addresses on the way.
"""

import asyncio
import ctypes
import json
import os
import re
import socket
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OUTGOING = 0, 1, 2, 4
SO_RCVBUFFORCE = 33
FIRST_PORT = 20000
TOKEN = re.compile(rb"pkt:(\d+);")
POLL = 0.01
# Should whoever steers it be gone.
LONGEST = 180
# A datagram or an echo may be lost on the way to begin with, as when an address is being resolved.
REPEATS = 3
REPEAT_AFTER = 0.3

libc = ctypes.CDLL(None, use_errno=True)
own_namespace = os.open("/proc/self/ns/net", os.O_RDONLY)


def enter(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Spaces:
    """The network namespaces by name; a process in each is known, 0 stands for this host's own."""

    def __init__(self, pids):
        self.descriptors = {
            name: own_namespace if pid == 0 else os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            for name, pid in pids.items()
        }

    def socket(self, space, *args):
        enter(self.descriptors[space])
        try:
            made = socket.socket(*args)
        finally:
            enter(own_namespace)
        made.setblocking(False)
        return made

    def index_of(self, space, interface):
        enter(self.descriptors[space])
        try:
            return socket.if_nametoindex(interface)
        finally:
            enter(own_namespace)


def token(number):
    return b"pkt:%d;" % number


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


class Arrivals:
    """Counts the numbered packets that reach a namespace: by number and namespace, with the first's addresses."""

    def __init__(self):
        self.seen = {}

    def watch(self, loop, spaces, watcher):
        sniffer = spaces.socket(watcher["space"], socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        outgoing = watcher.get("outgoing", False)
        if watcher.get("interface"):
            sniffer.bind((watcher["interface"], ETH_P_ALL))
        name = watcher.get("name", watcher["space"])
        loop.add_reader(sniffer, self.drain, sniffer, name, outgoing)

    def drain(self, sniffer, name, outgoing):
        while True:
            try:
                frame, (_, _, kind, *_) = sniffer.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:  # the interface went down: what is left of it tells nothing
                return
            wanted = kind == PACKET_OUTGOING if outgoing else kind in (PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST)
            if wanted:
                self.note(frame, name)

    def note(self, frame, name):
        # An interface without Ethernet, as wg0 is, gives the packet alone.
        version = frame[0] >> 4 if len(frame) > 0 else 0
        ethernet = len(frame) > 14 and frame[12:14] in (b"\x08\x00", b"\x86\xdd")
        packet = frame[14:] if ethernet else frame if version in (4, 6) else b""
        if len(packet) < 20:
            return
        if packet[0] >> 4 == 4:
            header, protocol = (packet[0] & 15) * 4, packet[9]
            source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
            fragment = struct.unpack("!H", packet[6:8])[0] & 0x1FFF
        else:
            header, protocol, fragment = 40, packet[6], 0
            source = socket.inet_ntop(socket.AF_INET6, packet[8:24])
            target = socket.inet_ntop(socket.AF_INET6, packet[24:40])
        payload = packet[header:]
        number = None
        if protocol == socket.IPPROTO_TCP and fragment == 0 and len(payload) >= 20:
            port, _, _, _, _, flags = struct.unpack("!HHLLBB", payload[:14])
            # Segments that open nothing prove nothing about who may open; those of held connections carry a token.
            if flags & 0x12 == 0x02 and FIRST_PORT <= port < FIRST_PORT + 10000:
                number = port - FIRST_PORT
        # An answer repeats the request, so the token alone does not tell them apart.
        is_answer = protocol == socket.IPPROTO_ICMP and fragment == 0 and payload[:1] == b"\0"
        found = TOKEN.search(payload)
        if number is None and found and not is_answer:
            number = int(found.group(1))
        if number is None:
            return
        now = time.time()
        entry = self.seen.setdefault((number, name), {"source": source, "target": target, "first": now, "count": 0})
        entry["last"] = now
        entry["count"] += 1

    def report(self):
        return [{"number": number, "space": name, **entry} for (number, name), entry in self.seen.items()]


class Servers:
    """Answer whoever reaches them with the address that they saw."""

    def __init__(self, loop, spaces, servers):
        self.loop = loop
        self.tasks = []
        self.taken = []
        for server in servers:
            try:
                self.start(spaces, server)
            except OSError as error:
                self.taken.append({**server, "error": error.strerror})

    def start(self, spaces, server):
        tcp = server["proto"] == "tcp"
        listener = spaces.socket(server["space"], socket.AF_INET6, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::", server["port"]))
        if tcp:
            listener.listen(512)
        self.tasks.append(self.loop.create_task(self.accept(listener) if tcp else self.answer(listener)))

    async def accept(self, listener):
        while True:
            connection, address = await self.loop.sock_accept(listener)
            connection.setblocking(False)
            self.tasks.append(self.loop.create_task(self.serve(connection, address)))

    async def serve(self, connection, address):
        try:
            head = b""
            while b"\n" not in head:
                received = await self.loop.sock_recv(connection, 65536)
                if not received:
                    return
                head += received
            line, rest = head.split(b"\n", 1)
            order = json.loads(line)
            if order["hold"]:
                await self.hold(connection, order)
                return
            missing = order["size"] - len(rest)
            while missing > 0:
                received = await self.loop.sock_recv(connection, 65536)
                if not received:
                    return
                missing -= len(received)
            await self.loop.sock_sendall(connection, seen_from(address))
        except OSError:
            pass
        finally:
            connection.close()

    async def hold(self, connection, order):
        """Both ends of a held connection send by themselves, so that each can be seen to go on or to end."""
        while True:
            await self.loop.sock_sendall(connection, token(order["back"]))
            await asyncio.sleep(0.05)

    async def answer(self, listener):
        while True:
            data, address = await self.loop.sock_recvfrom(listener, 65535)
            found = TOKEN.search(data)
            if not found:
                continue
            if b"hold:" in data:
                back = int(data.split(b"hold:")[1].split(b";")[0])
                await self.loop.sock_sendto(listener, token(back), address)
                continue
            try:
                await self.loop.sock_sendto(listener, seen_from(address), address)
            except OSError:
                pass


def seen_from(address):
    return (address[0].removeprefix("::ffff:").split("%")[0] + "\n").encode()


class Probes:
    def __init__(self, loop, spaces, probes):
        self.loop = loop
        self.results = {probe["number"]: {"answered": False} for probe in probes}
        self.probes = [(probe, self.make(spaces, probe)) for probe in probes]

    def make(self, spaces, probe):
        kind = probe["kind"]
        version6 = ":" in probe["to"]
        family = socket.AF_INET6 if version6 else socket.AF_INET
        if kind in ("tcp", "udp", "flood"):
            made = spaces.socket(probe["space"], family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if kind != "tcp":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            made.bind(("::" if version6 else "0.0.0.0", FIRST_PORT + probe["number"]))
            if version6:
                probe["scope"] = spaces.index_of(probe["space"], probe["interface"])
            return made
        if kind == "icmp":
            return spaces.socket(probe["space"], socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        return spaces.socket(probe["space"], socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    async def run(self, over):
        # Spread out: a burst of hundreds would overrun a queue on the way, and look like a deny.
        spread = 0.4 / max(1, len(self.probes))
        tasks = [
            self.loop.create_task(self.one(probe, made, spread * place))
            for place, (probe, made) in enumerate(self.probes)
        ]
        await over
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def one(self, probe, made, after):
        await asyncio.sleep(after)
        result = self.results[probe["number"]]
        kinds = {"tcp": self.tcp, "udp": self.udp, "flood": self.flood, "icmp": self.icmp, "raw": self.raw}
        try:
            await kinds[probe["kind"]](probe, made, result)
        except OSError as error:
            result["error"] = error.strerror or str(error)

    def target(self, probe):
        if "scope" in probe:
            return (probe["to"], probe["port"], 0, probe["scope"])
        return (probe["to"], probe.get("port", 0))

    async def tcp(self, probe, made, result):
        await self.loop.sock_connect(made, self.target(probe))
        # Reset when it ends: no half of it is left in connection tracking for the next.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if probe.get("connectOnly"):
            result["answered"] = True
            made.close()
            return
        size = probe.get("size", 0)
        hold = "back" in probe
        order = {"hold": hold, "back": probe.get("back", 0), "size": size}
        await self.loop.sock_sendall(made, json.dumps(order).encode() + b"\n" + b"x" * size)
        if hold:
            result["answered"] = True
            reader = self.loop.create_task(self.discard(made))
            try:
                while True:
                    await self.loop.sock_sendall(made, token(probe["number"]))
                    await asyncio.sleep(0.05)
            finally:
                reader.cancel()
            return
        reply = await self.loop.sock_recv(made, 64)
        result["answered"] = len(reply) > 0
        result["peer"] = reply.decode().strip()
        made.close()

    async def discard(self, made):
        while await self.loop.sock_recv(made, 65536):
            pass

    async def udp(self, probe, made, result):
        if "payload" in probe:
            message = bytes.fromhex(probe["payload"])
        else:
            message = token(probe["number"])
            if "back" in probe:
                message += b"hold:%d;" % probe["back"]
            message += b"x" * probe.get("size", 0)
        reading = self.loop.create_task(self.reply(made, result))
        try:
            sent = 0
            while sent < REPEATS or "back" in probe:
                if reading.done() and "back" not in probe:
                    return
                try:
                    await self.loop.sock_sendto(made, message, self.target(probe))
                except OSError as error:
                    result["error"] = error.strerror
                sent += 1
                await asyncio.sleep(0.05 if "back" in probe else REPEAT_AFTER)
            await reading
        finally:
            reading.cancel()

    async def reply(self, made, result):
        # Connected sockets alone learn of ICMP errors; IP_RECVERR tells others.
        made.setsockopt(socket.IPPROTO_IP, 11, 1)
        while not result["answered"]:
            try:
                data, _ = await self.loop.sock_recvfrom(made, 2048)
                result["answered"] = True
                result["peer"] = data.decode("latin-1").strip()
            except ConnectionRefusedError:
                result["refused"] = True
                return
            except OSError as error:
                result["error"] = error.strerror

    async def flood(self, probe, made, result):
        result["sent"] = 0
        while True:
            for _ in range(5):
                try:
                    made.sendto(token(probe["number"]), self.target(probe))
                except OSError:
                    pass
                result["sent"] += 1
            await asyncio.sleep(0.005)

    async def icmp(self, probe, made, result):
        identifier = probe["number"] & 0xFFFF
        for sequence in range(REPEATS):
            body = token(probe["number"])
            header = struct.pack("!BBHHH", 8, 0, 0, identifier, sequence)
            header = struct.pack("!BBHHH", 8, 0, checksum(header + body), identifier, sequence)
            await self.loop.sock_sendto(made, header + body, (probe["to"], 0))
            until = time.time() + REPEAT_AFTER
            while time.time() < until:
                try:
                    data = await asyncio.wait_for(self.loop.sock_recv(made, 2048), until - time.time())
                except asyncio.TimeoutError:
                    break
                offset = (data[0] & 15) * 4
                kind, _, _, echoed, _ = struct.unpack("!BBHHH", data[offset : offset + 8])
                if kind == 0 and echoed == identifier and body in data:
                    result["answered"] = True
                    return

    async def raw(self, probe, made, result):
        """A packet as it is given: any source address, a part of a datagram, a forged ICMP error."""
        for _ in range(REPEATS):
            await self.loop.sock_sendto(made, self.packet(probe), (probe["to"], 0))
            await asyncio.sleep(REPEAT_AFTER)

    def packet(self, probe):
        number, source, target = probe["number"], socket.inet_aton(probe["source"]), socket.inet_aton(probe["to"])
        form = probe["form"]
        offset = 0
        if form == "udp":
            body = token(number)
            protocol = socket.IPPROTO_UDP
            body = struct.pack("!HHHH", FIRST_PORT + number, probe["port"], 8 + len(body), 0) + body
        elif form == "syn":
            protocol = socket.IPPROTO_TCP
            body = self.segment(probe, 0x02, b"")
        elif form == "ack":
            protocol = socket.IPPROTO_TCP
            body = self.segment(probe, 0x10, token(number))
        elif form == "echo":
            protocol = socket.IPPROTO_ICMP
            header = struct.pack("!BBHHH", 8, 0, 0, number & 0xFFFF, 1)
            header = struct.pack("!BBHHH", 8, 0, checksum(header + token(number)), number & 0xFFFF, 1)
            body = header + token(number)
        elif form == "icmp error":
            protocol = socket.IPPROTO_ICMP
            # About a datagram that was never sent.
            about = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 17, 0, target, source)
            about += struct.pack("!HHHH", 7, FIRST_PORT + number, 20, 0) + token(number)
            header = struct.pack("!BBHL", 3, 3, checksum(struct.pack("!BBHL", 3, 3, 0, 0) + about), 0)
            body = header + about
        elif form == "later fragment":
            protocol = socket.IPPROTO_UDP
            body, offset = token(number) + b"x" * 40, 185
        else:
            raise ValueError(form)
        identifier = number + 1
        return (
            struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), identifier, offset, 64, protocol, 0, source, target)
            + body
        )

    def segment(self, probe, flags, body):
        source, target = socket.inet_aton(probe["source"]), socket.inet_aton(probe["to"])
        ports = (FIRST_PORT + probe["number"], probe["port"])

        def header(total):
            return struct.pack("!HHLLBBHHH", *ports, 1000, 1000 if flags & 0x10 else 0, 0x50, flags, 1024, total, 0)

        pseudo = source + target + struct.pack("!BBH", 0, 6, 20 + len(body))
        return header(checksum(pseudo + header(0) + body)) + body


async def there(path):
    for _ in range(int(LONGEST / POLL)):
        if os.path.exists(path):
            return
        await asyncio.sleep(POLL)
    raise TimeoutError(path)


async def main():
    spec = json.load(sys.stdin)
    loop = asyncio.get_running_loop()
    spaces = Spaces(spec["spaces"])
    arrivals = Arrivals()
    for watcher in spec["watch"]:
        arrivals.watch(loop, spaces, watcher)
    servers = Servers(loop, spaces, spec["serve"])
    probes = Probes(loop, spaces, spec["probes"])
    steered = spec["folder"]
    os.makedirs(steered)
    open(os.path.join(steered, "ready"), "w").close()
    await there(os.path.join(steered, "begin"))
    await probes.run(loop.create_task(there(os.path.join(steered, "end"))))
    report = {"results": probes.results, "arrivals": arrivals.report(), "taken": servers.taken}
    json.dump(report, sys.stdout)
    sys.stdout.flush()
    # Tasks and sockets end with the process.
    os._exit(0)


asyncio.run(main())
