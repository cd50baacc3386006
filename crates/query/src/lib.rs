//! Text to tree to answer: finds traces, shows one, completes keys and values.
//!
//! Comes in:   the text of a query, and a snapshot of the store to ask.
//! Goes out:   answers: trace summaries, one merged trace, attribute keys and values with counts.
//! May touch:  `model`, `topology`, `store`. Never: sockets, clocks.

mod ast;
mod deliveries;
mod diagnosis;
mod differences;
mod edge_calls;
mod engine;
mod error;
mod eval;
mod found;
mod groups;
mod guesses;
mod journey_search;
mod journeys;
mod links;
mod logs;
mod message_cache;
mod native;
mod newest;
mod parts;
mod pattern;
mod print;
mod ranked;
mod row;
mod run;
mod scan;
mod series;
mod summary;
mod tally;
mod test;
mod values;
pub mod xray_filter;

pub use ast::{
    AttrScope, CompareOp, Expr, FILTER_DEPTH_MAX, Field, LIMIT_MAX, Literal, Order, Query,
};
pub use deliveries::{Delivery, DeliveryKey, Messages, PlaceKey, PlaceMessages, messages};
pub use diagnosis::diagnose;
pub use differences::{Differences, DifferencesOptions, Of, SpanBox, differences};
pub use edge_calls::{EdgeCall, EdgeCalls, EdgeEnds, edge_calls};
pub use error::{QueryError, RunError};
pub use found::Selection;
pub use groups::GroupBy;
pub use guesses::guesses;
pub use journey_search::{
    JourneyOptions, JourneySummary, JourneysAnswer, LIST_BUDGET, check as check_for_journeys,
    journeys,
};
pub use journeys::{Stored, journey, note_ids};
pub use links::{BACK_LINKS_MAX, BackLink, LINKS_MAX, LinkTo, Links, links};
pub use logs::{LOGS_MAX, TraceLogs, logs};
pub use message_cache::MessageCache;
pub use native::parse;
pub use parts::{PARTS_MAX, Part, parts};
pub use pattern::{PATTERN_BYTES_MAX, Pattern, PatternError};
pub use run::{SearchAnswer, SearchOptions, search, trace};
pub use series::{Series, SeriesAnswer, SeriesOptions, series};
pub use summary::{Failing, TraceSummary, summary};
pub use tally::{Difference, Place};
pub use values::{
    AttributeValue, KeyAnswer, VALUE_ROWS_MAX, ValuesAnswer, ValuesOptions, attribute_keys,
    attribute_values,
};

#[cfg(test)]
mod tests;
