// The hook `services` under systemd, with real services: in a container of each release, over two boots; and where there is no systemd.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openChroot, SOURCE } from '../support/chroot.ts';
import { inContainer } from '../support/container.ts';
import { place } from '../support/harness.ts';
import { RELEASES } from '../support/releases.ts';
import { repository } from '../support/repository.ts';
import { assertSaid, textsOf } from '../support/transcript.ts';

const packages = ['systemd-sysv', 'dbus', 'cron', 'procps', 'python3', 'postgresql'];
const files = {
  hook: 'hooks.d/services',
  services: 'test/vm/services',
  'killing-systemctl': 'test/vm/killing-systemctl',
  flaky: 'test/vm/flaky',
  'answer.py': 'test/vm/answer.py',
};

// systemd 247, 252 and 257.
describe('under systemd', { concurrency: true }, () => {
  for (const suite of RELEASES) {
    test(suite, async t => {
      const isWhole = suite === 'bookworm';
      const first = ['services', 'first', ...(isWhole ? [] : ['quick'])];
      const said = await inContainer(suite, packages, files, first, ['services', 'second']);
      const transcript = said.map(line => line.replaceAll(/postgresql@\d+-main/g, 'postgresql@N-main'));
      await shows(t, transcript, isWhole);
    });
  }
});

/** All that was said in the container, in two boots. */
async function shows(t: TestContext, transcript: readonly string[], isWhole: boolean): Promise<void> {
  const said = (name: string): string[] => textsOf(transcript, name);
  const says = (expected: Readonly<Record<string, readonly string[]>>): void =>
    assertSaid(transcript, expected);

  await t.test('the services of the test run before', () => {
    const states = Array(12).fill('active');
    states[4] = 'inactive';
    says({ before: [states.join(' ')] });
  });

  await t.test('simulated, it says what it would do, and does nothing', () => {
    says({
      simulated: [
        '0',
        'database: would stop app.service, postgresql.service, postgresql@N-main.service, report.service for the backup',
        '0',
      ],
      'simulated-left': [''],
      'simulated-units': ['active active active active inactive'],
    });
  });

  await t.test(
    'a database is stopped with what depends on it, and all that ran comes back; what did not stays stopped',
    () => {
      says({
        'database-units': ['inactive inactive inactive inactive inactive'],
        'database-started': ['active active active active inactive'],
        'database-inspect': ['0'],
        'database-left': [''],
      });
      const [first, second, third] = said('query');
      assert.deepEqual([first, third], ['42', '42']);
      assert.notEqual(second, '42');
      assert.match(
        said('database-pre').join('\n'),
        /^0\ndatabase: stopped .*postgresql@N-main\.service.* for the backup$/,
      );
      assert.match(
        said('database-post').join('\n'),
        /^0\ndatabase: started .*postgresql@N-main\.service.* again$/,
      );
    },
  );

  await t.test('told twice, it does nothing and says nothing', () => {
    says({ 'database-again': ['0'], 'database-twice': ['0'], 'database-error': ['0'] });
  });

  await t.test('nobody can start what is held, whether its unit is in /lib or in /etc', () => {
    says({ 'database-held': ['inactive inactive inactive inactive inactive'] });
  });

  await t.test('a connection that waits does not start a socket-activated service', () => {
    says({
      'web-pre': ['0', 'web: stopped answer.socket, answer.service for the backup'],
      'web-units': ['inactive inactive'],
      'web-later': ['inactive inactive'],
      'web-answers': ['0', 'again'],
      'web-started': ['active active'],
    });
  });

  await t.test('a timer does not go off, in a restore either, and is started again', () => {
    const [, stopped = ''] = said('tick-pre');
    assert.match(stopped, /^tick: stopped tick\.timer(?:, tick\.service)? for the restore$/);
    assert.equal(said('tick-post')[0], '0');
    says({ 'tick-ticks': ['0'], 'tick-units': ['inactive'], 'tick-started': ['active'] });
  });

  await t.test('a target comes back without what it wants and the administrator had stopped', () => {
    says({
      'target-units': ['inactive inactive inactive inactive inactive'],
      'target-started': ['active active active active inactive'],
    });
  });

  await t.test('two of one kind, over each other: what the first stopped is started by it alone', () => {
    says({
      'both-pre': ['0', 'both: stopped one.service, two.service for the backup'],
      'slow-pre': ['0', 'slow: stopped base.service for the backup'],
      'both-units': ['inactive inactive inactive'],
      'slow-post': ['0', 'slow: started base.service again'],
      'both-between': ['active inactive inactive'],
      'both-post': ['0', 'both: started one.service, two.service again'],
      'both-started': ['active active active'],
    });
  });

  await t.test('with QUIESCE=no others may start it meanwhile, and an alias is the service', () => {
    says({ 'open-units': ['active inactive inactive'], 'open-started': ['active active active'] });
    assert.match(said('open-pre').join('\n'), /^0\nopen: stopped .*base\.service.* for the backup$/);
  });

  await t.test('a unit that is not there: nothing is stopped', () => {
    says({
      'unknown-pre': [
        '1',
        "alone: there is no unit none.service, nothing was stopped (see 'systemctl list-units --all')",
      ],
      'unknown-units': ['active'],
      'unknown-left': [''],
    });
  });

  await t.test('a backup that would be ended with the service is not begun', () => {
    says({
      own: [
        'slow: we run in backup.service, which would be stopped with them, nothing was stopped (call us from elsewhere, or leave them out)',
      ],
      'own-units': ['active'],
    });
  });

  await t.test('a start that fails is tried again', () => {
    says({ 'flaky-post': ['0', 'flaky: started flaky.service again'], 'flaky-started': ['active'] });
  });

  await t.test(
    'one that goes on failing is told with its journal, stays owed, and is paid when it is mended',
    () => {
      const [status, ...lines] = said('broken-post');
      assert.equal(status, '1');
      assert.equal(lines[0], 'broken: started one.service again');
      assert.match(
        lines[1] ?? '',
        /^broken: could not start broken\.service again, tried twice: it is failed \(failed\), result: exit-code$/,
      );
      assert.ok(
        lines.some(line => /^broken: {3}.*flaky: no such luck, 98 left$/.test(line)),
        lines.join('\n'),
      );
      assert.match(
        lines.at(-1) ?? '',
        /it stays noted: 'tklbam-hooks recover' and the next backup try again/,
      );
      assert.equal(said('broken-error')[0], '75');
      says({
        'broken-units': ['active failed'],
        'broken-left': ['/run/tklbam-hooks/broken.json'],
        'broken-mended': ['0', 'broken: started broken.service again'],
        'broken-started': ['active active'],
        'broken-end': [''],
      });
    },
  );

  await t.test('a unit that is gone meanwhile is told, and is not owed for ever', () => {
    says({
      'gone-post': [
        '0',
        'broken: started one.service again',
        'broken: broken.service is no longer there, leaving it stopped',
      ],
      'gone-left': [''],
      'gone-units': ['active'],
    });
  });

  await t.test('around a backup that succeeds, fails, or is killed with its guardian', () => {
    const down = 'inactive inactive inactive';
    const up = 'active active active';
    const [stopped, started] = ['stopped', 'started'].map(
      what => `services: ${what} base.service, one.service, two.service`,
    );
    says({
      enable: ["'/etc/tklbam/wrapped.d/services' enabled"],
      check: [''],
      wrap: [`${stopped} for the backup`, ...down.split(' '), `${started} again`],
      'wrap-units': [up],
      'wrap-fails': [
        `${stopped} for the backup`,
        "tklbam-hooks: 'false' exited with status 1",
        `${started} again`,
      ],
      'wrap-fails-units': [up],
      'wrap-killed-units': [down],
      'recover-units': [up],
      'recover-left': [''],
    });
    assert.ok(said('recover').includes(`${started} again`), said('recover').join('\n'));
  });

  await t.test(
    'killed before or after any call of systemctl, error leaves all running and nothing held',
    { skip: !isWhole && 'on Debian 12 alone: it takes minutes' },
    () => {
      const [counts = ''] = said('kills');
      const [kills, bad] = counts.split(' ').map(Number);
      assert.deepEqual([bad, said('kill-bad')], [0, []], transcript.join('\n'));
      assert.ok((kills ?? 0) >= 20, counts);
    },
  );

  await t.test('a reboot starts what is enabled, and leaves nothing to undo', () => {
    assert.match(said('reboot-left')[0] ?? '', /slow\.json/);
    says({
      second: ['active active active'],
      'second-left': [''],
      'second-error': ['0'],
      'second-units': ['inactive inactive inactive'],
      'second-started': ['active active active'],
    });
  });
}

test('where systemd does not run, the scripts of /etc/init.d are called', t => {
  const { root, run } = openChroot(t, 'bookworm', packages);
  const hooks = join(root, 'etc/tklbam/hooks.d');
  mkdirSync(hooks, { recursive: true });
  copyFileSync(join(repository, 'hooks.d/services'), join(hooks, 'services'));
  place(hooks, 'services.conf', 'SERVICES=cron\n', 0o644);
  place(
    root,
    'script',
    `ln -s ${SOURCE}/dist/tklbam-hooks /usr/bin/
hook() { sh /etc/tklbam/hooks.d/services backup "$@"; echo "$1 $? $(service cron status)"; }
service cron start
hook pre
hook pre
hook post
hook post
service cron stop
hook pre
hook error
echo 'SERVICES="cron none"' >/etc/tklbam/hooks.d/services.conf
hook pre
ls /run/tklbam-hooks`,
  );
  const { stdout, stderr } = run(['sh', '/script']);
  assert.equal(
    stdout,
    `Starting periodic command scheduler: cron.
pre 0 cron is not running ... failed!
pre 0 cron is not running ... failed!
post 0 cron is running.
post 0 cron is running.
Stopping periodic command scheduler: cron.
pre 0 cron is not running ... failed!
error 0 cron is not running ... failed!
pre 1 cron is not running ... failed!
`,
  );
  assert.equal(
    stderr,
    `services: stopped cron for the backup
services: started cron again
services: there is no service none: no /etc/init.d/none, nothing was stopped (see 'ls /etc/init.d')
`,
  );
});
