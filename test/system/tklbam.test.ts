// tklbam and this package, in clean chroots: whose hooks.py is in place whatever dpkg does. tklbam is a stand-in (test/tklbam), on
// Python 2.7 and 3.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Chroot, openChroot } from '../support/chroot.ts';
import { buildTklbam, deb, repack, version } from '../support/debs.ts';
import { cacheDirectory, place } from '../support/harness.ts';

interface Bed {
  readonly suite: string;
  readonly python: string;
  readonly packages: readonly string[];
}
const bullseye: Bed = {
  suite: 'bullseye',
  python: 'python2.7',
  packages: ['python2.7', 'ntpdate', 'logrotate'],
};
const bookworm: Bed = { suite: 'bookworm', python: 'python3', packages: ['python3', 'ntpsec-ntpdate'] };
const trixie: Bed = { ...bookworm, suite: 'trixie' };

const LIBRARY = '/usr/lib/tklbam';
const UNIT = '/etc/systemd/system/multi-user.target.wants/tklbam-hooks-recover.service';

/** Packages, by what they are called in the steps below. */
let debs: string;
/** Of our hooks.py. */
let mtime: Date;

before(() => {
  mkdirSync(cacheDirectory, { recursive: true, mode: 0o755 });
  debs = mkdtempSync(join(cacheDirectory, 'debs-'));
  const file = (name: string): string => join(debs, `${name}.deb`);
  const setVersion = (tree: string, number: string): void => {
    const control = readFileSync(join(tree, 'DEBIAN/control'), 'utf8');
    writeFileSync(join(tree, 'DEBIAN/control'), control.replace(/^Version: .*/m, `Version: ${number}`));
  };
  repack(deb, file('hooks'), tree => {
    mtime = statSync(join(tree, 'usr/share/tklbam-hooks/hooks.py')).mtime;
    // 100 MiB less to unpack in each step.
    place(join(tree, 'usr/bin'), 'tklbam-hooks', '#!/bin/sh\n');
    rmSync(join(tree, 'DEBIAN/md5sums'));
  });
  repack(file('hooks'), file('hooks-next'), tree => setVersion(tree, `${version}+next`));
  // coreutils has that file, and dpkg comes to it when it has unpacked most of the package.
  repack(file('hooks'), file('hooks-broken'), tree => {
    setVersion(tree, `${version}+broken`);
    mkdirSync(join(tree, 'usr/sbin'));
    place(join(tree, 'usr/sbin'), 'chroot', '');
  });
  // It had neither.
  repack(file('hooks'), file('hooks-1.0.0'), tree => {
    setVersion(tree, '1.0.0');
    for (const script of ['postinst', 'prerm', 'postrm']) rmSync(join(tree, 'DEBIAN', script));
    for (const path of ['usr/share/tklbam-hooks', 'lib', 'usr/lib'])
      rmSync(join(tree, path), { recursive: true, force: true });
  });
});
after(() => {
  if (debs !== undefined) rmSync(debs, { recursive: true });
});

// Whose hooks.py is in place.

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
const shell = (chroot: Chroot, command: string, env: Readonly<Record<string, string>> = {}): Outcome => {
  const { status, stdout, stderr } = chroot.run(['sh', '-c', command], { env });
  return { status, stdout, stderr };
};
const done = (chroot: Chroot, command: string): string => {
  const { status, stdout, stderr } = shell(chroot, command);
  assert.equal(status, 0, `${command}\n${stdout}${stderr}`);
  return stdout;
};

/** What is to be in place after each step: ours, or tklbam's of that version, or nothing. */
type Step = readonly [command: string, inPlace: string];
const OURS = '/usr/bin/tklbam-hooks';
const THEIRS = "tklbam's own, 1.0";
const THEIR_NEXT = "tklbam's own, 1.1";
const install = (...names: readonly string[]): string =>
  `dpkg -i ${names.map(name => `/root/debs/${name}.deb`).join(' ')}`;

const orders: readonly (readonly Step[])[] = [
  [
    [install('tklbam'), THEIRS],
    [install('hooks'), OURS],
    [install('tklbam-next'), OURS],
    [install('hooks-next'), OURS],
    ['dpkg --remove tklbam-hooks', THEIR_NEXT],
    [install('hooks'), OURS],
    [install('tklbam-next'), OURS],
    ['dpkg --purge tklbam-hooks', THEIR_NEXT],
    ['dpkg --purge tklbam', ''],
  ],
  [
    [install('hooks'), OURS],
    [install('tklbam'), OURS],
    [install('hooks-next'), OURS],
    [install('tklbam-next'), OURS],
    ['dpkg --remove tklbam', OURS],
    [install('tklbam'), OURS],
    ['dpkg --purge tklbam', OURS],
    ['dpkg --purge tklbam-hooks', ''],
  ],
  [
    [install('tklbam', 'hooks'), OURS],
    ['dpkg --remove tklbam-hooks tklbam', ''],
    [install('hooks', 'tklbam'), OURS],
    ['dpkg --purge tklbam tklbam-hooks', ''],
  ],
  [
    [install('hooks-1.0.0'), ''],
    [install('tklbam'), THEIRS],
    [install('hooks'), OURS],
    ['dpkg --purge tklbam-hooks', THEIRS],
    [install('hooks-1.0.0'), THEIRS],
    ['dpkg --remove tklbam-hooks', THEIRS],
    [install('hooks'), OURS],
    ['dpkg --purge tklbam-hooks', THEIRS],
    ['dpkg --purge tklbam', ''],
  ],
  [
    [`! ${install('hooks-broken')}`, ''],
    [install('tklbam'), THEIRS],
    [`! ${install('hooks-broken')}`, THEIRS],
    [install('hooks-1.0.0'), THEIRS],
    [`! ${install('hooks-broken')}`, THEIRS],
    [install('hooks'), OURS],
    [`! ${install('hooks-broken')}`, OURS],
    ['dpkg --remove tklbam-hooks', THEIRS],
    [`! ${install('hooks-broken')}`, THEIRS],
    ['dpkg --purge tklbam-hooks tklbam', ''],
  ],
];

for (const { suite, python, packages } of [bullseye, bookworm, trixie]) {
  test(`dpkg on ${suite}`, async t => {
    const chroot = openChroot(t, suite, packages);
    const inChroot = (path: string): string => join(chroot.root, path);
    execFileSync('cp', ['-r', debs, inChroot('root/debs')]);
    for (const [name, number] of [
      ['tklbam', '1.0'],
      ['tklbam-next', '1.1'],
    ] as const) {
      const built = buildTklbam(inChroot('root'), number, { python, mtime });
      execFileSync('mv', [built, inChroot(`root/debs/${name}.deb`)]);
    }
    execFileSync('mv', [
      buildTklbam(inChroot('root'), '1.0', { name: 'tklbam3', python, mtime }),
      inChroot('root/debs/tklbam3.deb'),
    ]);
    execFileSync('mv', [
      buildTklbam(inChroot('root'), '0.9', { name: 'tklbam3', conf: 'tklbam', python, mtime }),
      inChroot('root/debs/tklbam3-old.deb'),
    ]);

    const isThere = (name: string): boolean =>
      shell(chroot, `dpkg-query -W -f '\${db:Status-Status}' ${name}`).stdout === 'installed';
    /** As the next backup would import it, and as root: bytecode is written. */
    const imported = (library: string): string =>
      existsSync(inChroot(library))
        ? done(chroot, `cd ${library} && ${python} -c 'import hooks; print(hooks.PROGRAM)'`)
        : '';

    for (const steps of orders) {
      await t.test(
        steps.map(([command]) => command.replace(/dpkg -i|\/root\/debs\/|\.deb/g, '').trim()).join(', '),
        () => {
          for (const [command, inPlace] of steps) {
            done(chroot, `${command} </dev/null`);
            check(command, inPlace);
          }
          assert.deepEqual(
            [LIBRARY, `${LIBRARY}3`, UNIT].filter(path => existsSync(inChroot(path))),
            [],
          );
        },
      );
    }

    // Older ones of tklbam3 have it there too. On one suite: dpkg does the same on the others.
    for (const name of suite === 'bullseye' ? (['tklbam', 'tklbam3-old'] as const) : []) {
      const fixclock = '/etc/tklbam/hooks.d/fixclock';
      const packageName = name.replace('-old', '');
      for (const order of [
        [name, 'hooks'],
        ['hooks', name],
      ]) {
        await t.test(`the fixclock of ${order.join(', ')}: ours; and theirs again, as the purge says`, () => {
          for (const each of order) done(chroot, `${install(each)} </dev/null`);
          assert.match(done(chroot, `cat ${fixclock}`), /^exec "\$program" fixclock/m);
          assert.match(done(chroot, `dpkg-query --search ${fixclock}`), /^tklbam-hooks(,|:)/);
          assert.equal(done(chroot, 'dpkg --audit'), '');
          const said = done(chroot, 'dpkg --purge tklbam-hooks 2>&1');
          const remedy = `apt install --reinstall ${packageName}\n`;
          assert.ok(
            said.endsWith(`TKLBAM has no hook fixclock any more; to have its own again: ${remedy}`),
            said,
          );
          assert.equal(existsSync(inChroot(fixclock)), false);
          // What apt does then.
          done(chroot, `dpkg -i /root/debs/${name}.deb`);
          assert.match(done(chroot, `cat ${fixclock}`), new RegExp(`^echo ${packageName} `, 'm'));
          done(chroot, `dpkg --purge ${packageName}`);
        });
      }
    }

    function check(command: string, inPlace: string): void {
      const file = inChroot(`${LIBRARY}/hooks.py`);
      // In there, where it may be a link.
      const text = shell(chroot, `cat ${LIBRARY}/hooks.py`).stdout;
      const [, program = ''] = /^PROGRAM = "(.*)"$/m.exec(text) ?? [];
      assert.equal(program, inPlace, command);
      if (isThere('tklbam')) assert.equal(imported(LIBRARY), `${inPlace}\n`, command);
      assert.equal(existsSync(`${file}.distrib`), inPlace === OURS && isThere('tklbam'), command);
      assert.equal(
        done(chroot, 'dpkg-divert --list').match(/by tklbam-hooks$/gm)?.length ?? 0,
        inPlace === OURS ? 2 : 0,
        command,
      );
      assert.equal(done(chroot, 'dpkg --audit'), '', command);
      const there = ['tklbam', 'tklbam-hooks'].filter(isThere);
      if (there.length > 0) {
        // Both have it, as a conffile.
        const changed = done(chroot, `dpkg --verify ${there.join(' ')}`).replace(
          /^.* \/etc\/tklbam\/hooks\.d\/fixclock\n/m,
          '',
        );
        assert.equal(changed, '', command);
      }
    }
  });
}
