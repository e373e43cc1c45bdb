"""Stands in for tklbam-restore: [-s | --simulate]. EXTRAS is a copy of a backup's metadata."""
import os
import shutil
import sys
import tempfile

import common
import hooks


def main():
    opt_simulate = "--simulate" in sys.argv or "-s" in sys.argv
    trap = None if opt_simulate else common.Trap("/var/log/tklbam-restore")
    extract = tempfile.mkdtemp(prefix="tklbam-")
    try:
        hooks.restore.pre()
        extras = os.path.join(extract, "TKLBAM")
        # What was in /TKLBAM when EXTRAS was made of it.
        if "EXTRAS" in os.environ:
            shutil.copytree(os.environ["EXTRAS"], extras)
        else:
            os.mkdir(extras)
        os.environ["TKLBAM_BACKUP_EXTRACT_PATH"] = extract
        hooks.restore.inspect(extras)
        common.work()
        hooks.restore.post()
    finally:
        shutil.rmtree(extract)
        if trap:
            trap.close()
    print("done")


main()
