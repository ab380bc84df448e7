import { createHash, randomBytes } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll } from 'vitest';
import type { PinnedFile } from '../../../src/node/data/download.js';

/** What a mirror does with one request: `range` is where the request asks to begin, if it does. */
export type Answer = (response: ServerResponse, body: Buffer, range: number | undefined) => void;

/** Sends all of it, or from the byte on that was asked for. */
export const serve: Answer = (response, body, range) => {
  if (range === undefined) {
    response.writeHead(200, { 'content-length': body.length }).end(body);
  } else if (range >= body.length) {
    response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
  } else {
    const rest = body.subarray(range);
    const headers = {
      'content-length': rest.length,
      'content-range': `bytes ${range}-${body.length - 1}/${body.length}`,
    };
    response.writeHead(206, headers).end(rest);
  }
};

export const ignoreRange: Answer = (response, body) => serve(response, body, undefined);

/** Promises all that is left and cuts the connection half-way. */
export const cutHalfWay: Answer = (response, body, range = 0) => {
  const rest = body.subarray(range);
  response.writeHead(range > 0 ? 206 : 200, {
    'content-length': rest.length,
    ...(range > 0 && { 'content-range': `bytes ${range}-${body.length - 1}/${body.length}` }),
  });
  response.write(rest.subarray(0, rest.length / 2));
  // Not at once: what the other side has not read when its connection ends is lost to it.
  setTimeout(() => response.destroy(), 100);
};

/** Sends half and then nothing, for as long as the other side waits. */
export const stallHalfWay: Answer = (response, body) => {
  response.writeHead(200, { 'content-length': body.length });
  response.write(body.subarray(0, body.length / 2));
};

export const neverAnswer: Answer = () => {};

export const fail =
  (status: number): Answer =>
  (response) =>
    response.writeHead(status).end('<html>no</html>');

/** Says that it is somewhere else. */
export const lead =
  (location: string): Answer =>
  (response) =>
    response.writeHead(302, { location }).end();

/** The right length, the wrong bytes. */
export const wrongBytes: Answer = (response, body, range) =>
  serve(response, Buffer.alloc(body.length, 'x'), range);

/** Says nothing of a length and sends too much. */
export const tooManyBytes: Answer = (response, body) => {
  response.writeHead(200);
  response.write(body);
  response.end('more');
};

/** Says nothing of a length and ends too soon, without an error. */
export const tooFewBytes: Answer = (response, body) => {
  response.writeHead(200);
  response.end(body.subarray(0, body.length - 10));
};

/** A page where a file was asked for, as a hotel's network has it. */
export const someOtherPage: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'text/html', 'content-length': 11 }).end('Please pay.');
};

export interface Mirror {
  readonly url: string;
  /** Of each request its path and, after a space, its Range header, if it has one. */
  readonly requests: string[];
  answer: Answer;
}

/** A server on this machine's loopback that gives these files, by name, as `answer` has it. Closed after the tests. */
export async function startMirror(files: Record<string, Buffer>): Promise<Mirror> {
  const requests: string[] = [];
  const mirror = { url: '', requests, answer: serve };
  const server = createServer((request, response) => {
    const { range } = request.headers;
    requests.push(range ? `${request.url} ${range}` : `${request.url}`);
    const body = files[(request.url ?? '').slice('/files/'.length)];
    if (body) mirror.answer(response, body, range ? Number(/^bytes=(\d+)-$/.exec(range)?.[1]) : undefined);
    else fail(404)(response, Buffer.alloc(0), undefined);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  mirror.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/files/`;
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return mirror;
}

/** A mirror on a port where nothing listens. */
export async function deadMirror(): Promise<string> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return `http://127.0.0.1:${port}/files/`;
}

export function pin(name: string, content: Buffer): PinnedFile {
  return { name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}

/** A gzipped IDX file of random images of 28 by 28, in MNIST's place. */
export function someImages(count: number): Buffer {
  const header = Buffer.from([0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 28, 0, 0, 0, 28]);
  return gzipSync(Buffer.concat([header, randomBytes(count * 784)]));
}
