// Every example of README, manual page and packaging/examples is run: where it teaches to back data up, the data is changed
// meanwhile, restored and compared; and something fails in the middle.
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Chroot, openChroot, SOURCE } from '../support/chroot.ts';
import { place } from '../support/harness.ts';
import { repository } from '../support/repository.ts';

const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
const DOCUMENTATION = 'usr/share/doc/tklbam-hooks';
const examples = readdirSync(join(repository, 'packaging/examples'));
const packages = ['sqlite3', 'postgresql', 'procps', 'restic', 'rsync', 'jq', 'dma'];

/** With the executable and the examples, as the package installs them. */
function machine(t: Parameters<typeof openChroot>[0]): Chroot {
  const chroot = openChroot(t, 'bookworm', packages);
  copyFileSync(join(repository, 'dist/tklbam-hooks'), join(chroot.root, 'usr/bin/tklbam-hooks'));
  mkdirSync(join(chroot.root, DOCUMENTATION), { recursive: true });
  cpSync(join(repository, 'packaging/examples'), join(chroot.root, DOCUMENTATION, 'examples'), {
    recursive: true,
  });
  mkdirSync(join(chroot.root, 'etc/tklbam/hooks.d'), { recursive: true });
  // Ready hooks are there, switched off.
  place(
    join(chroot.root, 'etc/tklbam/hooks.d'),
    'services',
    readFileSync(join(repository, 'hooks.d/services')),
    0o644,
  );
  return chroot;
}

test('databases: what was backed up comes back, and what fails has lost nothing', async t => {
  const { run } = machine(t);
  const { status, stdout, stderr } = run(['bash', `${SOURCE}/test/vm/databases`]);
  assert.equal(status, 0, stdout + stderr);
  const cases = stdout.split('\n').filter(line => line.split('\t').length === 3);
  assert.ok(cases.length > 45, stdout + stderr);
  for (const line of cases) {
    const [name, expected, actual] = line.split('\t');
    await t.test(String(name), () => assert.equal(actual, expected, stderr));
  }
});

/** What README and manual page show, dedented: each block of lines that are indented, or between .EX and .EE of EXAMPLES. */
function readmeBlocks(): string[] {
  const text = readFileSync(join(repository, 'README.md'), 'utf8');
  return [...text.matchAll(/(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+/g)].map(([block]) =>
    block.replaceAll(/^ {4}/gm, ''),
  );
}
function manualBlocks(): string[] {
  const text = readFileSync(join(repository, 'packaging/tklbam-hooks.8'), 'utf8');
  const section = text.slice(text.indexOf('.SH EXAMPLES'), text.indexOf('.SH "SEE ALSO"'));
  return [...section.matchAll(/^\.EX\n(.*?)^\.EE$/gms)].map(([, block = '']) =>
    block
      .replaceAll(/^\.B "(.*)"$/gm, '$1')
      .replaceAll('\\-', '-')
      .replaceAll('\\(dq', '"'),
  );
}

/** The commands of a block, a prompt each: `# ` in the manual page, none in README. Lines that are indented go on. */
const commands = (block: string): string => block.replaceAll(/\n {6}/g, ' ').replaceAll(/^# /gm, '');

/** An application, its database and its service, where there is no systemd. */
const SHOP = `cat >/etc/init.d/shop <<'END'
#!/bin/sh
case $1 in
  start) touch /run/shop ;;
  stop) rm /run/shop ;;
  status) [ -e /run/shop ] || exit 3 ;;
esac
END
chmod 755 /etc/init.d/shop
service shop start
useradd --system --create-home --home-dir /var/lib/shop shop
runuser -u shop -- sqlite3 /var/lib/shop/shop.db 'create table orders(x); insert into orders values (1), (2);'`;
const RESTIC = { RESTIC_REPOSITORY: '/var/lib/repository', RESTIC_PASSWORD: 'x' };

test('every example of the manual page does what it says', t => {
  const { root, run } = machine(t);
  const bash = (script: string, env = {}): string => {
    const { status, stdout, stderr } = run(['sh', '-euc', script], { env });
    assert.equal(status, 0, `${script}\n${stdout}${stderr}`);
    return stdout + stderr;
  };
  const [hook = '', tried, installed, backedUp, restored, status, mended, clock, broken, ...more] =
    manualBlocks().map((block, index) => (index === 0 ? block : commands(block)));
  assert.deepEqual(more, [], 'an example that is not run');

  place(join(root, 'etc/tklbam/hooks.d'), '50-package-list', hook);
  assert.match(bash(`${tried}`), /enabled +50-package-list/);
  assert.match(bash('cat /tmp/package-list'), /^sqlite3\t3/m);

  bash(SHOP);
  assert.match(
    bash(`${installed}`),
    /30-shop: stopped shop for the backup.*40-shop' succeeded after.*30-shop: started shop again/s,
  );
  assert.equal(bash('ls -A /root/dumps'), '40-shop.sqlite\npackage-list\n');

  bash(`restic init; mkdir -p /srv/www; echo before >/srv/www/index; chmod 751 /srv; ${backedUp}`, RESTIC);
  bash(`echo after >/srv/www/index; chmod 700 /srv; rm -r /root/dumps
    runuser -u shop -- sqlite3 /var/lib/shop/shop.db 'delete from orders where x = 1; insert into orders values (3);'`);
  const mode = bash('stat -c %a / /root');
  bash(`${restored}`, RESTIC);
  assert.equal(bash('cat /srv/www/index; stat -c %a /srv'), 'before\n751\n');
  assert.equal(
    bash(`runuser -u shop -- sqlite3 /var/lib/shop/shop.db 'select group_concat(x) from orders'`),
    '1,2\n',
  );
  assert.equal(bash('stat -c %a / /root'), mode, 'directories above what is restored stay as they are');

  const [, shown = ''] = /^tklbam-hooks status\n(.*)$/s.exec(`${status}`) ?? [];
  const shape = (text: string): string[] =>
    (text.split('\n')[0] ?? '')
      .replaceAll(/\d+/g, '0')
      .replaceAll(/\b[smhd]\b/g, 's')
      .split(/ +/)
      .filter(Boolean);
  assert.deepEqual(shape(bash('tklbam-hooks status')), shape(shown));

  assert.equal(run(['bash', '-c', `${mended}`]).status, 1);
  copyFileSync(join(repository, 'hooks.d/fixclock'), join(root, 'etc/tklbam/hooks.d/fixclock'));
  assert.match(`${run(['bash', '-c', `${clock}`]).stderr}`, /ntp\.example\.com|None of /);
  place(join(root, 'etc/tklbam/hooks.d'), '60-broken', '#!/nonexistent\n');
  assert.equal(bash(`${broken}`), '60-broken\n');
});

test('every example of README does what it says', t => {
  const { root, run } = machine(t);
  const hooks = join(root, 'etc/tklbam/hooks.d');
  const untried: string[] = [];
  for (const block of readmeBlocks()) {
    if (block.startsWith('$ ')) {
      for (const name of readdirSync(hooks)) rmSync(join(hooks, name));
      place(hooks, 'README', 'not a hook\n', 0o644);
      place(hooks, '40-shop', '#!/bin/sh\nexit 3\n');
      place(hooks, '40-shop.dpkg-old', '#!/bin/sh\n');
      place(hooks, 'fixclock', '#!/bin/sh\n');
      for (const [, command = '', shown = ''] of block.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)) {
        const { stdout, stderr } = run(['bash', '-c', command]);
        const shape = (text: string): string => text.trimEnd().replaceAll(/after \d+\.\d s/g, 'after N s');
        assert.equal(shape(stdout + stderr), shape(shown));
      }
      for (const name of readdirSync(hooks)) rmSync(join(hooks, name));
    } else if (block.startsWith('#!')) {
      place(hooks, 'package-list', block);
      const { status, stderr } = run(['tklbam-hooks', 'run', 'backup', 'inspect', '--cwd', '/tmp']);
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(readFileSync(join(root, 'tmp/package-list'), 'utf8'), /^sqlite3\t3/m);
      rmSync(join(hooks, 'package-list'));
    } else if (/^(?:cd|echo|install|tklbam-hooks) /.test(block) && !block.includes('enable snapshot')) {
      for (const name of readdirSync(hooks)) rmSync(join(hooks, name));
      for (const name of ['services', 'services.conf'])
        copyFileSync(join(repository, 'hooks.d', name), join(hooks, name));
      const script = `id shop >/dev/null 2>&1 || { ${SHOP}; restic init; }\nmkdir -p /root/dumps\n${block}`;
      const { status, stdout, stderr } = run(['bash', '-euc', script], { env: RESTIC });
      assert.equal(status, 0, block + stdout + stderr);
    } else {
      untried.push(block.split('\n')[0] ?? '');
    }
  }
  assert.deepEqual(untried, [
    // test/system/repository.test.ts
    'wget -NP /usr/share/keyrings https://apt.example.com/tklbam-hooks-archive-keyring.gpg',
    // test/system/snapshot-tools.test.ts
    "echo 'VOLUMES=/var/lib/postgresql' >> /etc/tklbam/hooks.d/snapshot.conf",
    // test/system/image.test.ts
    'mkdir -p overlay/etc/tklbam/hooks.d',
    '40-shop etc/tklbam/hooks.d',
    // These are how this test is run.
    'build/setup && npm ci && npm run build && npm run demo',
    'build/setup test && npm ci && npm test',
    'build/node --test test/cli/trust.test.ts',
    // test/system/{arm64,repository,reproducible}.test.ts
    'npm run deb && npm run deb -- --arch arm64',
    `git checkout ${version} && npm ci && npm run build && npm run deb && sha256sum dist/*.deb`,
    // Not a command.
    'argv ─parse─▶ Request ─discover─▶ Candidate[] ─judge─▶ Verdict[] ─plan─▶ Plan ─perform─▶ Report ─report─▶ text',
  ]);
});

test('every hook of packaging/examples is run by a test', () => {
  assert.deepEqual(examples, ['00-report', '20-disk-space', '40-postgresql', '40-sqlite', '50-package-list']);
});

/** What stands in the way of a backup, the command that it is, and what the mail says of it. */
const obstacles: readonly (readonly [what: string, script: string, mail: RegExp])[] = [
  ['a backup that fails', 'backup false', /^'false' exited with status 1$/],
  [
    'a hook that fails',
    "hook '#!/bin/sh\nexit 3'; backup true",
    /^`\/etc\/tklbam\/hooks.d\/50-other backup pre` non-zero exitcode \(3\)$/,
  ],
  [
    'a hook that is refused',
    "hook '#!/bin/sh'; chmod o+w $other; backup true",
    /50-other backup pre` refused: it is writable by everybody, no hook was run/,
  ],
  [
    'a hook that is broken',
    "hook '#!/nonexistent'; backup true",
    /50-other backup pre` could not be started: its interpreter '\/nonexistent'/,
  ],
  [
    'another backup that is running',
    'tklbam-hooks wrap backup -- sh -c "tklbam-hooks wrap backup -- true || :"',
    /^another backup session is running: pid \d+/,
  ],
  ['a command that is missing', 'backup none', /^'none' is not to be found in PATH \(.*\), no hook was run$/],
  [
    '--inspect of no directory',
    'backup --inspect /none true',
    /^--inspect '\/none' is not a directory, 'true' was not run$/,
  ],
  [
    'settings that mean nothing',
    'TKLBAM_HOOKS_TIMEOUT=soon backup true',
    /^TKLBAM_HOOKS_TIMEOUT: 'soon' is no duration, /,
  ],
  [
    'settings that are refused',
    'touch $settings; chmod o+w $settings; backup true; rm $settings',
    /^the settings \/etc\/default\/tklbam-hooks are refused: .* is writable by everybody \(chmod go-w /,
  ],
];

test('00-report mails root what went wrong, whatever that was, and nothing when all is well', async t => {
  const { run } = machine(t);
  const cases = obstacles.map(([, script], index) => `{ ${script}; } >&2; rm -f $other; mailed ${index}`);
  const script = `install -m 755 /${DOCUMENTATION}/examples/00-report /etc/tklbam/hooks.d
other=/etc/tklbam/hooks.d/50-other settings=/etc/default/tklbam-hooks
hook() { printf "$1\\n" >$other; chmod 755 $other; }
backup() {
  local options=
  case $1 in --*) options="$1 $2"; shift 2 ;; esac
  ! tklbam-hooks wrap backup $options -- "$@"
}
mailed() {
  until grep -qs 'shows what each hook did' /var/mail/root; do sleep 0.1; done
  echo "case $1"
  cat /var/mail/root
  rm /var/mail/root
}
tklbam-hooks wrap backup -- true
[ ! -e /var/mail/root ]
${cases.join('\n')}`;
  const { status, stdout, stderr } = run(['timeout', '300', 'bash', '-euc', script]);
  assert.equal(status, 0, stdout + stderr);
  const mails = stdout.split(/^case \d+\n/m).slice(1);
  for (const [index, [what, , said]] of obstacles.entries()) {
    await t.test(what, () => {
      const mail = mails[index] ?? '';
      assert.equal(mail.match(/^Subject: /gm)?.length, 1, mail);
      assert.match(mail, /^Subject: backup of \S+ failed$/m);
      assert.match(mail, new RegExp(said.source, 'm'));
    });
  }
});

test('20-disk-space stops a backup that would fill the disk, or whose directory it cannot look at', t => {
  const { run } = machine(t);
  const script = `install -m 755 /${DOCUMENTATION}/examples/20-disk-space /etc/tklbam/hooks.d
mount -t tmpfs -o size=200M tmpfs /mnt
export TMPDIR=/mnt
tklbam-hooks wrap backup -- true
head -c 150M /dev/zero >/mnt/file
! tklbam-hooks wrap backup -- touch /root/ran
TMPDIR=/nonexistent
! tklbam-hooks wrap backup -- touch /root/ran
[ ! -e /root/ran ]`;
  const { status, stdout, stderr } = run(['bash', '-euc', script]);
  assert.equal(status, 0, stdout + stderr);
  assert.match(stderr, /disk-space: \/mnt has \d+ KB free and the backup needs 102400: make room there/);
});

test('50-package-list keeps the list of packages', t => {
  const { run } = machine(t);
  const script = `install -m 755 /${DOCUMENTATION}/examples/50-package-list /etc/tklbam/hooks.d
mkdir /root/meta
tklbam-hooks wrap backup --inspect /root/meta -- grep ^sqlite3 /root/meta/package-list`;
  const { status, stdout, stderr } = run(['bash', '-euc', script]);
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^sqlite3\t/);
});
