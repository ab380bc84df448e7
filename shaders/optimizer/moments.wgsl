// The moments of a parameter, side by side in one buffer. Expects struct Moments. Provides moments_at(), keep_moments().
var<storage, read_write> all_moments: array<Moments>;

fn moments_at(i: u32) -> Moments {
  return all_moments[i];
}

fn keep_moments(i: u32, moments: Moments) {
  all_moments[i] = moments;
}
