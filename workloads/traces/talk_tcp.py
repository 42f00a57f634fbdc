#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TCP conversations that nginx and curl do not have: large lossy transfers, resets, long idle.

  talk_tcp.py PREFIX bulk|pmtu|resets|idle     (needs root; PREFIX names the run's namespaces)

Real sockets of the running kernel on both sides. Only a few segments are made by hand (raw socket):
blind SYN, RST and late ACK, as an attacker or an old packet would bring them. Every socket has a
time limit; a case that does not go as it should ends the program with exit status 1.
"""

import errno
import os
import random
import select
import signal
import socket
import struct
import sys
import threading

from namespace import CLIENT, SERVER, Lab, exchange, pause, receive_exactly

SYN, RST, ACK = 0x02, 0x04, 0x10
BLACKHOLE = {4: "10.2.0.66", 6: "2001:db8:2::66"}  # the router knows its MAC, nobody answers
PMTU_UPLOAD_BYTES = 60_000


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"talk_tcp.py: {what}; the captures of this run are not what they should be")


def abort(sock: socket.socket) -> None:
    """Closes with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def local_port(sock: socket.socket) -> int:
    return sock.getsockname()[1]


def transfer(source: socket.socket, sink: socket.socket, size_bytes: int, slow_after=0) -> None:
    """Moves size_bytes; the reader sleeps once after slow_after bytes so that its window closes."""

    def write() -> None:
        source.sendall(os.urandom(65536) * (size_bytes // 65536 + 1)
                       if size_bytes > 65536 else os.urandom(size_bytes))
        source.shutdown(socket.SHUT_WR)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    got_bytes = 0
    while part := sink.recv(65536):
        got_bytes += len(part)
        if slow_after and got_bytes >= slow_after:
            slow_after = 0
            pause(1.5)
    writer.join(20)
    expect(got_bytes >= size_bytes, f"only {got_bytes} of {size_bytes} bytes arrived")
    source.close()
    sink.close()


def bulk(lab: Lab) -> None:
    for number, (version, size_bytes, upload) in enumerate(
            [(4, 3 << 20, False), (4, 1 << 20, True), (6, 2 << 20, False), (6, 1 << 20, True)]):
        listener = lab.listen(version, 5001 + number)
        near, far = lab.connect(version, listener)
        transfer(near if upload else far, far if upload else near, size_bytes)
        listener.close()
    listener = lab.listen(4, 5010, receive_buffer=8192)
    near, far = lab.connect(4, listener)
    transfer(near, far, 200_000, slow_after=40_000)  # zero window, window probes, window update
    listener.close()


def pmtu(lab: Lab) -> None:
    """Uploads into a link with a lower MTU: ICMP errors that belong to a TCP connection."""
    for version in (4, 6):
        listener = lab.listen(version, 5020)
        near, far = lab.connect(version, listener)
        transfer(near, far, PMTU_UPLOAD_BYTES)
        listener.close()


# --- resets -----------------------------------------------------------------------------------


def refused(lab: Lab, version: int) -> None:
    for port in range(9000, 9010):
        near = lab.open(lab.client, version)
        expect(near.connect_ex((SERVER[version], port)) == errno.ECONNREFUSED, "not refused")
        near.close()


def aborted(lab: Lab, version: int) -> None:
    listener = lab.listen(version, 9100)
    for number in range(12):
        near, far = lab.connect(version, listener)
        exchange(near, far, b"hello", b"welcome")
        if number % 3 == 0:  # by the client
            abort(near)
            far.close()
        elif number % 3 == 1:  # by the server
            abort(far)
            near.close()
        else:  # by the server, because it leaves received bytes unread
            near.sendall(b"never read")
            pause(0.06)
            far.close()
            pause(0.06)
            near.close()
        pause(0.02)
    near, far = lab.connect(version, listener)  # handshake, then nothing but a RST
    abort(near)
    far.close()
    listener.close()


def half_closed(lab: Lab, version: int) -> None:
    listener = lab.listen(version, 9200)
    for _ in range(3):
        near, far = lab.connect(version, listener)
        near.sendall(b"all I have to say")
        near.shutdown(socket.SHUT_WR)
        expect(receive_exactly(far, 17) and far.recv(1) == b"", "no half-close")
        pause(0.1)
        for _ in range(20):
            far.sendall(os.urandom(1000))
        far.close()
        receive_exactly(near, 20_000)
        near.close()
    near, far = lab.connect(version, listener)  # both FINs cross: simultaneous close
    near.shutdown(socket.SHUT_WR)
    far.shutdown(socket.SHUT_WR)
    pause(0.1)
    near.close()
    far.close()
    listener.close()


def killed_server(lab: Lab, version: int) -> None:
    """SIGKILL while data flows in both directions: the kernel answers what comes later with RST."""
    listener = lab.listen(version, 9300)
    near = lab.open(lab.client, version)
    child = os.fork()
    if child == 0:
        far, _ = listener.accept()
        while True:
            far.send(bytes(1400))
    listener.close()
    near.connect((SERVER[version], 9300))
    got_bytes = 0
    while got_bytes < 30_000:
        got_bytes += len(near.recv(4096))
    near.send(b"unread by the server")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        for _ in range(20):
            near.send(b"anybody there?")
            pause(0.02)
        expect(False, "a killed server still takes data")
    except (ConnectionResetError, BrokenPipeError):
        pass
    near.close()


def simultaneous_open(lab: Lab, version: int) -> None:
    """Both sides send a SYN to the other's bound port; the delay of the cable makes them cross."""
    for number in range(4):
        near, far = lab.open(lab.client, version), lab.open(lab.server, version)
        near.bind((CLIENT[version], 9400 + number))
        far.bind((SERVER[version], 9400 + number))
        near.setblocking(False)
        far.setblocking(False)
        near.connect_ex((SERVER[version], 9400 + number))
        far.connect_ex((CLIENT[version], 9400 + number))
        for sock in (near, far):
            expect(bool(select.select([], [sock], [], 5)[1]), "simultaneous open did not finish")
            expect(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0,
                   "simultaneous open failed")
            sock.settimeout(10)
        exchange(near, far, b"you called?", b"so did you")
        near.close()
        far.close()
        pause(0.1)


def port_pair_reused(lab: Lab, version: int) -> None:
    """The same five values again at once: after TIME_WAIT at the server, and after a RST."""
    listener = lab.listen(version, 9500)
    for number in range(12):
        near, far = lab.connect(version, listener, from_port=39500)
        exchange(near, far, b"again", b"and again")
        if number % 3 == 2:
            abort(near)
            far.close()
        else:
            far.close()  # first, so that TIME_WAIT is the server's and the client's port is free
            expect(near.recv(1) == b"", "no end of file")
            near.close()
        pause(0.06)
    listener.close()


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data + bytes(len(data) & 1)) // 2}H",
                              data + bytes(len(data) & 1)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def blind_segment(lab: Lab, version: int, ports, flags: int, seq: int, ack: int) -> None:
    """A hand-made segment from the client's address, without the client's kernel knowing."""
    source, target = CLIENT[version], SERVER[version]
    raw = lab.open(lab.client, version, socket.SOCK_RAW, socket.IPPROTO_TCP)
    segment = struct.pack("!HHIIBBHHH", *ports, seq, ack, 5 << 4, flags, 64240, 0, 0)
    family = raw.family
    pseudo = (socket.inet_pton(family, source) + socket.inet_pton(family, target)
              + struct.pack("!II", len(segment), socket.IPPROTO_TCP))
    total = checksum(pseudo + segment)
    raw.sendto(segment[:16] + struct.pack("!H", total) + segment[18:], (target, 0))
    raw.close()


def blind_segments(lab: Lab, version: int) -> None:
    """RFC 5961: a SYN gets a challenge ACK, a RST outside the window no answer; both change nothing."""
    listener = lab.listen(version, 9600)
    dice = random.Random(version)
    near, far = lab.connect(version, listener)
    ports = (local_port(near), 9600)
    for flags in (SYN, RST, SYN, RST):
        exchange(near, far, b"still", b"here")
        blind_segment(lab, version, ports, flags, dice.getrandbits(32), 0)
        pause(0.08)
    exchange(near, far, b"still", b"here")
    near.close()
    expect(far.recv(1) == b"", "no end of file")
    far.close()
    pause(0.08)
    blind_segment(lab, version, (ports[0] ^ 1, 9600), ACK, 1, 1)  # no such connection
    listener.close()
    blind_segment(lab, version, ports, ACK, dice.getrandbits(32), 7)  # long after the end
    pause(0.08)


def fast_open(lab: Lab, version: int) -> None:
    """Data in the SYN (TCP Fast Open): the first connection fetches the cookie, others use it."""
    listener = lab.listen(version, 9700)
    listener.setsockopt(socket.IPPROTO_TCP, 23, 16)  # TCP_FASTOPEN
    for _ in range(4):
        near = lab.open(lab.client, version)
        near.setblocking(True)  # without a cookie the call waits for the handshake
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 10, 0))
        near.sendto(b"data with the SYN", 0x20000000, (SERVER[version], 9700))  # MSG_FASTOPEN
        near.settimeout(10)
        far, _ = listener.accept()
        far.settimeout(10)
        receive_exactly(far, 17)
        far.sendall(b"thanks")
        receive_exactly(near, 6)
        near.close()
        far.close()
    listener.close()


def resets(lab: Lab) -> None:
    lost = []
    for version in (4, 4, 4, 6, 6):  # SYN and its retransmissions into nothing
        near = lab.open(lab.client, version)
        near.setblocking(False)
        near.connect_ex((BLACKHOLE[version], 80))
        lost.append(near)
    for version in (4, 6):
        for case in (refused, aborted, half_closed, killed_server, simultaneous_open,
                     port_pair_reused, blind_segments, fast_open):
            case(lab, version)
    pause(4.0)  # so that the blackholed SYNs are repeated at growing distances
    for near in lost:
        near.close()


# --- long idle --------------------------------------------------------------------------------


class Session:
    """A person at a remote shell: short lines up, echo and a prompt down."""

    def __init__(self, lab: Lab, version: int, port: int, keepalive=False):
        self.listener = lab.listen(version, port)
        self.near, self.far = lab.connect(version, self.listener)
        if keepalive:
            for name, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1)):
                self.near.setsockopt(socket.IPPROTO_TCP, name, value)
        self.banner = b"SSH-2.0-not_really\r\n"
        exchange(self.near, self.far, self.banner, self.banner)

    def type_line(self, line: bytes) -> None:
        for number in range(len(line)):
            exchange(self.near, self.far, line[number:number + 1], line[number:number + 1])
            pause(0.004)
        exchange(self.near, self.far, b"\r", b"\r\n" + os.urandom(300) + b"\r\n$ ")

    def keepalive(self, on: bool) -> None:
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(on))

    def close(self) -> None:
        self.near.close()
        expect(self.far.recv(1) == b"", "no end of file")
        self.far.close()
        self.listener.close()


# What the real pauses of idle() become, in order, in seconds; make-traces hands it to stretch.py.
IDLE_GAPS = (20, 25, 45, 90, 125, 200, 7200, 7200, 7200, 3000, 90000, 440000, 70, 130, 400)


def idle(lab: Lab) -> None:
    sessions = [Session(lab, 4, 2201), Session(lab, 6, 2202), Session(lab, 4, 2203)]
    watched = Session(lab, 4, 2204, keepalive=True)
    names = {}
    for version in (4, 6):  # UDP on one port pair all the time: entries expire or live on
        near = lab.open(lab.client, version, socket.SOCK_DGRAM)
        far = lab.open(lab.server, version, socket.SOCK_DGRAM)
        near.bind((CLIENT[version], 40500))
        far.bind((SERVER[version], 5300))
        near.connect((SERVER[version], 5300))
        far.connect((CLIENT[version], 40500))
        names[version] = (near, far)

    def everybody(line: bytes) -> None:
        for session in sessions:
            session.type_line(line)
        for near, far in names.values():
            near.send(b"ask " + line)
            far.recv(100)
            far.send(b"answer")
            near.recv(100)

    for line in (b"ls -l", b"cat notes", b"vi plan", b"make", b"date", b"who", b"uptime"):
        everybody(line)
        watched.type_line(b"top")
        pause(0.5)  # gaps 1..6, the seventh runs on until the first probe
    watched.keepalive(True)
    pause(3.5)  # gaps 7..10: three keepalive probes, then the rest of the pause
    watched.keepalive(False)
    names[4][0].send(b"one-way")
    pause(0.5)  # gap 11: a day
    everybody(b"good morning")
    pause(0.5)  # gap 12: over five days
    everybody(b"back from holiday")  # the tracker has forgotten all of them by now
    sessions[0].near.shutdown(socket.SHUT_WR)  # half-closed while the gap is longer than CLOSE_WAIT
    sessions[1].close()
    pause(0.5)  # gap 13
    sessions[0].far.sendall(b"late last words")
    sessions[0].far.close()
    receive_exactly(sessions[0].near, 15)
    sessions[0].near.close()
    pause(0.5)  # gap 14: over TIME_WAIT
    sessions[2].type_line(b"exit")
    pause(0.5)  # gap 15
    sessions[2].close()
    watched.close()


def main() -> None:
    cases = {"bulk": bulk, "pmtu": pmtu, "resets": resets, "idle": idle}
    if sys.argv[1:] == ["idle-gaps"]:
        print(",".join(map(str, IDLE_GAPS)))
        return
    if len(sys.argv) != 3 or sys.argv[2] not in cases:
        sys.exit(__doc__)
    cases[sys.argv[2]](Lab(sys.argv[1]))


if __name__ == "__main__":
    main()
