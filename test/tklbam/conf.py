"""As far as hooks are concerned: where tklbam is configured."""
import os


class Conf(object):
    DEFAULT_PATH = os.environ.get("TKLBAM_CONF", "/etc/NAME")
