"""`client.py SOCKET ARGUMENT...`: let the server carry out a command as if it were this process."""

import os
import socket
import sys

FILES = (0, 1, 2)

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    variables = b"\0".join(key + b"=" + value for key, value in os.environb.items())
    arguments = b"\0".join(os.fsencode(argument) for argument in sys.argv[2:])
    folder = os.getcwdb()  # noqa: PTH109 - pathlib takes as long to load as the rest of this
    message = b"\0\0".join((folder, variables, arguments)) + b"\0\0\0"
    sent = socket.send_fds(connection, [message], FILES)
    connection.sendall(message[sent:])
    answer = connection.recv(1)
sys.exit(answer[0] if answer else 70)
