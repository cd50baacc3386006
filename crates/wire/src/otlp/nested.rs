//! Lists and maps as attribute values: checked, and repaired only when they must be.
//!
//! A batch keeps the bytes of `ArrayValue` and `KeyValueList` as sent, and whoever reads or
//! forwards them later trusts them. So here they are walked once. Sound bytes are kept as they
//! are; bytes with bad UTF-8 or too deep nesting are written anew without it.
//! Rule: opentelemetry-proto, `common.proto`, messages `AnyValue`, `ArrayValue`, `KeyValueList`.

use throughline_model::NESTED_DEPTH_MAX;

use super::protobuf::{
    Malformed, Reader, any, key_value, put_bytes, put_fixed64, put_message, put_number,
};
use crate::{Warning, Warnings};

/// Which of the two messages that nest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nest {
    Array,
    Map,
}

/// Gives the bytes to keep: `bytes` themselves, or the repaired ones in `scratch`.
pub(super) fn checked<'s>(
    nest: Nest,
    bytes: &'s [u8],
    scratch: &'s mut Vec<u8>,
    warnings: &mut Warnings,
) -> Result<&'s [u8], Malformed> {
    let mut flaws = Flaws::default();
    check(nest, bytes, 0, &mut flaws)?;
    if flaws == Flaws::default() {
        return Ok(bytes);
    }
    if flaws.too_deep {
        warnings.add(Warning::NestedTooDeep);
    }
    if flaws.invalid_utf8 {
        warnings.add(Warning::InvalidUtf8);
    }
    scratch.clear();
    repair(nest, bytes, 0, scratch)?;
    Ok(scratch)
}

#[derive(Default, PartialEq, Eq)]
struct Flaws {
    too_deep: bool,
    invalid_utf8: bool,
}

fn check(nest: Nest, bytes: &[u8], depth: usize, flaws: &mut Flaws) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    while let Some(key) = reader.key()? {
        match (key, nest) {
            (any::VALUES, Nest::Array) => check_any(reader.bytes()?, depth + 1, flaws)?,
            (any::VALUES, Nest::Map) => check_pair(reader.bytes()?, depth + 1, flaws)?,
            _ => reader.skip(key, any::VALUES_KNOWN)?,
        }
    }
    Ok(())
}

fn check_pair(bytes: &[u8], depth: usize, flaws: &mut Flaws) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    while let Some(key) = reader.key()? {
        match key {
            key_value::KEY => check_text(reader.bytes()?, flaws),
            key_value::VALUE => check_any(reader.bytes()?, depth, flaws)?,
            _ => reader.skip(key, key_value::KNOWN)?,
        }
    }
    Ok(())
}

fn check_any(bytes: &[u8], depth: usize, flaws: &mut Flaws) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    while let Some(key) = reader.key()? {
        match key {
            any::STRING => check_text(reader.bytes()?, flaws),
            any::BOOL | any::INT => drop(reader.varint()?),
            any::DOUBLE => drop(reader.fixed64()?),
            any::BYTES => drop(reader.bytes()?),
            any::ARRAY | any::MAP if depth >= NESTED_DEPTH_MAX => {
                reader.bytes()?;
                flaws.too_deep = true;
            }
            any::ARRAY => check(Nest::Array, reader.bytes()?, depth, flaws)?,
            any::MAP => check(Nest::Map, reader.bytes()?, depth, flaws)?,
            _ => reader.skip(key, any::KNOWN)?,
        }
    }
    Ok(())
}

fn check_text(bytes: &[u8], flaws: &mut Flaws) {
    flaws.invalid_utf8 |= simdutf8::basic::from_utf8(bytes).is_err();
}

/// Writes the same list or map again, without what [`check`] found.
fn repair(nest: Nest, bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    while let Some(key) = reader.key()? {
        if key != any::VALUES {
            reader.skip(key, any::VALUES_KNOWN)?;
            continue;
        }
        let item = reader.bytes()?;
        put_fallible(out, key, |out| match nest {
            Nest::Array => repair_any(item, depth + 1, out),
            Nest::Map => repair_pair(item, depth + 1, out),
        })?;
    }
    Ok(())
}

fn repair_pair(bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    while let Some(key) = reader.key()? {
        match key {
            key_value::KEY => put_repaired(out, key, reader.bytes()?),
            key_value::VALUE => {
                let value = reader.bytes()?;
                put_fallible(out, key, |out| repair_any(value, depth, out))?;
            }
            _ => reader.skip(key, key_value::KNOWN)?,
        }
    }
    Ok(())
}

fn repair_any(bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = out.len();
    let mut reader = Reader::new(bytes);
    while let Some(key) = reader.key()? {
        // The last member of a `oneof` wins, so what was written for an earlier one goes.
        if key >> 3 <= any::KNOWN {
            out.truncate(start);
        }
        match key {
            any::STRING => put_repaired(out, key, reader.bytes()?),
            any::BOOL | any::INT => put_number(out, key, reader.varint()?),
            any::DOUBLE => put_fixed64(out, key, reader.fixed64()?),
            any::BYTES => put_bytes(out, key, reader.bytes()?),
            any::ARRAY | any::MAP => {
                let inner = reader.bytes()?;
                let nest = if key == any::ARRAY { Nest::Array } else { Nest::Map };
                if depth < NESTED_DEPTH_MAX {
                    put_fallible(out, key, |out| repair(nest, inner, depth, out))?;
                }
            }
            _ => reader.skip(key, any::KNOWN)?,
        }
    }
    Ok(())
}

fn put_repaired(out: &mut Vec<u8>, key: u32, bytes: &[u8]) {
    put_bytes(out, key, String::from_utf8_lossy(bytes).as_bytes());
}

pub(super) fn put_fallible<E>(
    out: &mut Vec<u8>,
    key: u32,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let mut written = Ok(());
    put_message(out, key, |out| written = write(out));
    written
}
