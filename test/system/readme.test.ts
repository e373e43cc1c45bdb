// README's commands for developers, with Debian's own Node.js and npm: in clean chroots, with the network; and the package that is made there.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { test } from 'node:test';
import { openChroot, useMirror } from '../support/chroot.ts';
import { deb } from '../support/debs.ts';
import { repository } from '../support/repository.ts';

const readme = readFileSync(join(repository, 'README.md'), 'utf8');
const [build = '', tests = ''] = readme
  .split('\n')
  .filter(line => line.startsWith('    build/setup'))
  .map(line => line.trim());

test('README builds with one command, and tests with another', () => {
  assert.equal(build, 'build/setup && npm ci && npm run build && npm run demo');
  assert.equal(tests, 'build/setup test && npm ci && npm test');
});

for (const [suite, node, npm] of [
  ['bookworm', 'v18.', '9.2.'],
  ['trixie', 'v20.', '9.2.'],
] as const) {
  test(`a fresh clone on ${suite}, with Debian's nodejs and npm`, t => {
    // zstd is of `build/setup test`, all of which would take longer than the rest: it is for `test:unit`.
    const chroot = openChroot(t, suite, ['nodejs', 'npm', 'ca-certificates', 'zstd']);
    useMirror(chroot, suite);
    useRegistry(chroot.root);
    const clone = join(chroot.root, 'root/tklbam-hooks');
    cpSync(repository, clone, {
      recursive: true,
      filter: path => !/^(?:node_modules|dist|\.git)$/.test(relative(repository, path)),
    });
    const inClone = (command: string): string => {
      const words = ['sh', '-ec', `cd /root/tklbam-hooks\n${command}`];
      const { status, stdout, stderr } = chroot.run(words, { network: 'host' });
      assert.equal(status, 0, `${command}: ${stdout}${stderr}`);
      return stdout;
    };
    const versions = inClone('node --version; npm --version').split('\n');
    assert.ok(versions[0]?.startsWith(node) && versions[1]?.startsWith(npm), versions.join());

    assert.match(inClone(build), /^backup: good, /m);
    if (suite === 'bookworm') {
      const [, makeDeb = ''] = /^ {4}git checkout \S+ && (build\/setup deb && .*)$/m.exec(readme) ?? [];
      const again = makeDeb.replace(' && npm ci && npm run build && ', ' && ');
      assert.notEqual(again, makeDeb);
      const sum = createHash('sha256').update(readFileSync(deb)).digest('hex');
      assert.ok(inClone(again).includes(`${sum}  dist/${basename(deb)}\n`), 'the package differs');
    }
    // All else that `npm test` runs it runs in the same way; here it would take as long as the whole.
    inClone('npm run lint && npm run test:unit');
  });
}

/** Lets npm in the chroot fetch packages as this machine's own npm does, and begin with what that has. */
function useRegistry(root: string): void {
  const get = (key: string): string =>
    execFileSync('npm', ['config', 'get', key], { encoding: 'utf8', cwd: '/' }).trim();
  const settings = ['registry', 'proxy', 'https-proxy', 'noproxy']
    .map(key => [key, get(key)])
    .filter(([, value]) => value !== 'null' && value !== 'undefined' && value !== '');
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  if (existsSync(certificates)) {
    copyFileSync(certificates, join(root, certificates));
    settings.push(['cafile', certificates]);
  }
  writeFileSync(join(root, 'root/.npmrc'), settings.map(([key, value]) => `${key}=${value}\n`).join(''));
  const cache = join(get('cache'), '_cacache');
  if (!existsSync(cache)) return;
  mkdirSync(join(root, 'root/.npm'));
  execFileSync('cp', ['-R', '--reflink=auto', cache, join(root, 'root/.npm')]);
}
