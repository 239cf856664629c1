//! QRMI, the Quantum Resource Management Interface: acquire a quantum resource, run tasks on it,
//! watch them, and release it.
//!
//! The crate is a layer over the C library `libqrmi`, whose files it compiles, and has no other
//! dependency. Its futures run on any executor. `AnyResource` reaches every installed plugin.

mod ffi;
mod remote;
mod vendors;
mod worker;

pub mod error;
pub mod models;
pub mod resource_provider;
pub mod service;

pub use error::{QrmiError, QrmiErrorKind};
pub use models::{ResourceStatus, ResourceStatusCode};
pub use resource_provider::{create_provider, ResourceProvider};
pub use service::QRMIService;
pub use vendors::{alice_bob, ibm, iqm, oqtopus, pasqal, AnyResource};

use crate::models::{Payload, ResourceType, Target, TaskResult, TaskStatus};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

/// The result of a call.
pub type Result<T> = std::result::Result<T, QrmiError>;

/// What a method of a trait returns, as `#[async_trait]` writes it.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

fn unsupported<'a, T: Send + 'a>(function: &'static str) -> Later<'a, Result<T>> {
    let reason = format!("the resource does not have the function {function}");
    Box::pin(async move { Err(QrmiError::UnsupportedFunction(reason)) })
}

/// Declare a method without arguments, or with one text, in the form of `#[async_trait]`.
macro_rules! method {
    ($(#[$note:meta])* $name:ident() -> $output:ty; $self:ident $body:block) => {
        $(#[$note])*
        fn $name<'life0, 'async_trait>(&'life0 mut $self) -> Later<'async_trait, $output>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        $body
    };
    ($(#[$note:meta])* $name:ident($text:ident) -> $output:ty; $self:ident $body:block) => {
        $(#[$note])*
        fn $name<'life0, 'life1, 'async_trait>(
            &'life0 mut $self,
            $text: &'life1 str,
        ) -> Later<'async_trait, $output>
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        $body
    };
    ($(#[$note:meta])* $name:ident(payload: Payload) -> $output:ty; $self:ident, $value:ident $body:block) => {
        $(#[$note])*
        fn $name<'life0, 'async_trait>(
            &'life0 mut $self,
            $value: Payload,
        ) -> Later<'async_trait, $output>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        $body
    };
}
pub(crate) use method;

/// A quantum resource. Implement it with `#[async_trait]`, or use one of this crate.
pub trait QuantumResource: Send + Sync {
    /// Return the id, as given.
    fn resource_id<'life0, 'async_trait>(&'life0 mut self) -> Later<'async_trait, Result<String>>
    where
        'life0: 'async_trait,
        Self: 'async_trait;

    /// Return the type, as given.
    fn resource_type<'life0, 'async_trait>(
        &'life0 mut self,
    ) -> Later<'async_trait, Result<ResourceType>>
    where
        'life0: 'async_trait,
        Self: 'async_trait;

    /// Return true if the resource runs tasks now. Prefer `status`.
    fn is_accessible<'life0, 'async_trait>(&'life0 mut self) -> Later<'async_trait, Result<bool>>
    where
        'life0: 'async_trait,
        Self: 'async_trait;

    method! { /// Return the present state.
        status() -> Result<ResourceStatus>; self { unsupported("status") } }
    method! { /// Reserve the resource and return the token, without waiting for a busy one.
        acquire() -> Result<String>; self { unsupported("acquire") } }
    method! { /// End a reservation.
        release(id) -> Result<()>; self { let _ = id; unsupported("release") } }
    method! { /// Submit a task exactly once and return its id.
        task_start(payload: Payload) -> Result<String>; self, payload {
            let _ = payload;
            unsupported("task_start")
        } }
    method! { /// Ask to stop a task.
        task_stop(task_id) -> Result<()>; self { let _ = task_id; unsupported("task_stop") } }
    method! { /// Poll a task once.
        task_status(task_id) -> Result<TaskStatus>; self {
            let _ = task_id;
            unsupported("task_status")
        } }
    method! { /// Return the result of a task that has completed, without waiting.
        task_result(task_id) -> Result<TaskResult>; self {
            let _ = task_id;
            unsupported("task_result")
        } }
    method! { /// Return the logs of a task.
        task_logs(task_id) -> Result<String>; self { let _ = task_id; unsupported("task_logs") } }
    method! { /// Return the description of the device for compilers.
        target() -> Result<Target>; self { unsupported("target") } }
    method! { /// Return facts that need no request.
        metadata() -> HashMap<String, String>; self { Box::pin(async { HashMap::new() }) } }
}

/// Implement all methods of `QuantumResource` by an expression for the resource that has them.
macro_rules! forward {
    ($self:ident, $to:expr) => {
        method! { resource_id() -> Result<String>; $self {
            Box::pin(async move { $to.resource_id().await })
        } }
        method! { resource_type() -> Result<ResourceType>; $self {
            Box::pin(async move { $to.resource_type().await })
        } }
        method! { is_accessible() -> Result<bool>; $self {
            Box::pin(async move { $to.is_accessible().await })
        } }
        method! { status() -> Result<ResourceStatus>; $self {
            Box::pin(async move { $to.status().await })
        } }
        method! { acquire() -> Result<String>; $self {
            Box::pin(async move { $to.acquire().await })
        } }
        method! { release(id) -> Result<()>; $self {
            Box::pin(async move { $to.release(id).await })
        } }
        method! { task_start(payload: Payload) -> Result<String>; $self, payload {
            Box::pin(async move { $to.task_start(payload).await })
        } }
        method! { task_stop(task_id) -> Result<()>; $self {
            Box::pin(async move { $to.task_stop(task_id).await })
        } }
        method! { task_status(task_id) -> Result<TaskStatus>; $self {
            Box::pin(async move { $to.task_status(task_id).await })
        } }
        method! { task_result(task_id) -> Result<TaskResult>; $self {
            Box::pin(async move { $to.task_result(task_id).await })
        } }
        method! { task_logs(task_id) -> Result<String>; $self {
            Box::pin(async move { $to.task_logs(task_id).await })
        } }
        method! { target() -> Result<Target>; $self {
            Box::pin(async move { $to.target().await })
        } }
    };
}
pub(crate) use forward;

/// A resource that could not be made: each call returns the error. So `new` may be used without `?`.
impl<T: QuantumResource> QuantumResource for Result<T> {
    forward!(self, self.as_mut().map_err(|error| error.again())?);

    method! { metadata() -> HashMap<String, String>; self {
        Box::pin(async move {
            match self {
                Ok(resource) => resource.metadata().await,
                Err(_) => HashMap::new(),
            }
        })
    } }
}
