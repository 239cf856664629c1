//! The resources of each vendor, and of any plugin.

use crate::models::{Payload, ResourceType, Target, TaskResult, TaskStatus};
use crate::remote::Remote;
use crate::{forward, method, Later, QuantumResource, ResourceStatus, Result};
use std::collections::HashMap;

macro_rules! by_remote {
    ($name:ident) => {
        impl QuantumResource for $name {
            forward!(self, self.remote);

            method! { metadata() -> HashMap<String, String>; self {
                Box::pin(async move { self.remote.metadata().await })
            } }
        }
    };
}

/// Define a resource of one type.
macro_rules! vendor {
    ($(#[$note:meta])* $name:ident, $kind:literal) => {
        $(#[$note])*
        pub struct $name {
            remote: Remote,
        }

        impl $name {
            /// Make a resource with settings from the environment; contacts no service.
            pub fn new(resource_id: &str) -> Result<Self> {
                Ok($name { remote: Remote::new(resource_id, $kind)? })
            }

            /// Make a resource with settings from a mapping of unprefixed keys.
            pub fn from_config(
                resource_id: &str,
                config: HashMap<String, String>,
            ) -> Result<Self> {
                Ok($name { remote: Remote::from_config(resource_id, $kind, &config)? })
            }
        }

        by_remote!($name);
    };
}

/// Define the provider of the resources of one type.
macro_rules! provider {
    ($(#[$note:meta])* $name:ident, $kind:expr) => {
        $(#[$note])*
        pub struct $name(Box<dyn ResourceProvider>);

        impl $name {
            /// Make the provider with settings from a mapping of unprefixed keys.
            pub fn new(environment: &HashMap<String, String>) -> Result<Self> {
                create_provider(&$kind, environment).map($name)
            }
        }

        impl ResourceProvider for $name {
            fn resources<'life0, 'async_trait>(
                &'life0 self,
                filters: Option<String>,
            ) -> Later<'async_trait, Result<Vec<Box<dyn QuantumResource>>>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                self.0.resources(filters)
            }
        }
    };
}

/// A resource of any installed plugin.
pub struct AnyResource {
    remote: Remote,
}

impl AnyResource {
    /// Make a resource of a type such as `local`, with settings from the environment.
    pub fn new(resource_id: &str, resource_type: &str) -> Result<Self> {
        Ok(AnyResource { remote: Remote::new(resource_id, resource_type)? })
    }

    /// Make a resource with settings from a mapping of unprefixed keys.
    pub fn from_config(
        resource_id: &str,
        resource_type: &str,
        config: HashMap<String, String>,
    ) -> Result<Self> {
        Ok(AnyResource { remote: Remote::from_config(resource_id, resource_type, &config)? })
    }

    pub(crate) fn of(remote: Remote) -> Self {
        AnyResource { remote }
    }
}

by_remote!(AnyResource);

/// IBM's resources.
pub mod ibm {
    use super::*;
    use crate::{create_provider, ResourceProvider};

    vendor!(/// An IBM quantum computer on premises.
        IBMQuantumSystem, "ibm-quantum-system");
    vendor!(/// The same under its earlier name.
        IBMDirectAccess, "direct-access");
    vendor!(/// A backend of IBM Quantum.
        IBMQuantumComputeService, "ibm-quantum-compute-service");
    vendor!(/// A backend of IBM Quantum, under its earlier name.
        IBMQiskitRuntimeService, "qiskit-runtime-service");
    provider!(/// The quantum computers on premises that an account reaches.
        IBMQuantumSystemProvider, ResourceType::IBMQuantumSystem);
    provider!(/// The backends that an account reaches.
        IBMQuantumComputeServiceProvider, ResourceType::IBMQuantumComputeService);
    provider!(/// The backends that an account reaches, under the earlier name.
        IBMQiskitRuntimeServiceProvider, ResourceType::IBMQiskitRuntimeService);

    /// Errors of IBM's resources.
    pub mod error {
        /// An argument that IBM's services do not know.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum IbmError {
            UnknownProgramId(String),
            InvalidSessionMode(String),
        }

        impl std::fmt::Display for IbmError {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    IbmError::UnknownProgramId(text) => write!(out, "unknown program {text}"),
                    IbmError::InvalidSessionMode(text) => write!(out, "unknown mode {text}"),
                }
            }
        }

        impl std::error::Error for IbmError {}
    }
}

/// Pasqal's resources.
pub mod pasqal {
    use super::*;

    vendor!(/// A device of Pasqal's cloud.
        PasqalCloud, "pasqal-cloud");
    vendor!(/// A machine of Pasqal on premises.
        PasqalLocal, "pasqal-local");

    /// Errors of Pasqal's resources.
    pub mod error {
        /// An argument that Pasqal's services do not know.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum PasqalError {
            InvalidDeviceType(String),
            InvalidCudaqSequence(String),
        }

        impl std::fmt::Display for PasqalError {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    PasqalError::InvalidDeviceType(text) => write!(out, "unknown device {text}"),
                    PasqalError::InvalidCudaqSequence(text) => write!(out, "wrong sequence {text}"),
                }
            }
        }

        impl std::error::Error for PasqalError {}
    }
}

/// IQM's resources.
pub mod iqm {
    use super::*;

    vendor!(/// A quantum computer behind an IQM server.
        IQMServer, "iqm-server");
}

/// Alice & Bob's resources.
pub mod alice_bob {
    use super::*;

    vendor!(/// A backend of Felis.
        AliceBobFelis, "alice-bob-felis");
}

/// OQTOPUS.
pub mod oqtopus {
    use super::*;

    vendor!(/// A device of OQTOPUS.
        Oqtopus, "oqtopus");
}
