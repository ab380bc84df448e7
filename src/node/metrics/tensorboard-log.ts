import { hostname } from 'node:os';
import { join } from 'node:path';
import { PbfWriter } from 'pbf';
import type { EpochMetrics, Metrics, SparsityName, StepMetrics } from '../../sae/index.js';
import { crc32c } from '../../sae/rows/formats/crc.js';
import { GrowingFile, type MetricsLog } from './metrics-log.js';

// Event files are records (https://github.com/tensorflow/tensorflow/blob/v2.16.1/tensorflow/core/lib/io/record_writer.h) of the messages Event
// (.../core/util/event.proto) and Summary (.../core/framework/summary.proto).

/** The first event of every file says in what version it is. */
const version = 'brain.Event:2';

/** SessionLog.START in event.proto. */
const sessionStart = 1;

/** Metrics that are places or settings of a run, not what one looks at as a curve. */
const places = new Set(['step', 'epoch', 'seconds']);

/** Scalars in an event file of TensorBoard: `step/loss` of each step, `epoch/loss` of each epoch, `held_out/loss` at the end. */
export class TensorboardLog implements MetricsLog {
  /** Files that this process made: their names differ. */
  static #made = 0;
  readonly #file: GrowingFile;
  #begun = false;

  /** A new file in a folder, which TensorBoard shows as a run. */
  constructor(folder: string) {
    const seconds = Math.floor(Date.now() / 1000);
    const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${TensorboardLog.#made++}`;
    this.#file = new GrowingFile(join(folder, name));
  }

  steps(metrics: readonly StepMetrics<SparsityName>[]): void {
    const events = metrics.map((each) => scalars('step', each, each.step));
    if (events.length > 0) this.#add(Buffer.concat(events));
  }

  epoch(metrics: EpochMetrics<SparsityName>, step: number): void {
    this.#add(scalars('epoch', metrics, step));
  }

  /** TensorBoard then passes over what it has of later steps, in this file or in an earlier one. */
  rewind(step: number): undefined {
    const begins = (_: unknown, pbf: PbfWriter) => pbf.writeVarintField(1, sessionStart);
    this.#add(record(event(step + 1, (pbf) => pbf.writeMessage(7, begins, undefined))));
  }

  heldOut(metrics: Metrics<SparsityName>, step: number): void {
    this.#add(scalars('held_out', metrics, step));
  }

  close(): void {
    this.#file.close();
  }

  #add(events: Uint8Array): void {
    if (!this.#begun) this.#file.append(record(event(0, (pbf) => pbf.writeStringField(3, version))));
    this.#begun = true;
    this.#file.append(events);
  }
}

/** An event with all metrics that are numbers. */
function scalars(kind: string, metrics: object, step: number): Uint8Array {
  const named = Object.entries(metrics).filter(
    ([name, value]) => typeof value === 'number' && !places.has(name),
  );
  const summary = (_: unknown, pbf: PbfWriter) => {
    for (const [name, value] of named) {
      pbf.writeMessage(
        1,
        (_: unknown, inner: PbfWriter) => {
          inner.writeStringField(1, `${kind}/${name}`);
          inner.writeFloatField(2, value);
        },
        undefined,
      );
    }
  };
  return record(event(step, (pbf) => pbf.writeMessage(5, summary, undefined)));
}

function event(step: number, write: (pbf: PbfWriter) => void): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeDoubleField(1, Date.now() / 1000);
  pbf.writeVarintField(2, step);
  write(pbf);
  return pbf.finish();
}

/** A record: its length, a checksum of that, itself, and a checksum of itself. */
function record(content: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(content.length + 16);
  bytes.writeBigUInt64LE(BigInt(content.length), 0);
  bytes.writeUInt32LE(masked(bytes.subarray(0, 8)), 8);
  bytes.set(content, 12);
  bytes.writeUInt32LE(masked(content), 12 + content.length);
  return bytes;
}

/** CRC-32C, turned and moved, since checksums of what has checksums in it are weak. */
function masked(bytes: Uint8Array): number {
  const sum = crc32c(bytes);
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}
