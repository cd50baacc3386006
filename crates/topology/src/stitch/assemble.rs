//! What a walk found, as the answer.

use std::collections::{BTreeMap, BTreeSet};

use ahash::AHashMap;
use throughline_model::NO_END;

use super::edge::{JoinEdge, SpanAt};
use super::journey::{Attempts, Focus, Gap, Group, Journey, Limit, Member, Source, Step, Wait};
use super::walk::Walk;

/// Spans that stand for a group.
const SAMPLES_MAX: usize = 3;

impl<S: Source> Walk<'_, S> {
    pub(super) fn end(mut self, focus: Focus) -> Journey {
        let traces = self.members();
        let spans = || {
            let of = |member: &Member| {
                let batch = member.batch.clone();
                let spans = member.rows.clone().into_iter();
                spans.map(move |row| {
                    let span = batch.span(row as usize);
                    (span.start_unix_nano(), span.end_unix_nano())
                })
            };
            traces.iter().flat_map(of)
        };
        let start_unix_nano = spans().map(|(start, _)| start).min().unwrap_or(0);
        let end_unix_nano = spans().map(|(_, end)| end).max().unwrap_or(0);
        let mut steps: Vec<Step> = std::mem::take(&mut self.steps).into_values().collect();
        steps.sort_by_cached_key(|step| (self.start_of(step.edge.to), step.edge.to, step.edge.id));
        let mut origins: Vec<_> = std::mem::take(&mut self.origins).into_iter().collect();
        origins.sort_by_cached_key(|trace| {
            let member = traces.iter().position(|member| member.trace_id == *trace);
            (member, *trace)
        });
        Journey {
            focus,
            waits: waits(&steps),
            attempts: self.attempts(&steps),
            dead_letters: steps.iter().filter(|s| s.edge.moved).map(|s| s.edge.id).collect(),
            groups: self.groups(),
            traces,
            steps,
            origins,
            start_unix_nano,
            end_unix_nano,
            refused: std::mem::take(&mut self.refused),
            truncated: self.truncated.iter().copied().collect(),
            gaps: self.gaps.iter().cloned().collect(),
        }
    }

    /// The traces with as many of their spans as fit: what steps need first, then the rest, the
    /// way to the focus and what is near it before others.
    fn members(&mut self) -> Vec<Member> {
        let mut parts: Vec<_> = std::mem::take(&mut self.parts).into_iter().collect();
        parts.sort_by_cached_key(|(trace, part)| (!part.on_path, part.hops.unsigned_abs(), *trace));
        let needed: usize = parts.iter().map(|(_, part)| part.needed.len()).sum();
        let mut left = self.budget.spans_max.saturating_sub(needed);
        let mut members = Vec::with_capacity(parts.len());
        for (trace_id, part) in parts {
            let Some(Some(loaded)) = self.loaded.get(&trace_id) else { continue };
            let mut rows: BTreeSet<u32> = part.needed;
            for row in part.rows {
                if rows.contains(&row) {
                    continue;
                }
                if left == 0 {
                    self.truncated.insert(Limit::Spans);
                    break;
                }
                left -= 1;
                rows.insert(row);
            }
            let durations = loaded.batch.durations();
            if rows.iter().any(|row| durations.get(*row as usize) == Some(&NO_END)) {
                self.gaps.insert(Gap::StillRunning { trace_id });
            }
            members.push(Member {
                trace_id,
                batch: loaded.batch.clone(),
                rows: rows.into_iter().collect(),
                hops: part.hops,
                on_path: part.on_path,
                shared_by: part.shared_by.max(1),
            });
        }
        members.sort_by_cached_key(|member| {
            let starts =
                member.rows.iter().filter_map(|row| member.batch.starts().get(*row as usize));
            (starts.min().copied(), member.trace_id)
        });
        members
    }

    fn start_of(&self, (trace, span): SpanAt) -> Option<i64> {
        let loaded = self.loaded.get(&trace)?.as_ref()?;
        Some(loaded.start(loaded.row_of(span)?))
    }

    fn groups(&mut self) -> Vec<Group> {
        let grouped = std::mem::take(&mut self.grouped);
        let group = |((trace_id, carrier, resource, reason), edges): (_, Vec<JoinEdge>)| {
            let mut waits: Vec<i64> = edges.iter().map(|edge| edge.wait_nano).collect();
            waits.sort_unstable();
            let far = |edge: &JoinEdge| if edge.from.0 == trace_id { edge.to } else { edge.from };
            Group {
                trace_id,
                carrier,
                resource,
                reason,
                deliveries: edges.len(),
                failed: edges.iter().filter(|edge| edge.failed).count(),
                wait_p50_nano: percentile(&waits, 50),
                wait_p99_nano: percentile(&waits, 99),
                samples: edges.iter().map(far).take(SAMPLES_MAX).collect(),
            }
        };
        grouped.into_iter().map(group).collect()
    }

    fn attempts(&self, steps: &[Step]) -> Vec<Attempts> {
        let mut deliveries: BTreeMap<_, Vec<(u32, SpanAt, bool)>> = BTreeMap::new();
        for step in steps {
            let edge = &step.edge;
            let service = self.loaded.get(&edge.to.0).and_then(Option::as_ref).and_then(|loaded| {
                let row = loaded.row_of(edge.to.1)?;
                Some(loaded.batch.span(row as usize).service().to_owned())
            });
            let Some(service) = service else { continue };
            let list = deliveries.entry((edge.key, service)).or_default();
            if list.iter().all(|(_, span, _)| *span != edge.to) {
                list.push((edge.attempt, edge.to, edge.failed));
            }
        }
        let several = |(_, list): &(_, Vec<(u32, SpanAt, bool)>)| {
            list.len() > 1 || list.iter().any(|(number, ..)| *number > 1)
        };
        deliveries
            .into_iter()
            .filter(several)
            .map(|((key, service), mut deliveries)| {
                deliveries.sort_unstable();
                Attempts { key, service, deliveries }
            })
            .collect()
    }
}

fn waits(steps: &[Step]) -> Vec<Wait> {
    let mut places: AHashMap<_, Vec<i64>> = AHashMap::new();
    for step in steps {
        let place = (step.edge.carrier, step.edge.resource.clone());
        places.entry(place).or_default().push(step.edge.wait_nano);
    }
    let mut waits: Vec<Wait> = places
        .into_iter()
        .map(|((carrier, resource), mut waits)| {
            waits.sort_unstable();
            let (steps, p50_nano) = (waits.len(), percentile(&waits, 50));
            let max_nano = waits.last().copied().unwrap_or(0);
            Wait { carrier, resource, steps, p50_nano, max_nano }
        })
        .collect();
    waits.sort_by(|a, b| (a.carrier, &a.resource).cmp(&(b.carrier, &b.resource)));
    waits
}

/// The nearest rank of sorted numbers; 0 of none.
fn percentile(sorted: &[i64], percent: usize) -> i64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or(0)
}
