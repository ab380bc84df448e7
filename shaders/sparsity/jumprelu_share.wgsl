// What jumprelu_gradient.wgsl adds up over some rows and jumprelu_threshold.wgsl over all of them. Provides ThresholdShare.
struct ThresholdShare {
  through_code: vec4f,  // of the gradient by the code where the pre-activation is near the threshold
  near: vec4f,          // the number of such rows
  by_norm: vec4f,       // of the loss's derivative by the norm of the decoder direction
  below: vec4f,         // the number of rows in which a dead latent is below its threshold
}
