//! A histogram of durations that adds, subtracts and merges without loss.
//!
//! Buckets are log-linear: 32 of equal width between a power of two and the next. That keeps the
//! relative error below sqrt(33/32) - 1 = 1.6 % and needs no logarithm, so every machine sorts
//! every duration into the same bucket.
//! Rule: DDSketch (Masson, Rim, Lee; VLDB 2019), with linear interpolation between powers of two.

/// Buckets between a power of two and the next.
const STEPS: u64 = 32;

/// The bucket of `i64::MAX`.
pub(crate) const BUCKET_MAX: i32 = 1887;

/// The bucket of a duration in nanoseconds; 0 holds zero and what lies below.
pub(crate) fn bucket_of(nanos: i64) -> i32 {
    let Ok(nanos) = u64::try_from(nanos) else { return 0 };
    if nanos < STEPS {
        return nanos as i32;
    }
    let shift = nanos.ilog2() - STEPS.ilog2();
    (u64::from(shift) * STEPS + (nanos >> shift)) as i32
}

/// The geometric middle of a bucket, in nanoseconds.
pub(crate) fn middle_of(bucket: i32) -> i64 {
    let bucket = bucket.clamp(0, BUCKET_MAX) as u64;
    if bucket < 2 * STEPS {
        return bucket as i64;
    }
    let shift = bucket / STEPS - 1;
    let scale = (1u64 << shift) as f64;
    let low = (STEPS + bucket % STEPS) as f64;
    ((low * (low + 1.0)).sqrt() * scale) as i64
}

/// Counts by bucket, sorted by bucket; counts of a delta may be negative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sketch {
    buckets: Vec<(i32, i64)>,
}

impl Sketch {
    pub(crate) fn add(&mut self, bucket: i32, count: i64) {
        let at = self.buckets.partition_point(|(b, _)| *b < bucket);
        match self.buckets.get_mut(at) {
            Some((b, sum)) if *b == bucket => *sum = sum.wrapping_add(count),
            _ => self.buckets.insert(at, (bucket, count)),
        }
    }

    /// Adds all of `other`; commutative and associative, for counts wrap rather than saturate.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        // Both are sorted: those that are here already are added to, the others kept for later.
        let mut missing = Vec::new();
        let mut own = self.buckets.iter_mut().peekable();
        for (bucket, count) in &other.buckets {
            while own.next_if(|(b, _)| b < bucket).is_some() {}
            match own.peek_mut() {
                Some((b, sum)) if b == bucket => *sum = sum.wrapping_add(*count),
                _ => missing.push((*bucket, *count)),
            }
        }
        if !missing.is_empty() {
            self.buckets.append(&mut missing);
            // Two sorted runs: a stable sort merges them in one pass.
            self.buckets.sort_by_key(|(bucket, _)| *bucket);
        }
    }

    /// The buckets that hold something.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (i32, i64)> + Clone {
        self.buckets.iter().copied().filter(|(_, count)| *count != 0)
    }

    /// The values at these quantiles (0 to 1, rising), in nanoseconds; 0 when empty.
    pub(crate) fn quantiles<const N: usize>(&self, quantiles: [f64; N]) -> [i64; N] {
        let counts = || self.buckets.iter().filter(|(_, count)| *count > 0);
        let total = counts().fold(0i64, |sum, (_, count)| sum.saturating_add(*count));
        let mut walk = counts();
        let (mut seen, mut value) = (0i64, 0);
        quantiles.map(|quantile| {
            let rank = ((quantile * total as f64).ceil() as i64).clamp(1, total.max(1));
            while seen < rank {
                let Some((bucket, count)) = walk.next() else { break };
                seen = seen.saturating_add(*count);
                value = middle_of(*bucket);
            }
            value
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_own_middle_and_stays_within_two_percent() {
        for power in 0..63 {
            for offset in [0, 1, 3, 17] {
                let nanos = (1i64 << power).saturating_add((1i64 << power) / 32 * offset + offset);
                let middle = middle_of(bucket_of(nanos));
                assert_eq!(bucket_of(middle), bucket_of(nanos), "{nanos}");
                assert!((middle - nanos).abs() as f64 <= 0.02 * nanos as f64, "{nanos} {middle}");
            }
        }
        assert_eq!(bucket_of(i64::MAX), BUCKET_MAX);
        assert_eq!((bucket_of(0), bucket_of(-5), bucket_of(i64::MIN)), (0, 0, 0));
    }

    #[test]
    fn buckets_rise_with_the_duration() {
        for nanos in 0..100_000 {
            assert!(bucket_of(nanos) <= bucket_of(nanos + 1));
            assert!(bucket_of(nanos + 1) - bucket_of(nanos) <= 1, "no hole after {nanos}");
        }
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let (mut sketch, mut back) = (Sketch::default(), Sketch::default());
        sketch.add(bucket_of(10_000), 3);
        sketch.add(bucket_of(90_000), 1);
        back.add(bucket_of(90_000), -1);
        sketch.merge(&back);
        assert_eq!(sketch.buckets().collect::<Vec<_>>(), [(bucket_of(10_000), 3)]);
        assert_eq!(sketch.quantiles([0.5, 0.99]), [middle_of(bucket_of(10_000)); 2]);
    }

    #[test]
    fn percentiles_lie_within_two_percent_of_the_exact_ones() {
        let mut values: Vec<i64> =
            (1..5_000i64).map(|i| i * i * 37 % 9_999_991 + i * 1_000).collect();
        let mut sketch = Sketch::default();
        values.iter().for_each(|v| sketch.add(bucket_of(*v), 1));
        values.sort_unstable();
        let asked = [0.5, 0.95, 0.99];
        for (quantile, got) in asked.iter().zip(sketch.quantiles(asked)) {
            let exact = values[(quantile * values.len() as f64).ceil() as usize - 1];
            assert!((got - exact).abs() as f64 <= 0.02 * exact as f64, "{quantile}: {got} {exact}");
        }
    }
}
