//! The page, and who may read it.

use crate::harness::{JSON, TestServer, json_request, json_span};

#[test]
fn the_page_answers_every_path_but_the_apis() {
    let server = TestServer::start();
    for path in ["/", "/trace/5b8efff798038103d269b633813fc60c"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with("text/html"));
        assert!(answer.header("content-security-policy").starts_with("default-src 'self'"));
    }
    let missing = server.get("/api/v1/nothing");
    assert_eq!(missing.status, 404);
    assert!(missing.json()["error"]["message"].as_str().unwrap().contains("/api/v1/nothing"));
}

#[test]
fn other_sites_cannot_borrow_a_loopback_server() {
    let server = TestServer::start_with(|config| {
        config.allowed_hosts = vec!["traces.test".to_owned()];
        config.allow_reset = true;
    });
    for path in ["/", "/api/v1/status"] {
        let refused = server.get_with(path, "host", "evil.test");
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.json()["error"]["message"].as_str().unwrap().contains("evil.test"));
        assert_eq!(server.get_with(path, "host", "traces.test:8900").status, 200);
        assert_eq!(server.get_with(path, "host", "localhost").status, 200);
    }
    assert_eq!(server.get_with("/ready", "host", "container").status, 200);
    let headers = [("content-type", JSON), ("host", "container")];
    let body = json_request(&[json_span(1, 1)]);
    assert_eq!(server.post_to(server.http(), "/v1/traces", &headers, &body).status, 200);
    let foreign = [("origin", "http://evil.test")];
    assert_eq!(server.post_to(server.http(), "/api/v1/reset", &foreign, b"").status, 403);
    assert_eq!(server.post_to(server.http(), "/api/v1/reset", &[], b"").status, 204);
}
