"""hang-up.py PID: have HUP sent to the process group of a process again and again, in bursts, as a terminal would, until it has ended."""

import os
import signal
import sys
import time

group = os.getpgid(int(sys.argv[1]))
try:
    while True:
        end = time.monotonic() + 0.003
        while time.monotonic() < end:
            os.killpg(group, signal.SIGHUP)
        time.sleep(0.02)
except ProcessLookupError:
    pass
