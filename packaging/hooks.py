# In the place of tklbam's own hooks.py, for Python 2.7, PyPy 2.7 and Python 3. One process of tklbam-hooks, the guardian,
# runs the hooks of a backup or a restore, and tells them `error` if tklbam fails or dies: tklbam-hooks-protocol(7).
import atexit
import binascii
import errno
import fcntl
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

from registry import registry

PROGRAM = "/usr/bin/tklbam-hooks"
NAMESPACE = "/proc/self/ns/mnt"
CLONE_NEWNS = 0x20000  # setns(2)
SO_PEERCRED = 17  # socket(7), unix(7)
MSG_NOSIGNAL = 0x4000  # send(2)


class HookError(Exception):
    pass


class Hooks(object):
    def __init__(self, operation):
        self.operation = operation
        self.socket = self.answers = self.guardian = self.owner = self.outside = None
        self.resumes = False
        atexit.register(self._leave)

    def pre(self):
        # By this, what tklbam starts from now on is found and ended, should tklbam die: duplicity would write on.
        os.environ["TKLBAM_HOOK_CALLER"] = "%d-%d" % (os.getpid(), time.time())
        self.resumes = _is_set("opt_resume", ["--resume"])
        self._prepare("pre", _cwd())

    def inspect(self, extras_path):
        self._prepare("inspect", os.path.join(_cwd(), _encode(extras_path)))

    def post(self):
        # Hooks of post take away what is seen there.
        self._leave_view()
        # The upload is complete. Still marked as aborted, should this fail or be cut off, the next backup would resume it: with
        # this one's list of files, and its dumps.
        self._forget_resume()
        self._ask("post", _cwd())
        self._end()

    def _prepare(self, state, cwd):
        """Nothing is uploaded yet: what fails now is nothing to resume, unless it is itself the rest of an upload."""
        try:
            self._ask(state, cwd)
        except BaseException:
            if not self.resumes:
                self._forget_resume()
            raise

    def _forget_resume(self):
        if self.operation == "backup":
            registry.backup_resume_conf = None

    def _ask(self, state, cwd):
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass  # Closed, or nobody reads.
        request = {"state": state, "cwd": _text(cwd), "env": _environment()}
        if state == "pre":
            request["view"] = os.path.exists(NAMESPACE)
        view = None
        error = None if self.socket else self._start()
        if error is None:
            error, view = self._exchange(json.dumps(request) + "\n")
        if error is None and state == "pre" and view is not None:
            error = self._enter_view(view)
        # Raised here, where no other exception is handled that Python 3 would print too.
        if error is not None:
            self._end()
            raise HookError(error if isinstance(error, str) else error.encode("utf-8"))

    def _start(self):
        """Returns why it could not."""
        words = ["session", self.operation]
        directory = _hooks_directory()
        if directory is not None:
            words += ["--hooks", directory]
        profile = getattr(registry, "profile", None)
        if profile is not None:
            words += ["--profile", profile]
        # As under nohup. It would not know: Node.js begins with the default dispositions.
        for name in ("HUP", "INT", "QUIT"):
            if signal.getsignal(getattr(signal, "SIG" + name)) == signal.SIG_IGN:
                words += ["--ignored", name]
        self.owner = os.getpid()
        try:
            self.socket, self.guardian = _ahead.become(words) or _start_guardian(words + ["--control"])
            self.answers = self.socket.makefile("rb")
            # In Python 2, where it is a descriptor of its own, all that tklbam starts would inherit it, and hide the death of tklbam
            # from the guardian.
            fcntl.fcntl(self.answers, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        except EnvironmentError as error:
            return "cannot start %s: %s (apt install --reinstall tklbam-hooks)" % (PROGRAM, error.strerror)

    def _exchange(self, request):
        """Returns the error of the answer, or why there is none; and the view to enter, if there is one."""
        try:
            try:
                self.socket.sendall(request.encode("ascii"))
            except EnvironmentError:
                pass  # It is ending, and may have said why.
            answer = json.loads(self.answers.readline().decode("utf-8"))
            return answer["error"], answer.get("view")
        except (EnvironmentError, ValueError):
            status = self._end()
        except BaseException as error:
            # KeyboardInterrupt, or what a signal handler raises. Hooks are told now, while tklbam still logs.
            self._end(error)
            raise
        if status < 0:
            # Nobody is left to tell the hooks that were started.
            subprocess.call([PROGRAM, "recover"], stdin=open(os.devnull))
        ending = "ended with exit status %d" % status if status >= 0 else "was killed by signal %d" % -status
        return "%s %s and did not answer" % (PROGRAM, ending), None

    def _enter_view(self, view):
        """From here on, tklbam and what it starts see snapshots in place of the live files. Returns why that cannot be."""
        cwd = _cwd()
        outside = _open(NAMESPACE)
        try:
            fd = _open(view)
            try:
                _set_namespace(fd)
            finally:
                os.close(fd)
            self.outside = outside
            os.chdir(cwd)
        except EnvironmentError as error:
            if self.outside is None:
                os.close(outside)
            why = "it has threads" if error.errno == errno.EINVAL else error.strerror
            where = cwd if isinstance(cwd, str) else os.fsdecode(cwd)
            text = "tklbam, in '%s', cannot see the snapshots: %s (back up by 'tklbam-hooks wrap')" % (where, why)
            self._end(HookError(text))
            return text

    def _leave_view(self):
        """Before hooks are told that the operation has ended. The namespace itself lives as long as anybody is in it."""
        if self.outside is None or self.owner != os.getpid():
            return
        cwd = _cwd()
        try:
            _set_namespace(self.outside)
            os.chdir(cwd)
        except EnvironmentError as error:
            # The guardian ends who stays there.
            sys.stderr.write("tklbam-hooks: cannot leave the view of the snapshots: %s\n" % error.strerror)
        os.close(self.outside)
        self.outside = None

    def _end(self, error=None):
        """Hangs up, and waits for the guardian, which may be telling hooks. Returns its exit status. `error` is for the hooks."""
        self._leave_view()
        if self.socket:
            try:
                if error is not None:
                    request = {"state": "error", "error": _describe(error)}
                    self.socket.sendall((json.dumps(request) + "\n").encode("ascii"))
                # A child that tklbam forked may have it open too: closing it would not be enough.
                self.socket.shutdown(socket.SHUT_RDWR)
            except EnvironmentError:
                pass  # The guardian is gone.
            self.socket.close()
            if self.answers:
                self.answers.close()
            self.socket = self.answers = None
        if self.guardian:
            status = self.guardian.wait()
            self.guardian = None
            return status

    def _leave(self):
        """When Python exits: a shell prompts, and systemd kills what is left, when the hooks have been told."""
        if self.owner == os.getpid():
            self._leave_view()
            relays = _relay_sockets() if self.guardian else []
            try:
                self._end(getattr(sys, "last_value", None))
            except KeyboardInterrupt:
                pass  # The guardian goes on.
            _end_relays(relays)


class Ahead(object):
    """A guardian that starts when tklbam does, so that Node.js takes its time while tklbam takes its own, and waits to be told what it is
    to guard. It has done nothing until then, and may be ended, or end, at any time."""

    def __init__(self):
        self.owner = os.getpid()
        self.socket = self.process = None
        if not _is_operation():
            return
        atexit.register(self.end)
        try:
            self.inheritance = _inheritance()
            self.streams = [_identity(fd) for fd in range(3)]
            self.socket, self.process = _start_guardian(["session", "--ahead"])
        except EnvironmentError:
            pass  # It is tried once more when it is needed, and told then.

    def become(self, words):
        """Makes it the guardian with these arguments. Returns the socket and the process; None if there is none that could be."""
        if not self.process or self.owner != os.getpid():
            return None
        try:
            made = self._order(words) if self._is_as_new() else None
        except EnvironmentError:
            made = None
        if made is None:
            self.end()
        else:
            self.process = None
        return made

    def _is_as_new(self):
        """Whether it can have all that one would have that was started only now."""
        changed = self._changed_streams()
        return self.process.poll() is None and _inheritance() == self.inheritance and all(map(_is_output, changed))

    def _changed_streams(self):
        return [fd for fd in range(3) if _identity(fd) != self.streams[fd]]

    def _order(self, words):
        """As `become`; whatever is left of it then is not ended."""
        name = "tklbam-hooks-%s" % binascii.hexlify(os.urandom(16)).decode("ascii")
        argv = [_text(each) for each in words + ["--control", "@" + name]]
        orders = {"argv": argv, "env": _environ(), "streams": self._changed_streams()}
        # A child that tklbam forked since would have a socket of that time, too, and hide the death of tklbam: so a new one.
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind("\0" + name)
            listener.listen(8)
            self.socket.sendall((json.dumps(orders) + "\n").encode("ascii"), MSG_NOSIGNAL)
            connection = _accept(listener, self.process)
        finally:
            listener.close()
        if connection is not None:
            self.socket.close()
            return connection, self.process
        # What it cannot do it has said, and no other one could.
        return (self.socket, self.process) if self.process.returncode > 0 else None

    def end(self):
        if not self.process or self.owner != os.getpid():
            return
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.socket.close()
        self.process = None


def _start_guardian(words):
    """Returns a socket to it, of which the last argument says the other end, and the process."""
    ours, theirs = socket.socketpair()
    try:
        fcntl.fcntl(ours, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        fd = theirs.fileno()
        # It takes numbers below 16. If they are all in use, so is 3: it is not Popen's own pipe in the child.
        control = fd if fd < 16 else 3
        command = [PROGRAM] + words + [str(control)]
        return ours, subprocess.Popen(command, close_fds=False, preexec_fn=lambda: _pass_on(fd, control))
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()


def _accept(listener, process):
    """Returns the connection of that process, and of no other; None if it ends before."""
    listener.settimeout(0.1)
    while True:
        try:
            connection, _ = listener.accept()
        except socket.timeout:
            if process.poll() is not None:
                return None
            continue
        fcntl.fcntl(connection, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        connection.settimeout(None)
        pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, SO_PEERCRED, 12))
        if pid == process.pid:
            return connection
        connection.close()


def _is_operation():
    """Whether it is a backup or a restore that reads this file. `tklbam COMMAND` does, whatever the command."""
    words = getattr(sys, "argv", [])
    name = os.path.basename(words[0]) if words else ""
    if re.match(r"tklbam\w*$", name):
        return words[1:2] in (["backup"], ["restore"])
    return re.match(r"(?:tklbam\w*-|cmd_)(?:backup|restore)(?:\.py)?$", name) is not None


def _inheritance():
    """What one that is started has of us, beside environment, directory and streams."""
    kept = b"(?m)^(?:Umask|[UG]id|Groups|SigBlk|Cap\\w+|NoNewPrivs|Seccomp|Cpus_allowed|Mems_allowed):.*"
    files = [_read("/proc/self/" + name) for name in ("limits", "cgroup", "oom_score_adj")]
    return [os.nice(0), os.getpgrp(), os.getsid(0), re.findall(kept, _read("/proc/self/status"))] + files


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _identity(fd):
    try:
        found = os.fstat(fd)
        return found.st_dev, found.st_ino, found.st_rdev
    except EnvironmentError:
        return None  # It is closed.


def _is_output(fd):
    """Whether the guardian can open it once more: tklbam's log is behind a terminal."""
    return fd != 0 and os.isatty(fd)


def _relay_sockets():
    """tklbam's log is closed by now, and the guardian opens our outputs in place of it. A socket, as systemd has for the journal,
    cannot be opened; a pipe that is copied to it can."""
    relays = []
    for fd in (1, 2):
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            real = os.dup(fd)
            reader, writer = os.pipe()
            # Without our environment, by which the guardian would take it for something that tklbam has left.
            copier = subprocess.Popen(["/bin/cat"], stdin=reader, stdout=real, env={}, close_fds=True)
            os.close(reader)
            os.dup2(writer, fd)
            os.close(writer)
            relays.append((fd, real, copier))
        except EnvironmentError:
            pass  # It is closed; or what hooks say is in their log alone.
    return relays


def _end_relays(relays):
    for fd, real, _ in relays:
        os.dup2(real, fd)
        os.close(real)
    # Not for ever: a hook may have left a daemon that has the pipe open.
    for _ in range(200):
        if all(copier.poll() is not None for _, _, copier in relays):
            break
        time.sleep(0.01)


def _hooks_directory():
    """Where tklbam's configuration has its hooks, if that is not where tklbam-hooks looks by itself. TKLBAM_HOOKS goes first."""
    if os.environ.get("TKLBAM_HOOKS"):
        return None
    try:
        from conf import Conf

        directory = os.path.abspath(os.path.join(Conf.DEFAULT_PATH, "hooks.d"))
    except (ImportError, AttributeError):
        directory = os.path.abspath(os.path.join(os.environ.get("TKLBAM_CONF") or "/etc/tklbam", "hooks.d"))
    return None if directory == "/etc/tklbam/hooks.d" else directory


def _environ():
    # Bytes in both: Python 3 decodes os.environ by the locale.
    return dict((_text(name), _text(value)) for name, value in getattr(os, "environb", os.environ).items())


def _environment():
    env = _environ()
    for option, flags in (("resume", ["--resume"]), ("simulate", ["--simulate", "-s"])):
        variable = "TKLBAM_HOOK_" + option.upper()
        env.pop(variable, None)
        if _is_set("opt_" + option, flags):
            env[variable] = "yes"
    return env


def _describe(error):
    """A line, as the last one of a traceback. Whatever it holds."""
    try:
        text = _text(str(error))
    except Exception:
        text = u""
    name = type(error).__name__
    return (u"%s: %s" % (name, text) if text else u"%s" % name)[:500]


def _is_set(name, flags):
    """As main() of tklbam has it, which also knows of an implicit --resume; else as the command line does."""
    frame = sys._getframe()
    while frame:
        if name in frame.f_locals:
            return frame.f_locals[name]
        frame = frame.f_back
    return any(flag in sys.argv for flag in flags)


def _text(value):
    """JSON is text, and bytes of the system need not be: then those beyond ASCII are lone surrogates (PEP 383)."""
    if not isinstance(value, bytes):
        return value
    try:
        text = value.decode("utf-8")
        # Python 2 takes what UTF-8 has not for surrogates.
        if not re.search(u"[\ud800-\udfff]", text):
            return text
    except UnicodeDecodeError:
        pass
    characters = [byte if byte < 0x80 else 0xDC00 + byte for byte in bytearray(value)]
    return json.loads('"%s"' % "".join("\\u%04x" % each for each in characters))


def _encode(path):
    if isinstance(path, bytes):
        return path
    return os.fsencode(path) if hasattr(os, "fsencode") else path.encode("utf-8")


def _open(path):
    """Not for what tklbam starts."""
    fd = os.open(path, os.O_RDONLY)
    fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    return fd


def _set_namespace(fd):
    """The working directory becomes the root directory there."""
    # Here, not above: few backups have a view, and each would wait for this.
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(fd, CLONE_NEWNS) != 0:
        code = ctypes.get_errno()
        raise EnvironmentError(code, os.strerror(code))


def _cwd():
    try:
        return getattr(os, "getcwdb", os.getcwd)()
    except EnvironmentError:
        return b"/"  # It was removed.


def _pass_on(fd, control):
    """In the child: of all that tklbam has open, the program gets the socket, as `control`, and the standard streams."""
    if fd != control:
        os.dup2(fd, control)
    for other in range(3, 1024):
        try:
            fcntl.fcntl(other, fcntl.F_SETFD, 0 if other == control else fcntl.FD_CLOEXEC)
        except EnvironmentError:
            pass  # Not open.


_ahead = Ahead()
backup = Hooks("backup")
restore = Hooks("restore")
