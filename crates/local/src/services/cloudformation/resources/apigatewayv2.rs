//! `AWS::ApiGatewayV2::..`: HTTP APIs whose routes call functions.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Kind, Made, Reason, Services, Updated, Wish, members, reason, unless_gone};
use crate::ids;
use crate::services::apigateway::{Cors, HttpIntegration, HttpRoute};
use crate::services::cloudformation::intrinsics::as_text;
use crate::services::cloudformation::stack::Record;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::ApiGatewayV2::Api",
        properties: &["Name", "ProtocolType", "CorsConfiguration"],
        inert: &["Description", "DisableExecuteApiEndpoint", "Tags"],
    },
    Kind {
        name: "AWS::ApiGatewayV2::Integration",
        properties: &["ApiId", "IntegrationType", "IntegrationUri", "PayloadFormatVersion"],
        inert: &["Description", "IntegrationMethod", "TimeoutInMillis"],
    },
    Kind {
        name: "AWS::ApiGatewayV2::Route",
        properties: &["ApiId", "RouteKey", "Target", "AuthorizationType"],
        inert: &["OperationName"],
    },
    Kind {
        name: "AWS::ApiGatewayV2::Stage",
        properties: &["ApiId", "StageName", "AutoDeploy", "StageVariables"],
        inert: &["AccessLogSettings", "DefaultRouteSettings", "Description", "Tags"],
    },
];

pub(super) fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    if wish.kind == "AWS::ApiGatewayV2::Api" {
        match wish.text("ProtocolType").as_deref() {
            None | Some("HTTP") => {}
            Some(other) => return Err(unsupported(wish, &format!("ProtocolType {other}"))),
        }
        let id = services.http_apis.create(&wish.need("Name")?, cors(wish));
        let id = id.map_err(|failure| reason(&failure))?;
        let endpoint = format!("https://{id}.execute-api.{}.amazonaws.com", services.place.region);
        return Ok(Made::new(&id).with("ApiId", &id).with("ApiEndpoint", endpoint));
    }
    let id = match wish.kind {
        "AWS::ApiGatewayV2::Stage" => wish.need("StageName")?,
        _ => ids::api_id(),
    };
    put(services, wish, &id)?;
    Ok(Made::new(&id))
}

pub(super) fn update(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    if ["ApiId", "StageName", "ProtocolType"].iter().any(|name| wish.changed(record, name)) {
        return Ok(Updated::Replace);
    }
    if wish.kind == "AWS::ApiGatewayV2::Api" {
        let (name, cors) = (wish.need("Name")?, cors(wish));
        let changed = services.http_apis.change(&record.physical, |api| {
            api.name = name;
            api.cors = cors;
            Ok(())
        });
        changed.map_err(|failure| reason(&failure))?;
    } else {
        put(services, wish, &record.physical)?;
    }
    Ok(Updated::InPlace(Made::same(record)))
}

pub(super) fn delete(services: &Services, record: &Record) -> Result<(), Reason> {
    let id = &record.physical;
    if record.kind == "AWS::ApiGatewayV2::Api" {
        return unless_gone(services.http_apis.delete(id));
    }
    let api = record.properties.get("ApiId").and_then(as_text).unwrap_or_default();
    unless_gone(services.http_apis.change(&api, |api| {
        match record.kind.as_str() {
            "AWS::ApiGatewayV2::Integration" => drop(api.integrations.remove(id)),
            "AWS::ApiGatewayV2::Route" => drop(api.routes.remove(id)),
            _ => drop(api.stages.remove(id)),
        }
        Ok(())
    }))
}

/// Sets a part of an API under its id.
fn put(services: &Services, wish: &Wish<'_>, id: &str) -> Result<(), Reason> {
    let api = wish.need("ApiId")?;
    let id = id.to_owned();
    let put = match wish.kind {
        "AWS::ApiGatewayV2::Integration" => {
            let integration = integration(wish)?;
            services.http_apis.change(&api, |api| {
                api.integrations.insert(id, integration);
                Ok(())
            })
        }
        "AWS::ApiGatewayV2::Route" => {
            let route = route(wish)?;
            services.http_apis.change(&api, |api| {
                api.routes.insert(id, route);
                Ok(())
            })
        }
        _ => {
            if wish.flag("AutoDeploy") != Some(true) {
                return Err(unsupported(wish, "a stage without AutoDeploy"));
            }
            let variables: BTreeMap<String, String> = members(wish.get("StageVariables"))
                .filter_map(|(name, value)| Some((name.clone(), as_text(value)?)))
                .collect();
            services.http_apis.change(&api, |api| {
                api.stages.insert(id, variables);
                Ok(())
            })
        }
    };
    put.map_err(|failure| reason(&failure))
}

fn integration(wish: &Wish<'_>) -> Result<HttpIntegration, Reason> {
    let (kind, function) = (wish.need("IntegrationType")?, wish.need("IntegrationUri")?);
    if kind != "AWS_PROXY" || !function.contains(":function:") {
        return Err(unsupported(wish, &format!("IntegrationType {kind} of {function}")));
    }
    let is_format_2 = match wish.text("PayloadFormatVersion").as_deref() {
        Some("2.0") => true,
        None | Some("1.0") => false,
        Some(other) => return Err(unsupported(wish, &format!("PayloadFormatVersion {other}"))),
    };
    Ok(HttpIntegration { function, is_format_2 })
}

fn route(wish: &Wish<'_>) -> Result<HttpRoute, Reason> {
    match wish.text("AuthorizationType").as_deref() {
        None | Some("NONE") => {}
        Some(other) => return Err(unsupported(wish, &format!("AuthorizationType {other}"))),
    }
    let target = wish.need("Target")?;
    let Some(integration) = target.strip_prefix("integrations/") else {
        return Err(unsupported(wish, &format!("Target {target}")));
    };
    Ok(HttpRoute { key: wish.need("RouteKey")?, integration: integration.to_owned() })
}

fn cors(wish: &Wish<'_>) -> Option<Cors> {
    let given = wish.get("CorsConfiguration")?;
    let joined = |name: &str| {
        let all = given.get(name).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(as_text).collect::<Vec<_>>().join(",")
    };
    Some(Cors {
        origins: joined("AllowOrigins"),
        methods: joined("AllowMethods"),
        headers: joined("AllowHeaders"),
    })
}

fn unsupported(wish: &Wish<'_>, what: &str) -> Reason {
    format!("{what} of {} is not supported by the local cloud", wish.kind)
}
