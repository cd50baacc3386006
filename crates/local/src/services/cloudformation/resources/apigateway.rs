//! `AWS::ApiGateway::..`: REST APIs whose methods call functions or answer preflights.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Kind, Made, Reason, Services, Updated, Wish, members, reason, unless_gone};
use crate::services::apigateway::{Integration, Method, function_of};
use crate::services::cloudformation::intrinsics::as_text;
use crate::services::cloudformation::stack::Record;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::ApiGateway::RestApi",
        properties: &["Name", "Description", "BinaryMediaTypes"],
        inert: &[
            "ApiKeySourceType",
            "DisableExecuteApiEndpoint",
            "EndpointConfiguration",
            "FailOnWarnings",
            "MinimumCompressionSize",
            "Policy",
            "Tags",
        ],
    },
    Kind {
        name: "AWS::ApiGateway::Resource",
        properties: &["RestApiId", "ParentId", "PathPart"],
        inert: &[],
    },
    Kind {
        name: "AWS::ApiGateway::Method",
        properties: &[
            "RestApiId",
            "ResourceId",
            "HttpMethod",
            "Integration",
            "AuthorizationType",
            "ApiKeyRequired",
        ],
        inert: &["MethodResponses", "OperationName", "RequestModels", "RequestParameters"],
    },
    Kind {
        name: "AWS::ApiGateway::Deployment",
        properties: &["RestApiId", "StageName", "Description"],
        inert: &[],
    },
    Kind {
        name: "AWS::ApiGateway::Stage",
        properties: &["RestApiId", "StageName", "DeploymentId", "Variables", "TracingEnabled"],
        inert: &["Description", "MethodSettings", "Tags"],
    },
];

pub(super) fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    let gateway = &services.apigateway;
    let failed = |failure| reason(&failure);
    if wish.kind == "AWS::ApiGateway::RestApi" {
        let description = wish.text("Description").unwrap_or_default();
        let (binary, tags) = (wish.texts("BinaryMediaTypes"), wish.all_tags());
        let api =
            gateway.create_api(&wish.need("Name")?, &description, binary, tags).map_err(failed)?;
        return Ok(Made::new(&api.id)
            .with("RestApiId", &api.id)
            .with("RootResourceId", api.root_id));
    }
    let api = wish.need("RestApiId")?;
    match wish.kind {
        "AWS::ApiGateway::Resource" => {
            let id =
                gateway.create_resource(&api, &wish.need("ParentId")?, &wish.need("PathPart")?);
            let id = id.map_err(failed)?;
            Ok(Made::new(&id).with("ResourceId", id))
        }
        "AWS::ApiGateway::Method" => {
            let (resource, verb) = (wish.need("ResourceId")?, wish.need("HttpMethod")?);
            gateway.put_method(&api, &resource, &verb, method(wish)?).map_err(failed)?;
            Ok(Made::new(format!("{api}|{resource}|{verb}")))
        }
        "AWS::ApiGateway::Deployment" => {
            let description = wish.text("Description").unwrap_or_default();
            let id = gateway.deploy(&api, wish.text("StageName").as_deref(), &description);
            let id = id.map_err(failed)?;
            Ok(Made::new(&id).with("DeploymentId", id))
        }
        _ => {
            let name = wish.need("StageName")?;
            set_stage(services, wish, &api, &name)?;
            Ok(Made::new(name))
        }
    }
}

pub(super) fn update(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    let gateway = &services.apigateway;
    let failed = |failure| reason(&failure);
    let anew = ["RestApiId", "ParentId", "PathPart", "ResourceId", "HttpMethod"];
    if anew.iter().any(|name| wish.changed(record, name)) {
        return Ok(Updated::Replace);
    }
    match wish.kind {
        "AWS::ApiGateway::RestApi" => {
            let (name, description) =
                (wish.need("Name")?, wish.text("Description").unwrap_or_default());
            let (binary, tags) = (wish.texts("BinaryMediaTypes"), wish.all_tags());
            let changed = gateway.change_api(&record.physical, |api| {
                api.name = name;
                api.description = description;
                api.binary_media_types = binary;
                api.tags = tags;
                Ok(())
            });
            changed.map_err(failed)?;
        }
        "AWS::ApiGateway::Method" => {
            let (api, resource) = (wish.need("RestApiId")?, wish.need("ResourceId")?);
            let put = gateway.put_method(&api, &resource, &wish.need("HttpMethod")?, method(wish)?);
            put.map_err(failed)?;
        }
        "AWS::ApiGateway::Stage" if wish.changed(record, "StageName") => {
            return Ok(Updated::Replace);
        }
        "AWS::ApiGateway::Stage" => {
            set_stage(services, wish, &wish.need("RestApiId")?, &record.physical)?;
        }
        "AWS::ApiGateway::Deployment" => {
            if let Some(stage) = wish.text("StageName") {
                let put = gateway.put_stage(&wish.need("RestApiId")?, &stage, &record.physical);
                put.map_err(failed)?;
            }
        }
        _ => {}
    }
    Ok(Updated::InPlace(Made::same(record)))
}

pub(super) fn delete(services: &Services, record: &Record) -> Result<(), Reason> {
    let gateway = &services.apigateway;
    let property = |name: &str| record.properties.get(name).and_then(as_text).unwrap_or_default();
    let api = property("RestApiId");
    unless_gone(match record.kind.as_str() {
        "AWS::ApiGateway::RestApi" => gateway.delete_api(&record.physical),
        "AWS::ApiGateway::Resource" => gateway.delete_resource(&api, &record.physical),
        "AWS::ApiGateway::Method" => {
            gateway.delete_method(&api, &property("ResourceId"), &property("HttpMethod"))
        }
        "AWS::ApiGateway::Deployment" => gateway.delete_deployment(&api, &record.physical),
        _ => gateway.change_api(&api, |api| {
            api.stages.remove(&record.physical);
            Ok(())
        }),
    })
}

fn set_stage(services: &Services, wish: &Wish<'_>, api: &str, name: &str) -> Result<(), Reason> {
    let put = services.apigateway.put_stage(api, name, &wish.need("DeploymentId")?);
    put.map_err(|failure| reason(&failure))?;
    let variables: BTreeMap<String, String> = members(wish.get("Variables"))
        .filter_map(|(name, value)| Some((name.clone(), as_text(value)?)))
        .collect();
    let tracing = wish.flag("TracingEnabled").unwrap_or(false);
    let changed = services.apigateway.change_api(api, |api| {
        if let Some(stage) = api.stages.get_mut(name) {
            stage.variables = variables;
            stage.tracing = tracing;
        }
        Ok(())
    });
    changed.map_err(|failure| reason(&failure))
}

fn method(wish: &Wish<'_>) -> Result<Method, Reason> {
    let unsupported = |what: &str| {
        format!("{what} of AWS::ApiGateway::Method is not supported by the local cloud")
    };
    let authorization = wish.text("AuthorizationType").unwrap_or_else(|| "NONE".to_owned());
    if authorization != "NONE" {
        return Err(unsupported(&format!("AuthorizationType {authorization}")));
    }
    if wish.flag("ApiKeyRequired") == Some(true) {
        return Err(unsupported("ApiKeyRequired"));
    }
    let integration = match wish.get("Integration") {
        None => None,
        Some(integration) => {
            Some(read_integration(integration).map_err(|what| unsupported(&what))?)
        }
    };
    Ok(Method { authorization, api_key_required: false, integration })
}

/// The error names what is not supported.
fn read_integration(integration: &Value) -> Result<Integration, String> {
    let text = |name: &str| integration.get(name).and_then(as_text).unwrap_or_default();
    match text("Type").as_str() {
        "AWS_PROXY" => {
            let uri = text("Uri");
            if function_of(&uri).is_none() {
                return Err(format!("Integration.Uri {uri}"));
            }
            Ok(Integration::Function { uri })
        }
        "MOCK" => mock(integration),
        other => Err(format!("Integration.Type {other}")),
    }
}

/// The first answer of a mock: fixed status, headers in single quotes, a body without template language.
fn mock(integration: &Value) -> Result<Integration, String> {
    let answer = integration.get("IntegrationResponses").and_then(|answers| answers.get(0));
    let answer = answer.ok_or("Integration of type MOCK without IntegrationResponses")?;
    let status = answer.get("StatusCode").and_then(as_text).and_then(|status| status.parse().ok());
    let mut headers = BTreeMap::new();
    for (name, value) in members(answer.get("ResponseParameters")) {
        let value = as_text(value).unwrap_or_default();
        let fixed = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        let (Some(header), Some(fixed)) = (name.strip_prefix("method.response.header."), fixed)
        else {
            return Err(format!("ResponseParameters {name}: {value}"));
        };
        headers.insert(header.to_owned(), fixed.to_owned());
    }
    let body = answer.pointer("/ResponseTemplates/application~1json").and_then(as_text);
    let body = body.unwrap_or_default();
    if body.contains(['$', '#']) {
        return Err("a template in ResponseTemplates".to_owned());
    }
    Ok(Integration::Mock { status: status.unwrap_or(200), headers, body })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_preflight_is_read() {
        let read = read_integration(&json!({
            "Type": "MOCK",
            "RequestTemplates": { "application/json": "{statusCode:200}" },
            "IntegrationResponses": [{
                "StatusCode": "204",
                "ResponseParameters": { "method.response.header.Access-Control-Allow-Origin": "'*'" },
                "ResponseTemplates": { "application/json": "" },
            }],
        }));
        let headers = BTreeMap::from([("Access-Control-Allow-Origin".to_owned(), "*".to_owned())]);
        assert_eq!(read, Ok(Integration::Mock { status: 204, headers, body: String::new() }));
    }

    #[test]
    fn other_integrations_are_named() {
        let http = read_integration(&json!({ "Type": "HTTP_PROXY", "Uri": "http://x" }));
        assert_eq!(http, Err("Integration.Type HTTP_PROXY".to_owned()));
        let proxy = read_integration(&json!({ "Type": "AWS_PROXY", "Uri": "http://x" }));
        assert_eq!(proxy, Err("Integration.Uri http://x".to_owned()));
    }
}
