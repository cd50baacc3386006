//! Which process is behind an access key, and which call it is at.
//!
//! A function's SDK signs what it sends with the key that its process was started with. No header has to be there
//! for the front door to know whose request it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::super::types::Caller;
use crate::ids;
use crate::sync::lock;

/// All processes, by access key id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Callers {
    known: Arc<Mutex<HashMap<String, Caller>>>,
}

impl Callers {
    /// A new key for a new process of `function`.
    pub(crate) fn enter(&self, function: &str) -> CallerEntry {
        let key = ids::iam_id("ASIA");
        let caller = Caller { function_name: function.to_owned(), request_id: None };
        lock(&self.known).insert(key.clone(), caller);
        CallerEntry { key, callers: self.clone() }
    }

    pub(crate) fn find(&self, key: &str) -> Option<Caller> {
        lock(&self.known).get(key).cloned()
    }
}

/// The key of one process; forgotten with it.
#[derive(Debug)]
pub(crate) struct CallerEntry {
    pub(crate) key: String,
    callers: Callers,
}

impl CallerEntry {
    /// Says which call the process is at. The last one stays: what a process sends after it answered belongs to it.
    pub(crate) fn at(&self, request_id: &str) {
        if let Some(caller) = lock(&self.callers.known).get_mut(&self.key) {
            caller.request_id = Some(request_id.to_owned());
        }
    }
}

impl Drop for CallerEntry {
    fn drop(&mut self) {
        lock(&self.callers.known).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_the_call_of_its_process() {
        let callers = Callers::default();
        let (one, two) = (callers.enter("producer"), callers.enter("producer"));
        assert_ne!(one.key, two.key);
        assert_eq!(callers.find(&one.key).unwrap().request_id, None);
        one.at("r-1");
        two.at("r-2");
        assert_eq!(callers.find(&one.key).unwrap().request_id.as_deref(), Some("r-1"));
        let key = one.key.clone();
        drop(one);
        assert_eq!(callers.find(&key), None);
        assert_eq!(callers.find("AKIA"), None);
    }
}
