"""Stands in for tklbam-backup: [--resume | --disable-resume | -s | --simulate]"""
import os
import sys

import common
import hooks
from registry import registry


def main():
    conf = "the same files"
    opt_simulate = "--simulate" in sys.argv or "-s" in sys.argv
    opt_resume = "--resume" in sys.argv
    opt_disable_resume = "--disable-resume" in sys.argv

    lock = common.lock("/var/run/tklbam-backup.pid")
    if not opt_resume and not opt_simulate and not opt_disable_resume and registry.backup_resume_conf == conf:
        print("Implicit --resume")
        opt_resume = True
    registry.backup_resume_conf = None
    if not opt_simulate:
        registry.backup_resume_conf = conf

    os.environ["TKLBAM_PROFILE_ID"] = "core"
    trap = None if opt_simulate else common.Trap("/var/log/tklbam-backup")
    try:
        hooks.backup.pre()
        if not os.path.exists("/TKLBAM"):
            os.mkdir("/TKLBAM")
        hooks.backup.inspect("/TKLBAM")
        os.environ["AWS_ACCESS_KEY_ID"] = "secret"
        common.work()
        hooks.backup.post()
    finally:
        if trap:
            trap.close()
    registry.backup_resume_conf = None
    lock.close()
    print("done")


main()
