// Every example of README, manual pages and packaging/examples is run: where it teaches to back data up, the data is changed
// meanwhile, restored and compared; and something fails in the middle.
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Chroot, openChroot } from '../support/chroot.ts';
import { place } from '../support/harness.ts';
import { manualBlocks } from '../support/manual.ts';
import { repository } from '../support/repository.ts';

const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
const DOCUMENTATION = 'usr/share/doc/tklbam-hooks';
/** What is in `fleet` is no hook, and has its own test. */
const examples = readdirSync(join(repository, 'packaging/examples')).filter(name => name !== 'fleet');
const packages = ['sqlite3', 'postgresql', 'procps', 'restic', 'rsync', 'jq', 'dma', 'python3'];

/** With the executable and the examples, as the package installs them. */
function machine(t: Parameters<typeof openChroot>[0]): Chroot {
  const chroot = openChroot(t, 'bookworm', packages);
  copyFileSync(join(repository, 'dist/tklbam-hooks'), join(chroot.root, 'usr/bin/tklbam-hooks'));
  mkdirSync(join(chroot.root, DOCUMENTATION), { recursive: true });
  cpSync(join(repository, 'packaging/examples'), join(chroot.root, DOCUMENTATION, 'examples'), {
    recursive: true,
  });
  mkdirSync(join(chroot.root, 'etc/tklbam/hooks.d'), { recursive: true });
  placeReady(chroot.root);
  return chroot;
}

/** Ready hooks, switched off. */
function placeReady(root: string): void {
  for (const name of ['services', 'sqlite', 'postgresql'].flatMap(hook => [hook, `${hook}.conf`])) {
    const file = readFileSync(join(repository, 'hooks.d', name));
    place(join(root, 'etc/tklbam/hooks.d'), name, file, 0o644);
  }
}

/** What README shows: each block of lines that are indented, dedented. */
function readmeBlocks(): string[] {
  const text = readFileSync(join(repository, 'README.md'), 'utf8');
  return [...text.matchAll(/(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+/g)].map(([block]) =>
    block.replaceAll(/^ {4}/gm, ''),
  );
}

/** The commands of a block, a prompt each: `# ` in manual pages, none in README. Lines that are indented go on. */
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
/** A server with a database, and whether it is there again. */
const FORUM = [
  `mount -t tmpfs -o mode=1777 tmpfs /dev/shm
pg_ctlcluster 15 main start
cd /
runuser -u postgres -- createdb shop
runuser -u postgres -- psql -q -c 'create table orders(x int); insert into orders values (42)' shop`,
  `[ "$(runuser -u postgres -- psql -A -t -c 'select x from orders' shop)" = 42 ]
pg_ctlcluster 15 main stop`,
] as const;
const RESTIC = { RESTIC_REPOSITORY: '/var/lib/repository', RESTIC_PASSWORD: 'x' };

/** Runs what has to succeed; its output. */
type Shell = (script: string, env?: Readonly<Record<string, string>>) => string;
const shellOf =
  ({ run }: Chroot): Shell =>
  (script, env = {}) => {
    const { status, stdout, stderr } = run(['sh', '-euc', script], { env });
    assert.equal(status, 0, `${script}\n${stdout}${stderr}`);
    return stdout + stderr;
  };
/** What differs from one run to the next. */
const shape = (text: string): string =>
  text
    .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME')
    .replaceAll(/\d+(?:\.\d+)?/g, 'N')
    .replaceAll(/\s+/g, ' ')
    .trim();

test('every example of tklbam-hooks(8) does what it says', t => {
  const chroot = machine(t);
  const { root, run } = chroot;
  const sh = shellOf(chroot);
  const [running = '', ...shown] = manualBlocks('tklbam-hooks.8');
  const [installed, backedUp, restored, status, mended, clock, ...more] = shown.map(commands);
  assert.deepEqual(more, [], 'an example that is not run');

  sh(SHOP);
  assert.match(
    sh(`${installed}`),
    /30-shop: stopped shop for the backup.*sqlite' succeeded after.*30-shop: started shop again/s,
  );
  assert.equal(sh('ls -A /root/dumps'), 'sqlite\n');

  sh(`restic init; mkdir -p /srv/www; echo before >/srv/www/index; chmod 751 /srv; ${backedUp}`, RESTIC);
  sh(`echo after >/srv/www/index; chmod 700 /srv; rm -r /root/dumps
    runuser -u shop -- sqlite3 /var/lib/shop/shop.db 'delete from orders where x = 1; insert into orders values (3);'`);
  const mode = sh('stat -c %a / /root');
  sh(`${restored}`, RESTIC);
  assert.equal(sh('cat /srv/www/index; stat -c %a /srv'), 'before\n751\n');
  assert.equal(
    sh(`runuser -u shop -- sqlite3 /var/lib/shop/shop.db 'select group_concat(x) from orders'`),
    '1,2\n',
  );
  assert.equal(sh('stat -c %a / /root'), mode, 'directories above what is restored stay as they are');

  // test/system/screens.test.ts
  assert.match(`${status}`, /^tklbam-hooks status\n/);
  assert.equal(run(['bash', '-c', `${mended}`]).status, 1);
  copyFileSync(join(repository, 'hooks.d/fixclock'), join(root, 'etc/tklbam/hooks.d/fixclock'));
  assert.match(`${run(['bash', '-c', `${clock}`]).stderr}`, /ntp\.example\.com|None of /);

  sh('chmod -x /etc/tklbam/hooks.d/*');
  const inside = 'tklbam-hooks wrap backup -- true || :';
  const said = sh(`tklbam-hooks wrap backup --name tklbam-backup -- sh -c '${inside}'`);
  assert.equal(shape(said.replace(/called by '[^']+'/, "called by 'tklbam-backup'")), shape(running));
});

test('every example of tklbam-hooks(5) does what it says', t => {
  const chroot = machine(t);
  const sh = shellOf(chroot);
  const hooks = join(chroot.root, 'etc/tklbam/hooks.d');
  const [header = '', failures = '', hook = '', tried = '', frozen, ...more] = manualBlocks('tklbam-hooks.5');
  // test/system/view.test.ts
  assert.match(`${frozen}`, /^#!\/bin\/sh\n# frozen-home/);
  assert.deepEqual(more, [], 'an example that is not run');

  place(hooks, '40-late', `#!/bin/sh\n${header}`);
  assert.match(sh('tklbam-hooks list'), /enabled +40-late {2}timeout=20m, failure=warn$/m);
  rmSync(join(hooks, '40-late'));

  place(hooks, '50-package-list', hook);
  assert.match(sh(commands(tried)), /enabled +50-package-list/);
  assert.match(sh('cat /tmp/package-list'), /^sqlite3\t3/m);
  rmSync(join(hooks, '50-package-list'));

  place(hooks, '1', '#!/bin/sh\nkill -TERM "$PPID"\nsleep 1000\n');
  place(hooks, '2', '#!/nonexistent\n');
  place(hooks, '3', '#!/bin/sh\n', 0o777);
  place(hooks, '4', '#!/bin/sh\n# tklbam-hooks: timeout=1s\nsleep 1000\n');
  place(hooks, '5', '#!/bin/sh\nkill -KILL $$\n');
  place(hooks, '6', '#!/bin/sh\nexit 3\n');
  const { stderr } = chroot.run(['tklbam-hooks', 'run', 'backup', 'post']);
  const endings = (text: string): string[] =>
    text
      .split('\n')
      .flatMap(line => /^HookError: `.*` (?:[a-z-]+ )+/.exec(line)?.[0].replace(/`.*`/, '') ?? [])
      .sort();
  assert.deepEqual(endings(stderr), endings(failures), stderr);
});

test('every example of tklbam-hooks-protocol(7) does what it says', t => {
  const chroot = machine(t);
  const { root, run } = chroot;
  const sh = shellOf(chroot);
  const hooks = join(root, 'etc/tklbam/hooks.d');
  const [exchange = '', program = '', ...shown] = manualBlocks('tklbam-hooks-protocol.7');
  const [broken, wrong, times = '', ...more] = shown.map(commands);
  assert.deepEqual(more, [], 'an example that is not run');

  place(hooks, '30-forum', '#!/bin/sh\n[ $2 != post ]\n');
  const requests = [...exchange.matchAll(/^> (.*)$/gm)].map(([, request = '']) => request);
  place(join(root, 'root'), 'requests', requests.map(request => `${request}\n`).join(''));
  const talk = `import socket, subprocess
ours, theirs = socket.socketpair()
subprocess.Popen(["tklbam-hooks", "session", "backup", "--control", str(theirs.fileno())], pass_fds=[theirs.fileno()])
theirs.close()
answers = ours.makefile()
for request in open("/root/requests"):
    ours.sendall(request.encode())
    print("> " + request + "< " + answers.readline(), end="")
`;
  assert.equal(shape(sh(`python3 -c '${talk}'`)), shape(exchange.replaceAll(/\n +(?!non-zero)/g, '')));
  assert.equal(sh(`${wrong}`), '`/etc/tklbam/hooks.d/30-forum backup post` non-zero exitcode (1)\n');

  place(hooks, '30-forum', '#!/bin/sh\necho $2 >>/root/told\n');
  place(join(root, 'usr/local/sbin'), 'store', program);
  sh('echo kept >/srv/file; store; rm /srv/file; tar -C / -xf /var/backups/srv.tar');
  assert.equal(sh('cat /srv/file /root/told'), 'kept\npre\npost\n');
  sh(`${wrong}`);
  // Its guardian goes on without it, as long as the namespace of this call is there.
  const third = `until [ "$(${times.trim()} | wc -l)" = 3 ]; do sleep 0.1; done`;
  sh(`rm /root/told; mv /srv /gone; ! store 2>/dev/null; mv /gone /srv; ${third}`);
  assert.match(sh('cat /root/told'), /^error$/m);
  assert.match(sh(times), /^\S+\tfailed\t\S+\n\S+\tsucceeded\t\S+\n\S+\tfailed\t\S+\n$/);

  place(hooks, '60-broken', '#!/nonexistent\n');
  assert.equal(sh(`${broken}`), '60-broken\n');
  assert.match(`${run(['store']).stderr}`, /^HookError: .*60-broken/m);
});

test('every example of README does what it says', t => {
  const { root, run } = machine(t);
  const hooks = join(root, 'etc/tklbam/hooks.d');
  const untried: string[] = [];
  for (const block of readmeBlocks()) {
    // test/system/screens.test.ts
    if (block.startsWith('$ ')) continue;
    if (block.startsWith('#!')) {
      place(hooks, 'package-list', block);
      const { status, stderr } = run(['tklbam-hooks', 'run', 'backup', 'inspect', '--cwd', '/tmp']);
      assert.deepEqual([status, stderr], [0, '']);
      assert.match(readFileSync(join(root, 'tmp/package-list'), 'utf8'), /^sqlite3\t3/m);
      rmSync(join(hooks, 'package-list'));
    } else if (/^(?:cd|echo|install|tklbam-hooks) /.test(block) && !block.includes('enable snapshot')) {
      for (const name of readdirSync(hooks)) rmSync(join(hooks, name));
      placeReady(root);
      const [before, after] = block.includes('enable postgresql') ? FORUM : ['', ''];
      const script = `id shop >/dev/null 2>&1 || { ${SHOP}; restic init; }\nmkdir -p /root/dumps\n${before}\n${block}\n${after}`;
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
    // test/system/journal.test.ts
    'journalctl --merge TKLBAM_OUTCOME=failed',
    // test/system/ansible.test.ts
    'ansible-playbook -i inventory site.yml',
    // test/system/image.test.ts
    'mkdir -p overlay/etc/tklbam/hooks.d',
    '40-shop etc/tklbam/hooks.d',
    // These are how this test is run.
    'build/setup && npm ci && npm run build && npm run demo',
    'build/setup test && npm ci && npm test',
    'build/node --test test/cli/trust.test.ts',
    // test/system/{arm64,repository,reproducible}.test.ts
    'npm run deb && npm run deb -- --arch arm64',
    `git checkout ${version} && build/setup deb && npm ci && npm run build && npm run deb && sha256sum dist/*.deb`,
    // Not a command.
    'argv ─parse─▶ Request ─discover─▶ Candidate[] ─judge─▶ Verdict[] ─plan─▶ Plan ─perform─▶ Report ─report─▶ text',
  ]);
});

test('every hook of packaging/examples is run by a test', () => {
  assert.deepEqual(examples, ['00-report', '20-disk-space', '50-package-list']);
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
    /^another session is running: the backup '[^']+', pid \d+/,
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
