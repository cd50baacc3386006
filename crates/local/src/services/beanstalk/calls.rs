//! The calls of the EB CLI: `init`, `create`, `deploy`, `open`, `status`, `terminate`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::deploy::UPDATED;
use super::{Application, Beanstalk, Environment, Event, GONE_MAX, Version};
use crate::http::{Failure, Protocol, Request, Response};
use crate::ids;
use crate::query::{Form, QueryService};
use crate::sync::lock;
use crate::xml::Xml;

const SERVICE: QueryService =
    QueryService { namespace: "http://elasticbeanstalk.amazonaws.com/docs/2010-12-01/" };
/// The platforms: name, number of the branch, solution stack. What runs is the command of the `Procfile`.
const PLATFORMS: [(&str, &str, &str); 2] = [
    (
        "Node.js 20 running on 64bit Amazon Linux 2023",
        "6.1.0",
        "64bit Amazon Linux 2023 v6.1.0 running Node.js 20",
    ),
    (
        "Python 3.11 running on 64bit Amazon Linux 2023",
        "4.1.0",
        "64bit Amazon Linux 2023 v4.1.0 running Python 3.11",
    ),
];
const MANY: usize = 500;

impl Beanstalk {
    /// Answers a call.
    pub(crate) fn answer(self: &Arc<Self>, request: &Request) -> Response {
        let form = match Form::of(request) {
            Ok(form) => form,
            Err(failure) => {
                return Protocol::Query(SERVICE.namespace).failure(&failure, &request.request_id);
            }
        };
        let action = form.get("Action").unwrap_or("");
        let result = self.call(action, &form, &request.request_id).map(Some);
        SERVICE.answer(action, result, &request.request_id)
    }

    fn call(self: &Arc<Self>, action: &str, form: &Form, request_id: &str) -> Result<Xml, Failure> {
        match action {
            "ListAvailableSolutionStacks" => {
                let stacks = PLATFORMS.map(|(_, _, stack)| stack);
                let details = stacks.map(|stack| {
                    Xml::new().text("SolutionStackName", stack).texts("PermittedFileTypes", ["zip"])
                });
                Ok(Xml::new()
                    .texts("SolutionStacks", stacks)
                    .members("SolutionStackDetails", details))
            }
            "ListPlatformBranches" => {
                let wanted = form.get("Filters.member.1.Values.member.1").unwrap_or("");
                let branches = PLATFORMS.iter().filter(|(name, ..)| name.starts_with(wanted)).map(
                    |(name, ..)| {
                        Xml::new()
                            .text("PlatformName", name.split(' ').next().unwrap_or(name))
                            .text("BranchName", *name)
                            .text("LifecycleState", "Supported")
                            .text("BranchOrder", "1")
                            .texts("SupportedTierList", ["WebServer/Standard"])
                    },
                );
                Ok(Xml::new().members("PlatformBranchSummaryList", branches))
            }
            "ListPlatformVersions" => {
                let versions = PLATFORMS.iter().map(|platform| self.platform(platform));
                Ok(Xml::new().members("PlatformSummaryList", versions))
            }
            "DescribePlatformVersion" => {
                let arn = form.get("PlatformArn").unwrap_or("");
                let platform =
                    PLATFORMS.iter().find(|(name, ..)| arn.contains(name)).or(PLATFORMS.first());
                let platform = platform.map(|platform| self.platform(platform)).unwrap_or_default();
                Ok(Xml::new().element("PlatformDescription", platform))
            }
            "CreateStorageLocation" => {
                let place = &self.place;
                let bucket = format!("elasticbeanstalk-{}-{}", place.region, place.account);
                self.s3.create_bucket(&bucket)?;
                Ok(Xml::new().text("S3Bucket", bucket))
            }
            "CheckDNSAvailability" => {
                let cname = form.get("CNAMEPrefix").unwrap_or("");
                Ok(Xml::new().text("Available", "true").text("FullyQualifiedCNAME", cname))
            }
            "CreateApplication" => self.create_application(form),
            "DescribeApplications" => Ok(self.applications(&form.list("ApplicationNames"))),
            "CreateApplicationVersion" => self.create_version(form),
            "DescribeApplicationVersions" => Ok(self.versions(form)),
            "CreateEnvironment" => self.create_environment(form, request_id),
            "UpdateEnvironment" => self.update_environment(form, request_id),
            "TerminateEnvironment" => self.terminate(form, request_id),
            "DescribeEnvironments" => Ok(self.environments(form)),
            "DescribeConfigurationSettings" => self.settings(form),
            "DescribeEvents" => Ok(self.events(form)),
            _ => Err(Failure::unknown_operation("elasticbeanstalk", action)),
        }
    }

    fn platform(&self, (name, version, stack): &(&str, &str, &str)) -> Xml {
        Xml::new()
            .text(
                "PlatformArn",
                format!(
                    "arn:aws:elasticbeanstalk:{}::platform/{name}/{version}",
                    self.place.region
                ),
            )
            .text("PlatformName", *name)
            .text("PlatformVersion", *version)
            .text("SolutionStackName", *stack)
            .text("PlatformOwner", "AWSElasticBeanstalk")
            .text("PlatformStatus", "Ready")
            .text("PlatformCategory", name.split(' ').next().unwrap_or(name))
            .text("PlatformBranchName", *name)
            .text("PlatformBranchLifecycleState", "Supported")
            .text("PlatformLifecycleState", "Recommended")
            .texts("SupportedTierList", ["WebServer/Standard"])
    }

    fn create_application(&self, form: &Form) -> Result<Xml, Failure> {
        let name = form.need("ApplicationName")?;
        let mut state = lock(&self.state);
        if state.applications.contains_key(name) {
            return Err(invalid(format!("Application {name} already exists.")));
        }
        if state.applications.len() >= MANY {
            return Err(Failure::new(400, "TooManyApplicationsException", "too many applications"));
        }
        let application = Application {
            description: form.get("Description").unwrap_or("").to_owned(),
            created_ms: ids::now_ms(),
            versions: BTreeMap::new(),
        };
        let xml = Xml::new().element("Application", application_xml(name, &application));
        state.applications.insert(name.to_owned(), application);
        self.changes.fetch_add(1, Ordering::Relaxed);
        Ok(xml)
    }

    fn applications(&self, wanted: &[String]) -> Xml {
        let state = lock(&self.state);
        let applications =
            state.applications.iter().filter(|(n, _)| wanted.is_empty() || wanted.contains(n));
        Xml::new()
            .members("Applications", applications.map(|(name, app)| application_xml(name, app)))
    }

    fn create_version(&self, form: &Form) -> Result<Xml, Failure> {
        let (name, label) = (form.need("ApplicationName")?, form.need("VersionLabel")?);
        let version = Version {
            description: form.get("Description").unwrap_or("").to_owned(),
            bucket: form.need("SourceBundle.S3Bucket")?.to_owned(),
            key: form.need("SourceBundle.S3Key")?.to_owned(),
            created_ms: ids::now_ms(),
        };
        let mut state = lock(&self.state);
        let application = state.applications.get_mut(name);
        let application =
            application.ok_or_else(|| invalid(format!("No Application named '{name}' found.")))?;
        if application.versions.contains_key(label) {
            return Err(invalid(format!("Application Version {label} already exists.")));
        }
        if application.versions.len() >= MANY {
            return Err(Failure::new(
                400,
                "TooManyApplicationVersionsException",
                "too many versions",
            ));
        }
        let xml = version_xml(name, label, &version);
        application.versions.insert(label.to_owned(), version);
        self.changes.fetch_add(1, Ordering::Relaxed);
        Ok(Xml::new().element("ApplicationVersion", xml))
    }

    fn versions(&self, form: &Form) -> Xml {
        let wanted = form.list("VersionLabels");
        let of = form.get("ApplicationName");
        let state = lock(&self.state);
        let applications =
            state.applications.iter().filter(|(name, _)| of.is_none_or(|of| of == *name));
        let items = applications.flat_map(|(name, application)| {
            let versions = application.versions.iter();
            versions
                .filter(|(label, _)| wanted.is_empty() || wanted.contains(label))
                .map(move |(l, v)| version_xml(name, l, v))
        });
        Xml::new().members("ApplicationVersions", items)
    }

    fn create_environment(self: &Arc<Self>, form: &Form, request_id: &str) -> Result<Xml, Failure> {
        let (application, name) = (form.need("ApplicationName")?, form.need("EnvironmentName")?);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(4..=40).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(invalid(format!(
                "Value {name} at 'EnvironmentName' is no name of 4 to 40 letters, digits and hyphens."
            )));
        }
        let environment = Environment {
            id: format!("e-{}", ids::api_id()),
            application: application.to_owned(),
            version: form.get("VersionLabel").map(str::to_owned),
            stack: form.get("SolutionStackName").unwrap_or(PLATFORMS[0].2).to_owned(),
            status: "Ready".to_owned(),
            health: "Grey".to_owned(),
            created_ms: ids::now_ms(),
            updated_ms: ids::now_ms(),
            options: options(form),
            ..Environment::default()
        };
        {
            let mut state = lock(&self.state);
            if !state.applications.contains_key(application) {
                return Err(invalid(format!("No Application named '{application}' found.")));
            }
            if state.environments.contains_key(name) {
                return Err(invalid(format!("Environment {name} already exists.")));
            }
            if state.environments.len() >= MANY {
                return Err(Failure::new(
                    400,
                    "TooManyEnvironmentsException",
                    "too many environments",
                ));
            }
            state.environments.insert(name.to_owned(), environment.clone());
        }
        self.tell(name, "INFO", request_id, "createEnvironment is starting.");
        let launched = format!("Successfully launched environment: {name}");
        if environment.version.is_some() {
            self.deploy(name, request_id, launched);
        } else {
            self.tell(name, "INFO", request_id, &launched);
        }
        Ok(self.environment_xml(name, &environment))
    }

    fn update_environment(self: &Arc<Self>, form: &Form, request_id: &str) -> Result<Xml, Failure> {
        let (name, before) = self.environment(form)?;
        let version = form.get("VersionLabel").map(str::to_owned);
        if let Some(label) = &version {
            let state = lock(&self.state);
            let application = state.applications.get(&before.application);
            if application.is_none_or(|application| !application.versions.contains_key(label)) {
                return Err(invalid(format!("No Application Version named '{label}' found.")));
            }
        }
        let new = options(form);
        self.change(&name, |environment| {
            for option in new {
                environment.options.retain(|known| (&known.0, &known.1) != (&option.0, &option.1));
                environment.options.push(option);
            }
            environment.version = version.or(environment.version.take());
        });
        self.deploy(&name, request_id, UPDATED.to_owned());
        let (name, environment) = self.environment(form)?;
        Ok(self.environment_xml(&name, &environment))
    }

    fn terminate(&self, form: &Form, request_id: &str) -> Result<Xml, Failure> {
        let (name, mut environment) = self.environment(form)?;
        if let Some(stop) = lock(&self.running).remove(&name) {
            stop.cancel();
        }
        self.tell(&name, "INFO", request_id, "terminateEnvironment completed successfully.");
        if let Some(ended) = lock(&self.state).environments.remove(&name) {
            let mut gone = lock(&self.gone);
            gone.push_back((name.clone(), ended));
            if gone.len() > GONE_MAX {
                gone.pop_front();
            }
        }
        "Terminated".clone_into(&mut environment.status);
        Ok(self.environment_xml(&name, &environment))
    }

    /// The environment that a request names, by name or id.
    fn environment(&self, form: &Form) -> Result<(String, Environment), Failure> {
        let (name, id) = (form.get("EnvironmentName"), form.get("EnvironmentId"));
        let state = lock(&self.state);
        let mut all = state.environments.iter();
        let found = all.find(|(n, e)| {
            Some(n.as_str()) == name || (name.is_none() && Some(e.id.as_str()) == id)
        });
        let missing = || {
            invalid(format!(
                "No Environment found for EnvironmentName = '{}'.",
                name.or(id).unwrap_or("")
            ))
        };
        found.map(|(name, environment)| (name.clone(), environment.clone())).ok_or_else(missing)
    }

    fn environments(&self, form: &Form) -> Xml {
        let (names, wanted_ids) = (form.list("EnvironmentNames"), form.list("EnvironmentIds"));
        let application = form.get("ApplicationName");
        let state = lock(&self.state);
        let wanted = state.environments.iter().filter(|(name, environment)| {
            (names.is_empty() || names.contains(name))
                && (wanted_ids.is_empty() || wanted_ids.contains(&environment.id))
                && application.is_none_or(|application| application == environment.application)
        });
        Xml::new().members("Environments", wanted.map(|(name, e)| self.environment_xml(name, e)))
    }

    fn environment_xml(&self, name: &str, environment: &Environment) -> Xml {
        let place = &self.place;
        let arn = place
            .arn("elasticbeanstalk", &format!("environment/{}/{name}", environment.application));
        let tier =
            Xml::new().text("Name", "WebServer").text("Type", "Standard").text("Version", "1.0");
        let platform = PLATFORMS
            .iter()
            .find(|(_, _, stack)| *stack == environment.stack)
            .or(PLATFORMS.first());
        let platform = platform.map(|(name, version, _)| {
            format!("arn:aws:elasticbeanstalk:{}::platform/{name}/{version}", place.region)
        });
        Xml::new()
            .text("EnvironmentName", name)
            .text("EnvironmentId", &environment.id)
            .text("ApplicationName", &environment.application)
            .maybe("VersionLabel", environment.version.as_ref())
            .text("SolutionStackName", &environment.stack)
            .maybe("PlatformArn", platform)
            .text("EndpointURL", format!("localhost:{}", environment.port))
            .text("CNAME", format!("localhost:{}", environment.port))
            .text("DateCreated", ids::iso(environment.created_ms))
            .text("DateUpdated", ids::iso(environment.updated_ms))
            .text("Status", &environment.status)
            .text("AbortableOperationInProgress", "false")
            .text("Health", &environment.health)
            .text("EnvironmentArn", arn)
            .element("Tier", tier)
    }

    fn settings(&self, form: &Form) -> Result<Xml, Failure> {
        let (name, environment) = self.environment(form)?;
        let options = environment.options.iter().map(|(namespace, option, value)| {
            Xml::new().text("Namespace", namespace).text("OptionName", option).text("Value", value)
        });
        let tier =
            Xml::new().text("Name", "WebServer").text("Type", "Standard").text("Version", "1.0");
        let settings = Xml::new()
            .text("SolutionStackName", &environment.stack)
            .text("ApplicationName", &environment.application)
            .text("EnvironmentName", name)
            .text("DeploymentStatus", "deployed")
            .text("DateCreated", ids::iso(environment.created_ms))
            .text("DateUpdated", ids::iso(environment.updated_ms))
            .element("Tier", tier)
            .members("OptionSettings", options);
        Ok(Xml::new().members("ConfigurationSettings", [settings]))
    }

    /// Newest first, as clients expect them.
    fn events(&self, form: &Form) -> Xml {
        let (of, request_id) = (form.get("EnvironmentName"), form.get("RequestId"));
        let application = form.get("ApplicationName");
        // `2026-11-21 08:02:18.701000+00:00` or with T: compared as text to the second and beyond.
        let since = form
            .get("StartTime")
            .map(|time| time.replace(' ', "T").chars().take(23).collect::<String>());
        let (state, gone) = (lock(&self.state), lock(&self.gone));
        let ended = gone.iter().map(|(name, environment)| (name, environment));
        let environments = ended.chain(&state.environments).filter(|(name, environment)| {
            of.is_none_or(|of| of == *name)
                && application.is_none_or(|application| application == environment.application)
        });
        let mut events: Vec<(&String, &Environment, &Event)> = environments
            .flat_map(|(name, environment)| {
                environment.events.iter().map(move |event| (name, environment, event))
            })
            .filter(|(_, _, event)| request_id.is_none_or(|id| id == event.request_id))
            .filter(|(_, _, event)| {
                since.as_ref().is_none_or(|since| ids::iso(event.time_ms) >= *since)
            })
            .collect();
        events.reverse();
        let items = events.into_iter().take(MANY).map(|(name, environment, event)| {
            Xml::new()
                .text("EventDate", ids::iso(event.time_ms))
                .text("Message", &event.message)
                .text("ApplicationName", &environment.application)
                .maybe("VersionLabel", event.version.as_ref())
                .text("EnvironmentName", name)
                .text("RequestId", &event.request_id)
                .text("Severity", &event.severity)
        });
        Xml::new().members("Events", items)
    }
}

fn options(form: &Form) -> Vec<(String, String, String)> {
    let options = form.structures("OptionSettings").into_iter();
    options
        .filter_map(|mut option| {
            Some((
                option.remove("Namespace")?,
                option.remove("OptionName")?,
                option.remove("Value")?,
            ))
        })
        .take(MANY)
        .collect()
}

fn application_xml(name: &str, application: &Application) -> Xml {
    Xml::new()
        .text("ApplicationName", name)
        .text("Description", &application.description)
        .text("DateCreated", ids::iso(application.created_ms))
        .text("DateUpdated", ids::iso(application.created_ms))
        .texts("Versions", application.versions.keys())
        .texts("ConfigurationTemplates", Vec::<String>::new())
}

fn version_xml(application: &str, label: &str, version: &Version) -> Xml {
    let bundle = Xml::new().text("S3Bucket", &version.bucket).text("S3Key", &version.key);
    Xml::new()
        .text("ApplicationName", application)
        .text("VersionLabel", label)
        .text("Description", &version.description)
        .element("SourceBundle", bundle)
        .text("DateCreated", ids::iso(version.created_ms))
        .text("DateUpdated", ids::iso(version.created_ms))
        .text("Status", "PROCESSED")
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(400, "InvalidParameterValue", message)
}
