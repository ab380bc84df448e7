// apt's list of sources, as sources.list(5) describes it: read, and one written. Pure functions.

/**
 * A source of binary packages that is switched on.
 * @typedef {object} Source
 * @property {string[]} uris
 * @property {string[]} suites
 * @property {string[]} components
 * @property {[string, string][]} options everything else, as deb822 fields: Signed-By, Architectures ...
 */

/** Deb822 fields that say what a source is, or what holds for one suite only; all others are options. */
const ownFields = [
  'types',
  'uris',
  'suites',
  'components',
  'enabled',
  'x-repolib-name',
  'inrelease-path',
  'snapshot',
];

/** Where the one-line format has another name for a field. */
const longNames = new Map([
  ['arch', 'Architectures'],
  ['lang', 'Languages'],
  ['target', 'Targets'],
]);

/**
 * Reads a `.list` file: `deb [option=value ...] uri suite component ...`, one a line.
 * @param {string} text
 * @returns {Source[]}
 */
export function parseOneLine(text) {
  const sources = [];
  for (const line of text.split('\n')) {
    const [, bracket, rest] = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S[^#]*)/.exec(line) ?? [];
    if (!rest || rest.startsWith('cdrom:')) continue;
    const [uri, suite, ...components] = words(rest);
    if (!suite) continue;
    sources.push({
      uris: [uri],
      suites: [suite],
      components,
      options: words(bracket ?? '')
        .map(toField)
        .filter(isOption),
    });
  }
  return sources;
}

/** `arch+=i386` becomes Architectures-Add. @returns {[string, string]} */
function toField(/** @type {string} */ option) {
  const [, name, sign, value] = /^([^=+]*?)([+-]?)=(.*)$/.exec(option) ?? [undefined, option, '', ''];
  const long =
    longNames.get(name.toLowerCase()) ?? name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
  const suffix = { '+': '-Add', '-': '-Remove' }[sign] ?? '';
  return [long + suffix, value.replaceAll(',', ' ')];
}

/**
 * Reads a `.sources` file: stanzas of `Field: value`, whose values may go on in lines that begin with a blank.
 * @param {string} text
 * @returns {Source[]}
 */
export function parseDeb822(text) {
  const lines = text.split(/\r?\n/).filter((line) => !line.startsWith('#'));
  const stanzas = lines.join('\n').split(/\n(?:[ \t]*\n)+/);
  return stanzas.map(fieldsOf).flatMap((fields) => {
    const value = (/** @type {string} */ name) =>
      fields.find(([field]) => field.toLowerCase() === name)?.[1] ?? '';
    if (
      !words(value('types')).includes('deb') ||
      /^(no|false|0|off|without|disable)$/i.test(value('enabled'))
    )
      return [];
    return {
      uris: words(value('uris')).filter((uri) => !uri.startsWith('cdrom:')),
      suites: words(value('suites')),
      components: words(value('components')),
      options: fields.filter(isOption),
    };
  });
}

/** @returns {[string, string][]} */
function fieldsOf(/** @type {string} */ stanza) {
  // Values keep their line breaks: Signed-By may hold a whole key.
  return [...stanza.matchAll(/^([^\s:#]+):[ \t]*(.*(?:\n[ \t].*)*)/gm)].map(([, name, value]) => [
    name,
    value.trimEnd(),
  ]);
}

function isOption(/** @type {[string, string]} */ [field]) {
  return !ownFields.includes(field.toLowerCase());
}

function words(/** @type {string} */ text) {
  return text.split(/\s+/).filter(Boolean);
}

/** @param {Source[]} sources @param {string} suite */
export function hasSuite(sources, suite) {
  return sources.some(({ suites, components }) => suites.includes(suite) && components.includes('main'));
}

/**
 * The source of Debian's own archive for a release: what others offer for the same release is none.
 * @param {Source[]} sources
 * @param {string} codename
 * @param {Map<string, string>} origins who signs the release, by URI with a slash at its end, as far as apt knows
 * @returns {Source | undefined}
 */
export function debianSource(sources, codename, origins) {
  const isDebian = (/** @type {string} */ uri) => {
    const origin = origins.get(uri.replace(/\/*$/, '/'));
    return origin ? origin === 'Debian' : /\/debian\/*$/.test(uri);
  };
  for (const source of sources) {
    const uris = source.uris.filter(isDebian);
    if (uris.length > 0 && hasSuite([source], codename)) return { ...source, uris };
  }
  return undefined;
}

/**
 * Another suite of the same archive, with the same options, as a `.sources` file.
 * @param {Source} source
 * @param {string} suite
 */
export function sourcesFile({ uris, options }, suite) {
  const fields = [
    ['Types', 'deb'],
    ['URIs', uris.join(' ')],
    ['Suites', suite],
    ['Components', 'main'],
    ...options,
  ];
  return `${fields.map(([name, value]) => `${name}: ${value}`).join('\n')}\n`;
}
