# Stands for tklbam in a fault: a backup or restore with the hooks.py of the package, which is left at a given point.
import os
import sys
import time
import types

program, shim, operation, directory, work, inspects, leaves = sys.argv[1:]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(shim))
sys.modules["registry"] = types.ModuleType("registry")
sys.modules["registry"].registry = types.SimpleNamespace(profile=None)
import hooks

hooks.PROGRAM = program
events = os.open(os.path.join(directory, "events"), os.O_WRONLY | os.O_APPEND)


def say(point, state):
    os.write(events, ("%s - %s - %d\n" % (point, state, os.getpid())).encode())
    hold = os.path.join(directory, "hold.%s.-.%s" % (point, state))
    for _ in range(500):
        if not os.path.exists(hold):
            break
        time.sleep(0.01)


def leave(after):
    how = leaves.split(" ")
    if how[0] != after:
        return
    say("LEAVES", after)
    if how[1] == "raise":
        raise SystemExit(4)
    if how[1] == "close":
        # And lives on.
        os.closerange(3, 64)
        time.sleep(0.3)
    os._exit(4)


ours = getattr(hooks, operation)
try:
    say("ASK", "pre")
    ours.pre()
    leave("pre")
    if inspects == "yes":
        say("ASK", "inspect")
        ours.inspect(directory)
        leave("inspect")
    say("WORK", "operation")
    time.sleep(int(work) / 1000.0)
    leave("operation")
    say("ASK", "post")
    ours.post()
    say("DONE", "post")
except hooks.HookError as error:
    print("HookError: %s" % error, flush=True)
    sys.exit(1)
