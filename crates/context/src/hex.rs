//! Ids in hexadecimal, as each format allows them.

use opentelemetry::{SpanId, TraceId};

use crate::defect::{Defect, Quirk, Strictness};

/// Reads ids and notes what was odd about them.
pub(crate) struct IdReader<'a> {
    pub(crate) strictness: Strictness,
    pub(crate) quirks: &'a mut Vec<Quirk>,
}

impl IdReader<'_> {
    pub(crate) fn note(&mut self, quirk: Quirk) {
        if !self.quirks.contains(&quirk) {
            self.quirks.push(quirk);
        }
    }

    pub(crate) fn is_lenient(&self) -> bool {
        self.strictness == Strictness::Lenient
    }

    /// A trace id of exactly one of these lengths; shorter ones only when reading leniently.
    pub(crate) fn trace_id(&mut self, text: &str, lengths: &[usize]) -> Result<TraceId, Defect> {
        let value = self.number(text, lengths)?;
        if value == 0 { Err(Defect::ZeroId) } else { Ok(TraceId::from(value)) }
    }

    /// A span id of exactly one of these lengths; shorter ones only when reading leniently.
    pub(crate) fn span_id(&mut self, text: &str, lengths: &[usize]) -> Result<SpanId, Defect> {
        let value = self.number(text, lengths)?;
        let value = u64::try_from(value).map_err(|_| Defect::Length)?;
        if value == 0 { Err(Defect::ZeroId) } else { Ok(SpanId::from(value)) }
    }

    /// Hexadecimal digits of any length from 1 to `max`, in any case, as formats have it that
    /// drop leading zeros.
    pub(crate) fn loose(text: &str, max: usize) -> Result<u128, Defect> {
        if text.is_empty() || text.len() > max.min(32) {
            return Err(Defect::Length);
        }
        // `from_str_radix` alone would take a plus sign.
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Defect::Character);
        }
        u128::from_str_radix(text, 16).map_err(|_| Defect::Character)
    }

    fn number(&mut self, text: &str, lengths: &[usize]) -> Result<u128, Defect> {
        let max = lengths.iter().copied().max().unwrap_or(0);
        if !lengths.contains(&text.len()) {
            if !self.is_lenient() || text.is_empty() || text.len() > max {
                return Err(Defect::Length);
            }
            self.note(Quirk::ShortId);
        }
        let value = Self::loose(text, max)?;
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            if !self.is_lenient() {
                return Err(Defect::Character);
            }
            self.note(Quirk::UpperCase);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(strictness: Strictness, text: &str) -> (Result<TraceId, Defect>, Vec<Quirk>) {
        let mut quirks = Vec::new();
        let read = IdReader { strictness, quirks: &mut quirks }.trace_id(text, &[32]);
        (read, quirks)
    }

    #[test]
    fn strict_ids_are_whole_and_lower_case() {
        let strict = |text: &str| read(Strictness::Strict, text).0;
        assert!(strict("4bf92f3577b34da6a3ce929d0e0e4736").is_ok());
        assert_eq!(strict("4BF92f3577b34da6a3ce929d0e0e4736"), Err(Defect::Character));
        assert_eq!(strict("+bf92f3577b34da6a3ce929d0e0e4736"), Err(Defect::Character));
        assert_eq!(strict("0".repeat(32).as_str()), Err(Defect::ZeroId));
        assert_eq!(strict("1"), Err(Defect::Length));
    }

    #[test]
    fn lenient_ids_say_what_was_odd() {
        let (id, quirks) = read(Strictness::Lenient, "A3CE");
        assert_eq!(id, Ok(TraceId::from(0xa3ce_u128)));
        assert_eq!(quirks, [Quirk::ShortId, Quirk::UpperCase]);
        assert_eq!(read(Strictness::Lenient, "").0, Err(Defect::Length));
        assert_eq!(read(Strictness::Lenient, &"1".repeat(33)).0, Err(Defect::Length));
    }
}
