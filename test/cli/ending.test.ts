// How a run ends: time limits, signals, terminals, and a runner that is killed. Real processes, and nothing left of them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import {
  hooksDirectory,
  install,
  place,
  plainEnvironment,
  programs,
  type Running,
  scratch,
  start,
  until,
} from '../support/harness.ts';
import { watchdogs, watchdogsOf } from '../support/watchdogs.ts';

/** A grace that is waited for, and one that nothing of a test could wait for. */
const SHORT = { ms: 2000, env: { TKLBAM_HOOKS_GRACE: '2s' } };
const ENDLESS = { env: { TKLBAM_HOOKS_GRACE: '1h' } };

/** Tries with a time limit of so many seconds, and a longer one where the machine was too busy for what has to be done before it. */
async function withLimit<T>(attempt: (limit: number) => Promise<T | undefined>): Promise<T> {
  for (const limit of [1, 3, 9, 27, 81]) {
    const result = await attempt(limit);
    if (result !== undefined) return result;
  }
  throw new Error('it is not ready in two minutes');
}

/** What was killed is there until the kernel has taken it down. */
const gone = (run: Running): Promise<void> => until('nothing of it is left', () => run.left().length === 0);

for (const program of programs) {
  describe(program.name, { concurrency: 8 }, () => {
    const it = (title: string, body: (t: TestContext) => Promise<void>): void => {
      test(title, body);
    };
    const run = (t: TestContext, args: readonly string[], env: Record<string, string> = {}): Running =>
      start(t, [...program.command, 'run', ...args], env);
    const error = (directory: string, hook: string, what: string, state = 'pre'): string =>
      `HookError: \`${directory}/${hook} backup ${state}\` ${what}\n`;

    /** Runs a hook until it says `ready`, and undefined if it ends before. */
    const ready = async (...args: Parameters<typeof run>): Promise<Running | undefined> => {
      const running = run(...args);
      return running.says('ready').then(
        () => running,
        () => undefined,
      );
    };
    /** Runs a hook that says `ready` up to its time limit. */
    const upToLimit = (t: TestContext, args: readonly string[], env: Record<string, string>) =>
      withLimit(async limit => {
        const startedMs = performance.now();
        const running = await ready(t, [...args, '--timeout', `${limit}s`], env);
        if (running === undefined) return undefined;
        return { limit, running, ended: await running.ended, tookMs: performance.now() - startedMs };
      });

    /** Kills a runner, and looks at what it has left, all of it before the limit of its hook. */
    const killed = (t: TestContext, args: readonly string[], env: Record<string, string>) =>
      withLimit(async limit => {
        const startedMs = performance.now();
        const running = await ready(t, [...args, '--timeout', `${limit}s`], env);
        if (running === undefined) return undefined;
        await kill(running);
        const [ended, left] = [await running.ended, running.left().length];
        return performance.now() - startedMs < limit * 1000 ? { running, ended, left } : undefined;
      });

    for (const hook of ['sleep', 'exit-0-on-term', 'stop-itself']) {
      it(`at its limit, ${hook} is ended at once`, async t => {
        const directory = hooksDirectory(t);
        install(directory, hook);
        const args = ['backup', 'pre', '--hooks', directory];
        const { limit, running, ended } = await upToLimit(t, args, ENDLESS.env);
        assert.deepEqual(ended, [1, error(directory, hook, `timed out after ${limit}s`)]);
        await gone(running);
      });
    }

    for (const hook of ['ignore-term', 'fork-twice']) {
      it(`at its limit, ${hook} is killed after the grace`, async t => {
        const directory = hooksDirectory(t);
        install(directory, hook);
        const args = ['backup', 'pre', '--hooks', directory];
        const { limit, running, ended, tookMs } = await upToLimit(t, args, SHORT.env);
        assert.deepEqual(ended, [1, error(directory, hook, `timed out after ${limit}s`)]);
        assert.ok(tookMs > limit * 1000 + SHORT.ms);
        await gone(running);
      });
    }

    it('a limit in the hook’s own comment stands above the others', async t => {
      const directory = hooksDirectory(t);
      place(directory, 'a', '#!/bin/sh\n# tklbam-hooks: timeout=1s\nsleep 600\n');
      const running = run(t, ['backup', 'pre', '--hooks', directory, '--timeout', '1h']);
      assert.deepEqual(await running.ended, [1, error(directory, 'a', 'timed out after 1s')]);
    });

    it('no limit: --timeout 0, and timeout=0 in a comment', async t => {
      const directory = hooksDirectory(t);
      place(directory, 'a', '#!/bin/sh\nsleep 1.5\n');
      place(directory, 'b', '#!/bin/sh\n# tklbam-hooks: timeout=0\nsleep 1.5\n');
      const without = run(t, ['backup', 'pre', '--hooks', directory, '--only', 'a', '--timeout', '0']);
      const own = run(t, ['backup', 'pre', '--hooks', directory, '--only', 'b', '--timeout', '1s']);
      assert.deepEqual(await Promise.all([without.ended, own.ended]), [
        [0, ''],
        [0, ''],
      ]);
    });

    it('after a time-out in post, the other hooks run', async t => {
      const directory = hooksDirectory(t);
      install(directory, 'print-args', 'a');
      install(directory, 'sleep', 'b');
      const { limit, running, ended } = await upToLimit(t, ['backup', 'post', '--hooks', directory], {});
      assert.deepEqual(ended, [1, error(directory, 'b', `timed out after ${limit}s`, 'post')]);
      assert.equal(running.stdout(), `ready\n[${directory}/a][backup][post]\n`);
    });

    it('failure=warn makes a failure a warning', async t => {
      const directory = hooksDirectory(t);
      place(directory, 'a', '#!/bin/sh\n# tklbam-hooks: failure=warn\nexit 3\n');
      install(directory, 'print-args', 'b');
      const running = run(t, ['backup', 'pre', '--hooks', directory]);
      const warning = `tklbam-hooks: '${directory}/a backup pre' non-zero exitcode (3), ignoring it as it asks (failure=warn)\n`;
      assert.deepEqual(await running.ended, [0, warning]);
      assert.equal(running.stdout(), `[${directory}/b][backup][pre]\n`);
    });

    it('a comment line that cannot be read is told and not used, the others count', async t => {
      const directory = hooksDirectory(t);
      place(
        directory,
        'a',
        '#!/bin/sh\n\n# tklbam-hooks: timeout=1 minute\n  # tklbam-hooks: failure=warn\nsleep 2\nexit 3\n',
      );
      const running = run(t, ['backup', 'pre', '--hooks', directory]);
      const fault = (line: number, text: string): string =>
        `tklbam-hooks: '${directory}/a': line ${line}: cannot read '${text}', so the line is not used (it takes timeout=DURATION, failure=warn, always, secrets=yes)\n`;
      const warning = `tklbam-hooks: '${directory}/a backup pre' non-zero exitcode (3), ignoring it as it asks (failure=warn)\n`;
      assert.deepEqual(await running.ended, [0, fault(3, 'minute') + warning]);
    });

    it('what a hook had started is ended with it when somebody kills it, and not when it fails', async t => {
      const directory = hooksDirectory(t);
      place(directory, 'b', '#!/bin/sh\nsleep 600 &\nsetsid sleep 601 &\nkill -s KILL $$\n');
      const killed = run(t, ['backup', 'pre', '--hooks', directory]);
      assert.deepEqual(await killed.ended, [1, error(directory, 'b', 'killed by signal SIGKILL')]);
      await gone(killed);
      place(directory, 'b', '#!/bin/sh\nsleep 600 &\nexit 3\n');
      const failed = run(t, ['backup', 'pre', '--hooks', directory]);
      assert.deepEqual(await failed.ended, [1, error(directory, 'b', 'non-zero exitcode (3)')]);
      assert.equal(failed.left().length, 1);
    });

    it('a daemon that a successful hook left is neither waited for nor killed', async t => {
      const directory = hooksDirectory(t);
      install(directory, 'leave-daemon', 'a');
      install(directory, 'sleep', 'b');
      const { limit, running, ended } = await upToLimit(t, ['backup', 'pre', '--hooks', directory], {});
      assert.deepEqual(ended, [1, error(directory, 'b', `timed out after ${limit}s`)]);
      const daemon = Number(/daemon (\d+)/.exec(running.stdout())?.[1]);
      assert.deepEqual(running.left(), [daemon]);
    });

    for (const [signal, status] of [
      ['INT', 'SIGINT'],
      ['TERM', 'SIGTERM'],
    ] as const) {
      it(`${signal}: the running hook gets it once, no other starts, it dies of it itself`, async t => {
        const directory = hooksDirectory(t);
        install(directory, 'count-signals', 'a');
        install(directory, 'print-args', 'b');
        const record = join(scratch(t), 'record');
        const running = run(t, ['backup', 'pre', '--hooks', directory], { RECORD: record });
        await running.says('ready');
        running.child.kill(`SIG${signal}`);
        const message = error(
          directory,
          'a',
          `interrupted by signal SIG${signal}, the hooks after it were not run`,
        );
        assert.deepEqual(await running.ended, [status, message]);
        assert.equal(readFileSync(record, 'utf8'), `${signal}\n`);
        await gone(running);
      });
    }

    it('TERM in post ends that too, with what the hook started, and no other starts', async t => {
      const directory = hooksDirectory(t);
      install(directory, 'print-args', 'a');
      place(directory, 'b', '#!/bin/sh\nsetsid sleep 600 &\necho ready\nsleep 600\n');
      const running = run(t, ['backup', 'post', '--hooks', directory]);
      await running.says('ready');
      running.child.kill('SIGTERM');
      const message = error(
        directory,
        'b',
        'interrupted by signal SIGTERM, the hooks after it were not run',
        'post',
      );
      assert.deepEqual(await running.ended, ['SIGTERM', message]);
      assert.equal(running.stdout(), 'ready\n');
      await gone(running);
    });

    it('a second INT skips the grace', async t => {
      const directory = hooksDirectory(t);
      place(
        directory,
        'a',
        "#!/bin/sh\ntrap '' TERM HUP\ntrap 'echo heard' INT\necho ready\nwhile :; do sleep 0.1; done\n",
      );
      const running = run(t, ['backup', 'pre', '--hooks', directory], ENDLESS.env);
      await running.says('ready');
      running.child.kill('SIGINT');
      await running.says('heard');
      running.child.kill('SIGINT');
      const [status] = await running.ended;
      assert.equal(status, 'SIGINT');
      await gone(running);
    });

    it('without one, a hook that ignores INT is killed after the grace', async t => {
      const directory = hooksDirectory(t);
      install(directory, 'ignore-term');
      const running = run(t, ['backup', 'pre', '--hooks', directory], SHORT.env);
      await running.says('ready');
      const startedMs = performance.now();
      running.child.kill('SIGINT');
      const message = error(directory, 'ignore-term', 'interrupted by signal SIGINT');
      assert.deepEqual(await running.ended, ['SIGINT', message]);
      assert.ok(performance.now() - startedMs > SHORT.ms);
      await gone(running);
    });

    for (const hook of ['sleep', 'fork-twice', 'ignore-term']) {
      it(`a runner killed with KILL: the time limit of ${hook} holds all the same`, async t => {
        const directory = hooksDirectory(t);
        install(directory, hook);
        const args = ['backup', 'pre', '--hooks', directory];
        const { running, ended, left } = await killed(t, args, SHORT.env);
        assert.deepEqual(ended, ['SIGKILL', '']);
        assert.ok(left > 0);
        await gone(running);
      });
    }

    it('that holds for any name and any session of the caller’s', async t => {
      const directory = hooksDirectory(t);
      install(directory, 'sleep', ' a  b\n ');
      const args = ['backup', 'pre', '--hooks', directory];
      const env = { ...SHORT.env, TKLBAM_HOOK_SESSION: 'one\ntwo ' };
      const { running, ended, left } = await killed(t, args, env);
      assert.deepEqual(ended, ['SIGKILL', '']);
      assert.ok(left > 0);
      await gone(running);
    });

    it('a watchdog does not outlive its run, and says nothing of it in its arguments', async t => {
      const directory = hooksDirectory(t);
      install(directory, 'echo-stdin');
      const session = `s${process.pid}`;
      const [file, ...args] = [...program.command, 'run', 'backup', 'pre', '--hooks', directory] as const;
      const env = { ...plainEnvironment, TKLBAM_HOOK_SESSION: session };
      const child = spawn(file, args, { cwd: '/', env, stdio: ['pipe', 'ignore', 'ignore'] });
      const mine = (): ReturnType<typeof watchdogsOf> => watchdogsOf(child.pid);
      await until('there is a watchdog', () => mine().length > 0);
      assert.ok(!mine().some(({ words }) => words.includes(session)));
      const pids = mine().map(({ pid }) => pid);
      child.stdin.end();
      await once(child, 'exit');
      await until('there is no watchdog any more', () => !watchdogs().some(({ pid }) => pids.includes(pid)));
    });
  });
}

/** With a watchdog, there is a limit for what it has started. */
async function kill({ child }: ReturnType<typeof start>): Promise<void> {
  await until(
    'there is a watchdog, or no runner any more',
    () => watchdogsOf(child.pid).length > 0 || child.exitCode !== null,
  );
  child.kill('SIGKILL');
}
