"""What tklbam-hooks has to make of a hooks directory, worked out in another way than it does.

    model.py DIRECTORY...

For each directory, for `pre` and then for `post`, a line

    STATE read|absent|unreadable STATUS OUTPUT

with the exit status of `run backup STATE` and what its hooks write to stdout, and below it a line for each entry, in order:

    enabled|disabled|passed-over|broken|refused NAME

OUTPUT and NAME are in hexadecimal. Written from the contract, not from the program. Where the contract leaves something open, the
comment says what was chosen. Who may change a file is told by walking to it as the kernel does, a descriptor for each step; whether
a hook can be started is told by starting it, so every hook has to be harmless.

Of the standard library only what Debian's python3-minimal has.
"""

import errno
import os
import stat
import subprocess
import sys

# What the contract's list ends in "…": the rest is the program's choice.
SUFFIXES = (
    b'bak old orig rej save tmp new swp swo swn sig asc conf cfg ini json yaml yml txt md rst html htm log lock sample example disabled off '
    b'pacnew pacorig pacsave'
).split()
READ_BY_PEOPLE = b'README COPYING LICENSE LICENCE CHANGELOG NEWS NOTES TODO INSTALL AUTHORS Makefile'.split()
PREFIXES = (b'dpkg-', b'ucf-', b'rpm')

ENVIRONMENT = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}


def is_passed_over(name):
    if name[:1] == b'.' or name[-1:] == b'~' or (len(name) > 1 and name[:1] == name[-1:] == b'#'):
        return True
    if name.partition(b'.')[0] in READ_BY_PEOPLE:
        return True
    _, dot, suffix = name.rpartition(b'.')
    return dot == b'.' and (suffix in SUFFIXES or suffix.startswith(PREFIXES))


def searched(path):
    """The directories on the path and on that of every link on it."""
    opened = []

    def enter(name, here=None):
        opened.append(os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=here))
        return opened[-1]

    def walk(here, path):
        if path.startswith(b'/'):
            here = enter('/')
        for name in filter(None, path.split(b'/')):
            mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                here = walk(here, os.readlink(name, dir_fd=here))
            elif stat.S_ISDIR(mode):
                here = enter(name, here)
        return here

    try:
        walk(None, path)
        return [os.fstat(each) for each in opened]
    finally:
        for each in opened:
            os.close(each)


def is_trusted(path, file):
    if file.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return False
    return all(
        each.st_uid in (0, os.geteuid()) and not each.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        for each in [file, *searched(path)]
    )


def head(path):
    """The first bytes; None where this user may not read it."""
    try:
        with open(path, 'rb') as file:
            return file.read(4096)
    except PermissionError:
        return None


def start(*words):
    return subprocess.run(
        [*words, 'backup', 'pre'],
        cwd='/',
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
    )


def try_out(path):
    """Exit status and output; None where it cannot be started."""
    line, _, _ = (head(path) or b'').partition(b'\n')
    is_elf = line.startswith(b'\x7fELF')
    # A kernel may have been taught to run others (binfmt_misc); our own program stands for this machine's.
    if is_elf and line[4:6] + line[18:20] != OWN[4:6] + OWN[18:20]:
        return None
    # The kernel reads no more of a line than that, and runs nothing if nothing is named: a shell would read the hook then.
    if line.startswith(b'#!') and (len(line) > 255 or line[2:].strip(b' \t') == b''):
        return None
    # The kernel would take it from the current directory, which is the caller's: no promise.
    if line.startswith(b'#!') and line[2:].strip(b' \t')[:1] != b'/':
        return None
    # The shell would look for a program with the mark in its name, and go on with the next line.
    if line.startswith(b'\xef\xbb\xbf'):
        return None
    # env(1) starts, and then finds no program with a carriage return in its name.
    if line.startswith(b'#!') and line.endswith(b'\r') and line[2:].split()[0].endswith(b'/env'):
        return None
    try:
        return start(path)
    except OSError as error:
        # No program, so a text for the shell (execvp(3)); by POSIX not one with a NUL in its first line.
        if error.errno != errno.ENOEXEC or is_elf or b'\0' in line:
            return None
        return start('/bin/sh', path)


def judge(directory, name):
    """The verdict on an entry and, where it is enabled, how it ends."""
    path = directory + b'/' + name
    if is_passed_over(name):
        return 'passed-over', None
    try:
        file = os.stat(path)
    except OSError:
        # Left open: a link whose target is missing is broken, and not refused, wherever it leads through.
        return 'broken', None
    if not stat.S_ISREG(file.st_mode):
        return 'passed-over', None
    # Left open: a file that is both empty and not executable.
    if not file.st_mode & 0o111:
        return 'disabled', None
    if file.st_size == 0:
        return 'passed-over', None
    # Left open: what is both untrusted and unable to start is refused. It is not to be touched, either.
    if not is_trusted(path, file):
        return 'refused', None
    try:
        name.decode()
    except UnicodeDecodeError:
        return 'broken', None
    ran = try_out(path)
    # Left open: an ordinary user's hook that he may execute and not read is found broken only on the attempt.
    is_open_question = head(path) is None and os.access(path, os.X_OK)
    return ('broken' if ran is None and not is_open_question else 'enabled'), ran


def names(directory):
    try:
        with os.scandir(directory) as entries:
            return 'read', sorted(entry.name for entry in entries)
    except OSError:
        return 'unreadable', []


def is_trusted_directory(directory):
    return all(
        each.st_uid in (0, os.geteuid()) and not each.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        for each in searched(directory)
    )


def run(directory, state, found, judged):
    """Exit status and output of a run."""
    verdicts = [verdict for _, verdict, _ in judged]
    is_refused = 'refused' in verdicts or (found == 'read' and not is_trusted_directory(directory))
    is_wrong = found == 'unreadable' or 'broken' in verdicts or is_refused
    output = b''
    has_failed = is_wrong
    for _, verdict, ran in judged:
        if verdict != 'enabled' or (state == 'pre' and has_failed):
            continue
        if ran is not None:
            output += ran.stdout
        has_failed = has_failed or ran is None or ran.returncode != 0
    return 3 if is_refused else int(has_failed), output


OWN = head('/proc/self/exe')

for directory in map(os.fsencode, sys.argv[1:]):
    found, entries = names(directory)
    judged = [(name, *judge(directory, name)) for name in entries]
    for state in ('pre', 'post'):
        ordered = judged if state == 'pre' else judged[::-1]
        status, output = run(directory, state, found, ordered)
        print(state, found, status, output.hex())
        for name, verdict, _ in ordered:
            print(verdict, name.hex())
