// `00-notify`: somebody hears how backups and restores end, by mail, at a URL, or by apprise.
import { spawn } from 'node:child_process';
import { closeSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { randomHex } from '../../system/random.ts';
import { readTrusted } from '../../system/trust.ts';
import { findHelper, HELPER_ENV } from '../../system/which.ts';
import type { HookEvent } from '../../types.ts';
import type { Context, LibraryHook, Problem } from '../hook.ts';
import { words } from '../settings.ts';
import { hasTool, run } from '../tool.ts';
import {
  body,
  curlOptions,
  eventsRule,
  mail,
  type News,
  subject,
  type Target,
  targetsOf,
  targetsRule,
  urlOf,
} from './targets.ts';

export const notify: LibraryHook = {
  settings: { NOTIFY: targetsRule, ON: eventsRule },
  needs: 'NOTIFY',
  run: async (event, context) => tellAll(event, context),
  check: async ({ NOTIFY }) => targetsOf(NOTIFY).flatMap(target => obstacle(target) ?? []),
};

/** What keeps a target from being told. */
function obstacle(target: Target): Problem | undefined {
  const lack = (tool: string, remedy: string): Problem | undefined =>
    hasTool(tool) ? undefined : { reason: `there is no program ${tool}`, remedy };
  switch (target.kind) {
    case 'mail':
      return lack('sendmail', 'install a mail server, such as nullmailer, or take the address out of NOTIFY');
    case 'url':
      return lack('curl', 'apt install curl');
    case 'apprise': {
      const { kind } = readTrusted(target.file);
      const reason = `'${target.file}' ${kind === 'absent' ? 'is not there' : 'is no file that only root can write'}`;
      return kind === 'text' ? lack('apprise', 'apt install apprise') : { reason, remedy: 'correct NOTIFY' };
    }
  }
}

type Outcome = 'start' | 'success' | 'fail';

function tellAll({ operation, state }: HookEvent, context: Context): number {
  const { values, isSimulated, news, tell } = context;
  const outcome = outcomeOf(state, news.error);
  const targets = targetsOf(values.NOTIFY);
  if (outcome === undefined || targets.length === 0) return 0;
  const wanted = words(values.ON ?? 'failure');
  const isWarning = outcome === 'success' && news.warning !== '';
  const isWanted =
    wanted.includes(outcome === 'fail' ? 'failure' : outcome) || (isWarning && wanted.includes('warning'));
  const message: News = { operation, ...news, error: outcome === 'fail' ? news.error : '', host: hostname() };
  if (isSimulated) {
    if (outcome === 'start') tell(`would tell of the end of the ${operation}`);
    return 0;
  }
  const mails = targets.flatMap(target => (target.kind === 'mail' ? [target.address] : []));
  const problems = [
    ...(isWanted && mails.length > 0 ? [send('sendmail', ['-oi', '-t'], mail(mails, message))] : []),
    ...targets.map(target => {
      if (target.kind === 'url') return ping(target.url, outcome, message, context);
      if (target.kind === 'mail' || !isWanted) return undefined;
      const type = outcome === 'fail' ? 'failure' : isWarning ? 'warning' : 'success';
      const args = ['--config', target.file, '--title', subject(message), '--notification-type', type];
      return send('apprise', args, body(message));
    }),
  ].flatMap(problem => problem ?? []);
  for (const problem of problems) tell(`nobody was told by ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

/** Undefined where there is nothing to tell. */
function outcomeOf(state: HookEvent['state'], error: string): Outcome | undefined {
  switch (state) {
    case 'pre':
      return 'start';
    case 'inspect':
      return undefined;
    case 'post':
      // A hook of `post` has failed: `error` follows.
      return error === '' ? 'success' : undefined;
    case 'error':
      return 'fail';
  }
}

/** Why it failed, a line. */
function send(name: string, args: readonly string[], text: string): string | undefined {
  const { status, reason } = run({ name, args, stdin: text });
  return status === 0 ? undefined : `${name}: ${reason}`;
}

/** A server that does not answer is tried on for a quarter of an hour, and nobody waits for that. */
function ping(
  url: string,
  outcome: Outcome,
  message: News,
  { tell, statePaths }: Context,
): string | undefined {
  const text = outcome === 'fail' ? body(message) : '';
  const to = urlOf(url, outcome);
  const { status, reason } = run({
    name: 'curl',
    args: ['-q', '-K', '-'],
    stdin: curlOptions(to, text, false),
  });
  if (status === 0) return undefined;
  // The rest of a URL is often a secret.
  const { origin } = new URL(url);
  if (outcome === 'start') {
    tell(`${origin} does not hear of the start: ${reason}`);
    return undefined;
  }
  const isTried = status !== null && tryOn(curlOptions(to, text, true), statePaths.stateDirectory);
  if (!isTried) return `${origin}: ${reason}`;
  tell(`${origin} does not hear of it yet: ${reason}; it is tried for a quarter of an hour`);
  return undefined;
}

/** Starts curl(1) in a session of its own. Whether that was possible. */
function tryOn(options: string, stateDirectory: string): boolean {
  const curl = findHelper('curl');
  if (curl === undefined) return false;
  // A file that has no name any more: nothing is left of it, whatever becomes of us.
  const path = `${stateDirectory}/.notify-${randomHex(8)}`;
  try {
    writeFileSync(path, options, { flag: 'wx', mode: 0o600 });
    const stdin = openSync(path, 'r');
    unlinkSync(path);
    spawn(curl, ['-q', '-K', '-'], {
      cwd: '/',
      env: HELPER_ENV,
      detached: true,
      stdio: [stdin, 'ignore', 'ignore'],
    }).unref();
    closeSync(stdin);
    return true;
  } catch {
    return false;
  }
}
