// README's screens: the same runs are made, and print the same but for times.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openChroot } from '../support/chroot.ts';
import { place } from '../support/harness.ts';
import { manualBlocks } from '../support/manual.ts';
import { repository } from '../support/repository.ts';

const readme = readFileSync(join(repository, 'README.md'), 'utf8');

/** A command of README and what it shows that it prints. */
const screens = [...readme.matchAll(/^ {4}\$ (.*)\n((?: {4}(?!\$ ).*\n|\n(?= {4}(?!\$ )))*)/gm)].map(
  ([, command = '', shown = '']) => ({ command, shown: shown.replaceAll(/^ {4}/gm, '') }),
);

const FORUM = `#!/bin/sh
# Stops the forum for the backup; started again in post and error.
case $2 in
    pre) sleep 0.6; echo 'forum: stopped' ;;
    post | error) sleep 0.3; echo 'forum: started again' ;;
esac
`;
const SHOP = `#!/bin/sh
[ "$1 $2" = 'backup pre' ] || exit 0
sleep 1.2
[ -e /srv/shop ] || { echo 'shop: cannot connect to the database: it is not running' >&2; exit 3; }
`;

/** What happens before each command, in order. */
const scenes = [
  ['after four good nights', 'for night in 1 2 3 4; do tklbam-hooks wrap backup -- restic backup /srv; done'],
  ['a backup that fails', 'rm /srv/shop'],
  ['the morning after', ':'],
  ['the nights before', ':'],
  ['what would go wrong', 'chmod g+w /etc/tklbam/hooks.d/40-shop'],
  ['all that is there', ':'],
] as const;

test("the status that tklbam-hooks(8) shows is one of README's screens", () => {
  const shown = manualBlocks('tklbam-hooks.8').find(block => block.startsWith('# tklbam-hooks status\n'));
  assert.equal(shown, `# tklbam-hooks status\n${screens[2]?.shown.trimEnd()}\n`);
});

test("README's screens are what is printed", async t => {
  assert.equal(screens.length, scenes.length);
  const { root, run } = openChroot(t, 'bookworm', ['restic']);
  copyFileSync(join(repository, 'dist/tklbam-hooks'), join(root, 'usr/bin/tklbam-hooks'));
  const hooks = join(root, 'etc/tklbam/hooks.d');
  mkdirSync(hooks, { recursive: true });
  place(hooks, '30-forum', FORUM);
  place(hooks, '40-shop', SHOP);
  place(hooks, 'README', 'What is here.\n', 0o644);
  for (const name of ['services', 'services.conf'])
    place(hooks, name, readFileSync(join(repository, 'hooks.d', name)), 0o644);
  const env = { RESTIC_REPOSITORY: '/var/lib/repository', RESTIC_PASSWORD: 'x' };
  const made = run(['sh', '-ec', 'touch /srv/shop; restic init'], { env });
  assert.equal(made.status, 0, made.stderr);
  for (const [index, [what, before]] of scenes.entries()) {
    const { command, shown } = screens[index] ?? { command: '', shown: '' };
    await t.test(`${what}: ${command}`, () => {
      const prepared = run(['sh', '-ec', before], { env });
      assert.equal(prepared.status, 0, prepared.stderr);
      // On a terminal of 80 columns: one without a size.
      const { stdout } = run(['script', '--quiet', '--command', command, '/dev/null'], { env });
      const printed = stdout.replaceAll('\r\n', '\n');
      assert.equal(shape(printed), shape(shown), printed);
      for (const line of shown.split('\n')) assert.ok(line.length <= 80, line);
    });
  }
});

/** Without times, and the bars that show them. */
const shape = (text: string): string =>
  text
    .trimEnd()
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?/g, 'DATE')
    .replaceAll(/(?: +\d+(?:\.\d)? (?:s|min|h|d)\b)+/g, ' TIME')
    .replaceAll(/ [=+.]+ *(?= TIME)/g, ' BAR');
