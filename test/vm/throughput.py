"""throughput.py ROUNDS MEGABYTES...: a whole backup by a hook for databases beside the bare tool that it runs, in a container that has
booted systemd with both servers.

The tool writes with the same options to the same file system, over what it wrote before, and what it wrote is then put on disk by
sync(1). Each is done once in each round, in turn, after a round that does not count; then all of it on one processor. Prints JSON lines of
one trial each: {"server", "megabytes", "processors", "who", "wall", "cpu"}, in seconds, cpu with that of the server; and of a backup more
{"server", "megabytes", "bytes", "largest", "sum"}: of its dumps, and, in MiB, the largest process of it and the most that all of them had."""

import json
import os
import shutil
import subprocess
import sys
import time

ROUNDS = int(sys.argv[1])
SIZES = [int(word) for word in sys.argv[2:]]
HOOKS = "/etc/tklbam/hooks.d"
STATE = "/var/lib/tklbam-hooks"
HOOK = ["tklbam-hooks", "wrap", "backup", "--", "true"]
PG_BIN = "/usr/lib/postgresql/17/bin/"
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
PG_DUMP = AS_POSTGRES + [PG_BIN + "pg_dump", "-Fc", "-Z", "0", "-C", "-d", "shop"]
MARIADB_DUMP = ["mariadb-dump", "--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--single-transaction", "--quick"]
MARIADB_DUMP += ["--routines", "--events", "--triggers", "--hex-blob", "--databases", "shop"]

# Rows of a shop: numbers, a time, short texts, tokens that do not compress, and some prose. 320 bytes each in a dump.
PG_FILL = """create table posts as select i as id, timestamptz '2026-01-01' - i * interval '1 second' as at, 'user' || i %% 1000 as who,
md5(i::text) || md5((-i)::text) || md5('a' || i) as token, repeat('lorem ipsum ' || i, 8) as body, i / 7.0 as score
from generate_series(1, %d) i; alter table posts add primary key (id)"""
MARIADB_FILL = """set unique_checks = 0; create table posts (id int primary key, at datetime, who varchar(20), token varchar(96), body text,
score decimal(16, 6)) engine = innodb; insert into posts select seq, timestamp('2026-01-01') - interval seq second,
concat('user', seq %% 1000), concat(md5(seq), md5(-seq), md5(concat('a', seq))), repeat(concat('lorem ipsum ', seq), 8), seq / 7
from seq_1_to_%d"""


def sql(server, database, text):
    command = ["mariadb", database]
    if server == "postgresql":
        command = AS_POSTGRES + ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database]
    subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def fill(server, megabytes):
    rows = megabytes * 3130
    if server == "postgresql":
        sql(server, "postgres", "drop database if exists shop")
        sql(server, "postgres", "create database shop")
        sql(server, "shop", PG_FILL % rows)
        sql(server, "shop", "vacuum analyze posts")
        sql(server, "shop", "checkpoint")
    else:
        sql(server, "mysql", "drop database if exists shop; create database shop")
        sql(server, "shop", MARIADB_FILL % rows)
    os.sync()


def processor_time():
    with open("/sys/fs/cgroup/cpu.stat") as file:
        return int(dict(line.split() for line in file)["usage_usec"]) / 1e6


def bare(command, is_synced):
    """As a line of cron would have it."""
    path = STATE + "/bare"
    with open(path, "wb") as file:
        subprocess.run(command, stdout=file, check=True)
    if is_synced:
        subprocess.run(["sync", path], check=True)


def hook():
    done = subprocess.run(HOOK, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)


def measured(what):
    os.sync()
    wall, cpu = time.monotonic(), processor_time()
    what()
    return {"wall": time.monotonic() - wall, "cpu": processor_time() - cpu}


def family(pid):
    found, rest = [], [pid]
    while rest:
        each = rest.pop()
        found.append(each)
        try:
            for task in os.listdir("/proc/%d/task" % each):
                with open("/proc/%d/task/%s/children" % (each, task)) as file:
                    rest += [int(word) for word in file.read().split()]
        except OSError:
            pass
    return found


def resident(pid):
    try:
        with open("/proc/%d/statm" % pid) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0


def memory():
    child = subprocess.Popen(HOOK, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    largest = total = 0
    while child.poll() is None:
        each = [resident(pid) for pid in family(child.pid)]
        largest, total = max([largest] + each), max(total, sum(each))
        time.sleep(0.01)
    if child.returncode != 0:
        raise SystemExit("the backup failed")
    return {"largest": round(largest), "sum": round(total)}


def dumped():
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(STATE + "/dumps") for name in names)


def servers_of(server):
    name = "postgres" if server == "postgresql" else "mariadbd"
    return subprocess.run(["pgrep", "-x", name], capture_output=True, text=True).stdout.split()


def on(processors, server):
    os.sched_setaffinity(0, processors)
    for pid in servers_of(server):
        subprocess.run(["taskset", "-acp", ",".join(map(str, processors)), pid], check=True, stdout=subprocess.DEVNULL)


def main():
    shutil.copy("tklbam-hooks", "/usr/bin")
    os.makedirs(HOOKS)
    os.makedirs(STATE, mode=0o700)
    everything = sorted(os.sched_getaffinity(0))
    for server, command in (("postgresql", PG_DUMP), ("mariadb", MARIADB_DUMP)):
        for name in (server, server + ".conf"):
            shutil.copy(name, HOOKS)
        with open("%s/%s.conf" % (HOOKS, server), "a") as conf:
            conf.write("DATABASES=shop\n")
        os.chmod("%s/%s" % (HOOKS, server), 0o755)
        for megabytes in SIZES:
            fill(server, megabytes)
            whole = {"server": server, "megabytes": megabytes}
            for processors in (everything, everything[:1]):
                on(processors, server)
                for number in range(ROUNDS + 1):
                    trials = {
                        "tool": lambda: bare(command, False),
                        "synced": lambda: bare(command, True),
                        "hook": hook,
                    }
                    for who, what in trials.items():
                        found = measured(what)
                        if number > 0:
                            print(json.dumps(dict(whole, processors=len(processors), who=who, **found)), flush=True)
            on(everything, server)
            print(json.dumps(dict(whole, bytes=dumped(), **memory())), flush=True)
        os.chmod("%s/%s" % (HOOKS, server), 0o644)
        shutil.rmtree(STATE + "/dumps")


main()
