//! Medians.

use serde::Serialize;

/// What many measurements of one thing say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Half of them are at most this.
    pub(super) median: f64,
    /// The least.
    pub(super) min: f64,
    /// The greatest.
    pub(super) max: f64,
}

impl Summary {
    /// Of measurements, at least one.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        let median = median(&mut values);
        // It has sorted them.
        Self {
            median,
            min: values.first().copied().unwrap_or(median),
            max: values.last().copied().unwrap_or(median),
        }
    }
}

/// The median; sorts. Of nothing it is not a number.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => f64::NAN,
        values if values.len() % 2 == 1 => values[middle],
        values => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(
            Summary::of([3.0, 1.0, 900.0]),
            Summary {
                median: 3.0,
                min: 1.0,
                max: 900.0
            }
        );
        assert_eq!(
            Summary::of([4.0, 1.0, 2.0, 900.0]),
            Summary {
                median: 3.0,
                min: 1.0,
                max: 900.0
            }
        );
        assert!(Summary::of([]).median.is_nan());
    }
}
