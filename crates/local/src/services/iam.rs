//! IAM: remembers roles, their policies and instance profiles, and enforces none.
//!
//! Rule: IAM API reference, version 2010-05-08.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Failure, Protocol, Request, Response};
use crate::ids;
use crate::place::Place;
use crate::query::{Form, QueryService};
use crate::seams::Kept;
use crate::sync::lock;
use crate::xml::Xml;

const SERVICE: QueryService =
    QueryService { namespace: "https://iam.amazonaws.com/doc/2010-05-08/" };
const ROLES_MAX: usize = 5_000;
const PROFILES_MAX: usize = 1_000;

/// One role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    /// Unique in the account.
    pub name: String,
    /// `/` or `/a/b/`.
    pub path: String,
    /// `arn:aws:iam::ACCOUNT:role/NAME`.
    pub arn: String,
    /// `AROA..`.
    pub id: String,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// The trust policy, a JSON text.
    pub assume_role_policy: String,
    /// Inline policies: name to JSON text.
    pub policies: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub attached: Vec<String>,
}

/// What an instance of Beanstalk would have its role by.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Profile {
    name: String,
    arn: String,
    id: String,
    created_ms: i64,
    /// None or one.
    role: Option<String>,
}

/// As it is kept.
#[derive(Default, Serialize, Deserialize)]
struct Saved {
    roles: BTreeMap<String, Role>,
    instance_profiles: BTreeMap<String, Profile>,
}

/// The roles of the account.
pub(crate) struct Iam {
    place: Arc<Place>,
    roles: Mutex<BTreeMap<String, Role>>,
    profiles: Mutex<BTreeMap<String, Profile>>,
    changes: AtomicU64,
}

impl Iam {
    /// No roles yet.
    pub(crate) fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            roles: Mutex::default(),
            profiles: Mutex::default(),
            changes: AtomicU64::new(0),
        }
    }

    /// Creates a role. `EntityAlreadyExists` when there is one of that name.
    pub(crate) fn create_role(&self, name: &str, path: &str, trust: &str) -> Result<Role, Failure> {
        let mut roles = lock(&self.roles);
        if roles.contains_key(name) {
            let problem = format!("Role with name {name} already exists.");
            return Err(Failure::new(409, "EntityAlreadyExists", problem));
        }
        if roles.len() >= ROLES_MAX {
            return Err(Failure::new(409, "LimitExceeded", "too many roles"));
        }
        let path = if path.is_empty() { "/" } else { path };
        let role = Role {
            name: name.to_owned(),
            path: path.to_owned(),
            arn: self.place.global_arn("iam", &format!("role{path}{name}")),
            id: ids::iam_id("AROA"),
            created_ms: ids::now_ms(),
            assume_role_policy: trust.to_owned(),
            policies: BTreeMap::new(),
            attached: Vec::new(),
        };
        roles.insert(name.to_owned(), role.clone());
        self.changes.fetch_add(1, Ordering::Relaxed);
        Ok(role)
    }

    /// Changes a role; `NoSuchEntity` when it is not there.
    pub(crate) fn change_role(
        &self,
        name: &str,
        change: impl FnOnce(&mut Role),
    ) -> Result<(), Failure> {
        let mut roles = lock(&self.roles);
        let role = roles.get_mut(name).ok_or_else(|| no_such_role(name))?;
        change(role);
        self.changes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A role by name.
    pub(crate) fn role(&self, name: &str) -> Result<Role, Failure> {
        lock(&self.roles).get(name).cloned().ok_or_else(|| no_such_role(name))
    }

    /// Deletes a role with its policies.
    pub(crate) fn delete_role(&self, name: &str) -> Result<(), Failure> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        lock(&self.roles).remove(name).map(|_| ()).ok_or_else(|| no_such_role(name))
    }

    /// Answers a call.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let form = match Form::of(request) {
            Ok(form) => form,
            Err(failure) => {
                return Protocol::Query(SERVICE.namespace).failure(&failure, &request.request_id);
            }
        };
        let action = form.get("Action").unwrap_or("");
        SERVICE.answer(action, self.call(action, &form), &request.request_id)
    }

    fn call(&self, action: &str, form: &Form) -> Result<Option<Xml>, Failure> {
        match action {
            "CreateRole" => {
                let trust = form.get("AssumeRolePolicyDocument").unwrap_or("{}");
                let path = form.get("Path").unwrap_or("/");
                let role = self.create_role(form.need("RoleName")?, path, trust)?;
                Ok(Some(Xml::new().element("Role", role_xml(&role))))
            }
            "GetRole" => {
                let role = self.role(form.need("RoleName")?)?;
                Ok(Some(Xml::new().element("Role", role_xml(&role))))
            }
            "ListRoles" => {
                let roles = lock(&self.roles);
                let list = Xml::new().members("Roles", roles.values().map(role_xml));
                Ok(Some(list.text("IsTruncated", "false")))
            }
            "DeleteRole" => self.delete_role(form.need("RoleName")?).map(|()| None),
            "PutRolePolicy" => {
                let name = form.need("PolicyName")?.to_owned();
                let document = form.need("PolicyDocument")?.to_owned();
                self.change_role(form.need("RoleName")?, |role| {
                    role.policies.insert(name, document);
                })?;
                Ok(None)
            }
            "DeleteRolePolicy" => {
                let name = form.need("PolicyName")?;
                self.change_role(form.need("RoleName")?, |role| {
                    role.policies.remove(name);
                })?;
                Ok(None)
            }
            "AttachRolePolicy" => {
                let arn = form.need("PolicyArn")?.to_owned();
                self.change_role(form.need("RoleName")?, |role| {
                    role.attached.retain(|attached| *attached != arn);
                    role.attached.push(arn);
                })?;
                Ok(None)
            }
            "DetachRolePolicy" => {
                let arn = form.need("PolicyArn")?;
                self.change_role(form.need("RoleName")?, |role| {
                    role.attached.retain(|a| a != arn);
                })?;
                Ok(None)
            }
            "ListRolePolicies" => {
                let role = self.role(form.need("RoleName")?)?;
                let list = Xml::new().texts("PolicyNames", role.policies.keys());
                Ok(Some(list.text("IsTruncated", "false")))
            }
            "ListAttachedRolePolicies" => {
                let role = self.role(form.need("RoleName")?)?;
                let policies = role.attached.iter().map(|arn| {
                    let name = arn.rsplit('/').next().unwrap_or(arn);
                    Xml::new().text("PolicyName", name).text("PolicyArn", arn)
                });
                let list = Xml::new().members("AttachedPolicies", policies);
                Ok(Some(list.text("IsTruncated", "false")))
            }
            _ if action.contains("InstanceProfile") => self.call_for_profile(action, form),
            _ => Err(Failure::unknown_operation("iam", action)),
        }
    }

    /// The calls by which the EB CLI gives instances a role.
    fn call_for_profile(&self, action: &str, form: &Form) -> Result<Option<Xml>, Failure> {
        if action == "ListInstanceProfiles" {
            let all: Vec<Profile> = lock(&self.profiles).values().cloned().collect();
            let list = Xml::new().members("InstanceProfiles", all.iter().map(|it| self.xml_of(it)));
            return Ok(Some(list.text("IsTruncated", "false")));
        }
        let name = form.need("InstanceProfileName")?;
        match action {
            "CreateInstanceProfile" => {
                let mut profiles = lock(&self.profiles);
                if profiles.contains_key(name) {
                    let problem = format!("Instance Profile {name} already exists.");
                    return Err(Failure::new(409, "EntityAlreadyExists", problem));
                }
                if profiles.len() >= PROFILES_MAX {
                    return Err(Failure::new(409, "LimitExceeded", "too many instance profiles"));
                }
                let profile = Profile {
                    name: name.to_owned(),
                    arn: self.place.global_arn("iam", &format!("instance-profile/{name}")),
                    id: ids::iam_id("AIPA"),
                    created_ms: ids::now_ms(),
                    role: None,
                };
                profiles.insert(name.to_owned(), profile.clone());
                drop(profiles);
                self.changes.fetch_add(1, Ordering::Relaxed);
                Ok(Some(Xml::new().element("InstanceProfile", self.xml_of(&profile))))
            }
            "GetInstanceProfile" => {
                let profile = self.change_profile(name, |profile| Ok(profile.clone()))?;
                Ok(Some(Xml::new().element("InstanceProfile", self.xml_of(&profile))))
            }
            "AddRoleToInstanceProfile" => {
                let role = self.role(form.need("RoleName")?)?.name;
                self.change_profile(name, |profile| match &profile.role {
                    Some(_) => {
                        let problem =
                            "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1";
                        Err(Failure::new(409, "LimitExceeded", problem))
                    }
                    None => {
                        profile.role = Some(role);
                        Ok(())
                    }
                })?;
                Ok(None)
            }
            "RemoveRoleFromInstanceProfile" => {
                self.change_profile(name, |profile| {
                    profile.role = None;
                    Ok(())
                })?;
                Ok(None)
            }
            "DeleteInstanceProfile" => {
                self.change_profile(name, |_| Ok(()))?;
                lock(&self.profiles).remove(name);
                Ok(None)
            }
            _ => Err(Failure::unknown_operation("iam", action)),
        }
    }

    fn change_profile<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Profile) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut profiles = lock(&self.profiles);
        let profile = profiles.get_mut(name).ok_or_else(|| {
            let problem = format!("Instance Profile {name} cannot be found.");
            Failure::new(404, "NoSuchEntity", problem)
        })?;
        self.changes.fetch_add(1, Ordering::Relaxed);
        change(profile)
    }

    fn xml_of(&self, profile: &Profile) -> Xml {
        let role = profile.role.as_ref().and_then(|name| self.role(name).ok());
        Xml::new()
            .text("Path", "/")
            .text("InstanceProfileName", &profile.name)
            .text("InstanceProfileId", &profile.id)
            .text("Arn", &profile.arn)
            .text("CreateDate", ids::iso(profile.created_ms))
            .members("Roles", role.iter().map(role_xml))
    }
}

fn no_such_role(name: &str) -> Failure {
    Failure::new(404, "NoSuchEntity", format!("The role with name {name} cannot be found."))
}

fn role_xml(role: &Role) -> Xml {
    Xml::new()
        .text("Path", &role.path)
        .text("RoleName", &role.name)
        .text("RoleId", &role.id)
        .text("Arn", &role.arn)
        .text("CreateDate", ids::iso(role.created_ms))
        .text("AssumeRolePolicyDocument", &role.assume_role_policy)
}

impl Kept for Iam {
    fn name(&self) -> &'static str {
        "iam"
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn save(&self) -> Value {
        let (roles, instance_profiles) = (lock(&self.roles).clone(), lock(&self.profiles).clone());
        serde_json::to_value(Saved { roles, instance_profiles }).unwrap_or_default()
    }

    fn load(&self, saved: Value) -> Result<(), String> {
        // Before there were instance profiles, roles were all there is.
        let saved = match saved.get("instance_profiles") {
            Some(_) => serde_json::from_value(saved),
            None => serde_json::from_value(saved).map(|roles| Saved { roles, ..Saved::default() }),
        };
        let saved: Saved = saved.map_err(|err| err.to_string())?;
        *lock(&self.roles) = saved.roles;
        *lock(&self.profiles) = saved.instance_profiles;
        Ok(())
    }
}
