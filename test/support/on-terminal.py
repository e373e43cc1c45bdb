"""on-terminal.py ACTIONS COMMAND...: run a command on a terminal of its own, of 24 rows and 80 columns, as a person would.

ACTIONS is a JSON list of ["expect", TEXT], ["send", TEXT] and ["hangup"], done in turn. Then waits for the end, and prints the
terminal's output and the exit status (a negative number for a signal) as JSON."""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

# Longer than anything takes on the busiest machine.
PATIENCE = 180

actions, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    # tcsetwinsize() came with Python 3.11.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execvp(command[0], command)

output = b""


def read(seconds):
    """Read what there is; False when nobody holds the terminal open any more."""
    global output
    if not select.select([terminal], [], [], seconds)[0]:
        return True
    try:
        data = os.read(terminal, 65536)
    except OSError:
        return False
    output += data
    return data != b""


def fail(text):
    print(json.dumps({"output": output.decode(errors="replace"), "status": text}))
    sys.exit(1)


hung_up = False
for action in actions:
    deadline = time.monotonic() + PATIENCE
    if action[0] == "expect":
        while action[1].encode() not in output:
            if time.monotonic() > deadline or not read(0.1):
                fail("never said " + action[1])
    elif action[0] == "send":
        os.write(terminal, action[1].encode())
    elif action[0] == "hangup":
        os.close(terminal)
        hung_up = True

deadline = time.monotonic() + PATIENCE
while True:
    if not hung_up:
        read(0.05)
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        break
    if time.monotonic() > deadline:
        fail("did not end")
    time.sleep(0.02)
while not hung_up and select.select([terminal], [], [], 0.1)[0] and read(0):
    pass
print(json.dumps({"output": output.decode(errors="replace"), "status": os.waitstatus_to_exitcode(status)}))
