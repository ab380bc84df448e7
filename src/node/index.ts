/**
 * The library for Node: models, training, rows from files, pictures and saved models. It has all of `webgpu-sae/engine` as well.
 *
 * @module webgpu-sae
 */

export * from '../sae/index.js';
// What the signatures of all that name besides.
export type { ModelFolder } from '../sae/model/formats/folder.js';
export type { SaeFormat } from '../sae/model/formats/format.js';
export type { ImportedActivation } from '../sae/model/formats/imported.js';
export {
  type ImportedSae,
  type SaeFiles,
  saeFormats,
  saelensFiles,
  sparsifyFiles,
} from '../sae/model/formats/index.js';
export type { Weights } from '../sae/model/formats/weights.js';
export { importedOf, modelOf } from '../sae/model/imported-model.js';
export { onnxFiles } from '../sae/model/onnx/onnx.js';
export {
  type AdapterDescription,
  type AdapterName,
  adapterNamed,
  describeAdapters,
  type OpenOptions,
  openGpu,
} from './adapters.js';
export { passedChecks } from './checks.js';
export {
  datasetNames,
  type LoadedDatasets,
  type LoadOptions,
  loadDatasets,
  openDatasets,
} from './data/datasets.js';
export type { PinnedFile } from './data/download.js';
export { type FoundFiles, findDataFiles } from './data/find.js';
export { mostInMemory, placementOf, sweepWindow, windowsInWords } from './data/memory.js';
export type { MnistSource } from './data/mnist.js';
export type { PipeOptions } from './data/piped.js';
export { closePipes, isPipe, pipedFile } from './data/piped.js';
export { openDataset, openFiles, type ReadRowsOptions, readDataset } from './data/read.js';
export type { Blocks, RowsShape } from './data/write-dense.js';
export { writeNpy, writeSafetensors } from './data/write-dense.js';
export { type SparseFormat, writeSparse } from './data/write-sparse.js';
export { checkFile, checkRoom, makeFolder } from './folder.js';
export { readForeignModel, writeForeignModel } from './foreign-models.js';
export { isOurLatentsFile, topRowsInFile, writeLatentsFile } from './latents-file.js';
export type { MetricsLog } from './metrics/metrics-log.js';
export { checkTableName, isOurTable, TableLog } from './metrics/table-log.js';
export { TensorboardLog } from './metrics/tensorboard-log.js';
export { readModelFile, writeModelFile } from './model-file.js';
export { Animation, type Frame, isOurAnimation, mostFrames } from './pictures/animation.js';
export type { ChartEpoch, ChartTraining } from './pictures/chart-training.js';
export {
  type DrawOptions,
  drawLoss,
  drawModel,
  type FeaturesKind,
  featuresKinds,
  type Pictures,
  pictureNames,
  preparePictures,
  whyNoImages,
} from './pictures/results.js';
export {
  type Job,
  openQueue,
  type Queue,
  type QueueOptions,
  type QueueState,
  type TakenJob,
} from './queue/queue.js';
export { historyName, isOurHistory, readHistory, writeHistory } from './report/history-file.js';
export { prepareNeuronpedia, writeNeuronpedia } from './report/neuronpedia.js';
export {
  encodeImage,
  isOurReport,
  prepareReport,
  reportImageType,
  writeReport,
} from './report/report-file.js';
export { commandLine, factsOf, type RecordedTraining, readRecord } from './report/run-record.js';
export {
  type GivenUp,
  isOurRunFile,
  type RunRecord,
  readTiles,
  recordSaved,
  runRecord,
  writeRunFile,
  writeRunRecord,
} from './run-file.js';
export { lockFolder } from './run-lock.js';
export { goesOnLater, type SlurmOptions, slurmScript } from './slurm.js';
export { readSnapshotFile, writeSnapshotFile } from './snapshot-file.js';
export { tuningFile } from './tuning.js';
export { removeUnfinished } from './write-file.js';
