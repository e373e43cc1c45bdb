// The package in an image: baked as README has it, in a chroot that has nothing, and booted; and hooks in packages of their own.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Chroot, openChroot } from '../support/chroot.ts';
import { buildStandIn, buildTklbam, deb, repack } from '../support/debs.ts';
import { place, scratch } from '../support/harness.ts';
import { readmeBlock } from '../support/readme.ts';
import { repository } from '../support/repository.ts';

const HOOKS = '/etc/tklbam/hooks.d';

/** Without network, /proc and running systemd, as an image is built. */
function building({ run }: Chroot): (command: string) => string {
  return command => {
    const { status, stdout, stderr } = run(['sh', '-ec', command], { bare: true });
    assert.equal(status, 0, `${command}\n${stdout}${stderr}`);
    return stdout + stderr;
  };
}

/** A newer version, in which every configuration file has changed. */
function nextVersion(to: string): void {
  repack(deb, to, tree => {
    const control = join(tree, 'DEBIAN/control');
    writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*/m, '$&+next'));
    for (const file of readFileSync(join(tree, 'DEBIAN/conffiles'), 'utf8').trimEnd().split('\n'))
      writeFileSync(join(tree, file), '# next\n', { flag: 'a' });
  });
}

/** The product's directory that README's recipe makes, where a hook of its own is. */
function product(t: TestContext): string {
  const directory = scratch(t);
  for (const each of ['plan', 'conf.d']) mkdirSync(join(directory, each));
  place(directory, 'plan/main', '');
  place(
    directory,
    '40-shop',
    '#!/bin/sh\necho "40-shop: $1 $2, cron is $(systemctl is-active cron)" >>/root/told\n',
  );
  execFileSync('sh', ['-euc', readmeBlock('mkdir -p overlay')], { cwd: directory });
  return directory;
}

test('an image is baked as README has it, its hooks run at its first boot, and survive upgrades', t => {
  const source = product(t);
  const chroot = openChroot(t, 'bookworm', [
    'systemd-sysv',
    'dbus',
    'cron',
    'procps',
    'python3',
    'postgresql',
  ]);
  const { root } = chroot;
  const build = building(chroot);
  place(join(root, 'usr/sbin'), 'policy-rc.d', '#!/bin/sh\nexit 101\n');
  copyFileSync(deb, join(root, 'root/tklbam-hooks.deb'));
  nextVersion(join(root, 'root/next.deb'));
  buildStandIn(join(root, 'root/tool.deb'), 'ntpsec-ntpdig');
  buildTklbam(join(root, 'root'), '1');

  // What TurnKey's build does: the packages of the plan, the overlay over all, the conf scripts in it.
  const plan = readFileSync(join(source, 'plan/main'), 'utf8').trimEnd().split('\n');
  for (const name of ['tool', ...plan]) build(`dpkg -i /root/${name}.deb </dev/null`);
  cpSync(join(source, 'overlay'), root, { recursive: true, force: true });
  copyFileSync(join(source, 'conf.d/tklbam-hooks'), join(root, 'root/conf'));
  assert.match(build('/root/conf'), /^\/etc\/tklbam\/hooks\.d\/40-shop backup pre$/m);
  build('rm /root/conf');

  const mode = (name: string): number => statSync(join(root, HOOKS, name)).mode & 0o777;
  const asBaked = (): void => {
    assert.deepEqual(['40-shop', 'services', 'fixclock'].map(mode), [0o755, 0o755, 0o755]);
    assert.match(readFileSync(join(root, HOOKS, 'services.conf'), 'utf8'), /^SERVICES="cron"$/m);
    assert.match(
      build('tklbam-hooks list'),
      /enabled +40-shop[\s\S]*enabled +fixclock[\s\S]*enabled +services/,
    );
  };
  asBaked();
  assert.equal(build('dpkg -V tklbam-hooks || true').replace(/^\S+ c \S+services\.conf\n/m, ''), '');

  const work = scratch(t);
  place(
    work,
    'first-boot',
    `set -eu
systemctl is-active cron
tklbam-hooks wrap backup -- sh -c 'echo "the backup, cron is $(systemctl is-active cron)" >>/root/told'
systemctl is-active cron
cat /root/told
`,
  );
  const booted = spawnSync(join(repository, 'test/vm/container'), [root, work, 'bash', 'first-boot'], {
    encoding: 'utf8',
  });
  assert.equal(booted.status, 0, booted.stdout + booted.stderr);
  assert.equal(
    booted.stdout,
    `active
services: stopped cron.service for the backup
services: started cron.service again
active
40-shop: backup pre, cron is active
the backup, cron is inactive
40-shop: backup post, cron is active
`,
    booted.stderr,
  );

  build('dpkg --force-confdef --force-confold -i /root/next.deb </dev/null');
  asBaked();
  assert.match(readFileSync(join(root, HOOKS, 'services'), 'utf8'), /\n# next\n$/);
});

for (const order of [
  ['tklbam_1_all', 'tklbam-hooks'],
  ['tklbam-hooks', 'tklbam_1_all'],
]) {
  test(`dpkg finds nothing changed after ${order.join(' and ')}, and after upgrades of both`, t => {
    const chroot = openChroot(t, 'bookworm', ['wget']);
    const build = building(chroot);
    const inRoot = join(chroot.root, 'root');
    copyFileSync(deb, join(inRoot, 'tklbam-hooks.deb'));
    nextVersion(join(inRoot, 'next.deb'));
    buildStandIn(join(inRoot, 'tool.deb'), 'ntpsec-ntpdig');
    for (const number of ['1', '2']) buildTklbam(inRoot, number);
    for (const name of ['tool', ...order]) build(`dpkg -i /root/${name}.deb </dev/null`);
    const changed = (): string =>
      build('{ dpkg -V; dpkg -V tklbam-hooks; dpkg -V tklbam; } | grep tklbam || :');
    assert.equal(changed(), '');
    for (const name of ['tklbam_2_all', 'next']) {
      build(`dpkg -i /root/${name}.deb </dev/null`);
      assert.equal(changed(), '', name);
    }
  });
}

test('a package ships a hook, which upgrades leave switched off, and which does nothing when its program is gone', t => {
  const source = join(scratch(t), 'shop-backup');
  cpSync(join(repository, 'test/hook-package'), source, { recursive: true });
  place(join(source, 'debian'), 'shop-backup.install', readmeBlock('40-shop etc/tklbam/hooks.d'), 0o644);
  chmodSync(join(source, 'debian/rules'), 0o755);
  execFileSync('dpkg-buildpackage', ['--build=binary', '--no-sign', '--no-check-builddeps'], {
    cwd: source,
    stdio: 'pipe',
  });
  const chroot = openChroot(t, 'bookworm', ['wget']);
  const build = building(chroot);
  const inRoot = join(chroot.root, 'root');
  copyFileSync(deb, join(inRoot, 'tklbam-hooks.deb'));
  copyFileSync(join(source, '../shop-backup_1.0_all.deb'), join(inRoot, 'shop.deb'));
  repack(join(inRoot, 'shop.deb'), join(inRoot, 'newer.deb'), tree => {
    const control = join(tree, 'DEBIAN/control');
    writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*/m, 'Version: 2.0'));
  });
  buildStandIn(join(inRoot, 'tool.deb'), 'ntpsec-ntpdig');
  // Whichever comes first.
  for (const name of ['shop', 'tool', 'tklbam-hooks']) build(`dpkg -i /root/${name}.deb </dev/null`);
  const list = (): string => build('tklbam-hooks list');
  const pre = (): string => build('tklbam-hooks run backup pre --only 40-shop');
  assert.equal(pre(), 'shop: dumped\n');
  build(`tklbam-hooks disable 40-shop; dpkg -i /root/newer.deb`);
  assert.match(list(), /disabled +40-shop/);
  build('tklbam-hooks enable 40-shop; dpkg --remove shop-backup');
  assert.match(list(), /enabled +40-shop/);
  assert.equal(pre(), '');
  build('dpkg --purge shop-backup');
  assert.doesNotMatch(list(), /40-shop/);
});
