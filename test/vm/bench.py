"""bench.py ROUNDS [brief]: what `npm run bench` measures, in a container that has booted systemd, with what is installed there.

Each thing is measured once in each round, in turn, after one round that does not count. Prints JSON lines: {"key", "wall", "cpu", "rss",
"read"}, medians; wall and cpu in milliseconds, cpu with that of all that was waited for, rss (the peak) and read (from disk) in MiB."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROUNDS = int(sys.argv[1])
IS_BRIEF = sys.argv[2:] == ["brief"]
WORK = os.getcwd()
PROGRAM = WORK + "/tklbam-hooks"
NODE = WORK + "/node"
TOP = "/bench"
NULL = os.open("/dev/null", os.O_RDWR)
ENV = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "TKLBAM_HOOKS_STATE": TOP + "/state",
    "TKLBAM_HOOKS_LOG": TOP + "/log",
    "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
}

# What tklbam does for the hooks of a state, in its own process.
OWN_WAY = """
import os, subprocess, sys
directory, states = sys.argv[1], sys.argv[2:]
for state in states:
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK) and not path.endswith('.sig'):
            if subprocess.call(['sh', '-c', path + ' backup ' + state]) != 0:
                sys.exit(1)
"""

# What tklbam's own modules need of Python's, before the first state.
READING = "import base64, datetime, getopt, json, shutil, socket, string, tempfile, time\n"

# What tklbam does for a backup with packaging/hooks.py, which it imports.
WITH_GUARDIAN = """
import hooks
READING
hooks.backup.pre()
hooks.backup.inspect('/tmp')
hooks.backup.post()
"""


def hooks(count, text="exit 0"):
    directory = "%s/hooks-%d" % (TOP, count) if text == "exit 0" else TOP + "/" + text.replace(" ", "-")
    if not os.path.isdir(directory):
        os.mkdir(directory)
        for number in range(1, count + 1):
            name = "%s/hook%05d" % (directory, number)
            with open(name, "w") as file:
                # The second of those that fail.
                file.write("#!/bin/sh\n%s\n" % (text if number == min(count, 2) or text == "exit 0" else "exit 0"))
            os.chmod(name, 0o755)
    return directory


def once(command, env, expected=(0,)):
    began = time.perf_counter()
    actions = [(os.POSIX_SPAWN_DUP2, NULL, fd) for fd in (0, 1, 2)]
    pid = os.posix_spawnp(command[0], command, dict(ENV, **env), file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in expected:
        subprocess.call(command, env=dict(ENV, **env), stdin=NULL)
        raise SystemExit("%s ended with status %s" % (" ".join(command)[:300], status))
    cpu = usage.ru_utime + usage.ru_stime
    return wall * 1000, cpu * 1000, usage.ru_maxrss / 1024, usage.ru_inblock / 2048


trials = []


def trial(key, command, rounds=ROUNDS, env=None, expected=(0,), before=None):
    trials.append((key, [str(word) for word in command], rounds, env or {}, expected, before))


def measure():
    found = {}
    for number in range(max(each[2] for each in trials) + 1):
        for key, command, rounds, env, expected, before in trials:
            if number > rounds:
                continue
            if before:
                before()
            figures = once(command, env, expected)
            if number > 0 or rounds == 0:
                found.setdefault(key, []).append(figures)
    for key, all_of_them in found.items():
        medians = [round(statistics.median(column), 3) for column in zip(*all_of_them)]
        print(json.dumps(dict(zip(("key", "wall", "cpu", "rss", "read"), [key] + medians))), flush=True)
    trials.clear()


def has(name):
    return shutil.which(name, path=ENV["PATH"]) is not None


def units(count):
    name = "bench-%d.service" % count
    with open("/run/systemd/system/" + name, "w") as unit:
        unit.write("[Service]\nType=oneshot\nExecStart=/bin/true\n")
        for each in sorted(os.listdir(hooks(count))):
            unit.write("ExecStartPre=%s/%s backup pre\n" % (hooks(count), each))
    return name


def etckeeper(count):
    """Its own directory of commands, in place of /etc/etckeeper."""
    conf = "%s/etckeeper-%d" % (TOP, count)
    os.mkdir(conf)
    shutil.copy("/etc/etckeeper/etckeeper.conf", conf)
    os.symlink(hooks(count), conf + "/bench.d")
    return conf


def run(directory, *more):
    return [PROGRAM, "run", "backup", "pre", "--hooks", directory] + list(more)


def run_parts(directory):
    return ["run-parts", "--exit-on-error", "--arg=backup", "--arg=pre", directory]


def pythons():
    return [name for name in ("python2.7", "python3") if has(name)]


os.makedirs(TOP + "/data")
for number in range(20):
    with open("%s/data/%d" % (TOP, number), "wb") as file:
        file.write(os.urandom(1 << 16))
os.makedirs("/run/systemd/system", exist_ok=True)

# The hooks of one state.
COUNTS = (1, 10, 100)
trial("node", [NODE, "-e", "0"])
trial("version", [PROGRAM, "--version"])
for count in COUNTS:
    directory = hooks(count)
    trial("run %d" % count, run(directory))
    trial("run-parts %d" % count, run_parts(directory))
    for python in pythons():
        trial("%s %d" % (python, count), [python, "-c", OWN_WAY, directory, "pre"])
    trial("systemd %d" % count, ["systemctl", "start", units(count)])
    if has("etckeeper"):
        trial("etckeeper %d" % count, ["etckeeper", "bench"], env={"ETCKEEPER_CONF_DIR": etckeeper(count)})
trial("dry-run 100", run(hooks(100), "--dry-run"))
# What Node.js takes to start as many programs, with nothing of ours: no hook can be started with less.
trial("spawn 1", [NODE, WORK + "/spawn.cjs", hooks(1)])
trial("spawn 100", [NODE, WORK + "/spawn.cjs", hooks(100)])
# And what it takes to do what we promise, as little as that may be.
trial("least 1", [NODE, WORK + "/least.cjs", "run", hooks(1)])
trial("least 100", [NODE, WORK + "/least.cjs", "run", hooks(100)])
subprocess.call(["systemctl", "daemon-reload"])
measure()

# fixclock in a state that is not its own.
trial("sh -c :", ["sh", "-c", ":"])
trial("fixclock inspect", ["sh", WORK + "/fixclock", "backup", "inspect"])
measure()

# A whole backup with three hooks, and one that fails.
three = hooks(3)
os.mkdir(TOP + "/tklbam")
for name, text in (
    # By its name, hooks.py knows that a backup is about to begin.
    ("tklbam-backup", WITH_GUARDIAN.replace("READING", READING)),
    ("registry.py", "class registry:\n    profile = backup_resume_conf = None\n"),
    ("hooks.py", open(WORK + "/hooks.py").read().replace('"/usr/bin/tklbam-hooks"', repr(PROGRAM))),
):
    with open(TOP + "/tklbam/" + name, "w") as file:
        file.write(text)
each = " && ".join("%s/%s backup %%s" % (three, name) for name in sorted(os.listdir(three)))
trial("node", [NODE, "-e", "0"])
trial("sh", ["sh", "-c", "%s && true && %s" % (each.replace("%s", "pre"), each.replace("%s", "post"))])
trial("wrap", [PROGRAM, "wrap", "backup", "--hooks", three, "--", "true"])
trial("least wrap", [NODE, WORK + "/least.cjs", "wrap", three])
trial("least session", [NODE, WORK + "/least.cjs", "session", three])
for python in pythons():
    trial("no hooks " + python, [python, "-c", READING])
    trial("own way " + python, [python, "-c", READING + OWN_WAY, three, "pre", "inspect", "post"])
    trial("hooks.py " + python, [python, TOP + "/tklbam/tklbam-backup"], env={"TKLBAM_HOOKS": three})
failing = hooks(3, "exit 3")
# Its own status, or that of the hook.
trial("failing run-parts", run_parts(failing), expected=(1, 3))
trial("failing run", run(failing), expected=(1,))
trial("failing wrap", [PROGRAM, "wrap", "backup", "--hooks", failing, "--", "true"], expected=(1,))
if has("borg"):
    subprocess.check_call(["borg", "init", "--encryption=none", TOP + "/repo"], env=ENV)
    create = ["borg", "create", TOP + "/repo::{now:%Y-%m-%dT%H:%M:%S.%f}", TOP + "/data"]
    trial("borg", create)
    trial("wrap borg", [PROGRAM, "wrap", "backup", "--hooks", three, "--"] + create)
if has("borgmatic"):
    with open(TOP + "/borgmatic.yaml", "w") as file:
        lines = ["  - %s/%s backup %%s" % (three, name) for name in sorted(os.listdir(three))]
        runs = "\n".join(lines)
        file.write("source_directories: [%s/data]\nrepositories: [{path: %s/repo}]\n" % (TOP, TOP))
        file.write("archive_name_format: '{now:%Y-%m-%dT%H:%M:%S.%f}'\nunknown_unencrypted_repo_access_is_ok: true\n")
        for when, state in (("before", "pre"), ("after", "post")):
            file.write("%s_backup:\n%s\n" % (when, runs.replace("%s", state)))
    trial("borgmatic", ["borgmatic", "--config", TOP + "/borgmatic.yaml", "create"])
measure()

if IS_BRIEF:
    sys.exit(0)

# As the work grows: few rounds, since each is long.
FEW = max(1, ROUNDS // 10)
for count in (10, 100, 1000, 5000):
    rounds = {1000: FEW, 5000: 0}.get(count, ROUNDS)
    trial("run %d" % count, run(hooks(count)), rounds)
    trial("wrap %d" % count, [PROGRAM, "wrap", "backup", "--hooks", hooks(count), "--", "true"], rounds)
    trial("run-parts %d" % count, run_parts(hooks(count)), rounds)
for mebibytes in (0, 1, 1.9):
    filler = {"FILLER%d" % number: "x" * 100000 for number in range(int(mebibytes * 10))}
    trial("environment %s" % mebibytes, run(hooks(1)), env=filler)
killed = hooks(1, "kill -9 $$")
sleepers = []
for count in (0, 1000):
    while len(sleepers) < count:
        sleepers.append(subprocess.Popen(["sleep", "infinity"], stdin=NULL, stdout=NULL, stderr=NULL))
    trial("processes %d" % count, run(killed), FEW * 3, expected=(1,))
    measure()
for sleeper in sleepers:
    sleeper.send_signal(signal.SIGKILL)
    sleeper.wait()
mounts = TOP + "/mounts"
os.mkdir(mounts)
subprocess.check_call(["mount", "-t", "tmpfs", "mounts", mounts])
MOUNT = 'cd "$0"; for each in $(seq "$1"); do mkdir "$each"; mount --bind "$each" "$each"; done'
for count in (0, 2000):
    subprocess.check_call(["sh", "-ec", MOUNT, mounts, str(count)])
    trial("mounts %d" % count, run(hooks(1)), FEW * 3)
    measure()
subprocess.check_call(["umount", "--recursive", mounts])
line = '{"type":"session","time":"2026-01-01T00:00:00.000Z","session":"s%d","operation":"backup","name":"n","outcome":"succeeded","error":null,"seconds":1}\n'
for count in (1000, 100000):
    with open(TOP + "/long-log", "w") as file:
        os.chmod(TOP + "/long-log", 0o600)
        for number in range(count):
            file.write(line % number)
    for command in ("status", "history"):
        trial("%s %d" % (command, count), [PROGRAM, command], FEW * 3, env={"TKLBAM_HOOKS_LOG": TOP + "/long-log"})
    measure()


def forget():
    """That any of it was read. Pages that somebody else has mapped stay: the C library."""
    for path in (PROGRAM, NODE):
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


trial("cold node", [NODE, "-e", "0"], FEW * 3, before=forget)
trial("cold run", run(hooks(1)), FEW * 3, before=forget)
measure()
