/** What terms mean that a report uses, each in a sentence or two. */
export const words = {
  direction: 'What the latent adds to the reconstruction of a row that it is active for.',
  density: 'The share of all rows that the latent is active for.',
  l0: 'L0 is the number of latents that are active for a row, on average.',
  variance:
    'Explained variance is the part of what differs between rows that the reconstruction keeps: 100% is perfect, 0% no better than the mean row.',
  cosine:
    'The cosine of two directions is 1 if they are the same, 0 if they have nothing in common, −1 if they are opposite.',
  jaccard:
    'The Jaccard index is the number of rows that both are active for, divided by the number that at least one is active for: 1 if always together, 0 if never.',
  enrichment:
    'Enrichment says how many times as often a label occurs among the rows that the latent is active for as among all rows: 1 is no more than by chance. The 95% interval says how sure that is: the fewer rows, the wider it is. What chance alone may have given is left out.',
  precision: 'Of the rows that the latent is active for, the share with the label.',
  recall: 'Of the rows with the label, the share that the latent is active for.',
} as const;

/** All of them for the overview. */
export const glossary: readonly (readonly [word: string, meaning: string])[] = [
  [
    'Latent',
    'One value of the code that the autoencoder makes of a row: what it found to be something by itself.',
  ],
  [
    'Active, activation',
    'A latent is active for a row if its value there, the activation, is above the model’s threshold, which is 0 unless the model has learned another.',
  ],
  ['Decoder direction', words.direction],
  ['Density', words.density],
  ['Dead', 'A latent is dead if it is active for none of the rows. It stands for nothing.'],
  [
    'Dense',
    'A latent is dense if it is active for more than 10% of the rows. It seldom stands for one thing.',
  ],
  ['L0', words.l0],
  ['L1', 'L1 is the sum of a row’s activations, on average.'],
  ['Explained variance', words.variance],
  ['MSE', 'The mean squared error of the reconstruction, by value of a row.'],
  ['Shrinkage', 'The length of reconstructions by that of their rows: below 1, they are too small.'],
  [
    'Relative bias',
    'How far reconstructions are too large or too small for how well they point: 1 is right.',
  ],
  ['Cosine', words.cosine],
  ['Jaccard index', words.jaccard],
  ['Enrichment', words.enrichment],
  ['Precision', words.precision],
  ['Recall', words.recall],
  ['F1', 'One number for precision and recall: their harmonic mean, 100% only if both are.'],
];
