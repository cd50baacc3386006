//! The page, embedded in the binary.
//!
//! Rule: hashed files never change, so browsers keep them; `index.html` names them, so browsers ask
//! each time. Every path that is no file is the page itself, whose own router reads the path. All
//! addresses in it are relative to `<base href>`, which we write relative to the path that was
//! asked for, so that the page also works under a path of someone else's server.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

#[derive(rust_embed::RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../ui/dist"]
#[allow_missing = true]
struct Files;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; \
     object-src 'none'",
);
const BASE: &str = "<base href=\"/\" />";
const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>throughline</title></head>
<body>
<h1>throughline is running</h1>
<p>Spans are taken and questions are answered, but this binary was built without the page.</p>
<p>To build it: <code>cd ui &amp;&amp; npm ci &amp;&amp; npm run build</code>, then
<code>cargo build</code> again.</p>
<p>Without it: <a href=\"api/v1/status\">status</a>, <a href=\"metrics\">metrics</a>,
<a href=\"api/v1/openapi.json\">the API's description</a>, and <code>throughline search</code> in a
terminal.</p>
</body>
</html>
";

/// Answers a request for a file of the page, or for a path of its router.
pub fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Response {
    if *method != Method::GET && *method != Method::HEAD {
        let allow = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
        return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
    }
    let name = path.trim_start_matches('/');
    let mut response = match Files::get(name).filter(|_| name != "index.html") {
        Some(file) => file_answer(name, file, headers),
        // A file that is asked for by an old page must not become the page.
        None if name.starts_with("assets/") => StatusCode::NOT_FOUND.into_response(),
        None => index_answer(path),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn file_answer(name: &str, file: rust_embed::EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash: String =
        file.metadata.sha256_hash()[..16].iter().map(|b| format!("{b:02x}")).collect();
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let packs = matches!(kind.type_().as_str(), "text") || name.ends_with(".svg");
    let gzip = packs && takes_gzip(headers);
    let tag = if gzip { format!("\"{hash}-gzip\"") } else { format!("\"{hash}\"") };
    let tag = HeaderValue::try_from(tag).expect("hex digits are visible text");
    let age = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let mut known = HeaderMap::new();
    known.insert(header::CACHE_CONTROL, HeaderValue::from_static(age));
    if packs {
        known.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let is_fresh = headers.get(header::IF_NONE_MATCH) == Some(&tag);
    known.insert(header::ETAG, tag);
    if is_fresh {
        return (StatusCode::NOT_MODIFIED, known).into_response();
    }
    let kind = HeaderValue::try_from(kind.as_ref()).expect("a media type is visible text");
    known.insert(header::CONTENT_TYPE, kind);
    let content = Bytes::from_owner(file.data);
    if !gzip {
        return (known, content).into_response();
    }
    known.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    (known, packed(name, &content)).into_response()
}

/// Whether gzip may be sent. Rule: RFC 9110, section 12.5.3; a weight of zero refuses.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    let mut codings = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>();
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// A file of the page as gzip: packed once, for it is asked for again by everyone who opens the page.
/// There are no more than the binary holds.
fn packed(name: &str, content: &[u8]) -> Bytes {
    static PACKED: LazyLock<Mutex<HashMap<String, Bytes>>> = LazyLock::new(Mutex::default);
    let mut held = PACKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bytes) = held.get(name) {
        return bytes.clone();
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).expect("memory takes bytes");
    let bytes = Bytes::from(encoder.finish().expect("memory takes bytes"));
    held.insert(name.to_owned(), bytes.clone());
    bytes
}

fn index_answer(path: &str) -> Response {
    let file = Files::get("index.html");
    let text = file.as_ref().and_then(|file| std::str::from_utf8(&file.data).ok());
    let text = match text {
        Some(text) => {
            let head = format!("<base href=\"{}\" />{}", base(path), preload(path));
            text.replacen(BASE, &head, 1)
        }
        None => NOT_BUILT.to_owned(),
    };
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    ];
    (headers, text).into_response()
}

/// What the page will ask for first: a browser that knows asks while the script is on its way.
fn preload(path: &str) -> String {
    let id = path.split_once("/t/").map(|(_, id)| id).filter(|id| {
        // Only what is a trace id stands in the document.
        id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    id.map_or_else(String::new, |id| {
        format!(
            "<link rel=\"preload\" href=\"api/v1/traces/{id}/view\" as=\"fetch\" \
             crossorigin=\"anonymous\" />"
        )
    })
}

/// The way from `path` back to where the page lives, as a relative address.
fn base(path: &str) -> String {
    match path.matches('/').count().saturating_sub(1) {
        0 => "./".to_owned(),
        depth => "../".repeat(depth),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_way_back_fits_the_depth_of_the_path() {
        for (path, expected) in [
            ("/", "./"),
            ("/search", "./"),
            ("/trace/5b8e", "../"),
            ("/trace/5b8e/", "../../"),
            ("/trace/5b8e/span/1", "../../../"),
        ] {
            assert_eq!(base(path), expected, "{path}");
        }
    }

    #[test]
    fn a_trace_is_asked_for_with_its_page_and_nothing_else_is() {
        let id = "5b8efff798038103d269b633813fc60c";
        let link = format!("href=\"api/v1/traces/{id}/view\"");
        assert!(preload(&format!("/t/{id}")).contains(&link));
        assert!(preload(&format!("/under/a/path/t/{id}")).contains(&link));
        for path in ["/", "/t/", "/t/5b8e", "/t/\"><script>alert(1)</script>", "/map"] {
            assert_eq!(preload(path), "", "{path}");
        }
        assert_eq!(preload(&format!("/t/{}", id.to_uppercase())), "");
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (value, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate, gzip; q=1.0, *", true),
            ("gzip;q=0", false),
            ("gzip;q=rain", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(takes_gzip(&headers), takes, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_file_is_packed_once_and_its_tag_tells_the_two_apart() {
        let file = || rust_embed::EmbeddedFile {
            data: b"let a = 1;".repeat(100).into(),
            metadata: rust_embed::Metadata::__rust_embed_new([7; 32], None, None),
        };
        let name = "assets/test-of-packing.js";
        let mut headers = HeaderMap::new();
        let plain = file_answer(name, file(), &headers);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let packed_answer = file_answer(name, file(), &headers);
        assert_eq!(packed_answer.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(packed_answer.headers()[header::VARY], "accept-encoding");
        let tag = packed_answer.headers()[header::ETAG].clone();
        assert_ne!(plain.headers()[header::ETAG], tag);
        headers.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(file_answer(name, file(), &headers).status(), StatusCode::NOT_MODIFIED);

        let bytes = packed(name, b"what was packed first is what is sent");
        let mut text = Vec::new();
        flate2::bufread::GzDecoder::new(&bytes[..]).read_to_end(&mut text).expect("gzip");
        assert_eq!(text, b"let a = 1;".repeat(100));
    }

    #[test]
    fn every_path_of_the_pages_router_is_the_page_under_a_strict_policy() {
        for path in ["/", "/trace/5b8e", "/index.html", "/../../etc/passwd", "/%2e%2e/secret"] {
            let response = answer(&Method::GET, path, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'self';"));
            assert!(!policy.contains("unsafe"));
        }
        let gone = answer(&Method::GET, "/assets/old-1234.js", &HeaderMap::new());
        assert_eq!(gone.status(), StatusCode::NOT_FOUND);
        let post = answer(&Method::POST, "/", &HeaderMap::new());
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
