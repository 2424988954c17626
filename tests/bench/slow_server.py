"""A server that answers every request after a second: 10,000 connections on one thread.

    slow_server.py PORT_FILE    writes its port there once it listens
"""

import heapq
import os
import resource
import select
import socket
import sys
import time

DELAY_S = 1.0
ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n"
          b'{"ok":true}')


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = socket.create_server(("127.0.0.1", 0), backlog=16384)
    listener.setblocking(False)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as f:
        f.write(str(listener.getsockname()[1]))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    connections, read, due, order = {}, {}, [], 0
    while True:
        wait = max(0, due[0][0] - time.monotonic()) if due else -1
        for fd, _ in epoll.poll(wait):
            if fd == listener.fileno():
                while True:
                    try:
                        connection, _ = listener.accept()
                    except BlockingIOError:
                        break
                    connection.setblocking(False)
                    connections[connection.fileno()] = connection
                    epoll.register(connection.fileno(), select.EPOLLIN)
                continue
            try:
                data = connections[fd].recv(65536)
            except OSError:
                data = b""
            if not data:
                epoll.unregister(fd)
                connections.pop(fd).close()
                read.pop(fd, None)
                continue
            text = read.get(fd, b"") + data
            if text.endswith(b"\r\n\r\n"):  # the benchmark's requests have no bodies
                read.pop(fd, None)
                order += 1
                heapq.heappush(due, (time.monotonic() + DELAY_S, order, fd, connections[fd]))
            else:
                read[fd] = text
        now = time.monotonic()
        while due and due[0][0] <= now:
            _, _, fd, connection = heapq.heappop(due)
            if connections.get(fd) is connection:
                try:
                    connection.send(ANSWER)
                except OSError:
                    pass  # its end comes as an event


main()
