//! Permissions, tags and reserved concurrency: what is said about a function beside its code.
//!
//! Rule: AWS Lambda API reference, `AddPermission`, `GetPolicy`, `TagResource`, `PutFunctionConcurrency`. Permissions
//!       are kept and given back; nobody is refused on this machine.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::LambdaError;
use super::functions::Functions;
use super::registry::shortened;
use super::types::Permission;

/// What a resource may have.
const TAGS_MAX: usize = 50;

impl Functions {
    /// Adds a statement to the function's policy and gives it back as the policy has it.
    pub fn add_permission(&self, name: &str, permission: Permission) -> Result<Value, LambdaError> {
        let place = self.place(name, None)?;
        let arn = self.function_arn(&place.name);
        let mut registry = self.registry_mut();
        let function = registry.function_mut(&place)?;
        if permission.statement_id.is_empty()
            || permission.action.is_empty()
            || permission.principal.is_empty()
        {
            return Err(LambdaError::Validation(
                "1 validation error detected: StatementId, Action and Principal must not be empty"
                    .to_owned(),
            ));
        }
        if function.permissions.contains_key(&permission.statement_id) {
            return Err(LambdaError::ResourceConflict(format!(
                "The statement id ({}) provided already exists. Please provide a new statement id, or remove the \
                 existing statement.",
                shortened(&permission.statement_id)
            )));
        }
        let statement = statement(&permission, &arn);
        function.permissions.insert(permission.statement_id.clone(), permission);
        Ok(statement)
    }

    /// Takes a statement away.
    pub fn remove_permission(&self, name: &str, statement_id: &str) -> Result<(), LambdaError> {
        let place = self.place(name, None)?;
        let mut registry = self.registry_mut();
        let removed = registry.function_mut(&place)?.permissions.remove(statement_id);
        removed.map(|_| ()).ok_or_else(|| {
            LambdaError::ResourceNotFound(format!(
                "Statement {} is not found in resource policy.",
                shortened(statement_id)
            ))
        })
    }

    /// The policy of a function: a JSON document. A function without statements has none.
    pub fn policy(&self, name: &str) -> Result<Value, LambdaError> {
        let place = self.place(name, None)?;
        let registry = self.registry();
        let permissions = &registry.function(&place)?.permissions;
        if permissions.is_empty() {
            return Err(LambdaError::ResourceNotFound(
                "The resource you requested does not exist.".to_owned(),
            ));
        }
        let arn = self.function_arn(&place.name);
        let statements: Vec<Value> = permissions.values().map(|one| statement(one, &arn)).collect();
        Ok(json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements }))
    }

    /// The tags of a function.
    pub fn tags(&self, name: &str) -> Result<BTreeMap<String, String>, LambdaError> {
        let place = self.place(name, None)?;
        Ok(self.registry().function(&place)?.tags.clone())
    }

    /// Adds tags, or gives them other values.
    pub fn tag(&self, name: &str, tags: BTreeMap<String, String>) -> Result<(), LambdaError> {
        let place = self.place(name, None)?;
        let mut registry = self.registry_mut();
        let known = &mut registry.function_mut(&place)?.tags;
        let mut after = known.clone();
        after.extend(tags);
        if after.len() > TAGS_MAX {
            return Err(LambdaError::InvalidParameterValue(format!(
                "a function has at most {TAGS_MAX} tags"
            )));
        }
        *known = after;
        Ok(())
    }

    /// Takes tags away.
    pub fn untag(&self, name: &str, keys: &[String]) -> Result<(), LambdaError> {
        let place = self.place(name, None)?;
        self.registry_mut().function_mut(&place)?.tags.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    /// How many calls of a function may run at once; `None`: as many as there is room for.
    pub fn reserved_concurrency(&self, name: &str) -> Result<Option<u32>, LambdaError> {
        let place = self.place(name, None)?;
        Ok(self.registry().function(&place)?.reserved)
    }

    /// Sets or removes that limit. 0 stops the function.
    pub fn set_reserved_concurrency(
        &self,
        name: &str,
        reserved: Option<u32>,
    ) -> Result<(), LambdaError> {
        let place = self.place(name, None)?;
        self.registry_mut().function_mut(&place)?.reserved = reserved;
        Ok(())
    }
}

fn statement(permission: &Permission, arn: &str) -> Value {
    let principal = match permission.principal.as_str() {
        service if service.ends_with(".amazonaws.com") => json!({ "Service": service }),
        "*" => json!("*"),
        account => json!({ "AWS": account }),
    };
    let mut statement = json!({
        "Sid": permission.statement_id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": permission.action,
        "Resource": arn,
    });
    let mut condition = json!({});
    if let Some(source) = &permission.source_arn {
        condition["ArnLike"] = json!({ "AWS:SourceArn": source });
    }
    if let Some(account) = &permission.source_account {
        condition["StringEquals"] = json!({ "AWS:SourceAccount": account });
    }
    if condition != json!({}) {
        statement["Condition"] = condition;
    }
    statement
}
