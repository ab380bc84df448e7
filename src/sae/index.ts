/**
 * The engine by itself, which is the same in a browser, in Deno and in Node: models, training, and what looks inside a model.
 *
 * @module webgpu-sae/engine
 */

export { type GemmResult, measureGemm, measurePeak, type Peak } from '../gpu/benchmark.js';
export type { ShaderLoader } from '../gpu/device.js';
export * from '../gpu/errors.js';
export type { Tiles } from '../gpu/gemm/tiles.js';
// What the signatures of all that name besides.
export type { Tuner, TuningOptions, TuningStore } from '../gpu/gemm/tuner.js';
export { Gpu } from '../gpu/gpu.js';
export { Scope } from '../gpu/scope.js';
export { type Spread, spread } from '../gpu/timing.js';
export { type CheckOptions, type CheckResult, checkDevice, checkNames } from './check/index.js';
export { PassedChecks } from './check/passed.js';
export { resultInWords, wrongInWords } from './check/words.js';
export {
  type Activation,
  activations,
  checkStart,
  type EngineOption,
  type LiveSettings,
  liveSettings,
  type ModelConfig,
  type ModelOptions,
  modelOptions,
  parseModelConfig,
  parseTrainConfig,
  type TrainConfig,
  type TrainOptions,
  trainedConfig,
  trainOptions,
} from './config.js';
export * from './deprecated.js';
export * from './errors.js';
export { DensityHistory } from './insight/density-history.js';
export type { Quantile } from './insight/evaluation/activity.js';
export type { LabelPrediction } from './insight/evaluation/classes.js';
export { decoderDirections, type Neighbours, nearestLatents } from './insight/evaluation/directions.js';
export type { Directions, LabelFigures } from './insight/evaluation/evaluation.js';
export {
  type EvaluatedLatent,
  type Evaluation,
  evaluation,
} from './insight/evaluation/evaluation.js';
export type { OtherVariances } from './insight/evaluation/fidelity.js';
export type { ClassProbe } from './insight/evaluation/sparse-probe.js';
export { densityTable, figureTable, labelTable, type Table } from './insight/evaluation/tables.js';
export { findLabels } from './insight/labels.js';
export { findLatents, type LatentOrder, latentOrders, orderedLatents } from './insight/latent-list.js';
export {
  type LatentActivity,
  LatentPictures,
  latentActivity,
  latentDensities,
} from './insight/latents.js';
export { NearestRows, type NearRow } from './insight/nearest-rows.js';
export {
  type GreyRange,
  greys,
  imageShape,
  inputRange,
  meanSquaredError,
  rowOfGreys,
  shownReconstructions,
  shownRows,
  weightGreys,
} from './insight/pictures.js';
export type { Reconstructed } from './insight/probe.js';
export { intervened, Probe, strongestLatents } from './insight/probe.js';
export { modelFacts } from './insight/report/facts.js';
export type {
  ArrayPlace,
  Pictures,
  ReportedChart,
  ReportedCurve,
  ReportedFigures,
  ReportedModel,
  ReportedRows,
  ReportedTable,
  ReportedTerm,
  ReportFacts,
} from './insight/report/layout.js';
export type { NamedArray } from './insight/report/pack.js';
export { packReport, type Report } from './insight/report/pack.js';
export type { EncodeImage } from './insight/report/pictures.js';
export { type ReportOptions, type ReportSubject, report } from './insight/report/report.js';
export { type ReportData, unpackReport } from './insight/report/unpack.js';
export { LatentSurvey, surveyLatents } from './insight/survey.js';
export { type LatentTop, spreadLatents, topRows } from './insight/top-rows.js';
export type { ModelLayer, Rescaling } from './model/layers.js';
export { sizesInWords } from './model/layers.js';
export { Model } from './model/model.js';
export type { Parameters } from './model/parameter.js';
export { sampleRows } from './model/random.js';
export {
  decodeModel,
  encodeModel,
  isOurModel,
  type ReadOptions,
  type SavedModel,
  savedModel,
} from './model/saved-model.js';
export { type OptimizerName, optimizers } from './optimizer/index.js';
export type { Optimizer } from './optimizer/optimizer.js';
export type { Option, OptionShape } from './options.js';
export type { NamedBlob } from './rows/blob-file.js';
export { decodeLabels, openBlobs, type SortedBlobs, sortBlobs } from './rows/blobs.js';
export { rowsBetween, takeRows } from './rows/blocks.js';
export * from './rows/dataset.js';
export { type DecodeOptions, decodeDataset, type FileOfRows, type RowFiles } from './rows/decode.js';
export type { Histogram } from './rows/distribution.js';
export type { DuplicatesState } from './rows/duplicates.js';
export { fingerprint } from './rows/fingerprint.js';
export { naturalOrder } from './rows/folder.js';
export { type Element, elementNames, elementTypes } from './rows/formats/array.js';
export type { ByteSource } from './rows/formats/bytes.js';
export { formatNames, rowFormatNames } from './rows/formats/index.js';
export type { DescribedImage, ImageDecoder } from './rows/formats/pixels.js';
export { isImageShape } from './rows/formats/shape.js';
export { imagesDataset, isColoured, type NamedImage } from './rows/images.js';
export { labelled } from './rows/labels.js';
export type { HostKind } from './rows/normalization/index.js';
export { normalizationName, sameNormalization } from './rows/normalization/index.js';
export type { RowNorm } from './rows/normalization/row.js';
export type { Standardize } from './rows/normalization/standardize.js';
export type { Zca } from './rows/normalization/zca.js';
export type { Unnormalized } from './rows/normalize.js';
export {
  type FittedKind,
  fitNormalization,
  type NormalizeOption,
  normalizeNames,
  parseNormalize,
} from './rows/normalize.js';
export type { HostRows } from './rows/rows.js';
export { type DeviceRows, type RowSource, type Rows, rowSource, type StoredRows } from './rows/source.js';
export { evenRows } from './rows/subset.js';
export type { NonfiniteValue, NormsSummary, ValuesSummary } from './rows/summary.js';
export { type RowPlace, type RowsSummary, summarizeRows } from './rows/summary.js';
export { type Watching, watched } from './rows/watched.js';
export type { TermValues } from './sparsity/index.js';
export { type SparsityName, sparsities } from './sparsity/index.js';
export type { Coding, ModelShape, Penalty, Selection, Sparsity, Term } from './sparsity/sparsity.js';
export { batchesOf } from './step/records.js';
export { prepareModel } from './step/sparse/choice.js';
export type { StepState, TrainStep } from './step/train-step.js';
export { classes, contestOf, groupsOf, parameterCount, trialBytes } from './sweep/groups.js';
export { paretoFront } from './sweep/pareto.js';
export type { Choices, Grid } from './sweep/settings.js';
export { parseSweep, type SweepSettings, sweepOptions } from './sweep/settings.js';
export type { TrialRows } from './sweep/trials.js';
export { differing, namedOptions, type Trial, trialCount, trialInWords, trialsOf } from './sweep/trials.js';
export * from './synth/index.js';
export type { StreamConfig } from './synth/run.js';
export type { Profile } from './training/benchmark.js';
export {
  type BenchmarkCase,
  type BenchmarkResult,
  measureTraining,
  stepFlops,
} from './training/benchmark.js';
export { type Chart, trainingCharts } from './training/charts.js';
export { evaluate } from './training/evaluate.js';
export type { LossAxis } from './training/loss-curves.js';
export {
  type LossCurve,
  type LossCurves,
  lossCurves,
  lossParts,
  markedPoints,
  sharedAxis,
  type TermFigure,
  termFigures,
  weightedTerms,
} from './training/loss-curves.js';
export { LossHistory, type LossPoint } from './training/loss-history.js';
export type { EpochMetrics, LossFigures, Metrics, PassSums, StepMetrics } from './training/metrics.js';
export type { Placement } from './training/placement.js';
export type { RowOrderState } from './training/row-order.js';
export { runLength } from './training/schedule.js';
export type { Snapshot } from './training/snapshot.js';
export {
  isOurSnapshot,
  readSnapshot,
  type SavedSnapshot,
  snapshotParts,
} from './training/snapshot-file.js';
export { type Progress, Trainer } from './training/trainer.js';
export { type GroupSteps, type Member, TrainerGroup } from './training/trainer-group.js';
export type { TrainedSteps } from './training/training-log.js';
