//! The one place of this room that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, nanoseconds since the epoch.
pub(crate) fn now_unix_nano() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
