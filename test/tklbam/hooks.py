"""Stands in for tklbam's own."""

PROGRAM = "tklbam's own, VERSION"


class Hooks(object):
    def pre(self):
        print(PROGRAM)

    def inspect(self, extras_path):
        print(PROGRAM)

    def post(self):
        print(PROGRAM)


backup = restore = Hooks()
