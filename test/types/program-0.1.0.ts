// A program as it could be written for version 0.1.0: it need only compile, and does so with every check of the types.
import {
  type AdapterDescription,
  type BenchmarkCase,
  type BenchmarkResult,
  ConfigError,
  DataError,
  type Dataset,
  DeviceLostError,
  datasetNames,
  decodeDataset,
  decodeModel,
  describeAdapters,
  drawModel,
  EngineError,
  type EpochMetrics,
  encodeModel,
  evaluate,
  type GemmResult,
  Gpu,
  type GreyRange,
  greys,
  imageShape,
  imagesDataset,
  inputRange,
  intervened,
  LimitError,
  type LiveSettings,
  type LoadedDatasets,
  type LoadOptions,
  type LossCurve,
  type LossCurves,
  LossHistory,
  type LossPoint,
  liveSettings,
  loadDatasets,
  lossCurves,
  type Metrics,
  Model,
  type ModelConfig,
  ModelFileError,
  type ModelOptions,
  makeFolder,
  meanSquaredError,
  measureGemm,
  measurePeak,
  measureTraining,
  mnistNormalization,
  type NamedImage,
  NoAdapterError,
  NonFiniteLossError,
  type Normalization,
  type NormalizeOption,
  noNormalization,
  normalizedRows,
  type OpenOptions,
  OutOfMemoryError,
  openGpu,
  type Parameters,
  type Peak,
  type Pictures,
  Probe,
  type Progress,
  parseModelConfig,
  parseNormalize,
  parseTrainConfig,
  pickRows,
  readDataset,
  readModelFile,
  readTiles,
  rowOfGreys,
  type SavedModel,
  type ShaderLoader,
  type Snapshot,
  type Spread,
  type StepMetrics,
  sampleRows,
  sliceRows,
  stepFlops,
  strongestUnits,
  type Tiles,
  type TrainConfig,
  type TrainedSteps,
  Trainer,
  type TrainOptions,
  type TuningOptions,
  type TuningStore,
  tuningFile,
  type UnitActivity,
  UnitPictures,
  unitActivity,
  weightGreys,
  writeModelFile,
  writeNpy,
  writeRunFile,
} from '../../src/node/index.js';

export async function program(gpu: Gpu, loader: ShaderLoader, blob: Blob): Promise<unknown[]> {
  const options: TrainOptions = { lr: 1e-3, sparsity_lambda: 0.1, sparsity_target: 0.05, batch_size: 8 };
  const config: TrainConfig = parseTrainConfig(options);
  const sum: number =
    config.lr + config.sparsity_lambda + config.sparsity_target + config.epochs + config.seed;
  const modelOptions: ModelOptions = { h_dims: [4] };
  const modelConfig: ModelConfig = parseModelConfig(modelOptions);
  const { train, validation }: LoadedDatasets = await loadDatasets({
    dataset: 'mnist-10k',
  } satisfies LoadOptions);
  const model: Model = await Model.create(gpu, modelConfig, 3);
  let trainer: Trainer = await Trainer.create(model, train, options);
  const history: EpochMetrics[] = [];
  const progress = ({ rows, samples_per_second }: Progress) => rows + samples_per_second;
  for await (const epoch of trainer.epochs({ progress })) {
    const { loss, mse, kl, active, dead, samples_per_second, seconds } = epoch;
    history.push(epoch, { ...epoch, epoch: 1, loss, mse, kl, active, dead, samples_per_second, seconds });
  }
  const told: TrainedSteps[] = [];
  const losses = new LossHistory(10);
  for await (const steps of trainer.steps({ count: 3, submitMilliseconds: 5 })) {
    told.push(steps);
    losses.add(steps.steps);
    const [step] = steps.steps;
    const { lr, sparsity_lambda, sparsity_target, kl }: StepMetrics = step;
    history.length = Math.round(lr + sparsity_lambda + sparsity_target + kl);
  }
  const live: LiveSettings = { lr: 1, sparsity_lambda: 1, sparsity_target: 0.1 };
  trainer.change(live);
  trainer.change({ lr: 2 });
  const names: boolean = [...liveSettings].length === 3;
  const snapshot: Snapshot = await trainer.snapshot();
  trainer = await Trainer.resume(gpu, train, snapshot);
  const held: Metrics = await evaluate(model, validation ?? train, trainer.config);
  const points: readonly LossPoint[] = losses.points;
  const { curves, logarithmic, range }: LossCurves = lossCurves(points, ({ step }) => step);
  const [loss, mse, penalty]: readonly LossCurve[] = curves;
  const codes = await model.encode(train);
  const parameters: Parameters = await model.parameters();
  const saved: SavedModel = { config: model.config, parameters, training: trainer.config };
  const again: SavedModel = decodeModel(encodeModel(saved), 'a file');
  // A saved model may be of any kind of sparsity, and its figures have what all have.
  const figures = await evaluate(model, train, again.training);
  const common: number = figures.loss + figures.mse + figures.active + figures.dead;
  await writeModelFile('a', saved);
  await writeRunFile('b', trainer);
  const activity: UnitActivity = await unitActivity(model, train, 1);
  const probe = await Probe.create(model, 2);
  const pictures = await UnitPictures.create(model);
  const drawn: Pictures = await drawModel(model, train, { images_dir: 'c', num_samples: 1, seed: 1 });
  const dataset: Dataset = {
    name: 'd',
    rows: 1,
    in_dims: 1,
    data: Float32Array.of(1),
    normalization: noNormalization,
  };
  const normalization: Normalization = mnistNormalization;
  const option: NormalizeOption = parseNormalize('unit');
  const shape = imageShape(dataset);
  const black: GreyRange = inputRange(dataset);
  const grey = greys(normalizedRows(dataset), black);
  const images: NamedImage[] = [];
  const tiles: Tiles = gpu.tuner.tiles;
  const tuning: TuningOptions = { tune: 'off', tiles };
  const store: TuningStore = { read: async () => undefined, write: async () => {} };
  const peak: Peak = await measurePeak(gpu);
  const product: GemmResult = await measureGemm(gpu, 'nn', [1, 2, 3]);
  const benchmark: BenchmarkCase = { in_dims: 1, h_dims: [2], batch_size: 3 };
  const result: BenchmarkResult = await measureTraining(gpu, benchmark);
  const spread: Spread = result.step;
  const adapters: AdapterDescription[] = await describeAdapters();
  const opening: OpenOptions = { adapter: 'x' };
  const other: Gpu = await Gpu.open({} as GPU, loader);
  const errors = [ConfigError, DataError, DeviceLostError, EngineError, LimitError, ModelFileError];
  const more = [NoAdapterError, OutOfMemoryError, new NonFiniteLossError(1, 2).step];
  return [
    sum,
    told,
    held,
    names,
    logarithmic,
    range,
    loss,
    mse,
    penalty,
    codes,
    figures,
    activity,
    probe,
    pictures,
    drawn,
    common,
    normalization,
    option,
    shape,
    rowOfGreys(dataset, grey, black),
    imagesDataset(images, 'e'),
    tuning,
    store,
    peak,
    product,
    spread,
    adapters,
    await openGpu(opening),
    other,
    errors,
    more,
    datasetNames,
    stepFlops(benchmark),
    await decodeDataset(blob, 'f'),
    await readDataset('g'),
    await readModelFile('h'),
    await readTiles('i'),
    makeFolder('j'),
    tuningFile(),
    writeNpy('k', [1, 1], []),
    sliceRows(dataset, 0, 1),
    pickRows(dataset, [0]),
    sampleRows(1, 1, 1),
    intervened(codes, new Map(), new Set()),
    strongestUnits(codes, 1, 1),
    weightGreys(codes),
    meanSquaredError(codes, codes),
    trainer.stepsOf(2),
    trainer.rowsOf(3),
    trainer.leftInEpoch,
    trainer.done,
  ];
}
