// What would go wrong at night, found by day. Reads hooks, runs none.
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { escapeControls } from '../cli/text.ts';
import {
  describeDefect,
  describeExpiredKey,
  describeHeaderFault,
  describePathRefusal,
  describeRefusal,
  describeSkip,
} from '../report/verdicts.ts';
import { describeErrno } from '../system/errno.ts';
import { findProgram, searchPath } from '../system/which.ts';
import type {
  Candidate,
  Environment,
  Finding,
  Judged,
  JudgedListing,
  Program,
  SigningKey,
  Skip,
} from '../types.ts';

/**
 * `names`: of the entries to look at, and no others; empty for all. `clockProblem` tells why the clock could not be set; undefined if it
 * could. `libraryProblems`: of ready hooks, by their paths.
 */
export function check(
  listings: readonly JudgedListing[],
  judged: readonly Judged[],
  names: readonly string[],
  env: Environment,
  clockProblem: (env: Environment) => Why | undefined,
  libraryProblems: ReadonlyMap<string, readonly Pick<Why, 'reason' | 'remedy'>[]> = new Map(),
): readonly Finding[] {
  const directories = listings.flatMap(({ source, state, refusal }): Finding[] => {
    const found = (kind: Finding['kind'], reason: string, remedy: string): Finding[] => [
      { name: undefined, path: source.directory, kind, reason, remedy },
    ];
    if (typeof state === 'object' && state.error === 'ENOENT') {
      const reason = 'there is no such hooks directory, though it is named: nothing would run';
      return found('unreadable', reason, 'make it, or correct --hooks or TKLBAM_HOOKS');
    }
    if (typeof state === 'object') {
      const reason = `the hooks directory cannot be read: ${describeErrno(state.error)}`;
      return found('unreadable', reason, 'mend that');
    }
    // Where a hook is refused, it says why, for the directory too.
    const isTold = judged.some(({ hook, verdict }) => hook.source === source && verdict.kind === 'refuse');
    if (refusal === undefined || isTold) return [];
    const { reason, remedy } = describePathRefusal(refusal, source.directory);
    return found('refused', `the hooks directory is refused: ${reason}`, remedy);
  });
  const absent = names
    .filter(name => !judged.some(({ hook }) => hook.name === name))
    .map((name): Finding => {
      const reason = 'it is in none of the hooks directories';
      return { name, path: name, kind: 'no-such-entry', reason, remedy: "see 'tklbam-hooks list'" };
    });
  const found = judged
    .filter(({ hook }) => names.length === 0 || names.includes(hook.name))
    .flatMap(({ hook, verdict }) => {
      const whys = [
        ...ofVerdict(hook, verdict, names.length > 0),
        ...(verdict.kind === 'run' ? ofHook(hook, env, clockProblem) : []),
        ...(libraryProblems.get(hook.path) ?? []).map((problem): Why => ({ kind: 'library', ...problem })),
      ];
      return whys.map((why): Finding => ({ name: hook.name, path: hook.path, ...why }));
    });
  return [...directories, ...absent, ...found];
}

interface Why {
  readonly kind: Finding['kind'];
  /** Both of one line. */
  readonly reason: string;
  readonly remedy: string;
}

const SWITCH_OFF = 'chmod -x it to disable it';

function ofVerdict(hook: Candidate, verdict: Judged['verdict'], isAsked: boolean): Why[] {
  switch (verdict.kind) {
    case 'run': {
      const key = verdict.expiredKey;
      if (key === undefined) return [];
      return [
        { kind: 'expired-key', reason: `it ${describeExpiredKey(key)}`, remedy: 'have it signed anew' },
      ];
    }
    case 'refuse':
      return [{ kind: 'refused', ...describeRefusal(verdict.refusal, hook) }];
    case 'broken':
      return [{ kind: 'broken', ...describeDefect(verdict.defect, hook) }];
    case 'skip':
      return ofSkip(hook, verdict.why, verdict.key, isAsked);
  }
}

/** `isAsked`: by its name, so that what is ordinary is told too. */
function ofSkip({ name, file }: Candidate, why: Skip, key: SigningKey | undefined, isAsked: boolean): Why[] {
  const isExecutable = 'type' in file && file.type === 'file' && (file.mode & 0o111) !== 0;
  switch (why) {
    case 'no-signature': {
      const remedy = `put NAME.sig beside it, or ${SWITCH_OFF}`;
      return [{ kind: 'unverified', reason: `it ${describeSkip(why, key)}`, remedy }];
    }
    case 'no-keyring': {
      const remedy = `name one with --keyring or TKLBAM_HOOKS_KEYRING, or ${SWITCH_OFF}`;
      return [{ kind: 'unverified', reason: `it ${describeSkip(why, key)}`, remedy }];
    }
    case 'unknown-key': {
      const remedy = `add the keyring that has it with --keyring or TKLBAM_HOOKS_KEYRING, have it signed anew, or ${SWITCH_OFF}`;
      return [{ kind: 'unverified', reason: `it ${describeSkip(why, key)}`, remedy }];
    }
    case 'no-gpgv':
      return [{ kind: 'unverified', reason: `it ${describeSkip(why, key)}`, remedy: SWITCH_OFF }];
    case 'name': {
      if (!isExecutable) return [];
      const isLeftover = /\.(?:dpkg|ucf)-[^.]*$/.test(name);
      const remedy = isLeftover
        ? 'compare it with the hook it was left beside, then remove it'
        : `rename it to have it run, or ${SWITCH_OFF}`;
      return [{ kind: 'passed-over', reason: `it ${describeSkip(why, key)}, and is executable`, remedy }];
    }
    case 'masked':
      return isExecutable
        ? [{ kind: 'empty', reason: 'it is empty, so nothing runs', remedy: SWITCH_OFF }]
        : [];
    case 'hidden':
      return isAsked
        ? [{ kind: 'hidden', reason: `it ${describeSkip(why, key)}`, remedy: 'that one counts' }]
        : [];
    case 'disabled': {
      if (!isAsked) return [];
      return [
        { kind: why, reason: 'it is not executable, so it does not run', remedy: 'chmod +x enables it' },
      ];
    }
    case 'not-a-file':
      return [];
  }
}

function ofHook(
  { name, path, program, header }: Candidate,
  env: Environment,
  clockProblem: (env: Environment) => Why | undefined,
): Why[] {
  const faults = header.faults.map((fault): Why => ({ kind: 'header', ...describeHeaderFault(fault) }));
  const clock = name === 'fixclock' ? clockProblem(env) : undefined;
  return [
    ...faults,
    ...ofProgram(program, env),
    ...ofSyntax(path, program, env),
    ...(clock === undefined ? [] : [clock]),
  ];
}

function ofProgram(program: Program | undefined, env: Environment): Why[] {
  if (program?.kind === 'shell-text') {
    const reason = 'it has no #! line, so /bin/sh runs it';
    return [{ kind: 'no-interpreter-line', reason, remedy: 'begin it with #!/bin/sh' }];
  }
  if (program?.kind !== 'script') return [];
  const word = soughtByEnv(program);
  if (word !== undefined && findProgram(word, searchPath(env.PATH)) === undefined) {
    const reason = `its interpreter '${escapeControls(word)}' is in no directory of PATH`;
    const remedy = `install that, or correct the first line of the hook, or ${SWITCH_OFF}`;
    return [{ kind: 'broken', reason, remedy }];
  }
  if (program.argument.endsWith('\r')) {
    const reason = 'its first line ends in CRLF, as written on Windows';
    return [{ kind: 'carriage-return', reason, remedy: "sed -i 's/\\r$//' it" }];
  }
  return [];
}

/** What the shell says of it without running it. */
function ofSyntax(path: string, program: Program | undefined, env: Environment): Why[] {
  const shell = shellOf(program);
  const file =
    shell === undefined || shell.startsWith('/') ? shell : findProgram(shell, searchPath(env.PATH));
  if (file === undefined) return [];
  const { status, stderr } = spawnSync(file, ['-n', path], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    // Nothing of the caller's: some variables are scripts that a shell runs when it starts.
    env: { PATH: searchPath(undefined), LC_ALL: 'C' },
    timeout: 10_000,
    killSignal: 'SIGKILL',
    maxBuffer: 1 << 20,
  });
  if (status === 0) return [];
  // Behind the path, which may have line breaks of its own.
  const [said = ''] = (stderr ?? '').replaceAll(`${path}: `, '').trim().split('\n');
  const reason = `${basename(file)} -n says: ${escapeControls(said)}`;
  return [{ kind: 'syntax', reason, remedy: `correct that, or ${SWITCH_OFF}` }];
}

/** The interpreter, if it is one that takes -n. */
function shellOf(program: Program | undefined): string | undefined {
  if (program?.kind === 'shell-text') return '/bin/sh';
  if (program?.kind !== 'script') return undefined;
  const word = soughtByEnv(program) ?? program.interpreter;
  return /^(?:ba|da|k|mk|z)?sh$/.test(basename(word)) ? word : undefined;
}

/** The program that env(1) looks for in PATH, where it is given nothing else. */
function soughtByEnv({
  interpreter,
  argument,
}: {
  interpreter: string;
  argument: string;
}): string | undefined {
  return basename(interpreter) === 'env' && /^[^-=\s][^=\s]*$/.test(argument) ? argument : undefined;
}
