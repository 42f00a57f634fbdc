#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""FTP conversations that everyday clients do not have: split commands, refused and unused offers.

  talk_ftp.py CLIENT SERVER    (addresses of one family; runs where CLIENT is its own address)

Real sockets against a real server. Each segment of the control connection is one send() with
TCP_NODELAY, so that the capture holds exactly the splits that stand here. Every socket has a time
limit; an answer that is not the expected one ends the program with exit status 1.
"""

import re
import socket
import struct
import sys
import time

SECONDS_MAX = 10.0
PAUSE_S = 0.05  # long enough that two sends are two segments


class Control:
    def __init__(self, client: str, server: str):
        self.client, self.server = client, server
        self.is_ipv6 = ":" in client
        self.sock = socket.create_connection((server, 21), SECONDS_MAX, (client, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.sock.makefile("rb")
        self.answer("220")
        self.ask("USER anonymous", "331|230")
        if self.last.startswith("331"):
            self.ask("PASS nobody@example.test", "230")

    def answer(self, codes: str) -> str:
        """The next line; its code must be one of `codes`, a regular expression."""
        self.last = self.lines.readline().decode()
        if not re.match(codes, self.last):
            sys.exit(f"talk_ftp.py: {self.last.strip()!r} where {codes} was to come; "
                     "the captures of this run are not what they should be")
        return self.last

    def segments(self, *parts: str) -> None:
        for part in parts:
            self.sock.sendall(part.encode())
            time.sleep(PAUSE_S)

    def ask(self, line: str, codes: str) -> str:
        self.segments(line + "\r\n")
        return self.answer(codes)

    def listen(self) -> socket.socket:
        family = socket.AF_INET6 if self.is_ipv6 else socket.AF_INET
        sock = socket.create_server((self.client, 0), family=family)
        sock.settimeout(SECONDS_MAX)
        return sock

    def offer(self, port: int, address="") -> str:
        """The command that offers a port of ours (PORT, or EPRT for IPv6), without its line end."""
        address = address or self.client
        if self.is_ipv6:
            return f"EPRT |2|{address}|{port}|"
        return f"PORT {address.replace('.', ',')},{port >> 8},{port & 255}"

    def fetch_actively(self, listener: socket.socket, *parts: str) -> None:
        """`parts` make up the offer as it is cut into segments."""
        self.segments(*parts)
        self.answer("200")
        self.ask("RETR note", "150")
        data, _ = listener.accept()
        while data.recv(4096):
            pass
        data.close()
        self.answer("226")
        listener.close()

    def passive_port(self) -> int:
        if self.is_ipv6:
            return int(re.search(r"\|(\d+)\|", self.ask("EPSV", "229")).group(1))
        numbers = re.search(r"\(([\d,]+)\)", self.ask("PASV", "227")).group(1).split(",")
        return int(numbers[4]) << 8 | int(numbers[5])

    def close(self) -> None:
        self.ask("QUIT", "221")
        self.sock.close()


def split_offers(control: Control) -> None:
    """A line that comes in pieces: a tracker that reads segments cannot understand it."""
    cuts = [lambda line: (line[:3], line[3:] + "\r\n"),       # within the word
            lambda line: (line[:-3], line[-3:] + "\r\n"),     # within the port
            lambda line: (line, "\r\n"),                      # the line end alone
            lambda line: ("NOOP\r\n" + line + "\r\n",)]       # not at the begin of a segment
    for number, cut in enumerate(cuts):
        listener = control.listen()
        parts = cut(control.offer(listener.getsockname()[1]))
        if number == 3:
            control.segments(*parts)
            control.answer("200")  # to NOOP
            control.fetch_actively(listener)
        else:
            control.fetch_actively(listener, *parts)
    listener = control.listen()  # and whole again, in small letters
    line = control.offer(listener.getsockname()[1])
    control.fetch_actively(listener, line.lower() + "\r\n")


def refused_offers(control: Control) -> None:
    listener = control.listen()
    port = listener.getsockname()[1]
    listener.close()  # nobody is there when the server comes
    control.ask(control.offer(port), "200")
    control.ask("RETR note", "425")
    elsewhere = "2001:db8:1::9" if control.is_ipv6 else "10.1.0.9"
    control.ask(control.offer(port, elsewhere), "5")  # another host's port: nobody's offer to make


def unused_offers(control: Control) -> None:
    control.passive_port()  # never used: the next offer takes its place
    data = socket.create_connection((control.server, control.passive_port()), SECONDS_MAX)
    control.ask("RETR note", "150")
    while data.recv(4096):
        pass
    data.close()
    control.answer("226")


def killed_client(client: str, server: str) -> None:
    """The control connection ends with a RST while an offer is open."""
    control = Control(client, server)
    port = control.passive_port()
    control.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    control.lines.close()
    control.sock.close()
    time.sleep(PAUSE_S)
    late = socket.socket(socket.AF_INET6 if control.is_ipv6 else socket.AF_INET)
    late.settimeout(1.0)
    late.connect_ex((server, port))
    late.close()


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    client, server = sys.argv[1:]
    for talk in (split_offers, refused_offers, unused_offers):
        control = Control(client, server)
        talk(control)
        control.close()
    killed_client(client, server)


if __name__ == "__main__":
    main()
