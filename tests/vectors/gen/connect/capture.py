#!/usr/bin/env python3
"""Captures every UDP datagram on the loopback interface until stdin is closed, then prints one JSON
line each: {"t": seconds, "ttl": n, "src": "ip:port", "dst": "ip:port", "data": hex}.
The first line, {"ready": true}, comes as soon as the capture runs; the last, {"dropped": n}, says how
many packets the kernel had to drop. Needs the right to open a packet socket (root or CAP_NET_RAW)."""
import json
import os
import select
import socket
import struct
import sys

PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SOL_PACKET = 263
PACKET_STATISTICS = 6

s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(0x0800))
try:
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
except PermissionError:
    # In a user namespace the system's limit holds; packets that it drops are counted below.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
s.bind(("lo", 0x0800))
s.setblocking(False)
print(json.dumps({"ready": True}), flush=True)

rows = []


def drain():
    while True:
        try:
            data, anc, _, addr = s.recvmsg(4096, 64)
        except BlockingIOError:
            return
        if addr[2] == PACKET_OUTGOING:
            continue
        if len(data) < 42 or data[14] >> 4 != 4 or data[23] != 17:
            continue
        sec, nsec = struct.unpack("qq", anc[0][2])
        rows.append((sec + nsec / 1e9, data[14:]))


while True:
    r, _, _ = select.select([s, sys.stdin], [], [])
    drain()
    if sys.stdin in r and not os.read(0, 4096):
        break
drain()

for t, ip in rows:
    ihl = (ip[0] & 15) * 4
    sport, dport, ulen, _ = struct.unpack(">HHHH", ip[ihl:ihl + 8])
    print(json.dumps({
        "t": t,
        "ttl": ip[8],
        "src": "%s:%d" % (socket.inet_ntoa(ip[12:16]), sport),
        "dst": "%s:%d" % (socket.inet_ntoa(ip[16:20]), dport),
        "data": ip[ihl + 8:ihl + ulen].hex(),
    }))
_, drops = struct.unpack("II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
print(json.dumps({"dropped": drops}), flush=True)
