//! The EB CLI's calls, as it makes them for `eb deploy`, with a bundle that runs.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::harness::{Answer, TestCloud, elements, zip};

const SERVER: &str = "web: node -e \"require('http').createServer((q, r) => r.end('hello')).listen(process.env.PORT, '127.0.0.1')\"\n";

fn call(cloud: &TestCloud, parameters: &[(&str, &str)]) -> Answer {
    let answer = cloud.query("elasticbeanstalk", parameters);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// Puts a version there and gives the messages of its deployment, oldest first, when it is over.
fn deploy(cloud: &TestCloud, label: &str, bundle: &[u8]) -> Vec<String> {
    let bucket = call(cloud, &[("Action", "CreateStorageLocation")]).element("S3Bucket").unwrap();
    let key = format!("signup/{label}.zip");
    assert_eq!(cloud.send("s3", "PUT", &format!("/{bucket}/{key}"), &[], bundle).status, 200);
    let version = [
        ("Action", "CreateApplicationVersion"),
        ("ApplicationName", "signup"),
        ("VersionLabel", label),
        ("SourceBundle.S3Bucket", &bucket),
        ("SourceBundle.S3Key", &key),
    ];
    call(cloud, &version);
    let update = [
        ("Action", "UpdateEnvironment"),
        ("EnvironmentName", "signup-env"),
        ("VersionLabel", label),
    ];
    let request_id = call(cloud, &update).element("RequestId").unwrap();
    let begun = Instant::now();
    loop {
        let events = call(cloud, &[("Action", "DescribeEvents"), ("RequestId", &request_id)]);
        let mut messages: Vec<String> = elements(&events.text())
            .into_iter()
            .filter(|(name, _)| name == "Message")
            .map(|(_, text)| text)
            .collect();
        messages.reverse();
        let last = messages.last().map_or("", String::as_str);
        if last == "Environment update completed successfully."
            || last == "Failed to deploy application."
        {
            return messages;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{messages:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_bundle_becomes_a_process_that_answers() {
    let mut cloud = TestCloud::start();
    call(&cloud, &[("Action", "CreateApplication"), ("ApplicationName", "signup")]);
    let create = [
        ("Action", "CreateEnvironment"),
        ("ApplicationName", "signup"),
        ("EnvironmentName", "signup-env"),
    ];
    call(&cloud, &create);
    let messages = deploy(&cloud, "one", &zip("Procfile", SERVER));
    assert_eq!(
        messages.last().unwrap(),
        "Environment update completed successfully.",
        "{messages:?}"
    );
    let described = call(&cloud, &[("Action", "DescribeEnvironments")]);
    assert_eq!(described.element("Health").unwrap(), "Green");
    let address = described.element("CNAME").unwrap().replace("localhost", "127.0.0.1");
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello"), "{answer}");

    let messages = deploy(&cloud, "two", &zip("readme", "no Procfile"));
    assert!(messages.iter().any(|message| message.contains("Procfile")), "{messages:?}");
    assert_eq!(messages.last().unwrap(), "Failed to deploy application.");
    let messages = deploy(&cloud, "three", b"no zip");
    assert!(messages.iter().any(|message| message.contains("cannot be unpacked")), "{messages:?}");
    cloud.stop();
    assert!(std::net::TcpStream::connect(&address).is_err(), "the process outlived the cloud");
}
