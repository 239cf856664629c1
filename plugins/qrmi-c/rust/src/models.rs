//! The values of the interface.

use crate::remote::{taken, Pairs};
use crate::{ffi, remote, QrmiError, Result};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

/// The type of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResourceType {
    IBMQuantumSystem,
    IBMQiskitRuntimeService,
    IBMQuantumComputeService,
    PasqalCloud,
    PasqalLocal,
    AliceBobFelis,
    IQMServer,
    OQTOPUS,
    /// The type of any other plugin.
    Other(&'static str),
}

const PUBLISHED: [(ResourceType, &str); 8] = [
    (ResourceType::IBMQuantumSystem, "ibm-quantum-system"),
    (ResourceType::IBMQiskitRuntimeService, "qiskit-runtime-service"),
    (ResourceType::IBMQuantumComputeService, "ibm-quantum-compute-service"),
    (ResourceType::PasqalCloud, "pasqal-cloud"),
    (ResourceType::PasqalLocal, "pasqal-local"),
    (ResourceType::AliceBobFelis, "alice-bob-felis"),
    (ResourceType::IQMServer, "iqm-server"),
    (ResourceType::OQTOPUS, "oqtopus"),
];

/// The strings of other types; each is kept once, for as long as the program.
static OTHERS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

impl ResourceType {
    /// Return the string, as configuration files have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            ResourceType::Other(text) => text,
            _ => PUBLISHED.iter().find(|(kind, _)| kind == self).unwrap().1,
        }
    }

    /// Return the type of a string, such as one of QRMI_JOB_QPU_TYPES; None for one of no plugin.
    pub fn from_qpu_type_str(text: &str) -> Option<ResourceType> {
        remote::type_number(text).ok().map(|_| ResourceType::of(text))
    }

    pub(crate) fn of(text: &str) -> ResourceType {
        if let Some((kind, _)) = PUBLISHED.iter().find(|(_, word)| *word == text) {
            return *kind;
        }
        let mut others = OTHERS.lock().unwrap();
        let known = others.iter().find(|other| **other == text).copied();
        ResourceType::Other(known.unwrap_or_else(|| {
            let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
            others.push(kept);
            kept
        }))
    }
}

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// The program of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The input of a Qiskit primitive: its parameters as JSON, and `sampler` or `estimator`.
    QiskitPrimitive { input: String, program_id: String },
    /// A Pulser sequence in its abstract representation, and how often to run it.
    PasqalCloud { sequence: String, job_runs: i32 },
    /// A program for an IQM server.
    IQMServer {
        iqmjson: String,
        job_type: String,
        use_timeslot: Option<bool>,
        tag: Option<String>,
    },
    /// A program in QIR for Alice & Bob's Felis.
    AliceBobFelis { human_qir: String, input_params: String },
    /// A job for OQTOPUS.
    Oqtopus { job_spec: String },
}

/// The description of a device for compilers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub value: String,
}

/// The result of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskResult {
    pub value: String,
}

/// The availability of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceStatusCode {
    Online,
    Offline,
    Paused,
}

impl ResourceStatusCode {
    /// Return the word, such as `online`.
    pub fn as_str(&self) -> &'static str {
        match self {
            ResourceStatusCode::Online => "online",
            ResourceStatusCode::Offline => "offline",
            ResourceStatusCode::Paused => "paused",
        }
    }
}

/// How many tasks a resource takes at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceCapacity {
    pub available_slots: u64,
    pub max_slots: u64,
}

/// The present state of a resource; None is what the vendor does not report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceStatus {
    pub status: ResourceStatusCode,
    pub status_reason: Option<String>,
    pub healthy: Option<bool>,
    pub busy: Option<bool>,
    pub capacity: Option<ResourceCapacity>,
    pub pending_job_count: Option<u64>,
}

/// One entry of a configuration file.
#[derive(Clone, PartialEq, Eq)]
pub struct ResourceDef {
    pub name: String,
    pub r#type: ResourceType,
    pub is_dynamic: Option<bool>,
    pub environment: HashMap<String, String>,
}

impl ResourceDef {
    /// Return true if the entry is not a resource but the settings for discovery.
    pub fn is_dynamic(&self) -> bool {
        self.is_dynamic.unwrap_or(false)
    }
}

impl std::fmt::Debug for ResourceDef {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The values hold secrets.
        out.debug_struct("ResourceDef")
            .field("name", &self.name)
            .field("type", &self.r#type)
            .field("is_dynamic", &self.is_dynamic)
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// The entries of a configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The entries, by name.
    pub resource_map: HashMap<String, ResourceDef>,
}

impl Config {
    /// Read a file and check it as a whole.
    pub fn load(path: impl AsRef<Path>) -> Result<Config> {
        let path = path.as_ref().to_str();
        let path = path.ok_or_else(|| QrmiError::InvalidInput("the path is not UTF-8".into()))?;
        let path = remote::text(path)?;
        unsafe {
            let config = ffi::qrmi_config_load(path.as_ptr());
            if config.is_null() {
                return Err(remote::last_error(""));
            }
            let mut size = 0;
            let mut names = std::ptr::null_mut();
            let mut resource_map = HashMap::new();
            if ffi::qrmi_config_resource_names_get(config, &mut size, &mut names) == 0 {
                for number in 0..size {
                    let def = ffi::qrmi_config_resource_def_get(config, *names.add(number));
                    if !def.is_null() {
                        let entry = entry(&*def);
                        resource_map.insert(entry.name.clone(), entry);
                        ffi::qrmi_config_resource_def_free(def);
                    }
                }
                ffi::qrmi_string_array_free(size, names);
            }
            ffi::qrmi_config_free(config);
            Ok(Config { resource_map })
        }
    }
}

unsafe fn entry(def: &ffi::Def) -> ResourceDef {
    let kind = taken(ffi::qrmi_config_resource_type_to_str(def.kind)).unwrap_or_default();
    ResourceDef {
        name: remote::copied(def.name),
        r#type: ResourceType::of(&kind),
        is_dynamic: Some(def.is_dynamic),
        environment: Pairs::read(&def.environments),
    }
}
