//! A local cloud on a free port, and a client that signs without a secret.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use throughline_local::lambda::{LambdaConfig, LayerMapping};
use throughline_local::{LocalConfig, Running, run};

pub(crate) struct TestCloud {
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
    agent: ureq::Agent,
    layer: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|err| panic!("{err}: {} {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The text of the first element of that name.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        elements(&self.text()).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// Every element with text, in order.
pub(crate) fn elements(xml: &str) -> Vec<(String, String)> {
    let document = roxmltree::Document::parse(xml).unwrap_or_else(|err| panic!("{err}: {xml}"));
    let nodes = document.descendants().filter(|node| node.is_element());
    nodes
        .filter_map(|node| Some((node.tag_name().name().to_owned(), node.text()?.to_owned())))
        .collect()
}

impl TestCloud {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_in(data: &Path) -> Self {
        Self::start_with(|config| config.data = Some(data.to_owned()))
    }

    /// The workshop's layer is a wrapper that only starts what it is given.
    pub(crate) fn start_with(change: impl FnOnce(&mut LocalConfig)) -> Self {
        let layer = tempfile::tempdir().unwrap();
        let wrapper = layer.path().join("nodejs-otel-handler");
        std::fs::write(&wrapper, "#!/bin/sh\necho wrapped\nexec \"$@\"\n").unwrap();
        let mut permissions = std::fs::metadata(&wrapper).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        std::fs::set_permissions(&wrapper, permissions).unwrap();
        let mut config = LocalConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            lambda: LambdaConfig {
                layers: vec![LayerMapping {
                    arn: "arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm".to_owned(),
                    path: layer.path().to_owned(),
                }],
                ..LambdaConfig::default()
            },
            ..LocalConfig::default()
        };
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = runtime.block_on(run(config)).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Self { runtime, running: Some(running), agent, layer }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.running.as_ref().unwrap().endpoint()
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }

    /// Sends a request with the credential scope of `service`; an empty service sends none.
    pub(crate) fn send(
        &self,
        service: &str,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request =
            http::Request::builder().method(method).uri(format!("{}{url}", self.endpoint()));
        if !service.is_empty() {
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
            );
            request = request
                .header("authorization", authorization)
                .header("x-amz-date", "20261121T080218Z");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = self.agent.run(request.body(body).unwrap()).unwrap();
        let status = answer.status().as_u16();
        let headers = answer.headers().iter();
        let headers =
            headers.map(|(k, v)| (k.as_str().to_owned(), v.to_str().unwrap().to_owned())).collect();
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
        Answer { status, headers, body }
    }

    /// A call of the query protocol.
    pub(crate) fn query(&self, service: &str, parameters: &[(&str, &str)]) -> Answer {
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let form = [("content-type", "application/x-www-form-urlencoded")];
        self.send(service, "POST", "/", &form, body.as_bytes())
    }

    /// A call with `X-Amz-Target`.
    pub(crate) fn target(&self, service: &str, target: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        self.send(service, "POST", "/", &headers, body.to_string().as_bytes())
    }

    /// Waits until a stack's operation is over and gives its status.
    pub(crate) fn settled(&self, stack: &str) -> String {
        let begun = Instant::now();
        loop {
            let answer = self.query(
                "cloudformation",
                &[("Action", "DescribeStackEvents"), ("StackName", stack)],
            );
            let events = elements(&answer.text());
            let at = events.iter().position(|(name, value)| {
                name == "ResourceType" && value == "AWS::CloudFormation::Stack"
            });
            let status =
                at.and_then(|at| events[at..].iter().find(|(name, _)| name == "ResourceStatus"));
            let status = status.map(|(_, value)| value.clone()).unwrap_or_default();
            if !status.ends_with("_IN_PROGRESS") && !status.is_empty() {
                return status;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{stack} stays {status}: {}",
                answer.text()
            );
            std::thread::yield_now();
        }
    }

    /// Creates a stack and waits for its end.
    pub(crate) fn create_stack(&self, name: &str, template: &Value) -> String {
        let answer = self.query(
            "cloudformation",
            &[
                ("Action", "CreateStack"),
                ("StackName", name),
                ("TemplateBody", &template.to_string()),
                ("Capabilities.member.1", "CAPABILITY_NAMED_IAM"),
            ],
        );
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.settled(name)
    }

    /// Logical id, status and reason of a stack's events, oldest first.
    pub(crate) fn events(&self, stack: &str) -> Vec<(String, String, String)> {
        let answer = self
            .query("cloudformation", &[("Action", "DescribeStackEvents"), ("StackName", stack)]);
        let text = answer.text();
        let document = roxmltree::Document::parse(&text).unwrap();
        let members = document.descendants().filter(|node| node.has_tag_name_of("member"));
        let mut events: Vec<_> = members
            .map(|member| {
                let text = |name: &str| {
                    let child = member.children().find(|child| child.has_tag_name_of(name));
                    child.and_then(|child| child.text()).unwrap_or("").to_owned()
                };
                (text("LogicalResourceId"), text("ResourceStatus"), text("ResourceStatusReason"))
            })
            .collect();
        events.reverse();
        events
    }
}

impl Drop for TestCloud {
    fn drop(&mut self) {
        self.stop();
        let _ = &self.layer;
    }
}

/// Names without their namespace.
trait LocalName {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl LocalName for roxmltree::Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// A zip with one file, stored.
pub(crate) fn zip(name: &str, content: &str) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(content.as_bytes());
    let size = u32::try_from(content.len()).unwrap().to_le_bytes();
    let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
    // Version, flags, method, time, date; then sums, lengths.
    let mut shared = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x5b];
    shared.extend(crc.sum().to_le_bytes());
    shared.extend(size);
    shared.extend(size);
    shared.extend(name_length);
    shared.extend([0, 0]);
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend(&shared);
    zip.extend(name.as_bytes());
    zip.extend(content.as_bytes());
    let directory_at = u32::try_from(zip.len()).unwrap();
    let mut directory = b"PK\x01\x02\x14\x03".to_vec();
    directory.extend(&shared);
    directory.extend([0, 0, 0, 0, 0, 0]);
    directory.extend((0o100_644_u32 << 16).to_le_bytes());
    directory.extend(0_u32.to_le_bytes());
    directory.extend(name.as_bytes());
    let length = u32::try_from(directory.len()).unwrap().to_le_bytes();
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(length);
    zip.extend(directory_at.to_le_bytes());
    zip.extend([0, 0]);
    zip
}
