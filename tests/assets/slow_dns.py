"""A name server that answers each name with one address (the first argument), after some seconds (the second)."""

import socket
import struct
import sys
import threading
import time

address, seconds = socket.inet_aton(sys.argv[1]), float(sys.argv[2])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 53))
print("ready", flush=True)


def answer(query, peer):
    """Answer an A query with the address, any other with nothing (RFC 1035, section 4.1)."""
    time.sleep(seconds)
    end = query.index(b"\0", 12) + 5
    is_a = struct.unpack("!H", query[end - 4 : end - 2])[0] == 1
    head = query[:2] + struct.pack("!5H", 0x8180, 1, int(is_a), 0, 0)
    row = struct.pack("!3HIH", 0xC00C, 1, 1, 5, 4) + address if is_a else b""
    server.sendto(head + query[12:end] + row, peer)


while True:
    threading.Thread(target=answer, args=server.recvfrom(512), daemon=True).start()
