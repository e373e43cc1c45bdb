// A session that was asked for in words or with settings that mean nothing, or with settings that are refused: it leaves a line in the log,
// and hooks that want to hear of every failure are told, as of any other attempt that was turned away.
import { parseOptions } from '../cli/options.ts';
import { parse } from '../cli/parse.ts';
import { ENDING } from '../run/signals.ts';
import { logAttempt } from '../session/log.ts';
import { openSession } from '../session/session.ts';
import { closeInherited } from '../system/descriptors.ts';
import { attempt } from '../system/errno.ts';
import type { Environment, Operation, WrapRequest } from '../types.ts';
import type { Context } from './context.ts';
import { sessionDeps } from './session-deps.ts';
import { hookSetting } from './setting.ts';

export async function turnedAway(
  operation: Operation,
  argv: readonly string[],
  error: string,
  context: Context,
): Promise<void> {
  const { env } = context;
  const request = attempt(() => understand(operation, argv, env));
  if (request === undefined) return logAttempt(env.TKLBAM_HOOKS_LOG, operation, error);
  closeInherited();
  context.leaveDirectory();
  const { signals, terminal } = context.listen();
  const deps = sessionDeps(
    request,
    {
      setting: { ...hookSetting(terminal), streams: 'apart' },
      signals,
      reaction: signal => (ENDING.includes(signal) ? 'deferred' : 'ignored'),
    },
    context,
  );
  try {
    await openSession(request, deps).turnAway(error, env);
  } finally {
    await deps.close();
  }
}

/** Where those hooks and the log are, as far as that was said in a way that can be understood. Throws UsageError where it was not. */
function understand(operation: Operation, argv: readonly string[], env: Environment): WrapRequest {
  const end = argv.indexOf('--');
  const { values } = parseOptions(end < 0 ? argv : argv.slice(0, end));
  const options = (['hooks', 'profile'] as const).flatMap(name =>
    (values.get(name) ?? []).map(value => `--${name}=${value}`),
  );
  const places = ['TKLBAM_HOOKS', 'TKLBAM_REGISTRY', 'TKLBAM_HOOKS_STATE', 'TKLBAM_HOOKS_LOG'].flatMap(
    name => (env[name] === undefined ? [] : [[name, env[name]] as const]),
  );
  const cwd = attempt(() => process.cwd());
  const request = parse(['wrap', operation, ...options, '--', 'true'], Object.fromEntries(places), cwd);
  if (request.kind !== 'wrap') throw new Error(`it was asked for ${request.kind}`);
  return request;
}
