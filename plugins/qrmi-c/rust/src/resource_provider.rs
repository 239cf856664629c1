//! The resources that one account reaches.

use crate::models::ResourceType;
use crate::remote::{last_error, text, type_number, Pairs, Remote};
use crate::{ffi, worker, AnyResource, Later, QuantumResource, Result};
use std::collections::HashMap;
use std::ptr::{null, null_mut};
use std::sync::Arc;

/// Finds resources, the least busy first.
pub trait ResourceProvider: Send + Sync {
    /// Return the resources that match filters, `key=value` joined by `&`.
    fn resources<'life0, 'async_trait>(
        &'life0 self,
        filters: Option<String>,
    ) -> Later<'async_trait, Result<Vec<Box<dyn QuantumResource>>>>
    where
        'life0: 'async_trait,
        Self: 'async_trait;

    /// Return the first of `resources`, None if none matches.
    fn least_busy<'life0, 'async_trait>(
        &'life0 self,
        filters: Option<String>,
    ) -> Later<'async_trait, Result<Option<Box<dyn QuantumResource>>>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { Ok(self.resources(filters).await?.into_iter().next()) })
    }
}

/// Make the provider of the resources of a type.
pub fn create_provider(
    resource_type: &ResourceType,
    environment: &HashMap<String, String>,
) -> Result<Box<dyn ResourceProvider>> {
    let number = type_number(resource_type.as_str())?;
    let pairs = Pairs::new(environment)?;
    let provider = unsafe { ffi::qrmi_provider_new(number, &pairs.as_c()) };
    if provider.is_null() {
        return Err(last_error(""));
    }
    Ok(Box::new(Provider(Arc::new(Handle(provider)))))
}

struct Handle(*mut ffi::Opaque);

unsafe impl Send for Handle {}
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        unsafe { ffi::qrmi_provider_free(self.0) };
    }
}

struct Provider(Arc<Handle>);

impl ResourceProvider for Provider {
    fn resources<'life0, 'async_trait>(
        &'life0 self,
        filters: Option<String>,
    ) -> Later<'async_trait, Result<Vec<Box<dyn QuantumResource>>>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let handle = self.0.clone();
        Box::pin(worker::run(move || {
            let filters = filters.as_deref().map(text).transpose()?;
            let place = filters.as_ref().map_or(null(), |filters| filters.as_ptr());
            found(|out| unsafe { ffi::qrmi_provider_resources(handle.0, place, out) })
        }))
    }
}

/// Return the resources that a function of the C library finds.
pub(crate) fn found(
    search: impl FnOnce(*mut ffi::Resources) -> i32,
) -> Result<Vec<Box<dyn QuantumResource>>> {
    let mut out = ffi::Resources { resources: null_mut(), length: 0 };
    if search(&mut out) != 0 {
        return Err(last_error(""));
    }
    let mut resources: Vec<Box<dyn QuantumResource>> = Vec::new();
    for number in 0..out.length {
        let remote = Remote::made(unsafe { *out.resources.add(number) })?;
        resources.push(Box::new(AnyResource::of(remote)));
    }
    // The handles have owners now; the array is a block as texts are.
    if !out.resources.is_null() {
        unsafe { ffi::qrmi_string_free(out.resources.cast()) };
    }
    Ok(resources)
}
