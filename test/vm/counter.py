"""counter.py FILE...: write the same number into each of these files, one after the other; then the next, a thousand a second."""
import os
import sys
import time

files = [os.open(name, os.O_CREAT | os.O_WRONLY, 0o644) for name in sys.argv[1:]]
n = 0
while True:
    n += 1
    for fd in files:
        os.pwrite(fd, b"%012d\n" % n, 0)
    time.sleep(0.001)
