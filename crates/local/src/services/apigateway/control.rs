//! The control calls: `/restapis/..`, JSON with lower-case names.
//!
//! Rule: API Gateway V1 API reference. What is not here is refused by name.

use http::Method as Verb;
use serde_json::{Value, json};

use super::{ApiGateway, Deployment, Integration, Method, Resource, RestApi, Stage, not_found};
use crate::http::{Failure, Protocol, Request, Response, response};
use crate::sync::lock;

/// AWS's own limit is 50, for each resource.
const TAGS_MAX: usize = 200;

impl ApiGateway {
    /// Answers a control call.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        match self.control(request) {
            Ok((status, Value::Null)) => response(status, "application/json", ""),
            Ok((status, value)) => response(status, "application/json", value.to_string()),
            Err(failure) => Protocol::RestJson.failure(&failure, &request.request_id),
        }
    }

    fn control(&self, request: &Request) -> Result<(u16, Value), Failure> {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let body = request.json()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
        match (&request.method, segments.as_slice()) {
            (&Verb::GET, ["restapis"]) => {
                let apis: Vec<Value> = lock(&self.apis).values().map(api_json).collect();
                Ok((200, json!({ "item": apis })))
            }
            (&Verb::POST, ["restapis"]) => {
                if text("name").is_empty() {
                    return Err(Failure::new(400, "BadRequestException", "Name is required"));
                }
                let binary =
                    body.get("binaryMediaTypes").and_then(Value::as_array).into_iter().flatten();
                let binary = binary.filter_map(Value::as_str).map(str::to_owned).collect();
                let api =
                    self.create_api(text("name"), text("description"), binary, Default::default())?;
                Ok((201, api_json(&api)))
            }
            (&Verb::GET, ["restapis", id]) => Ok((200, api_json(&self.api(id)?))),
            (&Verb::DELETE, ["restapis", id]) => self.delete_api(id).map(|()| (202, Value::Null)),
            (&Verb::GET, ["restapis", id, "resources"]) => {
                let api = self.api(id)?;
                let resources: Vec<Value> = api.resources.values().map(resource_json).collect();
                Ok((200, json!({ "item": resources })))
            }
            (&Verb::GET, ["restapis", id, "resources", resource]) => {
                let api = self.api(id)?;
                let found = api.resources.get(*resource);
                let found =
                    found.ok_or_else(|| not_found("Invalid Resource identifier specified"))?;
                Ok((200, resource_json(found)))
            }
            (&Verb::POST, ["restapis", id, "resources", parent]) => {
                let resource = self.create_resource(id, parent, text("pathPart"))?;
                let api = self.api(id)?;
                Ok((201, api.resources.get(&resource).map(resource_json).unwrap_or_default()))
            }
            (&Verb::DELETE, ["restapis", id, "resources", resource]) => {
                self.delete_resource(id, resource).map(|()| (202, Value::Null))
            }
            (_, ["restapis", id, "resources", resource, "methods", verb, rest @ ..]) => {
                self.method_call(request, id, resource, verb, rest, &body)
            }
            (&Verb::POST, ["restapis", id, "deployments"]) => {
                let stage = Some(text("stageName")).filter(|name| !name.is_empty());
                let deployment = self.deploy(id, stage, text("description"))?;
                let api = self.api(id)?;
                let made = api.deployments.get(&deployment).map(deployment_json);
                Ok((201, made.unwrap_or_default()))
            }
            (&Verb::GET, ["restapis", id, "deployments"]) => {
                let api = self.api(id)?;
                let deployments: Vec<Value> =
                    api.deployments.values().map(deployment_json).collect();
                Ok((200, json!({ "item": deployments })))
            }
            (&Verb::GET, ["restapis", id, "stages"]) => {
                let api = self.api(id)?;
                let stages: Vec<Value> = api.stages.iter().map(|(n, s)| stage_json(n, s)).collect();
                Ok((200, json!({ "item": stages })))
            }
            (verb, ["restapis", id, "stages", name]) => self.stage_call(verb, id, name, &body),
            (verb, ["tags", arn]) => {
                let gone = request.query_pairs().into_iter().filter(|(name, _)| name == "tagKeys");
                let gone: Vec<String> = gone.map(|(_, key)| key).collect();
                self.tags_call(verb, arn, &body, &gone)
            }
            (verb, _) => {
                Err(Failure::unknown_operation("apigateway", &format!("{verb} {}", request.path)))
            }
        }
    }

    fn method_call(
        &self,
        request: &Request,
        api: &str,
        resource: &str,
        verb: &str,
        rest: &[&str],
        body: &Value,
    ) -> Result<(u16, Value), Failure> {
        let known = self.api(api)?;
        let known = known.resources.get(resource);
        let known = known.ok_or_else(|| not_found("Invalid Resource identifier specified"))?;
        let existing = known.methods.get(verb).cloned();
        let missing = || not_found("Invalid Method identifier specified");
        match (&request.method, rest) {
            (&Verb::PUT, []) => {
                let authorization = body.get("authorizationType").and_then(Value::as_str);
                let method = Method {
                    authorization: authorization.unwrap_or("NONE").to_owned(),
                    api_key_required: body.get("apiKeyRequired").and_then(Value::as_bool)
                        == Some(true),
                    integration: None,
                };
                self.put_method(api, resource, verb, method.clone())?;
                Ok((201, method_json(verb, &method)))
            }
            (&Verb::GET, []) => Ok((200, method_json(verb, &existing.ok_or_else(missing)?))),
            (&Verb::DELETE, []) => {
                self.delete_method(api, resource, verb).map(|()| (204, Value::Null))
            }
            (&Verb::PUT, ["integration"]) => {
                let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
                if text("type") != "AWS_PROXY" {
                    let problem =
                        format!("the local cloud integrates AWS_PROXY only, not {}", text("type"));
                    return Err(Failure::new(400, "BadRequestException", problem));
                }
                let integration = Integration::Function { uri: text("uri").to_owned() };
                let method =
                    Method { integration: Some(integration), ..existing.ok_or_else(missing)? };
                let answer = method_json(verb, &method);
                self.put_method(api, resource, verb, method)?;
                Ok((201, answer.get("methodIntegration").cloned().unwrap_or_default()))
            }
            (method, _) => {
                Err(Failure::unknown_operation("apigateway", &format!("{method} {}", request.path)))
            }
        }
    }

    /// Tags of an API or of a stage: `arn:aws:apigateway:REGION::/restapis/ID/stages/NAME`.
    fn tags_call(
        &self,
        verb: &Verb,
        arn: &str,
        body: &Value,
        gone: &[String],
    ) -> Result<(u16, Value), Failure> {
        let missing = || not_found("Invalid resource identifier specified");
        let path: Vec<&str> = arn.split_once("::/").ok_or_else(missing)?.1.split('/').collect();
        let (id, stage) = match path.as_slice() {
            ["restapis", id] => (*id, None),
            ["restapis", id, "stages", name] => (*id, Some(*name)),
            _ => return Err(missing()),
        };
        self.change_api(id, |api| {
            let tags = match stage {
                None => &mut api.tags,
                Some(name) => &mut api.stages.get_mut(name).ok_or_else(missing)?.tags,
            };
            match *verb {
                Verb::GET => Ok((200, json!({ "tags": tags }))),
                Verb::PUT => {
                    for (key, value) in
                        body.get("tags").and_then(Value::as_object).into_iter().flatten()
                    {
                        tags.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
                    }
                    match tags.len() {
                        0..=TAGS_MAX => Ok((204, Value::Null)),
                        _ => Err(Failure::new(400, "BadRequestException", "too many tags")),
                    }
                }
                Verb::DELETE => {
                    tags.retain(|key, _| !gone.contains(key));
                    Ok((204, Value::Null))
                }
                _ => Err(Failure::unknown_operation("apigateway", &format!("{verb} tags"))),
            }
        })
    }

    fn stage_call(
        &self,
        verb: &Verb,
        api: &str,
        name: &str,
        body: &Value,
    ) -> Result<(u16, Value), Failure> {
        let missing = || not_found("Invalid stage identifier specified");
        match *verb {
            Verb::GET => {
                let api = self.api(api)?;
                Ok((200, stage_json(name, api.stages.get(name).ok_or_else(missing)?)))
            }
            Verb::DELETE => self.change_api(api, |api| {
                api.stages.remove(name).map(|_| (202, Value::Null)).ok_or_else(missing)
            }),
            Verb::PATCH => self.change_api(api, |api| {
                let stage = api.stages.get_mut(name).ok_or_else(missing)?;
                for change in
                    body.get("patchOperations").and_then(Value::as_array).into_iter().flatten()
                {
                    let text =
                        |field: &str| change.get(field).and_then(Value::as_str).unwrap_or("");
                    patch_stage(stage, text("op"), text("path"), text("value"))?;
                }
                Ok((200, stage_json(name, stage)))
            }),
            _ => Err(Failure::unknown_operation("apigateway", &format!("{verb} stage"))),
        }
    }
}

fn patch_stage(stage: &mut Stage, op: &str, path: &str, value: &str) -> Result<(), Failure> {
    match (op, path.strip_prefix("/variables/")) {
        ("replace", _) if path == "/tracingEnabled" => stage.tracing = value == "true",
        ("replace" | "add", Some(name)) => {
            stage.variables.insert(name.to_owned(), value.to_owned());
        }
        ("remove", Some(name)) => {
            stage.variables.remove(name);
        }
        // What is measured and logged of a stage, and how fast it may be called: nothing here does that.
        _ if path.starts_with("/*/*/") || path.starts_with("/accessLogSettings") => {}
        _ => {
            let problem = format!("the local cloud cannot {op} {path} of a stage");
            return Err(Failure::new(400, "BadRequestException", problem));
        }
    }
    Ok(())
}

fn api_json(api: &RestApi) -> Value {
    json!({
        "id": api.id, "name": api.name, "description": api.description,
        "createdDate": api.created_ms / 1_000, "binaryMediaTypes": api.binary_media_types,
        "apiKeySource": "HEADER", "endpointConfiguration": { "types": ["EDGE"] }, "tags": api.tags,
        "disableExecuteApiEndpoint": false, "rootResourceId": api.root_id,
    })
}

fn resource_json(resource: &Resource) -> Value {
    let methods = resource.methods.iter();
    let methods: serde_json::Map<String, Value> =
        methods.map(|(verb, method)| (verb.clone(), method_json(verb, method))).collect();
    let mut value = json!({ "id": resource.id, "path": resource.path });
    if let Some(members) = value.as_object_mut() {
        if let Some(parent) = &resource.parent_id {
            members.insert("parentId".to_owned(), parent.as_str().into());
            members.insert("pathPart".to_owned(), resource.path_part.as_str().into());
        }
        if !methods.is_empty() {
            members.insert("resourceMethods".to_owned(), Value::Object(methods));
        }
    }
    value
}

fn method_json(verb: &str, method: &Method) -> Value {
    let integration = match &method.integration {
        None => Value::Null,
        Some(Integration::Function { uri }) => {
            json!({ "type": "AWS_PROXY", "httpMethod": "POST", "uri": uri, "timeoutInMillis": 29_000 })
        }
        Some(Integration::Mock { .. }) => json!({ "type": "MOCK" }),
    };
    json!({
        "httpMethod": verb, "authorizationType": method.authorization,
        "apiKeyRequired": method.api_key_required, "methodIntegration": integration,
    })
}

fn deployment_json(deployment: &Deployment) -> Value {
    json!({
        "id": deployment.id, "description": deployment.description,
        "createdDate": deployment.created_ms / 1_000,
    })
}

fn stage_json(name: &str, stage: &Stage) -> Value {
    json!({
        "stageName": name, "deploymentId": stage.deployment_id, "variables": stage.variables,
        "createdDate": stage.created_ms / 1_000, "lastUpdatedDate": stage.created_ms / 1_000,
        "tracingEnabled": stage.tracing, "cacheClusterEnabled": false,
        "cacheClusterStatus": "NOT_AVAILABLE", "methodSettings": {},
    })
}
