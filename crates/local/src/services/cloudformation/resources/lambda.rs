//! `AWS::Lambda::..`: functions, versions, permissions, event source mappings and layers.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Kind, Made, Reason, Services, Updated, Wish, handler_reason, members};
use crate::lambda::{
    CodeChange, CodeSource, CreateFunction, Environment, EphemeralStorage, EventSourceSpec,
    LambdaError, Permission, PublishLayer, Settings, TracingConfig,
};
use crate::services::cloudformation::intrinsics::as_text;
use crate::services::cloudformation::stack::Record;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::Lambda::Function",
        properties: &[
            "FunctionName",
            "Code",
            "Runtime",
            "Handler",
            "Role",
            "Description",
            "Timeout",
            "MemorySize",
            "Environment",
            "Layers",
            "TracingConfig",
            "Architectures",
            "EphemeralStorage",
            "LoggingConfig",
            "PackageType",
            "ReservedConcurrentExecutions",
            "Tags",
        ],
        inert: &["KmsKeyArn", "RuntimeManagementConfig"],
    },
    Kind {
        name: "AWS::Lambda::Version",
        properties: &["FunctionName", "CodeSha256", "Description"],
        inert: &[],
    },
    Kind {
        name: "AWS::Lambda::Permission",
        properties: &["FunctionName", "Action", "Principal", "SourceArn", "SourceAccount"],
        inert: &[],
    },
    Kind {
        name: "AWS::Lambda::EventSourceMapping",
        properties: &[
            "EventSourceArn",
            "FunctionName",
            "Enabled",
            "BatchSize",
            "StartingPosition",
            "StartingPositionTimestamp",
            "MaximumBatchingWindowInSeconds",
            "BisectBatchOnFunctionError",
            "MaximumRetryAttempts",
            "MaximumRecordAgeInSeconds",
            "FunctionResponseTypes",
        ],
        inert: &["Tags"],
    },
    Kind {
        name: "AWS::Lambda::LayerVersion",
        properties: &["LayerName", "Content", "Description", "CompatibleRuntimes", "LicenseInfo"],
        inert: &["CompatibleArchitectures"],
    },
];

pub(super) async fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    match wish.kind {
        "AWS::Lambda::Function" => create_function(services, wish).await,
        "AWS::Lambda::Version" => {
            let (sha256, description) = (wish.text("CodeSha256"), wish.text("Description"));
            let name = wish.need("FunctionName")?;
            let version = services.functions.publish_version(
                &name,
                description.as_deref(),
                sha256.as_deref(),
            );
            let version = version.map_err(|err| reason(&err))?;
            Ok(Made::new(&version.function_arn)
                .with("FunctionArn", &version.function_arn)
                .with("Version", version.version))
        }
        "AWS::Lambda::Permission" => {
            let statement_id = wish.name("", 100);
            let permission = Permission {
                statement_id: statement_id.clone(),
                action: wish.need("Action")?,
                principal: wish.need("Principal")?,
                source_arn: wish.text("SourceArn"),
                source_account: wish.text("SourceAccount"),
            };
            let added = services.functions.add_permission(&wish.need("FunctionName")?, permission);
            added.map_err(|err| reason(&err))?;
            Ok(Made::new(&statement_id).with("Id", statement_id))
        }
        "AWS::Lambda::EventSourceMapping" => {
            let mapping = services.functions.create_event_source(&source(wish)?);
            let mapping = mapping.map_err(|err| reason(&err))?;
            Ok(Made::new(&mapping.uuid).with("Id", mapping.uuid))
        }
        _ => {
            let layer = PublishLayer {
                name: wish.text("LayerName").unwrap_or_else(|| wish.logical.to_owned()),
                content: code(wish.get("Content"))?,
                description: wish.text("Description").unwrap_or_default(),
                compatible_runtimes: wish.texts("CompatibleRuntimes"),
                license: wish.text("LicenseInfo").unwrap_or_default(),
            };
            let published =
                services.functions.publish_layer(layer).await.map_err(|err| reason(&err))?;
            let arn = published.0.layer_version_arn;
            Ok(Made::new(&arn).with("LayerVersionArn", arn))
        }
    }
}

pub(super) async fn update(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    match wish.kind {
        "AWS::Lambda::Function" => update_function(services, wish, record).await,
        "AWS::Lambda::EventSourceMapping" => {
            let fixed = ["EventSourceArn", "StartingPosition", "StartingPositionTimestamp"];
            if fixed.iter().any(|name| wish.changed(record, name)) {
                return Ok(Updated::Replace);
            }
            let updated =
                services.functions.update_event_source(&record.physical, &source(wish)?).await;
            updated.map_err(|err| reason(&err))?;
            Ok(Updated::InPlace(Made::same(record)))
        }
        _ => Ok(Updated::Replace),
    }
}

pub(super) async fn delete(services: &Services, record: &Record) -> Result<(), Reason> {
    let functions = &services.functions;
    let deleted = match record.kind.as_str() {
        "AWS::Lambda::Function" => functions.delete(&record.physical, None).await,
        "AWS::Lambda::Version" => match record.physical.rsplit_once(':') {
            Some((function, version)) => functions.delete(function, Some(version)).await,
            None => Ok(()),
        },
        "AWS::Lambda::Permission" => {
            let function =
                record.properties.get("FunctionName").and_then(as_text).unwrap_or_default();
            functions.remove_permission(&function, &record.physical)
        }
        "AWS::Lambda::EventSourceMapping" => {
            functions.delete_event_source(&record.physical).await.map(|_| ())
        }
        _ => {
            if let Some((layer, number)) = record.physical.rsplit_once(':') {
                functions.delete_layer_version(layer, number.parse().unwrap_or(0));
            }
            Ok(())
        }
    };
    match deleted {
        Err(err) if err.status() != 404 => Err(reason(&err)),
        _ => Ok(()),
    }
}

async fn create_function(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    let create = CreateFunction {
        name: wish.name("FunctionName", 64),
        code: code(wish.get("Code"))?,
        settings: settings(wish)?,
        tags: wish.all_tags(),
        publish: false,
    };
    let name = create.name.clone();
    let made = services.functions.create(create).await.map_err(|err| reason(&err))?;
    if let Err(problem) = set_concurrency(services, wish, &name) {
        let _ = services.functions.delete(&name, None).await;
        return Err(problem);
    }
    Ok(Made::new(name).with("Arn", made.function_arn))
}

async fn update_function(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    if wish.changed(record, "FunctionName") || wish.changed(record, "PackageType") {
        return Ok(Updated::Replace);
    }
    let (functions, name) = (&services.functions, &record.physical);
    if wish.changed(record, "Code") {
        let updated =
            functions.update_code(name, code(wish.get("Code"))?, CodeChange::default()).await;
        updated.map_err(|err| reason(&err))?;
    }
    functions.update_configuration(name, &settings(wish)?).map_err(|err| reason(&err))?;
    set_concurrency(services, wish, name)?;
    functions.tag(name, wish.all_tags()).map_err(|err| reason(&err))?;
    Ok(Updated::InPlace(Made::same(record)))
}

fn set_concurrency(services: &Services, wish: &Wish<'_>, name: &str) -> Result<(), Reason> {
    let reserved =
        wish.number("ReservedConcurrentExecutions").and_then(|number| u32::try_from(number).ok());
    services.functions.set_reserved_concurrency(name, reserved).map_err(|err| reason(&err))
}

/// All settings, so that a property that was taken away gets its default back.
fn settings(wish: &Wish<'_>) -> Result<Settings, Reason> {
    let number = |name: &str| wish.number(name).and_then(|number| u32::try_from(number).ok());
    let variables: BTreeMap<String, String> =
        members(wish.get("Environment").and_then(|environment| environment.get("Variables")))
            .map(|(name, value)| (name.clone(), as_text(value).unwrap_or_default()))
            .collect();
    let mode = wish.get("TracingConfig").and_then(|config| config.get("Mode")).and_then(as_text);
    let size =
        wish.get("EphemeralStorage").and_then(|storage| storage.get("Size")).and_then(as_text);
    Ok(Settings {
        runtime: wish.text("Runtime"),
        handler: wish.text("Handler"),
        role: Some(wish.need("Role")?),
        description: Some(wish.text("Description").unwrap_or_default()),
        timeout: Some(number("Timeout").unwrap_or(3)),
        memory_size: Some(number("MemorySize").unwrap_or(128)),
        environment: Some(Environment { variables }),
        layers: Some(wish.texts("Layers")),
        tracing_config: Some(TracingConfig {
            mode: mode.unwrap_or_else(|| "PassThrough".to_owned()),
        }),
        package_type: wish.text("PackageType"),
        architectures: Some(wish.texts("Architectures")).filter(|list| !list.is_empty()),
        ephemeral_storage: size
            .and_then(|size| size.parse().ok())
            .map(|size| EphemeralStorage { size }),
        logging_config: typed(wish, "LoggingConfig")?,
        revision_id: None,
    })
}

/// A mapping's properties under the names of the API; numbers and flags may be text.
fn source(wish: &Wish<'_>) -> Result<EventSourceSpec, Reason> {
    let properties = members(Some(wish.properties)).map(|(name, value)| {
        let text = value.as_str().unwrap_or("");
        let value = match (text.parse::<i64>(), text.parse::<bool>()) {
            (Ok(number), _) => number.into(),
            (_, Ok(flag)) => flag.into(),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    let properties = Value::Object(properties.collect::<Map<_, _>>());
    serde_json::from_value(properties)
        .map_err(|err| handler_reason(&err.to_string(), "InvalidRequest"))
}

fn typed<T: DeserializeOwned>(wish: &Wish<'_>, name: &str) -> Result<Option<T>, Reason> {
    let Some(value) = wish.get(name) else { return Ok(None) };
    let parsed = serde_json::from_value(value.clone());
    parsed.map(Some).map_err(|err| handler_reason(&format!("{name}: {err}"), "InvalidRequest"))
}

fn code(code: Option<&Value>) -> Result<CodeSource, Reason> {
    let text = |name: &str| code.and_then(|code| code.get(name)).and_then(as_text);
    match (text("S3Bucket"), text("S3Key"), text("ZipFile")) {
        (Some(bucket), Some(key), None) => Ok(CodeSource::S3 { bucket, key }),
        (None, None, Some(source)) => Ok(CodeSource::Inline(source)),
        _ => {
            let problem = "the local cloud takes code from S3Bucket and S3Key, or from ZipFile";
            Err(handler_reason(problem, "InvalidRequest"))
        }
    }
}

fn reason(err: &LambdaError) -> Reason {
    handler_reason(&err.to_string(), err.code())
}
