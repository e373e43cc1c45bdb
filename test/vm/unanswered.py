"""unanswered.py: as the user postgres, ask the PostgreSQL of this machine for a session, again and again. Prints a line when it has had the
first; on TERM, the seconds in which there was none to be had.
"""
import signal
import socket
import struct
import sys
import time


def answers():
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        try:
            client.connect("/run/postgresql/.s.PGSQL.5432")
            words = struct.pack("!i", 3 << 16) + b"user\0postgres\0\0"
            client.sendall(struct.pack("!i", len(words) + 4) + words)
            # AuthenticationOk: it begins with R, whatever else with E.
            return client.recv(1) == b"R"
        except OSError:
            return False


def finish(*_):
    print("%.2f" % (total + (time.monotonic() - answered if failed else 0)), flush=True)
    sys.exit()


while not answers():
    time.sleep(0.01)
total, failed, answered = 0.0, False, time.monotonic()
print("answers", flush=True)
signal.signal(signal.SIGTERM, finish)
while True:
    if answers():
        now = time.monotonic()
        if failed:
            total += now - answered
        failed, answered = False, now
    else:
        failed = True
    time.sleep(0.005)
