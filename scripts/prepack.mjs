// What `npm pack` and `npm publish` do after the build: nothing is packed that comes from nowhere, and nothing is left out.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { faults, packedFiles } from './origins.mjs';
import { root } from './setup/run.mjs';

const packed = packedFiles();
const found = faults(packed);
for (const fault of found) console.error(fault);
if (found.length > 0) process.exitCode = 1;
// npm packs files with the modes that they have here, which would make another package of it with another umask.
else for (const path of packed) chmodSync(join(root, path), 0o644);
