// The built-in hook `fixclock`: set the clock before a backup or a restore.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { escapeControls } from '../../cli/text.ts';
import { attempt as orUndefined } from '../../system/errno.ts';
import { elapsedMs } from '../../system/machine.ts';
import { randomHex } from '../../system/random.ts';
import { findHelper, HELPER_ENV } from '../../system/which.ts';
import type { Environment, HookEvent } from '../../types.ts';
import { parseOffset, refuseStep } from './bounds.ts';

export interface Answer {
  readonly status: 0 | 1;
  /** For stderr, whole lines. Standard output is the command's, under `wrap`. */
  readonly err: string;
}

/** For the tool that sets the clock, with one server. */
const LIMIT_S = 60;
/** For all servers together. */
const TOTAL_S = 180;
/** For a server that is only asked whether it answers. */
const ASK_S = 10;
/** For a question to a program that does not need the network. */
const PROBE_S = 5;

/**
 * Sets the clock, unless a container's host or a time daemon keeps it. Does nothing in the states but `pre`. Says nothing when all is well
 * and the clock was not off by a second, unless it is to be `verbose`.
 * `env` is the caller's over /etc/default/tklbam-hooks: its NTPSERVER and FIXCLOCK count.
 * Starts programs and waits for them.
 */
export function fixclock(event: HookEvent, env: Environment, verbose: boolean): Answer {
  if (event.state !== 'pre') return { status: 0, err: '' };
  const { policy, unknown } = parsePolicy(env.FIXCLOCK);
  const complaint = unknown.map(word => `fixclock: ${describeUnknown(word)}, ignoring it\n`).join('');
  const quietly = (text: string): Answer => ({
    status: 0,
    err: complaint + (verbose ? `fixclock: ${text}\n` : ''),
  });

  const container = findContainer();
  if (container !== undefined) {
    return quietly(`this is a container (${escapeControls(container)}), the host keeps the clock`);
  }
  const daemon = daemonInSync(programs, realFiles, runningPrograms());
  if (daemon !== undefined) return quietly(`${daemon} keeps the clock in sync, leaving it`);

  const outcome = setClock(programs, env.NTPSERVER, policy.has('step'));
  if (outcome.kind === 'set') {
    const { server, tool, movedS } = outcome;
    if (Math.abs(movedS) < NEAR_S) return quietly(`set the clock from ${server}, with ${tool}`);
    const off = `${Math.abs(movedS).toFixed(0)} s ${movedS > 0 ? 'slow' : 'fast'}`;
    return {
      status: 0,
      err: `${complaint}fixclock: the clock was ${off}, set it from ${server}, with ${tool}\n`,
    };
  }
  const warn = policy.has('warn');
  return { status: warn ? 0 : 1, err: complaint + explain(outcome, event, warn) };
}

const POLICIES = ['warn', 'step'] as const;
type Policy = (typeof POLICIES)[number];

/** The words of FIXCLOCK, with blanks between them. */
export function parsePolicy(text: string | undefined): {
  readonly policy: ReadonlySet<Policy>;
  readonly unknown: readonly string[];
} {
  const words = (text ?? '').split(/\s+/).filter(word => word !== '');
  return {
    policy: new Set(POLICIES.filter(known => words.includes(known))),
    unknown: words.filter(word => !POLICIES.some(known => known === word)),
  };
}

const describeUnknown = (word: string): string =>
  `FIXCLOCK is '${escapeControls(word)}', it can only be ${POLICIES.map(known => `'${known}'`).join(' or ')}`;

/**
 * What would keep the clock from being set on this machine, as far as can be known by day, and what to do about it; undefined if
 * nothing would, or it need not be. Asks the servers for the time, and changes nothing.
 */
export function clockProblem(env: Environment) {
  const { policy, unknown } = parsePolicy(env.FIXCLOCK);
  const [word] = unknown;
  if (word !== undefined) {
    const remedy = 'correct that in /etc/default/tklbam-hooks';
    return { kind: 'setting', reason: describeUnknown(word), remedy } as const;
  }
  if (findContainer() !== undefined) return undefined;
  const tool = findTool(programs);
  if (tool === undefined) {
    const reason = `none of ${TOOLS.map(({ name }) => name).join(', ')} is installed`;
    return { kind: 'no-clock-tool', reason, remedy: INSTALL_TOOL } as const;
  }
  if (daemonInSync(programs, realFiles, runningPrograms()) !== undefined) return undefined;
  const servers = parseServers(env.NTPSERVER);
  if (typeof servers === 'string') {
    const reason = `NTPSERVER: '${shorten(servers)}' is neither a host name nor an address`;
    return { kind: 'setting', reason, remedy: 'correct that in /etc/default/tklbam-hooks' } as const;
  }
  if (policy.has('warn')) return undefined;
  const answers = servers.some(
    server => failure(programs.run([tool.name, ...tool.ask(server)], ASK_S), ASK_S) === undefined,
  );
  if (answers) return undefined;
  const reason = `no answer from ${servers.join(', ')} on UDP port 123: without the time, every backup stops`;
  const remedy = 'NTPSERVER=SERVER in /etc/default/tklbam-hooks, or FIXCLOCK=warn to go on without it';
  return { kind: 'no-clock-server', reason, remedy } as const;
}

const programs: Programs = { find: findHelper, run };

function findContainer(): string | undefined {
  const container = containerByProgram(programs) ?? containerByFiles(realFiles);
  return container === 'none' ? undefined : container;
}

const findTool = (programs: Programs) => TOOLS.find(({ name }) => programs.find(name) !== undefined);

const INSTALL_TOOL = 'apt install chrony';

/** How setting the clock ended. */
export type Outcome =
  /** By how many seconds it went forward. */
  | { readonly kind: 'set'; readonly server: string; readonly tool: string; readonly movedS: number }
  | { readonly kind: 'bad-server'; readonly entry: string }
  | { readonly kind: 'no-tool' }
  | { readonly kind: 'failed'; readonly attempts: readonly Attempt[] };

/** A command that did not set the clock. */
export interface Attempt {
  readonly command: readonly string[];
  readonly reason: string;
  readonly output: string;
}

function setClock(programs: Programs, ntpServer: string | undefined, mayStep: boolean): Outcome {
  const servers = parseServers(ntpServer);
  if (typeof servers === 'string') return { kind: 'bad-server', entry: servers };
  const tool = findTool(programs);
  if (tool === undefined) return { kind: 'no-tool' };

  const start = elapsedMs();
  const attempts: Attempt[] = [];
  for (const server of servers) {
    const limitS = Math.min(LIMIT_S, Math.ceil(TOTAL_S - (elapsedMs() - start) / 1000));
    const tried = trySet(programs, tool, server, limitS, mayStep);
    if (typeof tried === 'number') return { kind: 'set', server, tool: tool.name, movedS: tried };
    attempts.push(tried);
  }
  return { kind: 'failed', attempts };
}

/** By how many seconds the clock went forward; or why it was not set. */
function trySet(
  programs: Programs,
  tool: Tool,
  server: string,
  limitS: number,
  mayStep: boolean,
): number | Attempt {
  // Asked first: what a false server says must not be the time for even a moment, in which timers go off.
  const question = [tool.name, ...tool.ask(server)];
  if (limitS <= 0)
    return { command: question, reason: `not tried, the others took ${TOTAL_S} s`, output: '' };
  const clock = readClock();
  const answer = programs.run(question, limitS);
  const said = `${answer.stdout}\n${answer.stderr}`;
  const silent = failure(answer, limitS);
  if (silent !== undefined) return { command: question, reason: silent, output: said };
  const offset = parseOffset(said);
  const refusal = offset === undefined ? undefined : refuseStep(Date.now(), offset, mayStep);
  if (refusal !== undefined) return { command: question, reason: refusal, output: said };

  const pidFile = existsSync(CHRONY_RUN) ? `${CHRONY_RUN}/fixclock-${randomHex(8)}.pid` : undefined;
  const command = [tool.name, ...tool.set(server, pidFile)];
  const end = programs.run(command, limitS);
  // chronyd leaves it behind when it fails.
  if (pidFile !== undefined) orUndefined(() => rmSync(pidFile, { force: true }));
  const output = `${end.stdout}\n${end.stderr}`;
  // It may have answered otherwise this time, whatever became of the tool then.
  const movedS = clock.movedS();
  const wrong = Math.abs(movedS) < NEAR_S ? undefined : refuseStep(clock.nowMs(), movedS, mayStep);
  if (wrong !== undefined) {
    const back = programs.run(['date', `--set=@${(clock.nowMs() / 1000).toFixed(3)}`], PROBE_S);
    const undone = back.status === 0 ? 'turned back' : 'and it could not be turned back';
    return { command, reason: `${wrong}; it had been taken, ${undone}`, output };
  }
  const reason = failure(end, limitS);
  return reason === undefined ? movedS : { command, reason, output };
}

/** The clock as it is now: how far it is moved from here on, and what it would show if it had not been. */
function readClock(): { readonly movedS: () => number; readonly nowMs: () => number } {
  const wall = Date.now();
  const monotonic = elapsedMs();
  const nowMs = (): number => wall + elapsedMs() - monotonic;
  return { nowMs, movedS: () => (Date.now() - nowMs()) / 1000 };
}

/**
 * The servers of NTPSERVER, or the first entry that is neither a host name nor an address: a tool could take it for
 * an option.
 */
export function parseServers(ntpServer: string | undefined): readonly string[] | string {
  const entries = (ntpServer ?? '').split(/\s+/).filter(entry => entry !== '');
  const bad = entries.find(entry => !/^(?!-)[\p{L}\p{N}._:%-]+$/u.test(entry));
  return bad ?? (entries.length === 0 ? ['pool.ntp.org'] : entries);
}

/** The one directory that Debian's AppArmor profile lets chronyd write a pid file to. Another chronyd runs, or ran, if it is there. */
const CHRONY_RUN = '/run/chrony';

interface Tool {
  readonly name: string;
  /** Arguments to ask a server for the time, and leave the clock. */
  readonly ask: (server: string) => readonly string[];
  /** Arguments to set the clock from it. `pidFile`: of a chronyd beside another one. */
  readonly set: (server: string, pidFile: string | undefined) => readonly string[];
}

/** What can set the clock, the best first. */
export const TOOLS: readonly Tool[] = [
  { name: 'ntpdate', ask: server => ['-q', '-u', server], set: server => ['-u', server] },
  {
    name: 'chronyd',
    // Without -t it waits for an answer for ever. It must take neither the socket nor the pid file of a chronyd
    // that runs; their directory, for its mode, must be made by no one but chronyd.
    ask: server => ['-Q', '-t', '25', `server ${server} iburst`, 'cmdport 0', 'bindcmdaddress /'],
    set: (server, pidFile) => [
      ...['-q', '-t', '50', `server ${server} iburst`, 'cmdport 0'],
      ...(pidFile === undefined ? [] : ['bindcmdaddress /', `pidfile ${pidFile}`]),
    ],
  },
  { name: 'sntp', ask: server => [server], set: server => ['-S', server] },
  { name: 'ntpdig', ask: server => [server], set: server => ['-S', server] },
];

/** Why the tool did not set the clock; undefined if it did. */
export function failure(end: End, limitS: number): string | undefined {
  const output = end.stdout + end.stderr;
  // Before the status: ntpdate of Debian 11 with -b, and chronyd -x, end with 0 after these.
  if (/(?:systime|adjtimex|time of day).*not permitted|not superuser|could not step/i.test(output)) {
    return 'not permitted to set the clock: it takes root, on a machine that lets it';
  }
  if (end.error === undefined && end.status === 0) return undefined;
  // 124 is timeout(1)'s; 137, after its KILL, could be anyone's.
  if (end.error === 'ETIMEDOUT' || end.status === 124 || end.elapsedMs >= limitS * 1000)
    return `not done after ${limitS} s, ended`;
  if (end.error === 'ENOBUFS') return 'too much output, ended';
  if (end.error !== undefined) return `could not be started (${end.error})`;
  return end.status === null ? `killed by ${end.signal}` : `exit status ${end.status}`;
}

/** What the administrator reads: what was tried, what came of it, and what can be done. */
export function explain(outcome: Exclude<Outcome, { kind: 'set' }>, event: HookEvent, warn: boolean): string {
  const rule = '-'.repeat(78);
  return [
    warn ? 'fixclock: warning: could not set the clock, going on' : 'fixclock: could not set the clock',
    rule,
    ...describe(outcome),
    '',
    `Storage services and Duplicity need the right time${warn ? '.' : `: this stops the ${event.operation}.`}`,
    '  to ask another server:  NTPSERVER=SERVER in /etc/default/tklbam-hooks',
    ...(warn ? [] : ['  to go on all the same:  FIXCLOCK=warn in /etc/default/tklbam-hooks']),
    '  to switch this off:     chmod -x /etc/tklbam/hooks.d/fixclock',
    rule,
    '',
  ].join('\n');
}

function describe(outcome: Exclude<Outcome, { kind: 'set' }>): readonly string[] {
  switch (outcome.kind) {
    case 'bad-server':
      return [`NTPSERVER: '${shorten(outcome.entry)}' is neither a host name nor an address`];
    case 'no-tool':
      return [
        `None of ${TOOLS.map(({ name }) => name).join(', ')} is installed.`,
        `To install one: ${INSTALL_TOOL}`,
      ];
    case 'failed':
      return outcome.attempts.flatMap(({ command, reason, output }) => [
        `Command: ${command.map(quote).join(' ')}`,
        `Result:  ${reason}`,
        ...quoteOutput(output).map((line, index) => `${index === 0 ? 'Output:' : '       '}  ${line}`),
      ]);
  }
}

const quote = (word: string): string => (word.includes(' ') ? `'${word}'` : word);

/** The end of a program's output, which may be anything. */
function quoteOutput(output: string): readonly string[] {
  const lines = output.split(/[\r\n]+/).filter(line => line.trim() !== '');
  return lines.length <= 10
    ? lines.map(shorten)
    : [`(${lines.length - 10} lines)`, ...lines.slice(-10).map(shorten)];
}

function shorten(text: string): string {
  return text.length <= 300 ? escapeControls(text) : `${escapeControls(text.slice(0, 300))}...`;
}

/** What systemd-detect-virt(1) says: a kind of container, or `none`; undefined if it is missing or broken. */
function containerByProgram(programs: Programs): string | undefined {
  if (programs.find('systemd-detect-virt') === undefined) return undefined;
  return parseDetectVirt(programs.run(['systemd-detect-virt', '--container'], PROBE_S));
}

export function parseDetectVirt({ error, status, stdout }: End): string | undefined {
  const kind = stdout.trim();
  if (error !== undefined || !/^[a-z][a-z0-9-]*$/.test(kind)) return undefined;
  // It ends with 1 when it says `none`, and with nothing else.
  return (kind === 'none') === (status === 1) && (status === 0 || status === 1) ? kind : undefined;
}

/** What systemd-detect-virt itself looks at, in its order: detect_container() of systemd's src/basic/virt.c. */
export function containerByFiles(files: Files): string | undefined {
  if (files.exists('/proc/vz') && !files.exists('/proc/bc')) return 'openvz';
  if (/Microsoft|WSL/.test(files.read('/proc/sys/kernel/osrelease') ?? '')) return 'wsl';
  const tracer = files.read('/proc/self/status')?.match(/^TracerPid:\s*([1-9]\d*)$/m)?.[1];
  if (tracer !== undefined && files.read(`/proc/${tracer}/comm`)?.startsWith('proot')) return 'proot';

  const firstLine = (path: string): string | undefined => files.read(path)?.split('\n')[0];
  const told =
    firstLine('/run/host/container-manager') ||
    firstLine('/run/systemd/container') ||
    files
      .read('/proc/1/environ')
      ?.split('\0')
      .find(variable => variable.startsWith('container='))
      ?.slice('container='.length);
  if (told && told !== 'oci') return shorten(told);
  if (files.exists('/run/.containerenv')) return 'podman';
  if (files.exists('/.dockerenv')) return 'docker';
  return told || undefined;
}

/** A time daemon that runs and has the clock in sync. A question that is not answered counts as no. */
function daemonInSync(programs: Programs, files: Files, running: ReadonlySet<string>): string | undefined {
  const ask = (...command: [string, ...string[]]): string => {
    if (programs.find(command[0]) === undefined) return '';
    const { error, stdout } = programs.run(command, PROBE_S);
    return error === undefined ? stdout : '';
  };
  if (running.has('chronyd') && chronyInSync(ask('chronyc', '-n', '-c', 'tracking'))) return 'chronyd';
  // The kernel keeps 15 bytes of a name.
  if (running.has('systemd-timesyn') && files.exists('/run/systemd/timesync/synchronized')) {
    return 'systemd-timesyncd';
  }
  const ntpd = running.has('ntpd');
  if ((ntpd || running.has('openntpd')) && openntpdInSync(ask('ntpctl', '-s', 'status'))) return 'openntpd';
  if (ntpd && ntpdInSync(ask('ntpq', '-n', '-c', 'rv'))) return 'ntpd';
  return undefined;
}

/** A daemon that may not step the clock says "in sync" while it slews for hours: it must also be this near. */
const NEAR_S = 1;

/**
 * The one line of `chronyc -c tracking`, its columns as in chronyc(1): first the reference, fifth the offset in s, last
 * the leap status.
 */
export function chronyInSync(tracking: string): boolean {
  const columns = tracking.trim().split(',');
  const leap = columns.at(-1);
  // 7F7F0101 is chronyd's own clock, served for want of a better one (`local`).
  if (columns.length !== 14 || columns[0] === '00000000' || columns[0] === '7F7F0101') return false;
  return leap !== undefined && leap !== 'Not synchronised' && isNear(columns[4], 1);
}

/** System variables as ntpq(1) prints them; the offset is in ms. */
export function ntpdInSync(variables: string): boolean {
  const offset = variables.match(/\boffset=([-+.\d]+)/)?.[1];
  const hasLeap = /\bleap_(?:none|add_sec|del_sec)\b/.test(variables);
  return hasLeap && !/\bsync_(?:unspec|local)\b/.test(variables) && isNear(offset, 1000);
}

/** As ntpctl(8) prints it. The offset is there only while it is large. */
export function openntpdInSync(status: string): boolean {
  return /\bclock synced\b/.test(status);
}

function isNear(offset: string | undefined, unitsPerS: number): boolean {
  return offset !== undefined && offset !== '' && Math.abs(Number(offset)) < NEAR_S * unitsPerS;
}

// From here on: what meets the machine.

/** How a program ended. */
export interface End {
  /** Why it could not be started or was ended, as errno(3) names it. */
  readonly error: string | undefined;
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly elapsedMs: number;
}

interface Programs {
  readonly find: (name: string) => string | undefined;
  readonly run: (command: readonly string[], limitS: number) => End;
}

/** A file that is missing or cannot be read is undefined; `exists` is for directories too. */
export interface Files {
  readonly read: (path: string) => string | undefined;
  readonly exists: (path: string) => boolean;
}

const realFiles: Files = {
  read: path => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  },
  exists: existsSync,
};

/** Names of the processes of this machine, as the kernel keeps them. None without /proc. */
function runningPrograms(): ReadonlySet<string> {
  let entries: readonly string[];
  try {
    entries = readdirSync('/proc');
  } catch {
    return new Set();
  }
  const processes = entries.filter(name => /^\d+$/.test(name));
  return new Set(processes.map(pid => realFiles.read(`/proc/${pid}/comm`)?.trimEnd() ?? ''));
}

/** Runs a helper. Waits for it, but not much longer than the limit. */
function run([name = '', ...args]: readonly string[], limitS: number): End {
  const timeout = findHelper('timeout');
  const setpriv = findHelper('setpriv');
  // timeout(1) ends the whole process group: ntpdate may be a script, whose ntpdig would live on. Its group is not
  // ours, so setpriv(1) sees to it that it does not outlive us either. Without timeout(1) only the program itself is
  // ended.
  const words = [
    ...(timeout !== undefined && setpriv !== undefined ? [setpriv, '--pdeathsig', 'TERM'] : []),
    ...(timeout !== undefined ? [timeout, '-k', '5', String(limitS)] : []),
    findHelper(name) ?? name,
    ...args,
  ];
  const [file = '', ...rest] = words;
  const start = elapsedMs();
  const end = spawnSync(file, rest, {
    cwd: '/',
    env: HELPER_ENV,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    // The second is for the case that timeout(1) is done but someone still holds the pipe.
    timeout: (timeout === undefined ? limitS : limitS + 10) * 1000,
    killSignal: timeout === undefined ? 'SIGKILL' : 'SIGTERM',
    maxBuffer: 1 << 20,
  });
  const { error } = end;
  return {
    error: error === undefined ? undefined : 'code' in error ? String(error.code) : error.message,
    status: end.status,
    signal: end.signal,
    // Null, whatever their type says, if the program could not be started.
    stdout: end.stdout ?? '',
    stderr: end.stderr ?? '',
    elapsedMs: elapsedMs() - start,
  };
}
