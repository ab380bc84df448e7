// For sparse/update.wgsl: only adds up the squares of each latent's gradient, for optimizer/clip.wgsl.
// Expects sum_lanes(). Provides updates, take(), end_latent().
const updates = false;

struct Place {
  first: u32,  // of these sums
}

var<uniform> place: Place;
var<storage, read_write> squares: array<f32>;

var<private> lane_squares: vec4f;

fn take(i: u32, weight: vec4f, gradient: vec4f) {
  lane_squares += gradient * gradient;
}

fn end_latent(latent: u32, lane: u32) {
  let sum = sum_lanes(lane_squares, lane);
  if (lane == 0) {
    squares[place.first + latent] = (sum.x + sum.y) + (sum.z + sum.w);
  }
  lane_squares = vec4f(0);
}
