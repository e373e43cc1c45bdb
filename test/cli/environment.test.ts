// What of the caller's environment could make our own process run code, or load or write a file: switched off in the executable.
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ending, hooksDirectory, install, programs, run, scratch } from '../support/harness.ts';

for (const program of programs.filter(({ name }) => name === 'executable' || name === 'package')) {
  for (const [variable, value] of [
    ['NODE_OPTIONS', '--require=DIR/evil.cjs'],
    // All sets of messages, that about started processes with their environments among them.
    ['NODE_DEBUG', '*'],
    ['NODE_REDIRECT_WARNINGS', 'DIR/written'],
    ['NODE_ICU_DATA', 'DIR'],
    ['NODE_PATH', 'DIR'],
    ['NODE_EXTRA_CA_CERTS', 'DIR/evil.cjs'],
    ['SSLKEYLOGFILE', 'DIR/written'],
    ['OPENSSL_CONF', 'DIR/openssl.cnf'],
    ['TKLBAM_HOOK_NAME', '$(touch DIR/written)'],
  ] as const) {
    test(`${program.name}: ${variable} does nothing to us`, t => {
      const directory = scratch(t);
      writeFileSync(
        join(directory, 'evil.cjs'),
        `require('node:fs').writeFileSync('${directory}/written', '');`,
      );
      // An engine is a library that OpenSSL loads, and so runs: a missing one is an error where it is tried.
      const engine = `nodejs_conf = a\n[a]\nengines = b\n[b]\nc = d\n[d]\ndynamic_path = ${directory}/evil.so\ninit = 1\n`;
      writeFileSync(join(directory, 'openssl.cnf'), engine);
      const hooks = hooksDirectory(t);
      install(hooks, 'succeed');
      const env = { [variable]: value.replaceAll('DIR', directory) };
      assert.deepEqual(ending(run(program, ['run', 'backup', 'pre', '--hooks', hooks], { env })), [
        0,
        '',
        '',
      ]);
      assert.deepEqual(readdirSync(directory).sort(), ['evil.cjs', 'openssl.cnf']);
    });
  }

  test(`${program.name}: NODE_V8_COVERAGE writes nothing`, t => {
    const directory = scratch(t);
    const hooks = hooksDirectory(t);
    install(hooks, 'succeed');
    const env = { NODE_V8_COVERAGE: join(directory, 'coverage') };
    assert.equal(run(program, ['run', 'backup', 'pre', '--hooks', hooks], { env }).status, 0);
    assert.deepEqual(readdirSync(directory), []);
  });
}
