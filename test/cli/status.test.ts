// What is told of sessions later: `status`, `status --check`, metrics and `history`, after real ones.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ending, isRoot, place, plainEnvironment, programs, run, scratch } from '../support/harness.ts';
import { stage } from '../support/stage.ts';

const FAILING = '#!/bin/sh\n[ "$2" = pre ] || exit 0\necho "hunter2 is wrong" >&2\nexit 3\n';

for (const program of programs) {
  describe(`${program.name}: status`, { concurrency: 4 }, () => {
    test('what went wrong last night, and since when, in the first lines', t => {
      const made = stage(t, ['a']);
      const wrap = (...words: string[]) =>
        run(program, ['wrap', 'backup', ...words], { env: made.env }).status;
      assert.equal(wrap('--', 'true'), 0);
      place(made.hooks, 'b', FAILING);
      assert.equal(wrap('--', 'true'), 1);
      const [status, stdout, stderr] = ending(run(program, ['status'], { env: made.env }));
      assert.deepEqual([status, stderr], [0, '']);
      const when = String.raw`\d+ s ago \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)`;
      assert.match(
        stdout,
        new RegExp(
          `^backup: FAILED, ${when}, took \\d+ s\n {2}.*/b backup pre.*\\snon-zero\\s+exitcode\\s+\\(3\\)\n {2}the last good one: ${when}\n {2}mend b, and try it: tklbam-hooks wrap backup --only b -- true\n\nThe hooks of the backup of .*:\n! b  [=.+]+ +\\S+ s  pre: exit status 3\n {6}\\| hunter2 is wrong\n {2}a  .*\n$`,
        ),
      );
      const json = JSON.parse(run(program, ['status', '--json'], { env: made.env }).stdout);
      assert.deepEqual([json.version, json.last[0].outcome, json.last[0].name], [3, 'failed', 'true']);
      assert.ok(Date.parse(json.last[0].lastGood) > 0);
    });

    test('for an administration by the web: lines of printable characters, and the same again', t => {
      const made = stage(t, ['b', 'a']);
      const evil = '\x1b[31mc\n\x9b\u202ed';
      const noise = "printf '\\033[2J\\r\\a'";
      for (const name of [evil, 'f'])
        place(made.hooks, name, `#!/bin/sh\n${noise}; ${noise} >&2; [ "$2" != post ]\n`);
      const wrap = (...words: readonly string[]): unknown =>
        run(program, ['wrap', ...words], { env: made.env });
      for (const operation of ['restore', 'backup']) wrap(operation, '--name', 'nightly', '--', 'true');
      wrap('backup', '--', 'true');
      // Cut off, and still to be told.
      wrap('backup', '--', 'sh', '-c', 'kill -KILL $PPID');
      for (const name of [`${evil}.bak`, 'z']) place(made.hooks, name, '#!/nonexistent/\x1b[1mz\n');
      // As Webmin and confconsole have it: no TERM, no COLUMNS.
      const env = { ...made.env, LC_ALL: 'C', LANG: 'C' };
      const show = (...words: readonly string[]): string => {
        const { stdout, stderr } = run(program, words, { env });
        return (stdout + stderr).replaceAll(/\d+ (?:s|min|h) ago/g, 'N ago');
      };
      for (const words of [['status'], ['status', '--all'], ['list'], ['history'], ['check']]) {
        const shown = show(...words);
        assert.match(shown, /^(?:[^\p{C}\ufffd]*\n)+$/u, words.join());
        assert.ok(shown.split('\n').length > 2, shown);
        assert.equal(show(...words), shown);
        if (words[0] !== 'history') assert.match(shown, /\\x1b\[31mc\\x0a\\x9b\\u\{202e\}d/, words.join());
      }
      place(made.hooks, Buffer.from([0xff, 0x65]), '#!/bin/sh\n');
      for (const command of ['list', 'check']) {
        const shown = show(command);
        assert.match(shown, /\\xffe/);
        assert.doesNotMatch(shown, /\ufffd/);
      }
    });

    test('history: a line for each session, with the hook that failed', t => {
      const made = stage(t, ['a']);
      for (const [operation, name] of [
        ['backup', 'nightly'],
        ['restore', 'x'],
        ['backup', 'weekly'],
      ] as const)
        run(program, ['wrap', operation, '--name', name, '--', 'true'], { env: made.env });
      place(made.hooks, 'b', FAILING);
      run(program, ['wrap', 'backup', '--name', 'nightly', '--', 'true'], { env: made.env });
      const lines = (...words: string[]): string[] =>
        run(program, ['history', ...words], { env: made.env })
          .stdout.split('\n')
          .slice(0, -1);
      const all = lines();
      const line = (what: string, outcome: string, hooks: string): RegExp =>
        new RegExp(`^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d  ${what} +${outcome} +\\d+ s +${hooks}$`);
      assert.match(all[0] ?? '', /^STARTED +OPERATION +OUTCOME +TOOK +REMARK$/);
      for (const [index, pattern] of [
        line('backup nightly', 'good', 'slowest: a, \\S+ s'),
        line('restore x', 'good', 'slowest: a, \\S+ s'),
        line('backup weekly', 'good', 'slowest: a, \\S+ s'),
        line('backup nightly', 'FAILED', 'b: pre exit status 3'),
      ].entries())
        assert.match(all[index + 1] ?? '', pattern);
      assert.equal(all.length, 5);
      assert.deepEqual(lines('restore').length, 2);
      for (const each of all) assert.ok(each.length <= 80, each);
    });

    test('--check: what monitoring gets; it names what to do', t => {
      const made = stage(t, ['a']);
      const check = (...words: string[]): [number | null, string] => {
        const { status, stdout } = run(program, ['status', '--check', ...words], { env: made.env });
        return [status, stdout.split(' | ')[0] ?? ''];
      };
      assert.deepEqual(check(), [3, 'UNKNOWN - there was no backup yet\n']);
      assert.equal(run(program, ['wrap', 'backup', '--', 'true'], { env: made.env }).status, 0);
      const [good, text] = check();
      assert.equal(good, 0);
      assert.match(text, /^OK - backup 'true' good, the last good one ended \d+ s ago$/);
      place(made.hooks, 'b', FAILING);
      const status = () => run(program, ['status'], { env: made.env }).stdout;
      const before = status();
      assert.equal(
        run(program, ['wrap', 'backup', '--only', 'b', '--', 'true'], { env: made.env }).status,
        1,
      );
      // A trial is no backup.
      assert.deepEqual(check()[0], 0);
      assert.equal(status().replace(/\d+ s ago/, ''), before.replace(/\d+ s ago/, ''));
      run(program, ['wrap', 'backup', '--', 'true'], { env: made.env });
      const [bad, why] = check('--max-age', '1h');
      assert.equal(bad, 2);
      assert.match(
        why,
        /^CRITICAL - backup 'true' failed \d+ s ago \(.*\/b backup pre.* non-zero exitcode \(3\)\); the last good one ended \d+ s ago$/,
      );
      for (const [words, error] of [
        [['--max-age', '1h'], "'--max-age' is for 'status --check'"],
        [['--check', '--json'], "'status' takes one of --json and --check"],
      ] as const)
        assert.deepEqual(
          ending(run(program, ['status', ...words], { env: made.env })).slice(0, 2),
          [2, ''],
          error,
        );
    });

    test('metrics are there at the end of each session; that they cannot be written is a warning', t => {
      const made = stage(t, ['a']);
      const metrics = join(scratch(t), 'tklbam-hooks.prom');
      const env = { ...made.env, TKLBAM_HOOKS_METRICS: metrics };
      const wrap = (...command: string[]) =>
        run(program, ['wrap', 'backup', '--name', 'x', '--', ...command], { env });
      assert.equal(wrap('true').status, 0);
      assert.equal(statSync(metrics).mode & 0o777, 0o644);
      const value = (name: string): string | undefined =>
        new RegExp(`^tklbam_hooks_${name}\\{operation="backup",name="x"\\} (\\S+)$`, 'm').exec(
          readFileSync(metrics, 'utf8'),
        )?.[1];
      assert.equal(value('last_succeeded'), '1');
      const success = value('last_success_timestamp_seconds');
      assert.equal(wrap('false').status, 1);
      assert.deepEqual([value('last_succeeded'), value('last_success_timestamp_seconds')], ['0', success]);
      assert.equal(run(program, ['status', '--prometheus'], { env }).stdout, readFileSync(metrics, 'utf8'));
      const lost = run(program, ['wrap', 'backup', '--', 'true'], {
        env: { ...made.env, TKLBAM_HOOKS_METRICS: '/nonexistent/x.prom' },
      });
      assert.deepEqual(
        [lost.status, lost.stderr],
        [0, "tklbam-hooks: cannot write TKLBAM_HOOKS_METRICS '/nonexistent/x.prom': it is gone (ENOENT)\n"],
      );
    });
  });
}

const executable = programs.at(-1);
if (executable === undefined) throw new Error('there is no executable');

test('a user of the group adm may know how backups stand, and nothing that hooks said; others may not', t => {
  if (!isRoot) return;
  const made = stage(t, []);
  place(made.hooks, 'b', FAILING);
  run(executable, ['wrap', 'backup', '--', 'sh', '-c', 'echo secret-argument'], { env: made.env });
  const path = join(made.state, 'status.json');
  assert.doesNotMatch(readFileSync(path, 'utf8'), /hunter2|secret-argument/);
  const script = `
    mount -t tmpfs -o mode=755 none /mnt && touch /mnt/program && mount --bind "$1" /mnt/program || exit 99
    mkdir /mnt/state && mount --bind "$2" /mnt/state || exit 98
    shift 2; exec setpriv --reuid=65534 --regid=65534 "$@" /mnt/program status --check`;
  const as = (groups: string): [number | null, string] => {
    const words = ['-m', 'sh', '-c', script, 'sh', ...executable.command, made.state, groups];
    const env = { ...plainEnvironment, TKLBAM_HOOKS_STATE: '/mnt/state', TKLBAM_HOOKS_LOG: '/mnt/state/log' };
    const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', env, cwd: '/' });
    return [status, `${stdout}${stderr}`];
  };
  const [status, text] = as('--groups=4');
  assert.equal(status, 2, text);
  assert.match(text, /^CRITICAL - backup 'sh' failed .*never a good one \| 'sh age'=U/);
  assert.deepEqual(as('--clear-groups'), [
    3,
    'UNKNOWN - how the last backup ended cannot be read: permission denied (EACCES)\n',
  ]);
});

test('a log of 100,000 sessions takes no more memory than a short one', t => {
  const directory = join(scratch(t), 'log');
  mkdirSync(directory);
  const log = join(directory, 'log');
  const lines = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, index) => {
      const common = {
        time: '2026-11-25T01:02:03.000Z',
        session: `s${from + index}`,
        operation: 'backup',
        seconds: 1,
      };
      const hook = {
        type: 'hook',
        ...common,
        state: 'pre',
        hook: 'a',
        path: '/d/a',
        outcome: 'succeeded',
        status: 0,
        signal: null,
      };
      return `${JSON.stringify(hook)}\n${JSON.stringify({ type: 'session', ...common, outcome: 'succeeded', error: null })}\n`;
    }).join('');
  const peak = (): number => {
    const env = { ...plainEnvironment, TKLBAM_HOOKS_LOG: log };
    const { stdout, stderr } = spawnSync('/usr/bin/time', ['--format=%M', ...executable.command, 'history'], {
      encoding: 'utf8',
      env,
    });
    assert.equal(stdout.split('\n').length, 32, stderr);
    return Number(stderr);
  };
  appendFileSync(log, lines(0, 100));
  const short = peak();
  for (let from = 100; from < 100_000; from += 10_000)
    appendFileSync(log, lines(from, Math.min(from + 10_000, 100_000)));
  assert.ok(statSync(log).size > 20 << 20);
  const long = peak();
  // Garbage that V8 has not collected yet is all the difference.
  assert.ok(long - short < 48 << 10, `${short} and ${long} KiB`);
  assert.ok(existsSync(log));
});
