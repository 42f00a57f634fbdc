# SPDX-License-Identifier: BSD-2-Clause
"""Opens sockets and devices inside named network namespaces from one process.

One process that holds both ends of a connection decides the order of every step, so the captures
need no guessed sleeps between two programs. A socket stays in the namespace it was created in.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF = {"tun": 0x0001, "tap": 0x0002}
IFF_NO_PI = 0x1000

CLIENT = {4: "10.1.0.2", 6: "2001:db8:1::2"}
SERVER = {4: "10.2.0.2", 6: "2001:db8:2::2"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
SECONDS_MAX = 20.0

_libc = ctypes.CDLL(None, use_errno=True)


def _setns(path: str) -> None:
    with open(path, "rb") as handle:
        if _libc.setns(handle.fileno(), CLONE_NEWNET):
            raise SystemExit(f"cannot enter {path}: {os.strerror(ctypes.get_errno())}; run as root")


@contextlib.contextmanager
def inside(name: str):
    """What is opened within the `with` block belongs to the namespace `name`."""
    with open("/proc/self/ns/net", "rb") as home:
        _setns(f"/run/netns/{name}")
        try:
            yield
        finally:
            if _libc.setns(home.fileno(), CLONE_NEWNET):
                sys.exit("cannot return from a network namespace")


def open_device(kind: str, name: str, device: str) -> int:
    """Creates a TUN or TAP device in the namespace and returns its file descriptor."""
    with inside(name):
        fd = os.open("/dev/net/tun", os.O_RDWR)
        request = struct.pack("16sH22x", device.encode(), IFF[kind] | IFF_NO_PI)
        fcntl.ioctl(fd, TUNSETIFF, request)
    return fd


class Lab:
    """The three namespaces of a run: `<prefix>client`, `<prefix>router`, `<prefix>server`."""

    def __init__(self, prefix: str):
        self.client = prefix + "client"
        self.server = prefix + "server"

    def open(self, where: str, version: int, kind=socket.SOCK_STREAM, protocol=0) -> socket.socket:
        with inside(where):
            opened = socket.socket(FAMILY[version], kind, protocol)
        opened.settimeout(SECONDS_MAX)
        if kind == socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def listen(self, version: int, port: int, receive_buffer=0) -> socket.socket:
        listener = self.open(self.server, version)
        if receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        listener.bind((SERVER[version], port))
        listener.listen(64)
        return listener

    def connect(self, version: int, listener: socket.socket, from_port=0):
        """Returns both ends: (client's socket, server's socket)."""
        near = self.open(self.client, version)
        near.bind((CLIENT[version], from_port))
        near.connect(listener.getsockname()[:2])
        far, _ = listener.accept()
        far.settimeout(SECONDS_MAX)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return near, far


def receive_exactly(source: socket.socket, size_bytes: int) -> bytes:
    got = b""
    while len(got) < size_bytes:
        part = source.recv(size_bytes - len(got))
        if not part:
            raise SystemExit(f"connection closed after {len(got)} of {size_bytes} bytes")
        got += part
    return got


def exchange(one: socket.socket, other: socket.socket, ask: bytes, answer: bytes) -> None:
    one.sendall(ask)
    receive_exactly(other, len(ask))
    other.sendall(answer)
    receive_exactly(one, len(answer))


def pause(seconds: float) -> None:
    time.sleep(seconds)
