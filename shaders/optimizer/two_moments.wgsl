// The moments of a parameter, each in a buffer of its own: together they are larger than the parameter, and could exceed
// the size that a binding may have. Expects struct Moments, of `first` and `second`. Provides moments_at(), keep_moments().
var<storage, read_write> first_moments: array<vec4f>;
var<storage, read_write> second_moments: array<vec4f>;

fn moments_at(i: u32) -> Moments {
  return Moments(first_moments[i], second_moments[i]);
}

fn keep_moments(i: u32, moments: Moments) {
  first_moments[i] = moments.first;
  second_moments[i] = moments.second;
}
