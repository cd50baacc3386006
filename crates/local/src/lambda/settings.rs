//! Settings as Lambda checks them, and what a function becomes by them.
//!
//! Rule: AWS Lambda API reference, `CreateFunction` and `UpdateFunctionConfiguration`.

use std::ops::RangeInclusive;

use super::error::LambdaError;
use super::registry::LATEST;
use super::types::{
    EphemeralStorage, FunctionConfiguration, LoggingConfig, Settings, SnapStart, TracingConfig,
};
use crate::ids;

/// All variables of a function together.
const ENVIRONMENT_BYTES_MAX: usize = 4096;
const LAYERS_MAX: usize = 5;

/// Names that a function may not set.
///
/// Rule: AWS Lambda developer guide, "Defined runtime environment variables", reserved ones.
const RESERVED: [&str; 16] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
];

/// Which program runs a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Node,
    Python,
    Provided,
}

impl Runtime {
    /// The program behind `nodejs20.x`, `python3.12`, `provided.al2023` and their like; any version of the three.
    pub(crate) fn of(identifier: &str) -> Option<Self> {
        let within = |text: &str, versions: RangeInclusive<u32>| {
            text.parse().is_ok_and(|version: u32| versions.contains(&version))
        };
        if let Some(rest) = identifier.strip_prefix("nodejs") {
            return within(rest.strip_suffix(".x")?, 10..=40).then_some(Self::Node);
        }
        if let Some(rest) = identifier.strip_prefix("python3.") {
            return within(rest, 6..=40).then_some(Self::Python);
        }
        ["provided", "provided.al2", "provided.al2023"]
            .contains(&identifier)
            .then_some(Self::Provided)
    }
}

/// A function before it has code: Lambda's defaults, then `settings`.
pub(crate) fn new_configuration(
    name: &str,
    arn: String,
    settings: &Settings,
) -> Result<FunctionConfiguration, LambdaError> {
    if settings.package_type.as_deref().is_some_and(|kind| kind != "Zip") {
        return Err(invalid(
            "PackageType Image is not supported by the local cloud: no container is run",
        ));
    }
    let Some(runtime) = settings.runtime.clone() else {
        return Err(invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ));
    };
    let mut configuration = FunctionConfiguration {
        function_name: name.to_owned(),
        function_arn: arn,
        runtime,
        role: String::new(),
        handler: String::new(),
        code_size: 0,
        description: String::new(),
        timeout: 3,
        memory_size: 128,
        last_modified: String::new(),
        code_sha256: String::new(),
        version: LATEST.to_owned(),
        environment: None,
        tracing_config: TracingConfig { mode: "PassThrough".to_owned() },
        revision_id: String::new(),
        layers: Vec::new(),
        state: "Active".to_owned(),
        last_update_status: "Successful".to_owned(),
        package_type: "Zip".to_owned(),
        architectures: vec!["x86_64".to_owned()],
        ephemeral_storage: EphemeralStorage { size: 512 },
        snap_start: SnapStart {
            apply_on: "None".to_owned(),
            optimization_status: "Off".to_owned(),
        },
        logging_config: LoggingConfig {
            log_format: "Text".to_owned(),
            log_group: Some(format!("/aws/lambda/{name}")),
        },
    };
    apply(&mut configuration, settings)?;
    if configuration.handler.is_empty()
        && Runtime::of(&configuration.runtime) != Some(Runtime::Provided)
    {
        return Err(invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ));
    }
    Ok(configuration)
}

/// Changes what `settings` names. Layers are the caller's, who knows which there are.
pub(crate) fn apply(
    configuration: &mut FunctionConfiguration,
    settings: &Settings,
) -> Result<(), LambdaError> {
    check(settings)?;
    let Settings { runtime, handler, role, description, .. } = settings.clone();
    let set = |to: &mut String, from: Option<String>| {
        if let Some(from) = from {
            *to = from;
        }
    };
    set(&mut configuration.runtime, runtime);
    set(&mut configuration.handler, handler);
    set(&mut configuration.role, role);
    set(&mut configuration.description, description);
    configuration.timeout = settings.timeout.unwrap_or(configuration.timeout);
    configuration.memory_size = settings.memory_size.unwrap_or(configuration.memory_size);
    if let Some(environment) = &settings.environment {
        configuration.environment = Some(environment.clone());
    }
    if let Some(tracing) = &settings.tracing_config {
        configuration.tracing_config = tracing.clone();
    }
    if let Some(architectures) = &settings.architectures {
        configuration.architectures.clone_from(architectures);
    }
    if let Some(storage) = &settings.ephemeral_storage {
        configuration.ephemeral_storage = storage.clone();
    }
    if let Some(logging) = &settings.logging_config {
        let group = logging.log_group.clone().or(configuration.logging_config.log_group.take());
        configuration.logging_config =
            LoggingConfig { log_format: logging.log_format.clone(), log_group: group };
    }
    Ok(())
}

/// A new revision: what every change ends with.
pub(crate) fn touch(configuration: &mut FunctionConfiguration) {
    configuration.revision_id = ids::uuid();
    configuration.last_modified = ids::iso(ids::now_ms()).replace('Z', "+0000");
}

fn check(settings: &Settings) -> Result<(), LambdaError> {
    if let Some(runtime) = &settings.runtime
        && Runtime::of(runtime).is_none()
    {
        return Err(invalid(&format!(
            "Value {} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs*.x, \
             python*, provided, provided.al2, provided.al2023] or be a valid ARN",
            super::registry::shortened(runtime)
        )));
    }
    check_range("timeout", settings.timeout, 1, 900)?;
    check_range("memorySize", settings.memory_size, 128, 10_240)?;
    if let Some(tracing) = &settings.tracing_config
        && !["Active", "PassThrough"].contains(&tracing.mode.as_str())
    {
        return Err(LambdaError::Validation(format!(
            "1 validation error detected: Value '{}' at 'tracingConfig.mode' failed to satisfy constraint: Member \
             must satisfy enum value set: [Active, PassThrough]",
            super::registry::shortened(&tracing.mode)
        )));
    }
    if settings.layers.as_ref().is_some_and(|layers| layers.len() > LAYERS_MAX) {
        return Err(invalid("Cannot reference more than 5 layers."));
    }
    let Some(environment) = &settings.environment else { return Ok(()) };
    let names = || environment.variables.keys();
    let reserved: Vec<&str> =
        names().map(String::as_str).filter(|name| RESERVED.contains(name)).collect();
    if !reserved.is_empty() {
        return Err(invalid(&format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {}",
            reserved.join(", ")
        )));
    }
    let is_name = |name: &String| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let holds_zero = environment.variables.values().any(|value| value.contains('\0'));
    if holds_zero || !names().all(is_name) {
        return Err(LambdaError::Validation(
            "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must \
             satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]"
                .to_owned(),
        ));
    }
    let bytes: usize =
        environment.variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        return Err(invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided exceeded the 4KB limit.",
        ));
    }
    Ok(())
}

fn check_range(name: &str, value: Option<u32>, min: u32, max: u32) -> Result<(), LambdaError> {
    let Some(value) = value else { return Ok(()) };
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let word = if value < min { "greater" } else { "less" };
    let bound = if value < min { min } else { max };
    Err(LambdaError::Validation(format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must have value \
         {word} than or equal to {bound}"
    )))
}

fn invalid(text: &str) -> LambdaError {
    LambdaError::InvalidParameterValue(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::types::Environment;
    use super::*;

    fn check_runtime(identifier: &str, expected: Option<Runtime>) {
        assert_eq!(Runtime::of(identifier), expected, "{identifier}");
    }

    #[test]
    fn runtimes_are_known_by_their_family() {
        check_runtime("nodejs16.x", Some(Runtime::Node));
        check_runtime("nodejs26.x", Some(Runtime::Node));
        check_runtime("python3.9", Some(Runtime::Python));
        check_runtime("provided.al2023", Some(Runtime::Provided));
        check_runtime("nodejs", None);
        check_runtime("nodejs999.x", None);
        check_runtime("java21", None);
        check_runtime("python", None);
        check_runtime("pythonista", None);
    }

    fn check_refused(settings: Settings, code: &str, word: &str) {
        let settings = Settings {
            runtime: settings.runtime.or_else(|| Some("nodejs20.x".to_owned())),
            handler: Some("index.handler".to_owned()),
            ..settings
        };
        let err = new_configuration("f", "arn".to_owned(), &settings).unwrap_err();
        assert_eq!(err.code(), code);
        assert!(err.to_string().contains(word), "{err}");
    }

    #[test]
    fn what_lambda_refuses_is_refused_in_its_words() {
        let runtime = Some("cobol85".to_owned());
        let invalid = "InvalidParameterValueException";
        check_refused(Settings { runtime, ..Settings::default() }, invalid, "cobol85");
        let validation = "ValidationException";
        check_refused(
            Settings { timeout: Some(901), ..Settings::default() },
            validation,
            "'901' at 'timeout'",
        );
        check_refused(Settings { memory_size: Some(64), ..Settings::default() }, validation, "128");
        let with = |name: &str, value: &str| Settings {
            environment: Some(Environment {
                variables: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            }),
            ..Settings::default()
        };
        check_refused(
            with("AWS_REGION", "eu-west-1"),
            invalid,
            "Reserved keys used in this request: AWS_REGION",
        );
        check_refused(with("LD=X", "1"), validation, "environment.variables");
        check_refused(with("X1", "a\0b"), validation, "environment.variables");
        check_refused(with("BIG", &"x".repeat(5000)), invalid, "4KB");
        let layers = Some(vec!["a".to_owned(); 6]);
        check_refused(Settings { layers, ..Settings::default() }, invalid, "more than 5 layers");
    }
}
