//! Which blocks go, and which become one. Plain functions of the catalogue and the time.

use std::ops::Range;

use crate::catalogue::CatalogState;

/// How many of the oldest blocks have expired, by age (`retention_ms`) or by bytes.
pub(crate) fn expired(
    state: &CatalogState,
    now_unix_nano: i64,
    retention_ms: Option<u64>,
    retention_bytes: Option<u64>,
) -> usize {
    let age = retention_ms.and_then(|ms| i64::try_from(ms).ok()?.checked_mul(1_000_000));
    let oldest_kept = age.map_or(i64::MIN, |age| now_unix_nano.saturating_sub(age));
    let by_age = state.blocks.iter().take_while(|b| b.flushed_unix_nano < oldest_kept).count();

    let mut bytes: u64 = state.blocks.iter().map(|block| block.size_bytes).sum();
    let mut by_bytes = 0;
    for block in &state.blocks {
        if retention_bytes.is_none_or(|max| bytes <= max) {
            break;
        }
        bytes -= block.size_bytes;
        by_bytes += 1;
    }
    by_age.max(by_bytes)
}

/// A run of neighbouring blocks of one level to put together, the smallest level first.
///
/// Only blocks flushed within one hour of each other, so that retention by age stays fine.
pub(crate) fn to_compact(
    state: &CatalogState,
    count: usize,
    size_bytes_max: u64,
) -> Option<Range<usize>> {
    const HOUR_NANO: i64 = 3_600_000_000_000;
    let fits = |range: &Range<usize>| {
        let blocks = &state.blocks[range.clone()];
        let bytes: u64 = blocks.iter().map(|block| block.size_bytes).sum();
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return false };
        blocks.iter().all(|block| block.level == first.level)
            && bytes <= size_bytes_max
            && last.flushed_unix_nano.saturating_sub(first.flushed_unix_nano) <= HOUR_NANO
    };
    let starts = 0..(state.blocks.len() + 1).checked_sub(count.max(2))?;
    let runs = starts.map(|start| start..start + count.max(2)).filter(fits);
    runs.min_by_key(|run| state.blocks[run.start].level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::BlockEntry;

    fn state(blocks: &[(u8, u64, i64)]) -> CatalogState {
        let entry = |(level, size_bytes, flushed): &(u8, u64, i64)| BlockEntry {
            name: String::new(),
            rows: 1,
            size_bytes: *size_bytes,
            level: *level,
            flushed_unix_nano: *flushed * 1_000_000,
            min_start: 0,
            max_start: 0,
        };
        CatalogState { blocks: blocks.iter().map(entry).collect(), ..CatalogState::default() }
    }

    #[test]
    fn blocks_go_by_age_and_by_bytes_oldest_first() {
        let blocks = state(&[(0, 10, 100), (0, 10, 200), (0, 10, 300)]);
        let now = 400 * 1_000_000;
        assert_eq!(expired(&blocks, now, Some(250), None), 1);
        assert_eq!(expired(&blocks, now, Some(50), None), 3);
        assert_eq!(expired(&blocks, now, None, Some(20)), 1);
        assert_eq!(expired(&blocks, now, Some(250), Some(5)), 3);
        assert_eq!(expired(&blocks, now, None, None), 0);
    }

    #[test]
    fn neighbours_of_one_level_are_put_together() {
        let small = (0, 10, 0);
        assert_eq!(to_compact(&state(&[small; 3]), 4, 100), None);
        assert_eq!(to_compact(&state(&[small; 4]), 4, 100), Some(0..4));
        assert_eq!(to_compact(&state(&[(1, 40, 0), small, small]), 2, 100), Some(1..3));
        assert_eq!(to_compact(&state(&[(0, 60, 0), (0, 60, 0)]), 2, 100), None);
        assert_eq!(to_compact(&state(&[(0, 1, 0), (0, 1, 4_000_000)]), 2, 100), None);
    }
}
