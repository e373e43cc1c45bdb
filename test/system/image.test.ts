// The package in an image: baked as README has it, in a chroot that has nothing, and booted in a virtual machine; and hooks in packages of their own.
import assert from 'node:assert/strict';
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Chroot, openChroot } from '../support/chroot.ts';
import { buildStandIn, buildTklbam, deb, repack } from '../support/debs.ts';
import { place, scratch } from '../support/harness.ts';
import { readmeBlock } from '../support/readme.ts';
import { repository } from '../support/repository.ts';
import { bootable, vmImageOf } from '../support/vm-image.ts';

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

/** Without fixclock, which has a network to ask here nowhere. */
const wrap = 'tklbam-hooks wrap backup --only 40-shop --only services';

/** A virtual machine of that tree: each call is the next boot, with a script to run. */
function machine(t: TestContext, root: string): (script: string) => SpawnSyncReturns<string> {
  const directory = scratch(t);
  const image = vmImageOf(root, join(directory, 'image'));
  const work = join(directory, 'work');
  mkdirSync(work);
  // Notes the bound that the unit has, and makes it short.
  place(work, 'timeout', '#!/bin/sh\necho "$1" >/run/bound\nshift\nexec /usr/bin/timeout 5 "$@"\n');
  return script => {
    place(work, 'script', script);
    const options = ['-t', '1800', '-k', join(directory, 'disk'), image, work];
    return spawnSync(join(repository, 'test/vm/run'), [...options, 'bash', 'script'], { encoding: 'utf8' });
  };
}

test('an image is baked as README has it, its hooks run at its first boot, are told of a power cut while a unit hangs, and survive upgrades', t => {
  const source = product(t);
  const chroot = openChroot(t, 'bookworm', [...bootable, 'ntpsec-ntpdate', 'chrony', 'cron', 'python3']);
  const { root } = chroot;
  const build = building(chroot);
  place(join(root, 'usr/sbin'), 'policy-rc.d', '#!/bin/sh\nexit 101\n');
  copyFileSync(deb, join(root, 'root/tklbam-hooks.deb'));
  nextVersion(join(root, 'root/next.deb'));

  // What TurnKey's build does: the packages of the plan, the overlay over all, the conf scripts in it.
  const plan = readFileSync(join(source, 'plan/main'), 'utf8').trimEnd().split('\n');
  for (const name of plan) build(`dpkg -i /root/${name}.deb </dev/null`);
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

  const boot = machine(t, root);
  // Then one with a unit that hangs until the recovery has come.
  const first = boot(
    `echo "first boot, cron is $(systemctl is-active cron)" >>/root/told
${wrap} -- sh -c 'echo "the backup, cron is $(systemctl is-active cron)" >>/root/told'
cat >/etc/systemd/system/hang.service <<'END'
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sh -c 'until grep error /root/told; do sleep 1; done'
[Install]
WantedBy=multi-user.target
END
systemctl enable hang
install -m 755 timeout /usr/local/sbin
${wrap} -- sh -c 'echo "the power goes" >>/root/told; sync; echo b >/proc/sysrq-trigger; exec sleep 1000'`,
  );
  const second = boot(
    'echo "second boot, cron is $(systemctl is-active cron), the bound $(cat /run/bound)"; cat /root/told',
  );
  assert.equal(
    second.stdout,
    `second boot, cron is active, the bound 120
first boot, cron is active
40-shop: backup pre, cron is active
the backup, cron is inactive
40-shop: backup post, cron is active
40-shop: backup pre, cron is active
the power goes
40-shop: backup error, cron is active
`,
    first.stdout + first.stderr + second.stderr,
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
