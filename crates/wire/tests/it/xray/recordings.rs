//! What real SDKs sent, recorded: `testdata/xray`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use throughline_wire::xray::{Options, datagram};

use super::{assert_comes_back, decode};

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/xray").join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .collect();
    files.sort();
    files
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn check(document: &Value) {
    let (outcome, _) = assert_comes_back(document);
    assert_eq!(outcome.doubts, []);
    let (strict, _) = decode(document.to_string().as_bytes(), Options { strict: true });
    assert_eq!(strict, outcome);
}

#[test]
fn datagrams_of_the_sign_up_lab_come_back() {
    for folder in ["signup-lab-node", "signup-lab-python"] {
        let files = files(folder, "raw");
        assert_eq!(files.len(), 18, "{folder}");
        for path in files {
            let bytes = std::fs::read(&path).unwrap();
            check(&serde_json::from_slice(datagram(&bytes).unwrap()).unwrap());
        }
        let documents = lines(&files_one(folder));
        assert_eq!(documents.len(), 18, "{folder}");
        documents.iter().for_each(check);
    }
}

fn files_one(folder: &str) -> PathBuf {
    files(folder, "jsonl").remove(0)
}

#[test]
fn datagrams_of_small_programs_come_back() {
    let mut documents = 0;
    for path in files("sdk-capture", "jsonl") {
        for line in lines(&path) {
            let (header, document) = (line["header"].to_string(), line["document"].to_string());
            let bytes = format!("{header}\n{document}");
            assert_eq!(datagram(bytes.as_bytes()), Ok(document.as_bytes()));
            check(&line["document"]);
            documents += 1;
        }
    }
    assert_eq!(documents, 9);
}

#[test]
fn any_prefix_of_a_recording_is_refused() {
    for path in files("signup-lab-node", "raw") {
        let bytes = std::fs::read(path).unwrap();
        let document = datagram(&bytes).unwrap();
        for end in 0..document.len() {
            let (outcome, _) = decode(&document[..end], Options::default());
            assert_eq!((outcome.spans, outcome.rejected_spans()), (0, 1));
        }
    }
}
