// One of the processes of locks.mjs. A message { folder, at, links } has it lock a folder at a time; { free } has it give it back.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { link } = fs.promises;
let links = true;
// Not every file system has them.
fs.promises.link = (...args) =>
  links ? link(...args) : Promise.reject(Object.assign(new Error('no links'), { code: 'EPERM' }));
syncBuiltinESMExports();
const { lockFolder } = await import('../../dist/node/index.js');

let release;
process.on('message', async (message) => {
  if (message.free) release?.();
  release = undefined;
  if (!message.folder) return process.send({});
  ({ links } = message);
  while (Date.now() < message.at);
  try {
    release = await lockFolder(message.folder);
    process.send({ won: true });
  } catch (error) {
    process.send({ won: false, sentence: error.message });
  }
});
process.on('disconnect', () => process.exit());
