// Bull Board shows the queue of a fleet, and changes nothing:
//   npm install bullmq@6 ioredis@5 express@5 @bull-board/api@9.10.1 @bull-board/express@9.10.1
//   QUEUE=redis://:password@host:6379 node bull-board.mjs
// It has no login, so it listens on this machine alone; from another one: ssh -L 3000:127.0.0.1:3000 HOST
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { Queue } from 'bullmq';
import express from 'express';
import { Redis } from 'ioredis';

const port = Number(process.env.PORT ?? 3000);
const url = new URL(process.env.QUEUE ?? 'redis://127.0.0.1:6379');
const prefix = url.searchParams.get('prefix') ?? 'bull';
url.search = '';
const connection = new Redis(url.href, { maxRetriesPerRequest: null });
// It tries again by itself.
connection.on('error', (error) => console.error(`The queue cannot be reached: ${error.message}`));
// It leaves the queue as it is: no version of BullMQ is written into it.
const queue = new Queue('sae', { connection, prefix, skipMetasUpdate: true });
queue.on('error', () => {});

const serverAdapter = new ExpressAdapter();
createBullBoard({
  queues: [new BullMQAdapter(queue, { readOnlyMode: true, description: 'Groups of trials' })],
  serverAdapter,
  options: { uiConfig: { boardTitle: 'Sparse autoencoders' } },
});

const policy = [
  "default-src 'self'",
  // Its styles and its icons are made by scripts.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "frame-ancestors 'none'",
  "base-uri 'self'",
  "form-action 'none'",
].join('; ');
const app = express();
app.disable('x-powered-by');
app.use((request, response, next) => {
  response.set({
    'Content-Security-Policy': policy,
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  });
  // A page of elsewhere whose name leads to this machine would read the queue.
  if (!['127.0.0.1', 'localhost'].includes(request.hostname))
    response.status(403).send('This board is at 127.0.0.1.');
  else if (!['GET', 'HEAD'].includes(request.method))
    response.status(405).send('This board changes nothing.');
  else next();
});
app.use(serverAdapter.getRouter());
app.listen(port, '127.0.0.1', (error) => {
  if (error) throw error;
  console.log(`http://127.0.0.1:${port}`);
});
