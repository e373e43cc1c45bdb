// What would go wrong at night, found by day. Reads hooks, runs none.

import { isUtf8 } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { LIBRARY } from '../cli/grammar.ts';
import { didYouMean, escapeControls, suggest } from '../cli/text.ts';
import { showPath } from '../report/messages.ts';
import {
  describeDefect,
  describeExpiredKey,
  describePathRefusal,
  describeRefusal,
  describeSkip,
} from '../report/verdicts.ts';
import { decodeBytes } from '../system/bytes.ts';
import { attempt, describeErrno } from '../system/errno.ts';
import { pathRefusal } from '../system/trust.ts';
import { findProgram, HELPER_ENV, isExecutable, searchPath } from '../system/which.ts';
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
import { checkHeader, checkText, unknownSettings, type Why } from './check-text.ts';
import { type EnvLine, parseEnvLine } from './env-line.ts';
import { isForPeople } from './judge.ts';

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
      const hint = didYouMean(
        suggest(
          name,
          judged.map(({ hook }) => hook.name),
        ),
      );
      return {
        name,
        path: name,
        kind: 'no-such-entry',
        reason: `${reason}${hint}`,
        remedy: "see 'tklbam-hooks list'",
      };
    });
  const found = judged
    .filter(({ hook }) => names.length === 0 || names.includes(hook.name))
    .flatMap(({ hook, verdict }) => {
      const whys = [
        ...ofVerdict(hook, verdict, circumstances(hook, judged, names.length > 0)),
        ...(verdict.kind === 'run' ? ofHook(hook, env, clockProblem) : []),
        ...(libraryProblems.get(hook.path) ?? []).map((problem): Why => ({ kind: 'library', ...problem })),
      ];
      const { name, path, bytes } = hook;
      const shown = isUtf8(bytes) ? {} : { shown: showPath(hook) };
      return whys.map((why): Finding => ({ name, path, ...shown, ...why }));
    });
  return [...(names.length === 0 ? unknownSettings(env) : []), ...directories, ...absent, ...found];
}

/** `fixclock` and the ready hooks are often switched off on purpose: to be so alone is no finding for them. */
function circumstances(hook: Candidate, judged: readonly Judged[], isAsked: boolean): Circumstances {
  const isOf =
    (...whys: readonly Skip[]) =>
    ({ verdict }: Judged): boolean =>
      verdict.kind === 'skip' && whys.includes(verdict.why);
  const siblings = judged.filter(
    each => each.hook.source === hook.source && !isOf('name', 'not-a-file', 'masked', 'hidden')(each),
  );
  const isMask = judged.some(each => each.hook.name === hook.name && isOf('hidden')(each));
  const isAlone =
    siblings.length >= 3 &&
    siblings.filter(isOf('disabled')).length === 1 &&
    !['fixclock', ...LIBRARY].includes(hook.name);
  return { isAsked, isMask, isAlone };
}

const SWITCH_OFF = 'chmod -x it to disable it';

function ofVerdict(hook: Candidate, verdict: Judged['verdict'], around: Circumstances): Why[] {
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
      return ofSkip(hook, verdict.why, verdict.key, around);
  }
}

/** Circumstances that make an ordinary verdict, such as `disabled`, worth a finding. */
interface Circumstances {
  /** Somebody asked for it by its name. */
  readonly isAsked: boolean;
  /** It hides a hook of the profile, as it is meant to. */
  readonly isMask: boolean;
  /** It is the only one in its directory that is switched off, of three or more. */
  readonly isAlone: boolean;
}

function ofSkip(
  { name, file }: Candidate,
  why: Skip,
  key: SigningKey | undefined,
  { isAsked, isMask, isAlone }: Circumstances,
): Why[] {
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
        : isForPeople(name)
          ? SWITCH_OFF
          : `rename it to have it run, or ${SWITCH_OFF}`;
      return [{ kind: 'passed-over', reason: `it ${describeSkip(why, key)}, and is executable`, remedy }];
    }
    case 'masked':
      return isExecutable && !isMask
        ? [{ kind: 'empty', reason: 'it is empty, so nothing runs', remedy: SWITCH_OFF }]
        : [];
    case 'hidden':
      return isAsked
        ? [{ kind: 'hidden', reason: `it ${describeSkip(why, key)}`, remedy: 'that one counts' }]
        : [];
    case 'disabled': {
      if (isAsked)
        return [
          { kind: why, reason: 'it is not executable, so it does not run', remedy: 'chmod +x enables it' },
        ];
      if (!isAlone) return [];
      const reason = 'it is not executable, so it does not run, as all others in its directory do';
      return [
        { kind: why, reason, remedy: 'chmod +x enables it; a name in .disabled says that it is meant' },
      ];
    }
    case 'not-a-file':
      return [];
  }
}

function ofHook(
  hook: Candidate,
  env: Environment,
  clockProblem: (env: Environment) => Why | undefined,
): Why[] {
  const { name, path, program, header } = hook;
  const clock = name === 'fixclock' ? clockProblem(env) : undefined;
  const isText = program?.kind === 'script' || program?.kind === 'shell-text';
  const text = isText ? readText(hook) : undefined;
  const words = text === undefined ? [] : checkText(text, isShell(program), header, env);
  return [
    ...checkHeader(header),
    ...ofProgram(program, env),
    ...words,
    ...ofSyntax(path, program, env),
    ...(clock === undefined ? [] : [clock]),
  ];
}

/** Scripts are small; what is larger is not looked into. */
const MOST_TEXT = 1 << 20;

function readText({ path, file }: Candidate): string | undefined {
  if ('error' in file || file.size > MOST_TEXT) return undefined;
  return attempt(() => readFileSync(path, 'utf8'));
}

function ofProgram(program: Program | undefined, env: Environment): Why[] {
  if (program?.kind === 'shell-text') {
    const reason = 'it has no #! line, so /bin/sh runs it';
    return [{ kind: 'no-interpreter-line', reason, remedy: 'begin it with #!/bin/sh' }];
  }
  const line = envLine(program);
  if (line?.kind === 'one-word') {
    const reason = `env would look for '${escapeControls(line.text)}', blanks and all`;
    return [{ kind: 'broken', reason, remedy: `begin it with #!/usr/bin/env -S, or ${SWITCH_OFF}` }];
  }
  if (line?.kind !== 'program') return [];
  const shown = `its interpreter '${escapeControls(line.name)}'`;
  const remedy = `install that, or correct the first line of the hook, or ${SWITCH_OFF}`;
  const file = findByEnv(line.name, env);
  if (file === undefined) {
    const where = line.name.includes('/') ? 'is missing or cannot be executed' : 'is in no directory of PATH';
    return [{ kind: 'broken', reason: `${shown} ${where}`, remedy }];
  }
  const refusal = pathRefusal(file);
  if (refusal === undefined) return [];
  const advice = describePathRefusal(refusal, file);
  const reason = `${shown} can be changed by others: ${advice.reason}`;
  return [{ kind: 'refused', reason, remedy: `${advice.remedy}, or ${SWITCH_OFF}` }];
}

/** As env(1) finds it in the PATH that hooks have. */
function findByEnv(name: string, env: Environment): string | undefined {
  if (!name.includes('/')) return findProgram(name, searchPath(env.PATH));
  // A relative path leads elsewhere each time.
  return name.startsWith('/') && isExecutable(name) ? name : undefined;
}

/** What `sh -n` says of a script, which it reads and does not run. */
function ofSyntax(path: string, program: Program | undefined, env: Environment): Why[] {
  const word = interpreterWord(program);
  // A shell that takes -n, and that only root can have changed: root starts it here.
  if (word === undefined || !isShell(program)) return [];
  const file = word.startsWith('/') ? word : findByEnv(word, env);
  if (file === undefined || !isExecutable(file) || pathRefusal(file) !== undefined) return [];
  const { status, stderr } = spawnSync(file, ['-n', path], {
    cwd: '/',
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    env: HELPER_ENV,
    timeout: 10_000,
    killSignal: 'SIGKILL',
    maxBuffer: 1 << 20,
  });
  if (status === 0) return [];
  // The message follows the path, which may have line breaks of its own.
  const [said = ''] = (stderr ?? '').replaceAll(`${path}: `, '').trim().split('\n');
  const reason = `${basename(file)} -n says: ${escapeControls(said)}`;
  return [{ kind: 'syntax', reason, remedy: `correct that, or ${SWITCH_OFF}` }];
}

const isShell = (program: Program | undefined): boolean =>
  /^(?:ba|da|k|mk|z)?sh$/.test(basename(interpreterWord(program) ?? ''));

function interpreterWord(program: Program | undefined): string | undefined {
  if (program?.kind === 'shell-text') return '/bin/sh';
  const line = envLine(program);
  if (line !== undefined) return line.kind === 'program' ? line.name : undefined;
  return program?.kind === 'script' ? decodeBytes(program.interpreter) : undefined;
}

/** What env(1) is asked to run; undefined if the interpreter is not env. */
function envLine(program: Program | undefined): EnvLine | undefined {
  if (program?.kind !== 'script' || basename(program.interpreter) !== 'env') return undefined;
  return parseEnvLine(decodeBytes(program.argument));
}
