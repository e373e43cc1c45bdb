// Backups and restores whose hooks are run by way of packaging/hooks.py, on Python 2.7 and 3: in clean chroots, with the package
// installed and a stand-in for tklbam (test/tklbam).
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openChroot, SOURCE } from '../support/chroot.ts';
import { buildTklbam, deb } from '../support/debs.ts';
import { place } from '../support/harness.ts';

const beds = [
  { suite: 'bullseye', python: 'python2.7', packages: ['python2.7', 'python3', 'ntpdate', 'logrotate'] },
  { suite: 'bookworm', python: 'python3', packages: ['python3', 'ntpsec-ntpdate', 'logrotate'] },
];

/** Records what a hook can see; exits with 3 where FAIL says, and waits where WAIT does, until /root/wait is gone. */
const HOOK = `#!/bin/sh
event="\${0##*/} $1 $2"
{
  echo "event=$event"
  echo "cwd=$PWD"
  env | grep -aE '^(TKLBAM_|AWS_)'
  echo "descriptors=$(ls /proc/self/fd | paste -sd ' ')"
  echo "guardian=$(tr '\\0' ' ' <"/proc/$PPID/cmdline")"
  echo "open=$(readlink /proc/$PPID/fd/* | grep -E '/(run|log)/tklbam-backup|passwd' | sort -u | paste -sd ' ')"
} >>/root/told
if [ "\${WAIT-}" = "$event" ]; then
  touch /root/wait
  while [ -e /root/wait ]; do sleep 0.05; done
fi
[ "\${FAIL-}" != "$event" ] || exit 3
`;

/**
 * `start COMMAND` comes back when the backup or restore, or the hook that WAIT names, is in the middle of its work; `awaits EVENT`
 * when a hook was told that; `settle` when all that was started has ended. Both of them say what has not. The shell is process 1.
 */
const PRELUDE = `
start() {
  rm -f /root/wait
  env --default-signal=INT WORK="\${WORK-touch /root/wait; while [ -e /root/wait ]; do sleep 0.05; done}" "$@" &
  for i in $(seq 3600); do
    [ ! -e /root/wait ] || return 0
    sleep 0.05
  done
}
awaits() {
  for i in $(seq 3600); do
    ! grep -q "$1" told || return 0
    sleep 0.05
  done
  echo "nobody was told: $1" >&2
}
settle() {
  for i in $(seq 1800); do
    set -- /proc/[0-9]*
    [ $# -gt 1 ] || return 0
    sleep 0.1
  done
  for i in "$@"; do echo "left: $(tr '\\0' ' ' <"$i/cmdline")" >&2; done
}
cd /root
`;

interface Seen {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What each hook that was told anything saw: "NAME OPERATION STATE" as `event`, and more. */
  readonly hooks: readonly Readonly<Record<string, string>>[];
}

for (const { suite, python, packages } of beds) {
  test(`hooks.py on ${suite}, ${python}`, async t => {
    const { root, run } = openChroot(t, suite, packages);
    const inRoot = (path: string): string => join(root, path);
    copyFileSync(deb, inRoot('root/hooks.deb'));
    buildTklbam(inRoot('root'), '1', { python });
    const installed = run(['sh', '-c', 'dpkg -i /root/*.deb && chmod a-x /etc/tklbam/hooks.d/fixclock']);
    assert.equal(installed.status, 0, installed.stderr);
    for (const name of ['a', 'b']) place(inRoot('etc/tklbam/hooks.d'), name, HOOK);
    const mark = inRoot('var/lib/tklbam/backup-resume');

    await t.test('the suite of sessions passes, on the installed executable', () => {
      const { status, stdout, stderr } = run(
        [`${SOURCE}/build/node`, '--test', '--test-reporter=tap', `${SOURCE}/test/cli/session.test.ts`],
        { env: { TKLBAM_HOOKS_TEST_PROGRAM: '/usr/bin/tklbam-hooks', XDG_CACHE_HOME: '/root/cache' } },
      );
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, /^# pass [1-9]/m);
    });

    /** With its status, after which nothing is left of any session or process. */
    const see = (command: string, env: Readonly<Record<string, string>> = {}): Seen => {
      rmSync(inRoot('root/told'), { force: true });
      const script = `${PRELUDE}\n${command}\nstatus=$?\nsettle\nexit $status`;
      const { status, stdout, stderr } = run(['sh', '-c', script], { env });
      const left = readdirSync(inRoot('var/lib/tklbam-hooks/sessions'));
      assert.deepEqual(
        left.filter(name => name !== 'CACHEDIR.TAG'),
        [],
        stderr,
      );
      assert.doesNotMatch(stderr, /^(nobody was told|left): /m);
      const text = existsSync(inRoot('root/told')) ? readFileSync(inRoot('root/told'), 'utf8') : '';
      const hooks = text
        .split(/^(?=event=)/m)
        .filter(Boolean)
        .map(part =>
          Object.fromEntries([...part.matchAll(/^(.*?)=(.*)$/gm)].map(([, name, value]) => [name, value])),
        );
      return { status, stdout: stdout.replaceAll('\r', ''), stderr, hooks };
    };
    /** A new backup, not one that resumes what an earlier test has left. */
    const seeAnew = (command: string, env: Readonly<Record<string, string>> = {}): Seen => {
      rmSync(mark, { force: true });
      return see(command, env);
    };
    const told = ({ hooks }: Seen): string => hooks.map(({ event }) => event).join(', ');
    const pathOf = (event: string): string => `\`/etc/tklbam/hooks.d/${event}\``;
    /** The last line of a traceback that holds nothing but calls, of tklbam and of hooks.py. What the guardian says may follow it. */
    const assertRaised = ({ stderr }: Seen, error: string): void => {
      const lines = stderr.split('\n').filter(line => line !== '' && !line.startsWith('tklbam-hooks: '));
      assert.equal(lines.at(-1), error, stderr);
      assert.equal(stderr.match(/^Traceback/gm)?.length, 1, stderr);
      assert.doesNotMatch(stderr, /is left|current directory|[Ee]xception ignored|During handling/);
    };
    /** `error`, a pattern, is what the hooks of the state error heard. */
    const assertFailed = (seen: Seen, status: number, events: string, error: string): void => {
      assert.deepEqual([seen.status, told(seen)], [status, events], seen.stderr);
      const heard = seen.hooks.flatMap(({ TKLBAM_HOOK_ERROR }) => TKLBAM_HOOK_ERROR ?? []);
      // One of post that runs after a failure is told too.
      const others = events.includes('b backup post, a backup post, b backup error') ? 1 : 0;
      assert.equal(heard.length, (events.match(/ error/g)?.length ?? 0) + (error === GONE ? 0 : others));
      for (const each of heard) assert.match(each, new RegExp(`^${error}$`));
    };
    const GONE = "the caller, 'tklbam-\\w+' \\(pid \\d+\\), ended before post";

    await t.test('a backup and a restore', () => {
      const backup = seeAnew('tklbam-backup');
      assert.deepEqual([backup.status, backup.stdout, backup.stderr], [0, 'working\ndone\n', '']);
      assert.equal(
        told(backup),
        'a backup pre, b backup pre, a backup inspect, b backup inspect, b backup post, a backup post',
      );
      assert.deepEqual(
        backup.hooks.map(({ cwd }) => cwd),
        ['/root', '/root', '/TKLBAM', '/TKLBAM', '/root', '/root'],
      );
      assert.ok(backup.hooks.every(({ TKLBAM_PROFILE_ID }) => TKLBAM_PROFILE_ID === 'core'));
      assert.ok(!existsSync(mark));

      const restore = see('tklbam-restore');
      assert.deepEqual([restore.status, restore.stdout, restore.stderr], [0, 'working\ndone\n', '']);
      assert.deepEqual(
        restore.hooks.map(({ event, cwd, TKLBAM_BACKUP_EXTRACT_PATH }) =>
          `${event} ${cwd} ${TKLBAM_BACKUP_EXTRACT_PATH}`.replace(/tklbam-\w+/g, 'X'),
        ),
        [
          'a restore pre /root undefined',
          'b restore pre /root undefined',
          'a restore inspect /tmp/X/TKLBAM /tmp/X',
          'b restore inspect /tmp/X/TKLBAM /tmp/X',
          'b restore post /root /tmp/X',
          'a restore post /root /tmp/X',
        ],
      );
    });

    await t.test('logrotate keeps the log to root, and status reads what it has put away', () => {
      const command = `logrotate --force /etc/logrotate.d/tklbam-hooks && tklbam-hooks status
stat -c %a /var/log/tklbam-hooks.log* && tklbam-restore && tklbam-hooks status`;
      const { stdout, stderr } = see(command);
      const status = '(\\w+: good, .*\n){2}(\nThe hooks of the \\w+ of .*:\n( {2}[ab] .*\n){2}){2}';
      assert.match(stdout, new RegExp(`^${status}(600\n){2}working\ndone\n${status}$`), stderr);
    });

    await t.test('wrap: hooks have the values of /etc/default/tklbam-hooks, its command does not', () => {
      const { stdout, hooks } = see(`echo TKLBAM_TEST=yes >>/etc/default/tklbam-hooks
tklbam-hooks wrap backup -- sh -c 'echo "$TKLBAM_TEST"'; sed -i '/^TKLBAM_TEST/d' /etc/default/tklbam-hooks`);
      assert.equal(stdout, '\n');
      assert.deepEqual(
        hooks.map(({ TKLBAM_TEST }) => TKLBAM_TEST),
        ['yes', 'yes', 'yes', 'yes'],
      );
    });

    await t.test('one that raises: error, at once', () => {
      const backup = seeAnew('tklbam-backup', { WORK: 'false' });
      assertRaised(backup, 'Exception: duplicity failed');
      const events =
        'a backup pre, b backup pre, a backup inspect, b backup inspect, b backup error, a backup error';
      const said = "the caller, 'tklbam-\\w+' \\(pid \\d+\\), failed: Exception: duplicity failed";
      assertFailed(backup, 1, events, said);
      // Its log is closed by then: this comes where tklbam's own last words do, which may be a socket, as here, or a pipe.
      assert.match(backup.stderr, new RegExp(`^tklbam-hooks: ${said}$`, 'm'));
      const piped = seeAnew('tklbam-backup 2>&1 | cat', { WORK: 'false' });
      assert.match(piped.stdout, new RegExp(`^tklbam-hooks: ${said}$`, 'm'));
      // A FIFO that nobody reads any more would be waited for.
      const unread = seeAnew('mkfifo said; { : <said; : >gone; } & tklbam-backup >said 2>&1', {
        WORK: 'until [ -e gone ]; do sleep 0.02; done; false',
      });
      assert.equal(told(unread), events);
      assert.ok(backup.hooks.every(hook => !('AWS_ACCESS_KEY_ID' in hook)));
      assert.ok(existsSync(mark));
      const restore = see('tklbam-restore', { WORK: 'false' });
      assertFailed(restore, 1, events.replaceAll('backup', 'restore'), said);
    });

    const pre = 'a backup pre, b backup pre';
    for (const [fail, events, stdout] of [
      ['a backup pre', 'a backup pre, a backup error', ''],
      ['b backup inspect', `${pre}, a backup inspect, b backup inspect, b backup error, a backup error`, ''],
      [
        'b backup post',
        `${pre}, a backup inspect, b backup inspect, b backup post, a backup post, b backup error, a backup error`,
        'working\n',
      ],
    ] as const) {
      await t.test(`a hook that fails: ${fail}`, () => {
        const backup = seeAnew('tklbam-backup', { FAIL: fail });
        const rest = fail === 'a backup pre' ? ', the hooks after it were not run' : '';
        const error = `${pathOf(fail)} non-zero exitcode (3)${rest}`;
        // tklbam raises what it was answered; nobody says it twice.
        assert.equal(backup.stdout, stdout);
        assertFailed(backup, 1, events, error.replace(/[()]/g, '\\$&'));
        assertRaised(backup, `hooks.HookError: ${error}`);
        // Either it was uploaded, or nothing was: there is nothing to resume.
        assert.ok(!existsSync(mark));
      });
    }

    await t.test('nothing red gets into the log of tklbam, which shows its terminal', () => {
      const log = inRoot('var/log/tklbam-backup');
      const backup = seeAnew('tklbam-backup', { FAIL: 'b backup inspect', TERM: 'xterm-256color' });
      assert.equal(backup.status, 1);
      for (const text of [backup.stdout, backup.stderr, readFileSync(log, 'latin1')])
        assert.ok(!text.includes('\x1b'), text);
    });

    const guardianPid = `for p in /proc/[0-9]*; do
  if { tr '\\0' ' ' <$p/cmdline; } 2>/dev/null | grep -q '^/usr/bin/tklbam-hooks session '; then echo \${p#/proc/}; fi
done`;
    for (const [signal, error] of [
      ['TERM', 'the guardian of the session was ended by signal SIGTERM'],
      ['KILL', '/usr/bin/tklbam-hooks was killed by signal 9 and did not answer'],
    ] as const) {
      await t.test(`the guardian is ended in the middle, ${signal}: hooks are told all the same`, () => {
        const backup = seeAnew(`start tklbam-backup; kill -s ${signal} $(${guardianPid}); rm wait; wait $!`);
        const events =
          'a backup pre, b backup pre, a backup inspect, b backup inspect, b backup error, a backup error';
        assert.deepEqual([backup.status, told(backup)], [1, events], backup.stderr);
        assertRaised(backup, `hooks.HookError: ${error}`);
      });
    }

    await t.test('a hook whose name is beyond ASCII', () => {
      place(inRoot('etc/tklbam/hooks.d'), 'ü', HOOK);
      const restore = see('tklbam-restore', { FAIL: 'ü restore pre' });
      assertRaised(restore, `hooks.HookError: ${pathOf('ü restore pre')} non-zero exitcode (3)`);
      rmSync(inRoot('etc/tklbam/hooks.d/ü'));
    });

    await t.test('a directory and a value that are not UTF-8', () => {
      const command = `odd=$(printf 'caf\\351'); mkdir "$odd"; cd "$odd"
TKLBAM_ODD="$odd\\é" tklbam-restore; status=$?
cd ..; rmdir "$odd"
export LC_ALL=C
grep -acFx "cwd=/root/$odd" told; grep -acFx "TKLBAM_ODD=$odd\\é" told; (exit $status)`;
      const { status, stdout, stderr } = see(command);
      assert.deepEqual([status, stdout, stderr], [0, 'working\ndone\n4\n6\n', '']);
    });

    await t.test(
      'after a failing post the next backup is a new one; after a failing upload it resumes',
      () => {
        seeAnew('tklbam-backup', { FAIL: 'a backup post' });
        assert.equal(see('tklbam-backup').stdout, 'working\ndone\n');
        seeAnew('tklbam-backup', { WORK: 'false' });
        assert.equal(see('tklbam-backup').stdout, 'Implicit --resume\nworking\ndone\n');
        // What is left of an upload is still to be resumed, whatever hooks of the one that resumed it did.
        seeAnew('tklbam-backup', { WORK: 'false' });
        see('tklbam-backup', { FAIL: 'b backup inspect' });
        assert.equal(see('tklbam-backup').stdout, 'Implicit --resume\nworking\ndone\n');
      },
    );

    await t.test('hooks hear of --resume, said or implicit, and of --simulate', () => {
      const heard = (command: string): string => {
        const { status, stderr, hooks } = see(command);
        assert.equal(status, 0, stderr);
        const each = hooks.map(
          ({ TKLBAM_HOOK_RESUME = 'no', TKLBAM_HOOK_SIMULATE = 'no' }) =>
            `${TKLBAM_HOOK_RESUME} ${TKLBAM_HOOK_SIMULATE}`,
        );
        return [...new Set(each)].join();
      };
      seeAnew('tklbam-backup', { WORK: 'false' });
      assert.equal(heard('tklbam-backup'), 'yes no');
      assert.equal(heard('tklbam-backup'), 'no no');
      assert.equal(heard('tklbam-backup --resume'), 'yes no');
      assert.equal(heard('tklbam-backup --simulate'), 'no yes');
      assert.equal(heard('tklbam-restore -s'), 'no yes');
      assert.equal(heard('TKLBAM_HOOK_RESUME=yes TKLBAM_HOOK_SIMULATE=yes tklbam-backup'), 'no no');
      seeAnew('tklbam-backup', { WORK: 'false' });
      assert.equal(heard('tklbam-backup --disable-resume'), 'no no');
      // tklbam would build everything anew then, and a hook that skipped its dump would have lost it.
      seeAnew('tklbam-backup', { FAIL: 'a backup pre' });
      assert.equal(heard('tklbam-backup'), 'no no');
      // As old or other callers have it, without the variables of main().
      const bare = `cd /usr/lib/tklbam && ${python} -c 'import hooks; hooks.restore.pre(); hooks.restore.post()'`;
      assert.equal(heard(bare), 'no no');
      assert.equal(heard(`${bare} --simulate`), 'no yes');
      assert.equal(heard(`${bare} --resume -s`), 'yes yes');
    });

    for (const [signal, status] of [
      ['TERM', 143],
      ['HUP', 129],
      ['KILL', 137],
    ] as const) {
      await t.test(`tklbam is killed in the middle, ${signal}`, () => {
        // What tklbam had started goes on, and must not keep it from them.
        const command = `start tklbam-backup; kill -s ${signal} $!; awaits 'a backup error'; rm wait; wait $!`;
        const backup = seeAnew(command);
        const events = `${pre}, a backup inspect, b backup inspect, b backup error, a backup error`;
        assertFailed(backup, status, events, GONE);
        assert.match(backup.stdout, new RegExp(`^working\\ntklbam-hooks: ${GONE}\\n(?:Terminated\\n)?$`));
      });
    }

    await t.test('... while a hook of pre runs: that one is ended', () => {
      const backup = seeAnew('start env WAIT="a backup pre" tklbam-backup; kill -s KILL $!; wait $!');
      assertFailed(backup, 137, 'a backup pre, a backup error', GONE);
    });

    await t.test('... while a hook of post runs: post goes to its end', () => {
      const command =
        'WORK=: start env WAIT="b backup post" tklbam-backup; kill -s KILL $!; wait $!; status=$?; rm wait; (exit $status)';
      const backup = seeAnew(command);
      const events = `${pre}, a backup inspect, b backup inspect, b backup post, a backup post, b backup error, a backup error`;
      assertFailed(backup, 137, events, GONE);
      // All of it was uploaded: the next one is not to resume it.
      assert.ok(!existsSync(mark));
    });

    await t.test('Ctrl-C while a hook runs', () => {
      const backup = seeAnew('start env WAIT="a backup inspect" tklbam-backup; kill -s INT $!; wait $!');
      assertRaised(backup, 'KeyboardInterrupt');
      assert.equal(told(backup), `${pre}, a backup inspect, b backup error, a backup error`);
    });

    await t.test('two at once: the second is turned away, and the first goes on', () => {
      const restore = see('start tklbam-restore; tklbam-restore; echo "second: $?"; rm wait; wait $!');
      assert.equal(restore.status, 0, restore.stderr);
      assert.match(restore.stdout, /second: 1\n/);
      assert.match(
        restore.stderr,
        /^hooks\.HookError: another session is running: the restore 'tklbam-restore', pid \d+, since \S+ \S+, called by 'tklbam-restore' \(pid \d+\); no hook was run$/m,
      );
      assert.equal(
        told(restore).replace(/restore /g, ''),
        'a pre, b pre, a inspect, b inspect, b post, a post',
      );
      // tklbam's own lock goes with tklbam, not with our guardian.
      const backup = seeAnew('start tklbam-backup; tklbam-backup; echo "second: $?"; rm wait; wait $!');
      assert.deepEqual([backup.status, backup.stdout.includes('second: 1')], [0, true]);
      assert.equal(backup.stderr, 'error: a previous backup is still in progress\n');
    });

    await t.test('one start of the program; nothing that tklbam has open gets to it or to hooks', () => {
      const wrapper = '#!/bin/sh\\necho "$*" >>/root/starts\\nexec /usr/bin/program "$@"\\n';
      const command = `mv /usr/bin/tklbam-hooks /usr/bin/program
printf '${wrapper}' >/usr/bin/tklbam-hooks; chmod +x /usr/bin/tklbam-hooks
mkdir -p /root/registry/profile
TKLBAM_REGISTRY=/root/registry tklbam-backup; status=$?
mv /usr/bin/program /usr/bin/tklbam-hooks
rm -r /root/registry
(exit $status)`;
      for (const open of ['0', '30', '300']) {
        rmSync(inRoot('root/starts'), { force: true });
        const backup = see(command, { OPEN: open });
        assert.deepEqual([backup.status, backup.stderr], [0, '']);
        const [start = '', ...more] = readFileSync(inRoot('root/starts'), 'utf8').trimEnd().split('\n');
        assert.deepEqual(more, []);
        assert.match(start, /^session --ahead \d+$/);
        assert.equal(backup.hooks.length, 6);
        for (const { descriptors, guardian, open } of backup.hooks) {
          assert.deepEqual([descriptors, guardian], ['0 1 2 3', `/usr/bin/program ${start} `]);
          assert.equal(open, '');
        }
      }
    });

    /** Of a caller that does so much between `import hooks` and `pre`: what the guardian was started with, a line of each. */
    const started = (between: string, command = `${python} /root/tklbam-backup`): Seen => {
      place(
        inRoot('root'),
        'tklbam-backup',
        `import json, os, signal, socket, subprocess, sys, time
sys.path.insert(0, "/usr/lib/tklbam")
import hooks
${between}
hooks.backup.pre()
hooks.backup.post()
`,
      );
      return see(command);
    };
    const guardians = ({ hooks }: Seen): string =>
      [...new Set(hooks.map(({ guardian = '' }) => guardian.replace(/^\S+ | \d+ $/g, '')))].join();

    await t.test('a guardian that was started at the import of hooks.py is ready before pre', () => {
      const seen = started('');
      assert.deepEqual([seen.status, seen.stderr, guardians(seen)], [0, '', 'session --ahead']);
      // It is not what it was started with that counts, but what tklbam has by then.
      const moved = started(`os.environ["TKLBAM_HOOKS"] = "/root/hooks2"
os.environ["TKLBAM_LATE"] = "yes"
os.makedirs("/root/hooks2")
subprocess.check_call(["cp", "-p", "/etc/tklbam/hooks.d/a", "/root/hooks2/late"])
os.chdir("/root/hooks2")`);
      assert.deepEqual(
        [told(moved), guardians(moved)],
        ['late backup pre, late backup post', 'session --ahead'],
      );
      assert.deepEqual(
        moved.hooks.map(({ TKLBAM_LATE, cwd }) => `${TKLBAM_LATE} ${cwd}`),
        ['yes /root/hooks2', 'yes /root/hooks2'],
      );
      rmSync(inRoot('root/hooks2'), { recursive: true });
    });

    await t.test('... but another one, where it would have had something else of tklbam', () => {
      for (const change of [
        'os.umask(0o77)',
        'os.nice(1)',
        'os.setpgid(0, 0)',
        'os.dup2(os.open("/root/output", os.O_WRONLY | os.O_CREAT), 1)',
        'os.dup2(os.open("/dev/zero", os.O_RDONLY), 0)',
        'import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))',
        'hooks._ahead.process.kill()',
        'hooks._ahead.process.kill(); hooks._ahead.process.wait()',
        'if os.fork(): os._exit(os.wait()[1] >> 8)',
      ]) {
        const seen = started(change);
        assert.deepEqual([seen.status, seen.stderr, told(seen).split(', ').length], [0, '', 4], change);
        assert.equal(guardians(seen), 'session backup --control', change);
      }
    });

    await t.test('... and none that stays, where pre does not come', () => {
      for (const [end, status] of [
        ['sys.exit("usage: tklbam-backup")', 1],
        ['os._exit(0)', 0],
        ['os.execv("/bin/true", ["true"])', 0],
        ['os.kill(os.getpid(), signal.SIGKILL)', 137],
      ] as const) {
        const seen = started(end);
        assert.deepEqual([seen.status, told(seen)], [status, ''], seen.stderr);
      }
      const others = started(
        'print(hooks._ahead.process)',
        `${python} -c 'exec(open("/root/tklbam-backup").read())'`,
      );
      assert.deepEqual([others.stdout, guardians(others)], ['None\n', 'session backup --control']);
    });

    await t.test('nobody else can answer in its place', () => {
      const seen = started(`
class First(object):
    def __init__(self, socket):
        self.socket = socket
        self.close = socket.close

    def sendall(self, orders, flags):
        name = json.loads(orders.decode())["argv"][-1][1:]
        self.stranger = socket.socket(socket.AF_UNIX)
        self.stranger.connect("\\0" + name)
        self.stranger.sendall(b'{"status": 0, "error": null, "results": []}\\n')
        self.socket.sendall(orders, flags)

hooks._ahead.socket = First(hooks._ahead.socket)`);
      assert.deepEqual(
        [seen.status, told(seen), guardians(seen)],
        [0, 'a backup pre, b backup pre, b backup post, a backup post', 'session --ahead'],
        seen.stderr,
      );
    });

    await t.test("hooks are where tklbam's own configuration has them", () => {
      const conf = (command: string): Seen =>
        seeAnew(`mkdir -p /root/conf2/hooks.d; cp -p /etc/tklbam/hooks.d/a /root/conf2/hooks.d/moved
TKLBAM_CONF=/root/conf2 ${command}; status=$?; rm -r /root/conf2; (exit $status)`);
      const moved = 'moved backup pre, moved backup inspect, moved backup post';
      assert.equal(told(conf('tklbam-backup')), moved);
      // Relative to where tklbam was called.
      assert.equal(told(conf('env TKLBAM_CONF=conf2 tklbam-backup')), moved);
      const other = conf('env TKLBAM_HOOKS=/etc/tklbam/hooks.d tklbam-backup');
      assert.match(told(other), /^a backup pre, b backup pre, /);
      const absent = conf('env TKLBAM_CONF=/root/none tklbam-backup');
      const error =
        "there is no hooks directory '/root/none/hooks.d', no hook was run (make it, or correct what names it)";
      assert.deepEqual([absent.status, told(absent)], [1, '']);
      assertRaised(absent, `hooks.HookError: ${error}`);
    });

    await t.test('... so for tklbam3, which has a directory of its own', () => {
      buildTklbam(inRoot('root'), '3', { name: 'tklbam3', python });
      const installed = run([
        'sh',
        '-c',
        'dpkg -i /root/tklbam3_*.deb && chmod a-x /etc/tklbam3/hooks.d/fixclock',
      ]);
      assert.equal(installed.status, 0, installed.stderr);
      place(inRoot('etc/tklbam3/hooks.d'), 'c', HOOK);
      const backup = seeAnew('tklbam3-backup');
      assert.deepEqual(
        [backup.status, backup.stderr, told(backup)],
        [0, '', 'c backup pre, c backup inspect, c backup post'],
      );
    });

    await t.test('a program that is not there, cannot be started, or ends at once', () => {
      const without = (change: string, error: RegExp): void => {
        const command = `mv /usr/bin/tklbam-hooks /usr/bin/program
${change}
tklbam-backup; status=$?
rm -f /usr/bin/tklbam-hooks; mv /usr/bin/program /usr/bin/tklbam-hooks
(exit $status)`;
        const backup = seeAnew(command);
        assert.deepEqual([backup.status, backup.stdout, told(backup)], [1, '', '']);
        const [last = ''] = backup.stderr.split('\n').slice(-2);
        assert.match(last, error);
        assertRaised(backup, last);
      };
      const remedy = '\\(apt install --reinstall tklbam-hooks\\)$';
      const cannot = '^hooks\\.HookError: cannot start /usr/bin/tklbam-hooks: ';
      without(':', new RegExp(`${cannot}No such file or directory ${remedy}`));
      without('touch /usr/bin/tklbam-hooks', new RegExp(`${cannot}Permission denied ${remedy}`));
      without(
        'printf "garbage" >/usr/bin/tklbam-hooks; chmod +x /usr/bin/tklbam-hooks',
        new RegExp(`${cannot}Exec format error ${remedy}`),
      );
      const ended = (how: string): RegExp =>
        new RegExp(`^hooks\\.HookError: /usr/bin/tklbam-hooks ${how} and did not answer$`);
      without('ln -s /bin/true /usr/bin/tklbam-hooks', ended('ended with exit status 0'));
      without(
        'printf "#!/bin/sh\\nkill -9 \\$\\$\\n" >/usr/bin/tklbam-hooks; chmod +x /usr/bin/tklbam-hooks',
        ended('was killed by signal 9'),
      );
    });
  });
}
