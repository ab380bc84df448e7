export { type GemmResult, measureGemm, measurePeak, type Peak } from '../gpu/benchmark.js';
export * from '../gpu/errors.js';
export { Gpu, type ShaderLoader } from '../gpu/gpu.js';
export type { Spread } from '../gpu/timing.js';
export type { Tiles, TuningOptions, TuningStore } from '../gpu/tuner.js';
export { type BenchmarkCase, type BenchmarkResult, measureTraining, stepFlops } from './benchmark.js';
export {
  type ModelConfig,
  type ModelOptions,
  parseModelConfig,
  parseTrainConfig,
  type TrainConfig,
  type TrainOptions,
} from './config.js';
export { imagesDataset, type NamedImage } from './data/images.js';
export { type NormalizeOption, parseNormalize } from './data/normalize.js';
export { type DecodeOptions, decodeDataset } from './data/rows.js';
export * from './dataset.js';
export * from './errors.js';
export { evaluate } from './evaluate.js';
export { type LossCurve, type LossCurves, lossCurves, weightedKl } from './loss-curves.js';
export { LossHistory, type LossPoint } from './loss-history.js';
export {
  type EpochMetrics,
  type LiveSettings,
  liveSettings,
  type Metrics,
  type StepMetrics,
} from './metrics.js';
export { Model, type Parameters } from './model.js';
export {
  type GreyRange,
  greys,
  imageShape,
  inputRange,
  meanSquaredError,
  rowOfGreys,
  weightGreys,
} from './pictures.js';
export { intervened, Probe, strongestUnits } from './probe.js';
export { sampleRows } from './random.js';
export { decodeModel, encodeModel, type SavedModel } from './saved-model.js';
export { type Progress, type Snapshot, Trainer } from './trainer.js';
export type { TrainedSteps } from './training-log.js';
export { type UnitActivity, UnitPictures, unitActivity } from './units.js';
