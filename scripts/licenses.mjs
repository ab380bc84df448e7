// The licences of others. What is bundled, into the page and into the viewer of reports, takes its texts along; of what npm installs
// beside this package, THIRD-PARTY-LICENSES.md has a list, which `node scripts/licenses.mjs` writes. A test says where that is behind.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path) => readFileSync(join(root, path), 'utf8');

/**
 * The texts of the licences and notices of this package and of those that modules are from, in the order of names.
 * @param {Iterable<string>} modules their files
 */
export function licenseTexts(modules) {
  const folders = new Set([...modules].map(packageFolder).filter((folder) => folder !== undefined));
  const packages = [...folders].map((folder) => ({
    folder,
    ...JSON.parse(readFileSync(join(folder, 'package.json'))),
  }));
  const texts = packages
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ folder, name, version, license }) => {
      const files = licenseFiles(folder);
      if (files.length === 0) throw new Error(`${name} is bundled, and the text of its licence is missing.`);
      return [`${name} ${version} (${license})`, ...files].join('\n\n');
    });
  return [`webgpu-sae (MIT)\n\n${read('LICENSE').trim()}`, ...texts].join(`\n\n${'-'.repeat(80)}\n\n`);
}

/** The folder of the package that a module is from; undefined for those of this repository and of the bundler. */
function packageFolder(module) {
  const [, folder] = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(module) ?? [];
  return module.startsWith('\0') ? undefined : folder;
}

function licenseFiles(folder) {
  const own = readdirSync(folder).filter((name) => /^(licen[cs]e|copying|notice)(\.|$)/i.test(name));
  // Where a package itself holds what others wrote.
  const others = existsSync(join(folder, 'licenses')) ? readdirSync(join(folder, 'licenses')) : [];
  return [...own.sort(), ...others.sort().map((name) => join('licenses', name))].map((name) =>
    readFileSync(join(folder, name), 'utf8').trim(),
  );
}

/** What the viewer of reports holds: names and versions. */
export function bundledInReports() {
  const template = read('dist/report/template.html');
  return [...template.matchAll(/^-{80}\n\n(\S+) (\S+) \(.+\)$/gm)].map(([, name, version]) => ({
    name,
    version,
  }));
}

/** The packages that are installed with this one, on whatever system, and those that it holds, by name. */
export function productionPackages() {
  const { packages } = JSON.parse(read('package-lock.json'));
  const bundled = bundledInReports();
  return Object.entries(packages)
    .filter(([folder]) => folder !== '')
    .map(([folder, found]) => {
      const name = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
      const within = bundled.some((other) => other.name === name && other.version === found.version);
      return { name, within, installed: !found.dev, ...found };
    })
    .filter(({ within, installed }) => within || installed)
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1));
}

/** THIRD-PARTY-LICENSES.md as it should be. */
export function licenseList() {
  const rows = productionPackages().map(({ name, version, license, within, installed }) => {
    const how = [...(installed ? ['installed'] : []), ...(within ? ['bundled'] : [])].join(', ');
    return `| ${name} | ${version} | ${license} | ${how} |`;
  });
  return `# Licences of others

Written by \`node scripts/licenses.mjs\`. webgpu-sae itself is under the [MIT licence](LICENSE).

Packages that npm installs beside this one have the texts of their licences in their folders; of \`@img/sharp-...\`, npm installs those of one system. The texts of what
is bundled into the viewer of reports are a comment in \`dist/report/template.html\`, and thus in every report; those of the page are in its \`licenses.txt\`.

| package | version | licence | how |
| --- | --- | --- | --- |
${rows.join('\n')}

${dataLicenses()}
`;
}

/** What the README says of the data sets that ship. */
export function dataLicenses() {
  const section = /^## The digits and the words\n.*?(?=^## |$(?![\s\S]))/ms.exec(read('README.md'))?.[0];
  if (!section) throw new Error('The README does not say whose the digits and the words are.');
  return section.trim();
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  writeFileSync(join(root, 'THIRD-PARTY-LICENSES.md'), licenseList());
}
