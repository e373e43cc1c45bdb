// What is in the executable besides our own code: one list, for the licences and for the bill of materials.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';
import { nodePackage, type Target } from './target.ts';

/** An npm package. */
interface Part {
  readonly name: string;
  readonly version: string;
  /** By SPDX. */
  readonly licence: string;
  /** Of its archive in the registry, by package-lock.json: a Subresource Integrity string. */
  readonly integrity: string;
  /** The whole of its licence files. */
  readonly licenceText: string;
}

/** Node.js first. Throws if one has no licence. */
export function partsOf(target: Target): Part[] {
  const { inputs } = JSON.parse(readFileSync('dist/bundle.json', 'utf8'));
  const directories = Object.keys(inputs).map(
    path => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? '',
  );
  const inBundle = [...new Set(directories.filter(directory => directory !== ''))].sort();
  if (inBundle.length === 0) throw new Error('dist/bundle.json lists no package');
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const node = `node_modules/node-linux-${target.node}`;
  return [node, ...inBundle].map(path => {
    const directory = path === node ? nodePackage(target) : path;
    const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const licenceText = licenceIn(directory);
    const locked = packages[path];
    if (locked?.version !== version) {
      throw new Error(`${directory} is version ${version}, not that of package-lock.json: run 'npm ci'`);
    }
    return { name, version, licence: license, integrity: locked.integrity, licenceText };
  });
}

function licenceIn(directory: string): string {
  const files = readdirSync(directory)
    .filter(file => /^(?:licen[cs]e|copying|notice)\b/i.test(file))
    .sort();
  if (!files.some(file => !/^notice/i.test(file))) throw new Error(`${directory} has no licence text`);
  return files.map(file => readFileSync(join(directory, file), 'utf8').trim()).join('\n\n');
}

export function licences(parts: readonly Part[]): string {
  return parts
    .map(({ name, version, licence, licenceText }) => {
      const title = `${name} ${version} (${licence})`;
      return `${[title, '='.repeat(title.length), '', licenceText].join('\n')}\n`;
    })
    .join('\n');
}

/** What Node.js tells of itself among the parts it is made of: numbers of interfaces. */
const INTERFACES = new Set(['node', 'modules', 'napi']);

/** As CycloneDX has it, with the libraries that Node.js is built with. Without a date or a number of its own: it is reproducible. */
export function billOfMaterials(name: string, version: string, parts: readonly Part[]): string {
  const { Bom, Component, HashDictionary, LicenseRepository, Metadata, SpdxLicense } = Models;
  const bom = new Bom({
    metadata: new Metadata({
      component: new Component(Enums.ComponentType.Application, name, {
        version,
        bomRef: name,
        licenses: new LicenseRepository([new SpdxLicense('GPL-3.0-or-later')]),
      }),
    }),
  });
  parts.forEach((part, index) => {
    const sum = Buffer.from(part.integrity.replace(/^sha512-/, ''), 'base64').toString('hex');
    const component = new Component(Enums.ComponentType.Library, part.name, {
      version: part.version,
      bomRef: part.name,
      purl: `pkg:npm/${part.name.replace('@', '%40')}@${part.version}`,
      hashes: new HashDictionary([[Enums.HashAlgorithm['SHA-512'], sum]]),
      licenses: new LicenseRepository([new SpdxLicense(part.licence)]),
    });
    if (index === 0) {
      for (const [library, number = ''] of Object.entries(process.versions)) {
        if (INTERFACES.has(library)) continue;
        component.components.add(
          new Component(Enums.ComponentType.Library, library, { version: number, bomRef: `node/${library}` }),
        );
      }
    }
    bom.components.add(component);
  });
  const json = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return `${json.serialize(bom, { sortLists: true, space: 2 })}\n`;
}
