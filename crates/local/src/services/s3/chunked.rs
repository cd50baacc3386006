//! Bodies in `aws-chunked` encoding.
//!
//! Rule: "Signature calculations .. transferring payload in multiple chunks": `HEX[;extension]\r\n`,
//!       bytes, `\r\n`, until a chunk of zero bytes; trailers follow. Signatures are not checked.

use bytes::Bytes;

/// The bytes without the chunk frames; `None` when the frames are broken.
pub(super) fn decode(body: &[u8]) -> Option<Bytes> {
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, after) = rest.split_at_checked(end)?;
        let after = after.get(2..)?;
        let size = line.split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(Bytes::from(decoded));
        }
        let (chunk, after) = after.split_at_checked(size)?;
        decoded.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_and_trailers_dropped() {
        let body =
            b"3;chunk-signature=ab\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(decode(body).unwrap().as_ref(), b"abcde");
        assert_eq!(decode(b"0\r\n\r\n").unwrap().as_ref(), b"");
    }

    #[test]
    fn broken_frames_are_no_panic() {
        let body = b"3\r\nabc\r\n0\r\n\r\n";
        for end in 0..body.len() - 2 {
            assert!(decode(&body[..end]).is_none(), "{end}");
        }
        assert!(decode(b"ffffffffffffffff\r\nabc").is_none());
        assert!(decode(b"zz\r\n").is_none());
    }
}
