// What the operation itself has started is ended before hooks of `error` start services again.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { hooksDirectory, place, programs, type Running, scratch, start, until } from '../support/harness.ts';

/** Writes on and on, whatever it is told, in a process of its own. */
const WRITER = `sh -c 'trap "" TERM INT HUP; while :; do echo . >>"$WRITTEN"; sleep 0.01; done' & echo ready; `;

/** Says in `error` whether it is still written. */
const WITNESS = `#!/bin/sh
if [ "$2" = error ]; then
    before=$(wc -c <"$WRITTEN")
    sleep 0.5
    if [ "$before" = "$(wc -c <"$WRITTEN")" ]; then echo ended >"$SEEN"; else echo 'goes on' >"$SEEN"; fi
fi
`;

for (const program of programs) {
  describe(program.name, { concurrency: 4 }, () => {
    const prepare = (t: TestContext) => {
      const [directory, hooks] = [scratch(t), hooksDirectory(t)];
      place(hooks, 'a', WITNESS);
      const env = {
        WRITTEN: join(directory, 'written'),
        SEEN: join(directory, 'seen'),
        TKLBAM_HOOKS: hooks,
        TKLBAM_HOOKS_STATE: join(directory, 'state'),
        TKLBAM_HOOKS_LOG: join(directory, 'log'),
        TKLBAM_HOOKS_GRACE: '1s',
      };
      const seen = (): string => (existsSync(env.SEEN) ? readFileSync(env.SEEN, 'utf8') : '');
      return { directory, env, seen };
    };
    const gone = (run: Running): Promise<void> => until('nothing is left', () => run.left().length === 0);

    for (const [title, body, blow] of [
      ['that fails', 'sleep 0.2; exit 3', undefined],
      ['that is told to end', 'sleep 600', 'SIGTERM'],
    ] as const) {
      test(`a command ${title}: what it started is ended first`, async t => {
        const { env, seen } = prepare(t);
        const command = [...program.command, 'wrap', 'backup', '--', 'sh', '-c', WRITER + body] as const;
        const [file, ...args] = command;
        const running = start(t, [file, ...args], env);
        await running.says('ready');
        await until('it is written', () => existsSync(env.WRITTEN));
        if (blow !== undefined) running.child.kill(blow);
        await running.ended;
        assert.equal(seen(), 'ended\n');
        await gone(running);
      });
    }

    test('a command that succeeds: what it left is left alone', async t => {
      const { env } = prepare(t);
      const [file, ...args] = [
        ...program.command,
        'wrap',
        'backup',
        '--',
        'sh',
        '-c',
        'sleep 600 &',
      ] as const;
      const running = start(t, [file, ...args], env);
      assert.deepEqual(await running.ended, [0, '']);
      assert.ok(running.left().length > 0);
    });

    test('a wrap that is killed: the recovery ends the command and what it started', async t => {
      const { env, seen } = prepare(t);
      const [file, ...words] = program.command;
      const args = [...words, 'wrap', 'backup', '--', 'sh', '-c', `trap "" TERM; ${WRITER} sleep 600`];
      const running = start(t, [file, ...args], env);
      await running.says('ready');
      await until('it is written', () => existsSync(env.WRITTEN));
      running.child.kill('SIGKILL');
      await running.ended;
      const [status] = await start(t, [file, ...words, 'recover'], env).ended;
      assert.deepEqual([status, seen()], [0, 'ended\n']);
      await gone(running);
    });

    for (const [title, ending] of [
      ['is killed', 'os.kill(os.getpid(), 9)'],
      ['ends the session and lives on', 'ours.close(); guardian.wait()'],
    ] as const) {
      test(`a caller that ${title}: what it started is ended first, and a daemon is not`, async t => {
        const { env, seen } = prepare(t);
        const caller = `
import json, os, socket, subprocess, sys
ours, theirs = socket.socketpair()
def ask(state):
    request = {"state": state, "cwd": "/", "env": dict(os.environ)}
    ours.sendall((json.dumps(request) + "\\n").encode())
    return json.loads(ours.makefile().readline())
os.environ["TKLBAM_HOOK_CALLER"] = "caller-%d" % os.getpid()
guardian = subprocess.Popen(sys.argv[1:] + ["session", "backup", "--control", str(theirs.fileno())], pass_fds=[theirs.fileno()])
theirs.close()
assert ask("pre")["status"] == 0
subprocess.Popen(["setsid", "sleep", "600"])
subprocess.Popen(["sh", "-c", os.environ["WRITER"]]).wait()
while not os.path.exists(os.environ["WRITTEN"]): pass
${ending}
`;
        const python = ['python3', '-S', '-c', caller, ...program.command] as const;
        const running = start(t, [...python], { ...env, WRITER });
        await until('hooks are told', () => seen() !== '');
        await until('the hook is done', () => seen().endsWith('\n'));
        assert.equal(seen(), 'ended\n');
        await running.ended;
        await until('the daemon alone is left', () => running.left().length === 1);
      });
    }
  });
}
