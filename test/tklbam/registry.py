"""Stands in for tklbam's own: what its other modules and hooks.py use of it."""
import os


class Registry(object):
    path = os.environ.get("TKLBAM_REGISTRY", "/var/lib/tklbam")

    @property
    def profile(self):
        profile = os.path.join(self.path, "profile")
        return profile if os.path.exists(profile) else None

    @property
    def backup_resume_conf(self):
        mark = self._mark()
        if not os.path.exists(mark):
            return None
        with open(mark) as text:
            return text.read()

    @backup_resume_conf.setter
    def backup_resume_conf(self, conf):
        mark = self._mark()
        if conf is not None:
            with open(mark, "w") as text:
                text.write(conf)
        elif os.path.exists(mark):
            os.remove(mark)

    def _mark(self):
        return os.path.join(self.path, "backup-resume")


registry = Registry()
