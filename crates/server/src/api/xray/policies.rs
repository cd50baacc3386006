//! Resource policies: kept and shown as AWS does; on one machine they permit and forbid nothing.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Answer, read, required, required_text, seconds};
use super::error::{ErrorKind, XrayError};
use super::settings::Policy;
use super::token::Scope;
use super::{Call, PAGE_SIZE};

const POLICIES_MAX: usize = 5;
const DOCUMENT_SIZE_BYTES_MAX: usize = 5 << 10;

pub(super) fn put(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        policy_name: Option<String>,
        policy_document: Option<String>,
        policy_revision_id: Option<String>,
        bypass_policy_lockout_check: Option<bool>,
    }
    let members: Members = read(body)?;
    let name = policy_name(members.policy_name)?;
    let document = required(members.policy_document, "PolicyDocument")?;
    if document.len() > DOCUMENT_SIZE_BYTES_MAX {
        let message = format!("PolicyDocument may have {DOCUMENT_SIZE_BYTES_MAX} bytes");
        return Err(XrayError::new(ErrorKind::PolicySizeLimitExceeded, message));
    }
    let statements = statements(&document)?;
    let bypass = members.bypass_policy_lockout_check == Some(true);
    if !bypass && statements.iter().any(locks_out) {
        let message = "the policy would keep everyone from changing it";
        return Err(XrayError::new(ErrorKind::LockoutPrevention, message));
    }
    call.settings().change(|settings| {
        let known = settings.policies.iter().position(|policy| policy.name == name);
        let revision = known.map_or(0, |at| settings.policies[at].revision);
        check_revision(members.policy_revision_id.as_deref(), revision)?;
        if known.is_none() && settings.policies.len() >= POLICIES_MAX {
            let message = format!("there may be at most {POLICIES_MAX} resource policies");
            return Err(XrayError::new(ErrorKind::PolicyCountLimitExceeded, message));
        }
        let (revision, updated_unix_nano) = (revision + 1, call.now);
        let policy = Policy { name, document, revision, updated_unix_nano };
        let answer = json!({ "ResourcePolicy": policy_json(&policy) });
        match known {
            Some(at) => settings.policies[at] = policy,
            None => settings.policies.push(policy),
        }
        Ok(answer)
    })
}

fn policy_name(name: Option<String>) -> Result<String, XrayError> {
    let name = required_text(name, "PolicyName", 128)?;
    // Rule: the model's pattern, [\w+=,.@-]+.
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)) {
        return Ok(name);
    }
    Err(XrayError::invalid("PolicyName may have letters, digits and _+=,.@-"))
}

/// `0` is the revision of a policy that does not exist yet; no revision is any.
fn check_revision(given: Option<&str>, held: u64) -> Result<(), XrayError> {
    match given {
        Some(given) if given != held.to_string() => {
            let message = format!("PolicyRevisionId is not {held}");
            Err(XrayError::new(ErrorKind::InvalidPolicyRevisionId, message))
        }
        _ => Ok(()),
    }
}

fn statements(document: &str) -> Result<Vec<Value>, XrayError> {
    let malformed = |what: &str| XrayError::new(ErrorKind::MalformedPolicyDocument, what);
    let mut policy: Value = serde_json::from_str(document)
        .map_err(|err| malformed(&format!("PolicyDocument is no JSON: {err}")))?;
    let statements = match policy.get_mut("Statement").map(Value::take) {
        Some(Value::Array(statements)) => statements,
        Some(statement @ Value::Object(_)) => vec![statement],
        _ => return Err(malformed("PolicyDocument has no Statement")),
    };
    for statement in &statements {
        let effect = statement["Effect"].as_str();
        let action = &statement["Action"];
        if !matches!(effect, Some("Allow" | "Deny")) || !(action.is_string() || action.is_array()) {
            return Err(malformed("a Statement needs Effect and Action"));
        }
    }
    Ok(statements)
}

/// Whether a statement forbids everyone to put policies.
fn locks_out(statement: &Value) -> bool {
    let everyone = match &statement["Principal"] {
        Value::String(who) => who == "*",
        Value::Object(who) => who.get("AWS").is_some_and(|who| who == "*"),
        _ => false,
    };
    let forbids = |action: &Value| {
        let action = action.as_str().unwrap_or_default().to_ascii_lowercase();
        matches!(&action[..], "*" | "xray:*" | "xray:put*" | "xray:putresourcepolicy")
    };
    let actions = &statement["Action"];
    let forbids = forbids(actions) || actions.as_array().is_some_and(|all| all.iter().any(forbids));
    statement["Effect"] == "Deny" && everyone && forbids && statement["Condition"].is_null()
}

pub(super) fn delete(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        policy_name: Option<String>,
        policy_revision_id: Option<String>,
    }
    let members: Members = read(body)?;
    let name = policy_name(members.policy_name)?;
    call.settings().change(|settings| {
        let known = settings.policies.iter().position(|policy| policy.name == name);
        let Some(at) = known else {
            return Err(XrayError::invalid(format!("there is no resource policy {name}")));
        };
        check_revision(members.policy_revision_id.as_deref(), settings.policies[at].revision)?;
        settings.policies.remove(at);
        Ok(json!({}))
    })
}

pub(super) fn list(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        next_token: Option<String>,
    }
    let members: Members = read(body)?;
    let settings = call.settings().read();
    let policies = settings.policies.iter().map(policy_json).collect();
    let token = members.next_token.as_deref();
    let scope = Scope::of("ListResourcePolicies", ());
    scope.page(json!({}), "ResourcePolicies", policies, token, PAGE_SIZE)
}

fn policy_json(policy: &Policy) -> Value {
    json!({
        "PolicyName": policy.name,
        "PolicyDocument": policy.document,
        "PolicyRevisionId": policy.revision.to_string(),
        "LastUpdatedTime": seconds(policy.updated_unix_nano),
    })
}
