import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianSource, hasSuite, parseDeb822, parseOneLine, sourcesFile } from './apt-sources.mjs';
import { quietly, SetupError, say } from './run.mjs';

/** Ours alone: written and removed by this set-up. */
const backportsFile = '/etc/apt/sources.list.d/webgpu-sae-backports.sources';

/** Nobody answers questions here, and nothing that is installed is removed. */
const installOptions = [
  '-y',
  '--no-install-recommends',
  '--no-remove',
  ...[
    'DPkg::Lock::Timeout=300',
    'Dpkg::Options::=--force-confdef',
    'Dpkg::Options::=--force-confold',
  ].flatMap((o) => ['-o', o]),
];
const unattended = { DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' };

/** Reads the archives' lists anew. One that cannot be reached is no failure yet: what matters is whether the packages come. */
export function update() {
  say('  apt-get update');
  return quietly('apt-get', ['update'], unattended).output;
}

/**
 * Installs packages, from `suite` where it is given. Throws a SetupError with apt's own words.
 * @param {string[]} packages
 * @param {string} [suite]
 */
export function install(packages, suite) {
  const updated = update();
  const wanted = [...(suite ? ['-t', suite] : []), ...packages].join(' ');
  say(`  apt-get install ${wanted}`);
  // Finishes what an interrupted installation left; without it apt refuses to do anything.
  quietly('dpkg', ['--configure', '-a'], unattended);
  const { status, output } = quietly(
    'apt-get',
    ['install', ...installOptions, ...wanted.split(' ')],
    unattended,
  );
  if (status === 0) return;
  const lines = [...updated.split('\n').filter((line) => /^[EW]:/.test(line)), ...output.split('\n')].slice(
    -20,
  );
  throw new SetupError(
    `${lines.map((line) => `  | ${line}`).join('\n')}\napt could not install ${packages.join(' and ')}, for the reason above. Mend that (is there a network?) and run this again.`,
  );
}

/** Whether apt has that suite of Debian's backports already. */
export function hasBackports(/** @type {string} */ suite) {
  return hasSuite(readSources(), suite);
}

/** Adds a suite of backports from where this machine gets its Debian. */
export function addBackports(/** @type {string} */ suite, /** @type {string} */ codename) {
  update(); // apt knows only then who signs which source
  say(`  writing ${backportsFile}: ${suite} from this machine's own source of ${codename}`);
  writeFileSync(backportsFile, describeBackports(suite, codename));
}

/** Takes back what addBackports wrote, now or in an earlier run. */
export function removeBackports() {
  rmSync(backportsFile, { force: true });
}

/** The same as shell commands. @returns {string[]} */
export function addBackportsCommands(
  /** @type {string} */ suite,
  /** @type {string} */ codename,
  /** @type {string} */ sudo,
) {
  const lines = describeBackports(suite, codename).trimEnd().split('\n');
  const quoted = lines.map((line) => `'${line.replaceAll("'", "'\\''")}'`).join(' ');
  return [`printf '%s\\n' ${quoted} | ${sudo}tee ${backportsFile}`];
}

function describeBackports(/** @type {string} */ suite, /** @type {string} */ codename) {
  const source = debianSource(readSources(), codename, readOrigins(codename));
  if (!source) {
    throw new SetupError(
      `No WebGPU adapter was found, and Mesa's driver in a version that Dawn accepts is in ${suite}, but apt's sources name no Debian archive for ${codename} to take it from. Add the suite ${suite} to apt's sources and run this again.`,
    );
  }
  return sourcesFile(source, suite);
}

function readSources() {
  const folder = '/etc/apt/sources.list.d';
  const files = ['/etc/apt/sources.list', ...listFolder(folder).map((name) => join(folder, name))];
  return files.flatMap((file) => {
    if (/\.sources$/.test(file)) return parseDeb822(readText(file));
    return /\.list$/.test(file) ? parseOneLine(readText(file)) : [];
  });
}

/** Who signs what this machine gets of a release, by URI. Empty before the first update. @returns {Map<string, string>} */
function readOrigins(/** @type {string} */ codename) {
  const format = '$(REPO_URI) $(CODENAME) $(ORIGIN)';
  const { output } = quietly('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const rows = output.matchAll(/^(\S+) (\S+) (.+)$/gm);
  return new Map(
    [...rows].filter(([, , found]) => found === codename).map(([, uri, , origin]) => [uri, origin]),
  );
}

function listFolder(/** @type {string} */ folder) {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function readText(/** @type {string} */ file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
