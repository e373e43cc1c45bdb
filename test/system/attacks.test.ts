// What users without any right do against hooks that root runs: with a cgroup for each hook, and without.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import type { Answer, Scenario } from '../support/attacked.ts';
import { executable as builtExecutable } from '../support/built.ts';
import { hooksDirectory, place, plainEnvironment, scratch } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

let tried = 0;
after(() => console.log(`${tried} attacks were tried`));

const KINDS = [
  { name: 'with cgroup v2', hasCgroup: true, hide: '' },
  { name: 'without it', hasCgroup: false, hide: 'mount -t tmpfs none /sys/fs/cgroup' },
] as const;

/** Words that run others in namespaces of their own, which take all that is started there with them. The shell buries the dead. */
const apart = (hide: string): [string, ...string[]] => [
  ...(['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c'] as const),
  `${hide}\n"$@" & wait "$!"`,
  'sh',
];

const executable = builtExecutable();

const script = (name: string): string[] => [process.execPath, join(repository, 'test/support', name)];

for (const { name, hasCgroup, hide } of KINDS) {
  const it = (title: string, body: (t: TestContext) => void | Promise<void>): void => {
    test(`${title}, ${name}`, body);
  };

  it('attackers hold up and grow neither a hook at its limit, nor a recovery, nor a backup that fails', () => {
    const [file, ...args] = [...apart(hide), ...script('attacked.ts'), executable];
    const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', cwd: '/', env: plainEnvironment });
    assert.equal(stderr, '');
    const { attackers, hadCgroup, without, beside }: Answer = JSON.parse(stdout);
    tried += 3 * attackers.length;
    console.log(`${name}, beside ${attackers.join(', ')}:`);
    assert.equal(hadCgroup, hasCgroup);
    for (const scenario of ['limit', 'recover', 'error'] satisfies Scenario[]) {
      const [before, now] = [without[scenario], beside[scenario]];
      const ratio = now.seconds / before.seconds;
      const mebibytes = [before, now].map(({ kibibytes }) => `${kibibytes >> 10} MiB`);
      console.log(
        `  ${scenario.padEnd(7)} ${before.seconds} s -> ${now.seconds} s (${ratio.toFixed(2)}), ${mebibytes.join(' -> ')}`,
      );
      const figures = `${scenario}: ${JSON.stringify([before, now])}`;
      assert.equal(now.status, before.status, figures);
      // Of what is over in no time, half a second is what other work on the machine takes.
      assert.ok(now.seconds <= 1.5 * before.seconds + 0.5, figures);
      assert.ok(now.kibibytes <= before.kibibytes + 20_000, figures);
    }
  });

  for (const words of hasCgroup ? ['', 'setsid'] : ['']) {
    it(`a chain of quick forks${words && ' in sessions of their own'} ends at the limit`, t => {
      tried++;
      const directory = hooksDirectory(t);
      const written = join(scratch(t), 'written');
      const chain = join(repository, 'test/attacks/fork-chain');
      place(directory, 'a', `#!/bin/sh\n'${chain}' '${written}' ${words} &\nsleep 600\n`);
      const run = [executable, 'run', 'backup', 'pre', '--hooks', directory, '--timeout', '3s'];
      // Half a second is some hundred forks. In namespaces of its own: no chain outlives a test that fails or is killed.
      const sizes = `"$@"; echo "$?"; for s in 0.5 0; do stat -c %s '${written}'; sleep "$s"; done`;
      const [file, ...args] = [...apart(hide), 'sh', '-c', sizes, 'sh', ...run];
      const env = { ...plainEnvironment, TKLBAM_HOOKS_GRACE: '1s' };
      const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', cwd: '/', env });
      assert.equal(stderr, `HookError: \`${directory}/a backup pre\` timed out after 3s\n`);
      const [status, size, later] = stdout.split('\n').map(Number);
      assert.equal(status, 1);
      assert.ok(size !== undefined && size > 100, `${size} forks`);
      assert.equal(later, size);
    });
  }
}

test('a stranger who has the number of a hook’s process group is not killed in its place', () => {
  tried++;
  const [file, ...args] = [...apart(KINDS[1].hide), ...script('reused-pid.ts')];
  const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', cwd: '/', env: plainEnvironment });
  assert.deepEqual([stdout, stderr], ['{"stranger":"left"}', '']);
});
