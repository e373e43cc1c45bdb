# A socket-activated service (sd_listen_fds(3)) that says back what it hears.
import socket

listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    connection.send(connection.recv(9))
    connection.close()
