export * from '../sae/index.js';
export { type AdapterDescription, describeAdapters, openGpu } from './adapters.js';
export { datasetNames, type LoadedDatasets, type LoadOptions, loadDatasets } from './data/datasets.js';
export { readDataset } from './data/read.js';
export { writeNpy } from './data/write-npy.js';
export { makeFolder } from './folder.js';
export { readModelFile, writeModelFile } from './model-file.js';
export { drawLoss, drawModel, type Pictures } from './pictures/results.js';
