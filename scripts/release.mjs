// `npm run release`: makes what a release is, in the folder `release`, and publishes nothing: the package, packed twice with the same
// bytes, its bill of materials, and a list of where each of its files comes from. Stops where something is uncommitted, where npm knows a
// vulnerability of level high in what is installed with the package, or cannot be asked, or where one of these cannot be made.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { faults, manifest, packedFiles } from './origins.mjs';
import { integrity, packTwice } from './reproducible.mjs';
import { billOfMaterials } from './sbom.mjs';
import { build } from './setup/build.mjs';
import { packages } from './setup/packages.mjs';
import { npm, root, SetupError, say } from './setup/run.mjs';

const folder = join(root, 'release');

try {
  release();
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}

function release() {
  if (git('status', '--porcelain') !== '') {
    throw new SetupError(
      'There are changes that are not committed; a release is made of a commit. Commit or stash them.',
    );
  }
  for (const step of [packages, build]) {
    if (!step.isDone()) step.make();
  }
  say('Asking npm for vulnerabilities ...');
  if (!npm('audit', '--omit=dev', '--audit-level=high')) {
    throw new SetupError('npm knows vulnerabilities, or could not be asked; its message above says which.');
  }
  const packed = packedFiles();
  const found = faults(packed);
  if (found.length > 0) throw new SetupError(found.join('\n'));

  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const file = packTwice(folder);
  const time = new Date(git('log', '-1', '--format=%cI')).toISOString();
  write('sbom.cdx.json', billOfMaterials(time));
  write('origins.json', {
    commit: git('rev-parse', 'HEAD'),
    integrity: integrity(file),
    files: manifest(packed),
  });
  say(`In ${folder}: the package (${integrity(file)}), sbom.cdx.json and origins.json.`);
}

function write(name, content) {
  writeFileSync(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
}

function git(...args) {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new SetupError(`git ${args.join(' ')} failed: ${stderr}`);
  return stdout.trim();
}
