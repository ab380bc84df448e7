// One of several processes that write to a store at once. Its argument is the store; messages say what to do.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Whether this process is to stop where it is about to make the next name. */
let stopping = false;
const { link } = fs.promises;
fs.promises.link = (...args) => {
  if (stopping) process.kill(process.pid, 'SIGSTOP');
  stopping = false;
  return link(...args);
};
syncBuiltinESMExports();
const { openStore } = await import('../../dist/node/store/store.js');

const store = await openStore(process.argv[2]);
const encode = (text) => new TextEncoder().encode(text);
const decode = (bytes) => new TextDecoder().decode(bytes);

const does = {
  create: ({ key, text }) => store.create(key, encode(text)),
  replace: ({ key, text, version }) => store.replace(key, encode(text), version),
  /** Stops in the middle of it, until somebody lets this process go on. */
  sleep: ({ key, text, version }) => {
    stopping = true;
    return store.replace(key, encode(text), version);
  },
  /** Adds one so many times, and loses as often as others are faster. */
  async count({ key, times }) {
    let lost = 0;
    for (let done = 0; done < times; ) {
      const { bytes, version } = await store.read(key);
      const next = `${Number(decode(bytes).split(' ')[0]) + 1} ${process.pid}`;
      if ((await store.replace(key, encode(next), version)) === undefined) lost++;
      else done++;
    }
    return lost;
  },
};

process.on('message', async (message) => {
  while (message.at !== undefined && Date.now() < message.at);
  try {
    process.send({ id: message.id, result: (await does[message.do](message)) ?? null });
  } catch (error) {
    process.send({ id: message.id, error: `${error.name}: ${error.message}` });
  }
});
process.on('disconnect', () => process.exit());
process.send({ result: null });
