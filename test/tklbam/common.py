"""What a backup and a restore of the stand-in for tklbam have in common: what tklbam leaves open, how it logs, and what does the work.

OPEN is a number of descriptors to open, WORK the shell command that stands for duplicity."""
import atexit
import fcntl
import os
import select
import signal
import subprocess
import sys

# Looked at when all other handlers have run: this one is the first to be set.
directory = os.getcwd() if os.path.exists(".") else None


def at_end():
    try:
        os.waitpid(-1, os.WNOHANG)
        sys.stderr.write("a child is left\n")
    except OSError:
        pass  # None.
    if directory and os.getcwd() != directory:
        sys.stderr.write("the current directory is %s\n" % os.getcwd())


atexit.register(at_end)

descriptors = [os.open("/etc/passwd", os.O_RDONLY) for each in range(int(os.environ.get("OPEN", 0)))]


def lock(path):
    pid_file = open(path, "w")
    try:
        fcntl.flock(pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except EnvironmentError:
        sys.exit("error: a previous backup is still in progress")
    return pid_file


class Trap(object):
    """Sends standard output and error to a terminal. What is written there a child copies to the log, and to where they went."""

    def __init__(self, log):
        sys.stdout.flush()
        self.closed = False
        signal.signal(signal.SIGUSR1, self._close)
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        # Far from all others, and not close-on-exec.
        os.dup2(self.log, 40)
        self.saved = os.dup(1), os.dup(2)
        terminal, side = os.openpty()
        self.child = os.fork()
        if self.child == 0:
            os.close(side)
            self._copy(terminal)
            os._exit(0)
        os.close(terminal)
        os.dup2(side, 1)
        os.dup2(side, 2)
        os.close(side)

    def _close(self, *arguments):
        self.closed = True

    def _copy(self, terminal):
        while True:
            try:
                ready = select.select([terminal], [], [], 0.05)[0]
            except select.error:
                ready = []  # The signal, in Python 2.
            if self.closed and not ready:
                return
            try:
                data = os.read(terminal, 65536) if ready else b""
            except OSError:
                return  # Nobody has the other side open.
            os.write(self.saved[0], data)
            os.write(self.log, data)

    def close(self):
        sys.stdout.flush()
        os.dup2(self.saved[0], 1)
        os.dup2(self.saved[1], 2)
        os.kill(self.child, signal.SIGUSR1)
        os.waitpid(self.child, 0)


def work():
    print("working")
    sys.stdout.flush()
    if subprocess.call(["sh", "-c", os.environ.get("WORK", ":")]) != 0:
        raise Exception("duplicity failed")
