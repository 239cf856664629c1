//! The resources of a scheduler's job.

use crate::resource_provider::found;
use crate::{ffi, worker, QuantumResource, Result};

/// The resources of this job that are online.
pub struct QRMIService {
    resources: Vec<(String, Box<dyn QuantumResource>)>,
}

impl QRMIService {
    /// Find the resources of QRMI_JOB_QPU_RESOURCES and QRMI_JOB_QPU_TYPES.
    pub async fn new() -> Result<Self> {
        let mut resources = Vec::new();
        for mut resource in
            worker::run(|| found(|out| unsafe { ffi::qrmi_service_resources(out) })).await?
        {
            resources.push((resource.resource_id().await?, resource));
        }
        Ok(QRMIService { resources })
    }

    /// Return the resources, in the order of the job's variables.
    pub fn resources(&mut self) -> Vec<&mut Box<dyn QuantumResource>> {
        self.resources.iter_mut().map(|(_, resource)| resource).collect()
    }

    /// Return the resource of a name, None if it is not among them.
    pub fn resource(&mut self, resource_id: &str) -> Option<&mut Box<dyn QuantumResource>> {
        let found = self.resources.iter_mut().find(|(name, _)| name == resource_id);
        found.map(|(_, resource)| resource)
    }
}
