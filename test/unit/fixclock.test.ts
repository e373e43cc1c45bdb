// The decisions of fixclock.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EARLIEST_MS, parseOffset, refuseStep } from '../../src/library/fixclock/bounds.ts';
import {
  type Attempt,
  chronyInSync,
  containerByFiles,
  type End,
  explain,
  failure,
  ntpdInSync,
  openntpdInSync,
  parseDetectVirt,
  parseServers,
  TOOLS,
} from '../../src/library/fixclock/fixclock.ts';
import { STANDARD_PATH, searchPath } from '../../src/system/which.ts';
import { repository } from '../support/repository.ts';

const event = { operation: 'backup', state: 'pre' } as const;

const serverLists: [string | undefined, readonly string[] | string][] = [
  [undefined, ['pool.ntp.org']],
  ['', ['pool.ntp.org']],
  [' \t\r\n', ['pool.ntp.org']],
  ['ntp.example.org', ['ntp.example.org']],
  [' a  b\tc\n', ['a', 'b', 'c']],
  ['192.0.2.1 2001:db8::1 fe80::1%eth0', ['192.0.2.1', '2001:db8::1', 'fe80::1%eth0']],
  ['zeit.bücher.example', ['zeit.bücher.example']],
  ['-d', '-d'],
  ['good --help', '--help'],
  ['a\x1b[31m', 'a\x1b[31m'],
  // ntpdate of Debian 12 gives its words to a shell.
  ['*', '*'],
  ['$(id)', '$(id)'],
  ['a;b', 'a;b'],
];
for (const [value, expected] of serverLists) {
  test(`NTPSERVER ${JSON.stringify(value)} is ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(parseServers(value), expected);
  });
}

for (const path of [undefined, '', ':', '.', 'bin:../sbin:', ' ']) {
  test(`with PATH ${JSON.stringify(path)}, programs are looked for in the standard directories alone`, () => {
    assert.equal(searchPath(path), STANDARD_PATH);
  });
}
test('directories of PATH come before the standard ones, and none comes twice', () => {
  assert.equal(
    searchPath('/usr/bin:/opt/bin:/bin'),
    '/usr/bin:/opt/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin',
  );
});

const end = (part: Partial<End>): End => ({
  ...{ error: undefined, status: 0, signal: null, stdout: '', stderr: '', elapsedMs: 100 },
  ...part,
});

const detectVirt: [string, Partial<End>, string | undefined][] = [
  ['none with status 1', { status: 1, stdout: 'none\n' }, 'none'],
  ['a kind with status 0', { status: 0, stdout: 'lxc-libvirt\n' }, 'lxc-libvirt'],
  ['none with status 0', { status: 0, stdout: 'none\n' }, undefined],
  ['a kind with status 1', { status: 1, stdout: 'docker\n' }, undefined],
  ['a kind with status 3', { status: 3, stdout: 'docker\n' }, undefined],
  ['nothing', { status: 1, stderr: 'Failed to check for container\n' }, undefined],
  ['garbage', { status: 0, stdout: '\x7fELF' }, undefined],
  ['nothing in time', { status: 124 }, undefined],
  ['that it could not be started', { status: null, error: 'EACCES' }, undefined],
];
for (const [what, part, expected] of detectVirt) {
  test(`systemd-detect-virt that says ${what} means ${expected ?? 'look yourself'}`, () => {
    assert.equal(parseDetectVirt(end(part)), expected);
  });
}

const containers: [string, Record<string, string>, string | undefined][] = [
  ['no file at all', {}, undefined],
  ['/proc/vz, on a node of OpenVZ beside /proc/bc', { '/proc/vz': '', '/proc/bc': '' }, undefined],
  ['/proc/vz alone', { '/proc/vz': '' }, 'openvz'],
  ['a kernel of Microsoft', { '/proc/sys/kernel/osrelease': '5.15-microsoft-WSL2\n' }, 'wsl'],
  ['a kernel of Debian', { '/proc/sys/kernel/osrelease': '6.1.0-40-amd64\n' }, undefined],
  ['proot as the tracer', { '/proc/self/status': 'TracerPid:\t12\n', '/proc/12/comm': 'proot\n' }, 'proot'],
  [
    'strace as the tracer',
    { '/proc/self/status': 'TracerPid:\t12\n', '/proc/12/comm': 'strace\n' },
    undefined,
  ],
  ['no tracer', { '/proc/self/status': 'TracerPid:\t0\n', '/proc/0/comm': 'proot\n' }, undefined],
  ['/run/host/container-manager', { '/run/host/container-manager': 'systemd-nspawn\n' }, 'systemd-nspawn'],
  ['/run/systemd/container', { '/run/systemd/container': 'lxc\n' }, 'lxc'],
  ['an empty /run/systemd/container', { '/run/systemd/container': '\n' }, undefined],
  ['container= of process 1', { '/proc/1/environ': 'A=b\0container=podman\0' }, 'podman'],
  ['container= with no value', { '/proc/1/environ': 'container=\0' }, undefined],
  ['a variable that ends in container=', { '/proc/1/environ': 'MYcontainer=lxc\0' }, undefined],
  ['/run/.containerenv', { '/run/.containerenv': '' }, 'podman'],
  ['/.dockerenv', { '/.dockerenv': '' }, 'docker'],
  ['oci, which could be any', { '/run/systemd/container': 'oci\n' }, 'oci'],
  ['oci with /.dockerenv', { '/run/systemd/container': 'oci\n', '/.dockerenv': '' }, 'docker'],
  ['an escape sequence', { '/run/systemd/container': '\x1b[31m\n' }, '\\x1b[31m'],
];
for (const [what, files, expected] of containers) {
  test(`without systemd-detect-virt, ${what} means ${expected ?? 'no container'}`, () => {
    const read = (path: string): string | undefined => files[path];
    assert.equal(containerByFiles({ read, exists: path => path in files }), expected);
  });
}

const chronyLine = (change: Record<number, string> = {}): string => {
  // As chronyc 4.0, 4.3 and 4.6.1 print it.
  const line =
    '7F000001,127.0.0.1,11,1795390240.244491647,-0.000001156,-0.000000004,0.000000354,0.018,-0.002,0.327,0.000005689,0.000001013,0.1,Normal';
  return `${Object.assign(line.split(','), change).join(',')}\n`;
};
const tracking: [string, string, boolean][] = [
  ['in sync', chronyLine(), true],
  ['in sync, with a leap second ahead', chronyLine({ 13: 'Insert second' }), true],
  ['not synchronised', chronyLine({ 0: '00000000', 13: 'Not synchronised' }), false],
  ['in sync with nobody but itself', chronyLine({ 0: '7F7F0101' }), false],
  ['in sync, slewing away an hour', chronyLine({ 4: '3600.000000000' }), false],
  ['in sync, slewing away an hour the other way', chronyLine({ 4: '-3600.000000000' }), false],
  ['in sync, with an offset that is no number', chronyLine({ 4: 'x' }), false],
  ['not there', '506 Cannot talk to daemon\n', false],
  ['silent', '', false],
];
for (const [what, text, expected] of tracking) {
  test(`a chronyd that is ${what} ${expected ? 'keeps' : 'does not keep'} the clock`, () => {
    assert.equal(chronyInSync(text), expected);
  });
}

// As ntpq of ntpsec 1.2.2 prints it, with less of it.
const rv = (leap: string, source: string, offset: string): string =>
  `associd=0 status=c018 ${leap}, ${source}, 1 event, no_sys_peer,
leap=11, stratum=11, precision=-19, rootdelay=1.448, rootdisp=187.873,
refid=10.0.2.2, reftime=eeae02ed.d4806d20 2026-11-23T00:10:21.830Z, tc=3,
peer=17767, offset=${offset}, frequency=0.0, sys_jitter=0.0, clk_jitter=0.308748,
system="Linux/6.1.0-50-cloud-amd64", version="ntpd ntpsec-1.2.2",
mintc=0
`;
const variables: [string, string, boolean][] = [
  ['in sync', rv('leap_none', 'sync_ntp', '-0.2'), true],
  ['in sync with a receiver of its own', rv('leap_none', 'sync_uhf_radio', '0.2'), true],
  ['in sync with nobody but itself', rv('leap_none', 'sync_local', '0.2'), false],
  ['not synchronised', rv('leap_alarm', 'sync_unspec', '0.0'), false],
  ['in sync, an hour off', rv('leap_none', 'sync_ntp', '3600000.0'), false],
  ['not there', '***Socket error; probably ntpd is not running\n\n', false],
  ['silent', '***Request timed out\n\n', false],
];
for (const [what, text, expected] of variables) {
  test(`an ntpd that is ${what} ${expected ? 'keeps' : 'does not keep'} the clock`, () => {
    assert.equal(ntpdInSync(text), expected);
  });
}

test('openntpd keeps the clock when it says so, and only then', () => {
  assert.equal(openntpdInSync('4/4 peers valid, clock synced, stratum 3\n'), true);
  assert.equal(openntpdInSync('1/1 peers valid, clock unsynced\n'), false);
  assert.equal(openntpdInSync('ntpctl: connect: No such file or directory\n'), false);
});

const denied = 'not permitted to set the clock: it takes root, on a machine that lets it';
const ends: [string, Partial<End>, string | undefined][] = [
  ['status 0', {}, undefined],
  ['status 3', { status: 3 }, 'exit status 3'],
  ['a signal', { status: null, signal: 'SIGSEGV' }, 'killed by SIGSEGV'],
  ['124 of timeout(1)', { status: 124 }, 'not done after 60 s, ended'],
  ['137 after the limit', { status: 137, elapsedMs: 65_000 }, 'not done after 60 s, ended'],
  ['137 before the limit', { status: 137 }, 'exit status 137'],
  ['ETIMEDOUT', { status: null, error: 'ETIMEDOUT' }, 'not done after 60 s, ended'],
  ['ENOBUFS', { status: null, error: 'ENOBUFS' }, 'too much output, ended'],
  ['ENOENT', { status: null, error: 'ENOENT' }, 'could not be started (ENOENT)'],
  [
    'status 0 of ntpdate 4.2.8 without permission',
    { stderr: "1 Jan 00:00:00 ntpdate[10]: Can't adjust the time of day: Operation not permitted\n" },
    denied,
  ],
  [
    'status 0 of ntpdate -b 4.2.8 without permission',
    { stderr: 'step-systime: Operation not permitted\n' },
    denied,
  ],
  [
    'ntpdig without permission',
    { status: 1, stderr: 'CLOCK: adj_systime: Operation not permitted\n' },
    denied,
  ],
  [
    'chronyd without permission',
    { status: 1, stderr: 'Fatal error : adjtimex(0x8001) failed : Operation not permitted\n' },
    denied,
  ],
  ['status 0 of chronyd -x', { stderr: '2026-01-01T00:00:00Z Could not step system clock\n' }, denied],
  [
    'status 0, and something else that was not permitted',
    { stderr: 'sched_setscheduler(): Operation not permitted' },
    undefined,
  ],
];
for (const [what, part, expected] of ends) {
  test(`${what} of the tool means ${expected ?? 'that the clock is set'}`, () => {
    assert.equal(failure(end(part), 60), expected);
  });
}

const attempt = (part: Partial<Attempt>): Attempt => ({
  ...{ command: ['ntpdate', '-u', 'a'], reason: 'exit status 1', output: '' },
  ...part,
});

test('a failure names the command, its output, another server, the warning and the switch', () => {
  const attempts = [
    attempt({ output: 'ntpdig: no eligible servers\n' }),
    attempt({ command: ['chronyd', '-q', 'server b iburst'], reason: 'killed by SIGSEGV' }),
  ];
  assert.equal(
    explain({ kind: 'failed', attempts }, event, false),
    `fixclock: could not set the clock
------------------------------------------------------------------------------
Command: ntpdate -u a
Result:  exit status 1
Output:  ntpdig: no eligible servers
Command: chronyd -q 'server b iburst'
Result:  killed by SIGSEGV

Storage services and Duplicity need the right time: this stops the backup.
  to ask another server:  NTPSERVER=SERVER in /etc/default/tklbam-hooks
  to go on all the same:  FIXCLOCK=warn in /etc/default/tklbam-hooks
  to switch this off:     chmod -x /etc/tklbam/hooks.d/fixclock
------------------------------------------------------------------------------
`,
  );
});

test('a warning does not say that the backup stops', () => {
  const text = explain({ kind: 'no-tool' }, event, true);
  assert.match(text, /^fixclock: warning: could not set the clock, going on\n/);
  assert.match(text, /apt install chrony/);
  assert.doesNotMatch(text, /stops|FIXCLOCK=warn/);
});

test('output of the tool is told without its control characters, and not all of it', () => {
  const output = `${'x\n'.repeat(1000)}\x1b[31mred\u202e\r${'y'.repeat(5000)}\n\n`;
  const text = explain({ kind: 'failed', attempts: [attempt({ output })] }, event, false);
  assert.match(text, /\(992 lines\)/);
  assert.match(text, /\\x1b\[31mred\\u\{202e\}\n/);
  assert.ok(text.length < 1500, `${text.length} characters`);
});

test('chronyd gets files of its own only where another one has some', () => {
  const chronyd = TOOLS.find(({ name }) => name === 'chronyd');
  assert.deepEqual(chronyd?.set('a', undefined), ['-q', '-t', '50', 'server a iburst', 'cmdport 0']);
  assert.deepEqual(chronyd?.set('a', '/run/x').slice(5), ['bindcmdaddress /', 'pidfile /run/x']);
});

const answers: [string, string, number | undefined][] = [
  ['ntpdate 4.2.8', 'server 127.0.0.1, stratum 2, offset +7200.001144, delay 0.02942\n', 7200.001144],
  ['ntpdig', '2026-11-26 01:30:25.5 (+0000) -0.002363 +/- 0.003841 127.0.0.1 s2 no-leap\n', -0.002363],
  ['chronyd', 'Z System clock wrong by -604967296.000453 seconds (ignored)\n', -604967296.000453],
  ['a tool that does not say', 'offset\n', undefined],
];
for (const [tool, output, expected] of answers) {
  test(`the offset that ${tool} prints`, () => assert.equal(parseOffset(output), expected));
}

// Which time is taken.

const clockMs = EARLIEST_MS + 100 * 86_400_000;
const steps: [string, number, number, boolean, RegExp | undefined][] = [
  ['a little', clockMs, 0.5, false, undefined],
  ['half a day back', clockMs, -43_200, false, undefined],
  ['two days', clockMs, 2 * 86_400, false, /is 2 days ahead of this clock: if it is right, FIXCLOCK=step/],
  ['two days back', clockMs, -2 * 86_400, false, /is 2 days behind this clock/],
  ['two days, when that is asked for', clockMs, 2 * 86_400, true, undefined],
  ['half a century, from before this program', 0, clockMs / 1000, false, undefined],
  ['to before this program', clockMs, -101 * 86_400, true, /is before this program was made/],
  ['to 2143', clockMs, 116 * 31_557_600, true, /2143-.*is more than 15 years ahead/],
  ['to 2143, from before this program', 0, (clockMs + 116 * 31_557_600_000) / 1000, false, /15 years/],
  ['to no date', clockMs, Number.NaN, true, /no date/],
];
for (const [what, clock, offset, mayStep, expected] of steps) {
  test(`a step of ${what} is ${expected === undefined ? 'taken' : 'refused'}`, () => {
    const refusal = refuseStep(clock, offset, mayStep);
    if (expected === undefined) assert.equal(refusal, undefined);
    else assert.match(String(refusal), expected);
  });
}

test('the earliest time is within a year of the newest release', () => {
  const [, date = ''] =
    /^## \S+ - (\S+)$/m.exec(readFileSync(join(repository, 'CHANGELOG.md'), 'utf8')) ?? [];
  const age = Date.parse(date) - EARLIEST_MS;
  assert.ok(age > 86_400_000 && age < 366 * 86_400_000, date);
});
