import { parentPort, workerData } from 'node:worker_threads';
import { mapOf } from '../../sae/insight/report/map.js';

// What map-threads.ts runs in a thread.
const { neighbours, seed } = workerData;
const places = await mapOf(neighbours, { seed });
parentPort?.postMessage(places, [places.buffer]);
