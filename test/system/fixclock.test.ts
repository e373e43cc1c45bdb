// fixclock for real: Debian and its tools, in a chroot with namespaces of its own, not permitted to set the clock.
import assert from 'node:assert/strict';
import { execFileSync, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bundle, node } from '../support/built.ts';
import { cacheDirectory, PATIENCE_MS } from '../support/harness.ts';
import { type NtpServer, startNtpServer } from '../support/ntp-server.ts';
import { repository } from '../support/repository.ts';

interface Machine {
  readonly suite?: 'bullseye' | 'bookworm' | 'trixie';
  /** Shell commands that change the machine first. Its root is their directory. */
  readonly prepare?: string;
  /** The whole environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: `fixclock backup pre` of the bundle. */
  readonly command?: readonly string[];
}

const fixclockCommand = [node, bundle(), 'fixclock', '--verbose', 'backup', 'pre'];
const trees = new Map<string, string>();
const tools = { bullseye: ['ntpdate', 'sntp'], bookworm: ['ntpsec-ntpdate'], trixie: ['ntpsec-ntpdate'] };
let directory: string;
let server: NtpServer;

before(async () => {
  assert.equal(process.getuid?.(), 0, 'only root can make a chroot and namespaces');
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  directory = mkdtempSync(join(cacheDirectory, 'fixclock-'));
  server = await startNtpServer(directory);
});
after(() => {
  server?.stop();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

/** The unpacked tree of a suite. Nothing writes to it. */
function tree(suite: keyof typeof tools): string {
  const known = trees.get(suite);
  if (known !== undefined) return known;
  const packages = [...tools[suite], 'chrony', 'systemd', 'iproute2'];
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const tar = execFileSync(join(repository, 'test/vm/tree'), [suite, ...packages], {
    encoding: 'utf8',
    stdio: [...stdio],
  }).trim();
  const path = join(directory, suite);
  mkdirSync(path);
  execFileSync('tar', ['-xf', tar, '-C', path]);
  trees.set(suite, path);
  return path;
}

const ENTER = `
lower=$1 scratch=$2 project=$3 prepare=$4
shift 4
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$scratch/root"
cd "$scratch/root"
mkdir -p ".$project"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -o ro,bind "$project" ".$project"
eval "$prepare"
exec chroot . "$@"
`;

function onMachine({
  suite = 'bookworm',
  prepare = '',
  env = {},
  command = fixclockCommand,
}: Machine): SpawnSyncReturns<string> {
  const lower = tree(suite);
  const scratch = mkdtempSync(join(directory, 'machine-'));
  const given = { NTPSERVER: '127.0.0.1', ...env };
  const [file = '', ...args] = [
    ...server.enter,
    ...['setpriv', '--bounding-set=-sys_time', '--inh-caps=-sys_time'],
    ...['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-euc', ENTER, 'sh'],
    ...[lower, scratch, repository, prepare],
    ...['/usr/bin/env', '-i', ...Object.entries(given).map(([name, value]) => `${name}=${value}`)],
    ...command,
  ];
  const result = spawnSync(file, args, { encoding: 'utf8', timeout: PATIENCE_MS, killSignal: 'SIGKILL' });
  rmSync(scratch, { recursive: true });
  return result;
}

/** A shell command that puts a program into the machine. */
function fake(name: string, body: string): string {
  const text = `#!/bin/sh\n${body}\n`.replaceAll("'", "'\\''");
  return `rm -f usr/bin/${name} usr/sbin/${name}; printf '%s' '${text}' >usr/sbin/${name}; chmod 755 usr/sbin/${name}\n`;
}
const remove = (...names: string[]): string =>
  names.map(name => `rm -f usr/bin/${name} usr/sbin/${name}\n`).join('');
/** A process with that name, and nothing else. */
const daemon = (name: string): string =>
  `cp usr/bin/sleep usr/sbin/${name}; chroot . /usr/sbin/${name} 600 >/dev/null 2>&1 &\n`;
/** In place of the 60 s and 5 s: a second. */
const impatient = `mv usr/bin/timeout usr/bin/timeout.real; ${fake('timeout', 'shift 3; exec /usr/bin/timeout.real -k 1 1 "$@"')}`;

function assertEnds(
  result: SpawnSyncReturns<string>,
  status: number,
  stdout: string | RegExp,
  stderr: string | RegExp,
): void {
  const told = `status ${result.status}, stdout:\n${result.stdout}\nstderr:\n${result.stderr}`;
  assert.equal(result.status, status, told);
  if (typeof stdout === 'string') assert.equal(result.stdout, stdout, told);
  else assert.match(result.stdout, stdout, told);
  if (typeof stderr === 'string') assert.equal(result.stderr, stderr, told);
  else assert.match(result.stderr, stderr, told);
}

const set = 'fixclock: set the clock from 127.0.0.1, with ntpdate\n';
const done = fake('ntpdate', 'exit 0');

for (const state of ['inspect', 'post', 'error']) {
  test(`in state ${state} nothing is said and nothing is run`, () => {
    const command = [...fixclockCommand.slice(0, -1), state];
    assertEnds(onMachine({ command, prepare: fake('ntpdate', 'echo ran >&2; exit 1') }), 0, '', '');
  });
}

test('on restore pre the clock is set too', () => {
  const command = [...fixclockCommand.slice(0, -2), 'restore', 'pre'];
  assertEnds(onMachine({ command, prepare: done }), 0, '', set);
  const failed = onMachine({ command, prepare: fake('ntpdate', 'exit 1') });
  assertEnds(failed, 1, '', /this stops the restore\.\n/);
});

for (const suite of ['bullseye', 'bookworm', 'trixie'] as const) {
  // systemd-detect-virt of Debian 13 calls each namespace for processes a container.
  const prepare = suite === 'trixie' ? remove('systemd-detect-virt') : '';

  test(`${suite}: ntpdate without permission to set the clock is a failure`, () => {
    const result = onMachine({ suite, prepare });
    assertEnds(
      result,
      1,
      '',
      /^Command: ntpdate -u 127\.0\.0\.1\nResult: {2}not permitted to set the clock/m,
    );
    assert.match(result.stderr, /^ .*Operation not permitted$|^Output: .*Operation not permitted$/m);
  });

  test(`${suite}: a server that does not answer is a failure`, () => {
    const result = onMachine({ suite, prepare, env: { NTPSERVER: '127.0.0.9' } });
    assertEnds(
      result,
      1,
      '',
      /^Result: {2}exit status 1\nOutput: .*no (?:eligible servers|server suitable)/m,
    );
  });

  test(`${suite}: a server whose name is unknown is a failure`, () => {
    const result = onMachine({ suite, prepare, env: { NTPSERVER: 'no.such.host.invalid' } });
    assertEnds(result, 1, '', /^Command: ntpdate -q -u no\.such\.host\.invalid\nResult: {2}exit status 1\n/m);
  });

  test(`${suite}: without ntpdate, chronyd is used, also beside a chronyd that runs`, () => {
    const alone = onMachine({ suite, prepare: prepare + remove('ntpdate') });
    const words = "^Command: chronyd -q -t 50 'server 127\\.0\\.0\\.1 iburst' 'cmdport 0'";
    const reason = '\\nResult:  not permitted to set the clock';
    assertEnds(alone, 1, '', new RegExp(`${words}${reason}`, 'm'));

    const other =
      "chroot . chronyd -x 'server 127.0.0.9' 'cmdport 0'; chroot . ls -ln /run/chrony >run/before\n";
    const beside = onMachine({
      suite,
      prepare: prepare + remove('ntpdate') + other,
      command: [
        'sh',
        '-c',
        '"$@"; s=$?; ls -ln run/chrony | diff run/before - >&2; exit $s',
        'sh',
        ...fixclockCommand,
      ],
    });
    assertEnds(beside, 1, '', new RegExp(`${words} 'bindcmdaddress /' 'pidfile \\S+'${reason}`, 'm'));
    assert.doesNotMatch(beside.stderr, /^[<>]/m, "the other chronyd's files are as they were");
  });

  test(`${suite}: without ntpdate and chronyd, sntp or ntpdig is used`, () => {
    const result = onMachine({ suite, prepare: prepare + remove('ntpdate', 'chronyd') });
    const tool = suite === 'bullseye' ? 'sntp' : 'ntpdig';
    assertEnds(
      result,
      1,
      '',
      new RegExp(`^Command: ${tool} -S 127\\.0\\.0\\.1\\nResult:  not permitted`, 'm'),
    );
  });
}

test('without any tool, the message names the package to install', () => {
  const prepare = remove('ntpdate', 'chronyd', 'ntpdig', 'sntp');
  assertEnds(onMachine({ prepare }), 1, '', /apt install chrony/);
});

test('a server that answers garbage is a failure', async () => {
  const answer = `
    const socket = require('node:dgram').createSocket('udp4');
    socket.on('message', (_, from) => socket.send('\\x1b[31mgarbage', from.port, from.address));
    socket.bind(123, '127.0.0.3', () => console.log('ready'));`;
  const [file = '', ...args] = [...server.enter, process.execPath, '-e', answer];
  const garbage = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise(resolve => garbage.stdout.once('data', resolve));
    const result = onMachine({ env: { NTPSERVER: '127.0.0.3' } });
    assertEnds(result, 1, '', /^Command: ntpdate -q -u 127\.0\.0\.3\nResult: {2}exit status 1\n/m);
  } finally {
    garbage.kill('SIGKILL');
  }
});

test('servers are tried in turn until one succeeds', () => {
  const prepare = fake('ntpdate', 'echo "$*" >>/run/asked; case "$*" in *second) ;; *) exit 1 ;; esac');
  const command = ['sh', '-c', '"$@" && cat /run/asked', 'sh', ...fixclockCommand];
  const result = onMachine({ prepare, command, env: { NTPSERVER: ' first second third' } });
  const asked = '-q -u first\n-q -u second\n-u second\n';
  assertEnds(result, 0, asked, 'fixclock: set the clock from second, with ntpdate\n');
});

test('a server that would be an option is refused, and nothing is run', () => {
  const prepare = fake('ntpdate', 'echo ran >&2');
  const result = onMachine({ prepare, env: { NTPSERVER: 'good -d' } });
  assertEnds(result, 1, '', /^NTPSERVER: '-d' is neither a host name nor an address$/m);
  assert.doesNotMatch(result.stderr, /^ran$/m);
});

test('with FIXCLOCK=warn a failure is a warning', () => {
  const prepare = fake('ntpdate', 'exit 1');
  const result = onMachine({ prepare, env: { FIXCLOCK: 'warn' } });
  assertEnds(result, 0, '', /^fixclock: warning: could not set the clock, going on\n/);
});

test('an unknown FIXCLOCK is told, and ignored', () => {
  const line = "fixclock: FIXCLOCK is 'off\\x1b', it can only be 'warn' or 'step', ignoring it\n";
  assertEnds(onMachine({ prepare: done, env: { FIXCLOCK: 'off\x1b' } }), 0, '', line + set);
  const failed = onMachine({ prepare: fake('ntpdate', 'exit 1'), env: { FIXCLOCK: 'off' } });
  assertEnds(failed, 1, '', /^fixclock: FIXCLOCK is 'off'.*\nfixclock: could not set the clock\n/);
  assertEnds(onMachine({ prepare: done, env: { FIXCLOCK: '' } }), 0, '', set);
});

test('FIXCLOCK and NTPSERVER of /etc/default/tklbam-hooks count', () => {
  const prepare = `${fake('ntpdate', 'exit 1')} printf 'FIXCLOCK=warn\\n' >etc/default/tklbam-hooks`;
  assertEnds(onMachine({ prepare }), 0, '', /^fixclock: warning: /);
});

// A tool, a variable or a file that is missing.

for (const [what, env] of [
  ['no PATH', {}],
  ['an empty PATH', { PATH: '' }],
  ['a relative PATH', { PATH: 'bin:.' }],
  ['a short PATH', { PATH: '/nonexistent' }],
] as const) {
  test(`with ${what} the tools are found`, () => {
    assertEnds(onMachine({ prepare: done, env }), 0, '', set);
  });
}

for (const tool of ['timeout', 'setpriv', 'systemd-detect-virt', 'chronyc', 'ip', 'ps']) {
  test(`without ${tool} the clock is set all the same`, () => {
    const prepare = done + daemon('chronyd') + remove(tool);
    assertEnds(onMachine({ prepare }), 0, '', set);
  });
}

test('without timeout and without an end, the tool is ended all the same', () => {
  // 5 s for systemd-detect-virt, whose limit is the same function's.
  const prepare = done + remove('timeout') + fake('systemd-detect-virt', 'sleep 600 & wait');
  assertEnds(onMachine({ prepare }), 0, '', set);
});

for (const [what, prepare] of [
  ['/proc', 'umount proc; rmdir proc\n'],
  ['/run', 'umount run; rm -rf run\n'],
  ['/dev', 'umount -l dev\n'],
  ['/etc', 'rm -r etc\n'],
] as const) {
  test(`without ${what} the clock is set all the same`, () => {
    assertEnds(onMachine({ prepare: done + prepare }), 0, '', set);
  });
  test(`without ${what} and systemd-detect-virt the clock is set all the same`, () => {
    assertEnds(onMachine({ prepare: done + remove('systemd-detect-virt') + prepare }), 0, '', set);
  });
}

for (const [what, body] of [
  ['fails', 'echo docker; exit 3'],
  ['says nothing', 'exit 1'],
  ['says garbage', 'echo "$(head -c 8 /usr/bin/env)"'],
  ['cannot be started', ''],
  ['hangs', 'trap "" TERM; sleep 60'],
] as const) {
  test(`a systemd-detect-virt that ${what} does not count`, () => {
    const broken =
      body === ''
        ? 'printf "#!/no/such\\n" >usr/bin/systemd-detect-virt\n'
        : fake('systemd-detect-virt', body);
    const prepare = done + impatient + broken;
    assertEnds(onMachine({ prepare }), 0, '', set);
    assertEnds(
      onMachine({ prepare: `${prepare} touch .dockerenv` }),
      0,
      '',
      'fixclock: this is a container (docker), the host keeps the clock\n',
    );
  });
}

// Containers.

test('in a container as systemd-detect-virt knows it, the clock is left', () => {
  const prepare = fake('ntpdate', 'echo ran >&2; exit 1') + fake('systemd-detect-virt', 'echo lxc');
  assertEnds(
    onMachine({ prepare }),
    0,
    '',
    'fixclock: this is a container (lxc), the host keeps the clock\n',
  );
});

for (const [what, prepare] of [
  ['docker', 'touch .dockerenv'],
  ['podman', 'touch run/.containerenv'],
  ['lxc', 'mkdir -p run/systemd; echo lxc >run/systemd/container'],
  ['systemd-nspawn', 'mkdir -p run/host; echo systemd-nspawn >run/host/container-manager'],
] as const) {
  test(`in a container of ${what} without systemd-detect-virt, the clock is left, NTPSERVER right or not`, () => {
    const text = `fixclock: this is a container (${what}), the host keeps the clock\n`;
    const changes = remove('systemd-detect-virt', 'ntpdate', 'chronyd', 'ntpdig') + prepare;
    assertEnds(onMachine({ prepare: changes, env: { NTPSERVER: '-d' } }), 0, '', text);
  });
}

// Time daemons.

test('a real chronyd that is in sync keeps the clock', () => {
  const prepare = [
    fake('ntpdate', 'echo ran >&2; exit 1'),
    "chroot . chronyd -x 'server 127.0.0.1 iburst' 'cmdport 0'\n",
    'chroot . chronyc waitsync 1800 0 0 0.1 >/dev/null\n',
  ].join('');
  assertEnds(onMachine({ prepare }), 0, '', 'fixclock: chronyd keeps the clock in sync, leaving it\n');
});

test('a real chronyd that is not in sync does not, nor does one with no server but itself', () => {
  const unsynced = "chroot . chronyd -x 'server 127.0.0.9' 'cmdport 0'\n";
  assertEnds(onMachine({ prepare: done + unsynced }), 0, '', set);
  const local = "chroot . chronyd -x 'local stratum 5' 'cmdport 0'; chroot . chronyc tracking >&2\n";
  assertEnds(onMachine({ prepare: done + local }), 0, '', /^Reference ID {4}: 7F7F0101/);
});

test('systemd-timesyncd keeps the clock when it runs and has synchronised it, both', () => {
  const mark = 'mkdir -p run/systemd/timesync; touch run/systemd/timesync/synchronized\n';
  const text = 'fixclock: systemd-timesyncd keeps the clock in sync, leaving it\n';
  assertEnds(onMachine({ prepare: done + daemon('systemd-timesyncd') + mark }), 0, '', text);
  assertEnds(onMachine({ prepare: done + daemon('systemd-timesyncd') }), 0, '', set);
  assertEnds(onMachine({ prepare: done + mark }), 0, '', set);
});

for (const [name, program, answer] of [
  [
    'ntpd',
    'ntpq',
    'associd=0 status=c018 leap_none, sync_ntp, 1 event, no_sys_peer,\nleap=00, stratum=11, offset=0.1',
  ],
  ['openntpd', 'ntpctl', '1/1 peers valid, clock synced, stratum 11'],
] as const) {
  test(`${name} keeps the clock when it runs and says so`, () => {
    const says = fake(program, `cat <<'END'\n${answer}\nEND`);
    const text = `fixclock: ${name} keeps the clock in sync, leaving it\n`;
    assertEnds(onMachine({ prepare: done + daemon(name) + says }), 0, '', text);
    assertEnds(onMachine({ prepare: done + says }), 0, '', set);
    assertEnds(onMachine({ prepare: done + daemon(name) }), 0, '', set);
  });

  test(`a ${program} that hangs, fails or is broken does not hold things up`, () => {
    for (const body of ['sleep 60', 'exit 1', 'kill -SEGV $$', 'yes']) {
      assertEnds(onMachine({ prepare: done + impatient + daemon(name) + fake(program, body) }), 0, '', set);
    }
  });
}

// Which time is taken.

for (const suite of ['bullseye', 'bookworm', 'trixie'] as const) {
  for (const tool of ['ntpdate', 'chronyd', suite === 'bullseye' ? 'sntp' : 'ntpdig']) {
    test(`${suite}: ${tool} does not set the clock to that of a false server`, async () => {
      const all = ['ntpdate', 'chronyd', 'sntp', 'ntpdig'];
      const others = all.filter(name => name !== tool && !(tool === 'ntpdate' && name === 'ntpdig'));
      const prepare = remove('systemd-detect-virt', ...others);
      for (const [shiftS, expected] of [
        [-1_000_000_000, 'is before this program was made: not believed'],
        // Beyond 2036, where the seconds of NTP begin again: that of tools that take them for those of the last time is long ago.
        [700_000_000, '(?:is more than 15 years ahead|is before this program was made): not believed'],
        [300_000, 'is 3 days ahead of this clock: if it is right, FIXCLOCK=step takes it'],
      ] as const) {
        const stop = await startFalseServer(shiftS);
        try {
          const result = onMachine({ suite, prepare, env: { NTPSERVER: '127.0.0.4' } });
          assertEnds(result, 1, '', new RegExp(`^Result:  its time, [-0-9]+, ${expected}$`, 'm'));
        } finally {
          stop();
        }
      }
    });
  }
}

async function startFalseServer(shiftS: number): Promise<() => void> {
  const script = join(repository, 'test/support/false-ntp-server.cjs');
  const [file = '', ...args] = [...server.enter, node, script, String(shiftS), '127.0.0.4'];
  const falseServer = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise(resolve => falseServer.stdout.once('data', resolve));
  return () => falseServer.kill('SIGKILL');
}

test('when all is well nothing is said, and never anything on standard output', () => {
  const command = fixclockCommand.filter(word => word !== '--verbose');
  assertEnds(onMachine({ command, prepare: done }), 0, '', '');
  assertEnds(
    onMachine({ command, prepare: `${done} touch .dockerenv; ${remove('systemd-detect-virt')}` }),
    0,
    '',
    '',
  );
});

test("a directory in the place of a pid file is in nobody's way", () => {
  const prepare = `${remove('ntpdate')} mkdir -p run/chrony/fixclock.pid; chroot . chown -R _chrony: /run/chrony; chmod 750 run/chrony\n`;
  assertEnds(onMachine({ prepare }), 1, '', /^Result: {2}not permitted to set the clock/m);
});

const checkCommand = (): string[] => [
  'sh',
  '-c',
  `mkdir -p /etc/tklbam/hooks.d; install -m 755 ${repository}/hooks.d/fixclock /etc/tklbam/hooks.d; exec "$@"`,
  'sh',
  ...[node, bundle(), 'check'],
];
test('check asks the servers, and says by day that nobody answers', () => {
  const prepare = remove('systemd-detect-virt');
  assertEnds(onMachine({ prepare, command: checkCommand() }), 0, '', '');
  const silent = onMachine({ prepare, command: checkCommand(), env: { NTPSERVER: '127.0.0.9 127.0.0.8' } });
  assertEnds(silent, 1, /fixclock': no answer from 127\.0\.0\.9, 127\.0\.0\.8 on UDP port 123: /, '');
  const chronyd = onMachine({
    prepare: prepare + remove('ntpdate', 'ntpdig', 'sntp'),
    command: checkCommand(),
    env: { NTPSERVER: '127.0.0.9' },
  });
  assertEnds(chronyd, 1, /no answer from 127\.0\.0\.9/, '');
});
test('check says which setting of fixclock means nothing', () => {
  const warn = onMachine({ command: checkCommand(), env: { FIXCLOCK: 'Warn' } });
  assertEnds(warn, 1, /fixclock': FIXCLOCK is 'Warn', it can only be 'warn' or 'step' \(correct that/, '');
});

// The tool.

test('the tool gets nothing of the caller: the C locale, a PATH of the system, and nothing to read', () => {
  const prepare = fake('ntpdate', 'cat; pwd; env | sort >&2; exit 1');
  const env = { FOO: 'b a r', LC_ALL: 'de_DE.UTF-8', PATH: '/opt', HOME: '/home/ann', PYTHONPATH: '/tmp' };
  const result = onMachine({ prepare, env });
  const lines = ['Output:  /', 'LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'PWD=/'];
  assertEnds(result, 1, '', new RegExp(`^${lines.join('\n {9}')}\n\n`, 'm'));
});

for (const [where, put] of [
  ['the caller’s PATH', 'mkdir -m 755 opt/bin; cp usr/sbin/ntpdate opt/bin'],
  [
    'a directory that group staff can write to',
    'cp usr/sbin/ntpdate usr/local/sbin; chmod 2775 usr/local/sbin',
  ],
] as const) {
  test(`a tool in ${where} is not used`, () => {
    const prepare = `${fake('ntpdate', 'exit 1')} ${put}; ${done}`;
    assertEnds(onMachine({ prepare, env: { PATH: '/opt/bin:/usr/bin:/bin' } }), 0, '', set);
  });
}
test('a tool of /usr/local that root alone can write to is used', () => {
  const prepare = `${done} cp usr/sbin/ntpdate usr/local/sbin; ${fake('ntpdate', 'exit 1')} chmod 755 usr/local/sbin`;
  assertEnds(onMachine({ prepare }), 0, '', set);
});

for (const [what, body, result] of [
  ['ends on TERM', 'sleep 4321 & sleep 4321', 'not done after 60 s, ended'],
  // timeout(1) dies of its own KILL, before our 60 s because this one's limit is 1 s.
  ['ignores TERM', 'trap "" TERM; sleep 4321 & sleep 4321', 'killed by SIGKILL'],
] as const) {
  test(`a tool that outlives its time and ${what} is ended with what it started`, () => {
    const check = `"$@"; s=$?; grep -lsz '^4321$' /proc/[0-9]*/cmdline; exit $s`;
    const command = ['sh', '-c', check, 'sh', ...fixclockCommand];
    const prepare = impatient + fake('ntpdate', body);
    assertEnds(onMachine({ prepare, command }), 1, '', new RegExp(`^Result:  ${result}$`, 'm'));
  });
}

test('a tool does not outlive us', () => {
  const prepare = fake('ntpdate', 'echo >/run/started; sleep 4321');
  const script = `
    "$@" &
    until [ -e /run/started ]; do kill -0 $! || exit 1; sleep 0.05; done
    kill -KILL $!
    while grep -qsz '^4321$' /proc/[0-9]*/cmdline; do sleep 0.05; done`;
  assertEnds(onMachine({ prepare, command: ['sh', '-c', script, 'sh', ...fixclockCommand] }), 0, '', /^/);
});

test('a tool that does not stop talking is ended', () => {
  const prepare = fake('ntpdate', 'yes');
  assertEnds(onMachine({ prepare }), 1, '', /^Result: {2}too much output, ended$/m);
});

test('a tool whose interpreter is missing is a failure that says so', () => {
  const prepare = `${remove('ntpdate')} printf '#!/no/such\\n' >usr/sbin/ntpdate; chmod 755 usr/sbin/ntpdate`;
  assertEnds(onMachine({ prepare }), 1, '', /^Result: {2}exit status 127\nOutput: .*No such file/m);
});

// The hook.

const hook = join(repository, 'hooks.d/fixclock');

test('the hook passes its arguments on, and ends as fixclock does', () => {
  const program = fake('tklbam-hooks', 'printf "<%s>" "$@"; exit 7');
  for (const env of [{}, { PATH: '' }, { PATH: '/nonexistent' }]) {
    const result = onMachine({ prepare: program, env, command: ['/bin/sh', hook, 'backup', 'pre'] });
    assertEnds(result, 7, '<fixclock><backup><pre>', '');
  }
});

test('the hook does not take what lies in the directory that it is run in', () => {
  const inDirectory = 'cd /evil; exec /bin/sh "$0" backup pre';
  const prepare = `${fake('tklbam-hooks', 'exit 7')} mkdir evil; printf '#!/bin/sh\\nexit 9\\n' >evil/tklbam-hooks; chmod 755 evil/tklbam-hooks`;
  const command = ['/bin/sh', '-c', inDirectory, hook];
  for (const PATH of ['.:/bin', ':/bin', '/bin:']) {
    assertEnds(onMachine({ prepare, env: { PATH }, command }), 7, '', '');
  }
});

test('the hook leaves at once in the other states, and without arguments', () => {
  const program = fake('tklbam-hooks', 'echo ran >&2; exit 7');
  for (const args of [
    ['backup', 'post'],
    ['restore', 'inspect'],
    ['backup', 'error'],
    ['verify', 'pre'],
    ['backup'],
    [],
  ]) {
    assertEnds(onMachine({ prepare: program, command: ['/bin/sh', hook, ...args] }), 0, '', '');
  }
});

test('the hook that is left after the package was removed lets backups pass, with a line', () => {
  const result = onMachine({ command: ['/bin/sh', hook, 'backup', 'pre'] });
  assertEnds(result, 0, '', /^fixclock: tklbam-hooks is not installed, leaving the clock \([^\n]*\)\n$/);
});
