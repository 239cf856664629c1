//! A handle of the C library, and the calls on it.

use crate::models::*;
use crate::{ffi, worker, QrmiError, Result};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int};
use std::ptr::null_mut;
use std::sync::Arc;

/// A resource of the C library, whose functions may be called from any thread.
struct Handle(*mut ffi::Opaque);

unsafe impl Send for Handle {}
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        unsafe { ffi::qrmi_resource_free(self.0) };
    }
}

/// A resource; copies share the handle, so that a call may outlive the future that waited for it.
#[derive(Clone)]
pub(crate) struct Remote(Arc<Handle>);

/// Return a text for the C library.
pub(crate) fn text(value: &str) -> Result<CString> {
    CString::new(value).map_err(|_| QrmiError::InvalidInput("a text has a zero byte".into()))
}

/// Return a copy of a text that somebody else frees.
pub(crate) unsafe fn copied(value: *const c_char) -> String {
    CStr::from_ptr(value).to_string_lossy().into_owned()
}

/// Return a text of the C library, and free it; None for NULL.
pub(crate) unsafe fn taken(value: *mut c_char) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let copy = copied(value);
    ffi::qrmi_string_free(value);
    Some(copy)
}

/// Return the error of the last call on this thread.
pub(crate) fn last_error(task: &str) -> QrmiError {
    unsafe {
        let reason = taken(ffi::qrmi_get_last_error());
        QrmiError::of(
            ffi::qrmi_get_last_error_kind(),
            reason.unwrap_or_else(|| "no reason given".into()),
            task,
        )
    }
}

fn checked(code: c_int, task: &str) -> Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(last_error(task))
    }
}

/// Return the number of a type.
pub(crate) fn type_number(kind: &str) -> Result<c_int> {
    let word = text(kind)?;
    let mut number = 0;
    let code = unsafe { ffi::qrmi_config_resource_type_from_str(word.as_ptr(), &mut number) };
    if code == 109 {
        let reason = format!("no plugin for resource type {kind:?} is installed");
        return Err(QrmiError::UnsupportedResourceType(reason));
    }
    checked(code, "").map(|_| number)
}

/// Pairs for the C library, with the texts that they point to.
pub(crate) struct Pairs {
    _texts: Vec<CString>,
    pairs: Vec<ffi::KeyValue>,
}

impl Pairs {
    pub(crate) fn new(map: &HashMap<String, String>) -> Result<Pairs> {
        let mut made = Pairs { _texts: Vec::new(), pairs: Vec::new() };
        for (key, value) in map {
            let (key, value) = (text(key)?, text(value)?);
            made.pairs.push(ffi::KeyValue {
                key: key.as_ptr() as *mut c_char,
                value: value.as_ptr() as *mut c_char,
            });
            made._texts.extend([key, value]);
        }
        Ok(made)
    }

    pub(crate) fn as_c(&self) -> ffi::Variables {
        ffi::Variables {
            variables: self.pairs.as_ptr() as *mut ffi::KeyValue,
            length: self.pairs.len(),
        }
    }

    pub(crate) unsafe fn read(from: &ffi::Variables) -> HashMap<String, String> {
        (0..from.length)
            .map(|number| {
                let pair = &*from.variables.add(number);
                (copied(pair.key), copied(pair.value))
            })
            .collect()
    }
}

type TextOf = unsafe extern "C" fn(*mut ffi::Opaque, *mut *mut c_char) -> c_int;
type TextOfTask = unsafe extern "C" fn(*mut ffi::Opaque, *const c_char, *mut *mut c_char) -> c_int;
type OnText = unsafe extern "C" fn(*mut ffi::Opaque, *const c_char) -> c_int;

impl Remote {
    pub(crate) fn new(id: &str, kind: &str) -> Result<Remote> {
        let number = type_number(kind)?;
        let id = text(id)?;
        Remote::made(unsafe { ffi::qrmi_resource_new(id.as_ptr(), number) })
    }

    pub(crate) fn from_config(
        id: &str,
        kind: &str,
        config: &HashMap<String, String>,
    ) -> Result<Remote> {
        let number = type_number(kind)?;
        let id = text(id)?;
        let pairs = Pairs::new(config)?;
        let handle = unsafe {
            ffi::qrmi_resource_new_from_config(id.as_ptr(), number, &pairs.as_c())
        };
        Remote::made(handle)
    }

    /// Own a handle of the C library; NULL is the last error.
    pub(crate) fn made(handle: *mut ffi::Opaque) -> Result<Remote> {
        if handle.is_null() {
            return Err(last_error(""));
        }
        Ok(Remote(Arc::new(Handle(handle))))
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(*mut ffi::Opaque) -> T + Send + 'static,
    ) -> T {
        let handle = self.0.clone();
        worker::run(move || work(handle.0)).await
    }

    async fn text_of(&self, function: TextOf) -> Result<String> {
        self.call(move |handle| {
            let mut value = null_mut();
            checked(unsafe { function(handle, &mut value) }, "")?;
            Ok(unsafe { taken(value) }.unwrap_or_default())
        })
        .await
    }

    async fn text_of_task(&self, function: TextOfTask, task: &str) -> Result<String> {
        let (name, id) = (task.to_owned(), text(task)?);
        self.call(move |handle| {
            let mut value = null_mut();
            checked(unsafe { function(handle, id.as_ptr(), &mut value) }, &name)?;
            Ok(unsafe { taken(value) }.unwrap_or_default())
        })
        .await
    }

    async fn on_text(&self, function: OnText, value: &str) -> Result<()> {
        let (name, value) = (value.to_owned(), text(value)?);
        self.call(move |handle| checked(unsafe { function(handle, value.as_ptr()) }, &name)).await
    }

    pub(crate) async fn resource_id(&self) -> Result<String> {
        self.text_of(ffi::qrmi_resource_id).await
    }

    pub(crate) async fn resource_type(&self) -> Result<ResourceType> {
        let mut number = 0;
        checked(unsafe { ffi::qrmi_resource_type(self.0 .0, &mut number) }, "")?;
        let word = unsafe { taken(ffi::qrmi_config_resource_type_to_str(number)) };
        Ok(ResourceType::of(&word.unwrap_or_default()))
    }

    pub(crate) async fn is_accessible(&self) -> Result<bool> {
        self.call(|handle| {
            let mut value = false;
            checked(unsafe { ffi::qrmi_resource_is_accessible(handle, &mut value) }, "")?;
            Ok(value)
        })
        .await
    }

    pub(crate) async fn status(&self) -> Result<ResourceStatus> {
        self.call(|handle| {
            let mut status = null_mut();
            checked(unsafe { ffi::qrmi_resource_status(handle, &mut status) }, "")?;
            let read = unsafe { read_status(status) };
            unsafe { ffi::qrmi_resource_status_free(status) };
            Ok(read)
        })
        .await
    }

    pub(crate) async fn acquire(&self) -> Result<String> {
        self.text_of(ffi::qrmi_resource_acquire).await
    }

    pub(crate) async fn release(&self, token: &str) -> Result<()> {
        self.on_text(ffi::qrmi_resource_release, token).await
    }

    pub(crate) async fn task_start(&self, payload: Payload) -> Result<String> {
        self.call(move |handle| start(handle, &payload)).await
    }

    pub(crate) async fn task_stop(&self, task: &str) -> Result<()> {
        self.on_text(ffi::qrmi_resource_task_stop, task).await
    }

    pub(crate) async fn task_status(&self, task: &str) -> Result<TaskStatus> {
        let (name, id) = (task.to_owned(), text(task)?);
        self.call(move |handle| {
            let mut status = 0;
            let code =
                unsafe { ffi::qrmi_resource_task_status(handle, id.as_ptr(), &mut status) };
            checked(code, &name)?;
            Ok(match status {
                0 => TaskStatus::Queued,
                1 => TaskStatus::Running,
                2 => TaskStatus::Completed,
                3 => TaskStatus::Failed,
                _ => TaskStatus::Cancelled,
            })
        })
        .await
    }

    pub(crate) async fn task_result(&self, task: &str) -> Result<TaskResult> {
        let value = self.text_of_task(ffi::qrmi_resource_task_result, task).await?;
        Ok(TaskResult { value })
    }

    pub(crate) async fn task_logs(&self, task: &str) -> Result<String> {
        self.text_of_task(ffi::qrmi_resource_task_logs, task).await
    }

    pub(crate) async fn target(&self) -> Result<Target> {
        Ok(Target { value: self.text_of(ffi::qrmi_resource_target).await? })
    }

    pub(crate) async fn metadata(&self) -> HashMap<String, String> {
        self.call(|handle| unsafe {
            let (mut metadata, mut size, mut keys) = (null_mut(), 0, null_mut());
            let mut facts = HashMap::new();
            if ffi::qrmi_resource_metadata(handle, &mut metadata) != 0 {
                return facts;
            }
            if ffi::qrmi_resource_metadata_keys(metadata, &mut size, &mut keys) == 0 {
                for number in 0..size {
                    let key = *keys.add(number);
                    let value = taken(ffi::qrmi_resource_metadata_value(metadata, key));
                    facts.insert(copied(key), value.unwrap_or_default());
                }
                ffi::qrmi_string_array_free(size, keys);
            }
            ffi::qrmi_resource_metadata_free(metadata);
            facts
        })
        .await
    }
}

unsafe fn read_status(status: *mut ffi::Opaque) -> ResourceStatus {
    let (mut code, mut flag, mut count, mut capacity) = (0, false, 0, null_mut());
    ffi::qrmi_resource_status_code(status, &mut code);
    let healthy = (ffi::qrmi_resource_status_healthy(status, &mut flag) == 0).then(|| flag);
    let busy = (ffi::qrmi_resource_status_busy(status, &mut flag) == 0).then(|| flag);
    let pending = ffi::qrmi_resource_status_pending_job_count(status, &mut count) == 0;
    let mut slots = None;
    if ffi::qrmi_resource_status_capacity(status, &mut capacity) == 0 {
        slots = Some(ResourceCapacity {
            available_slots: (*capacity).available_slots,
            max_slots: (*capacity).max_slots,
        });
        ffi::qrmi_resource_capacity_free(capacity);
    }
    ResourceStatus {
        status: match code {
            0 => ResourceStatusCode::Online,
            1 => ResourceStatusCode::Offline,
            _ => ResourceStatusCode::Paused,
        },
        status_reason: taken(ffi::qrmi_resource_status_reason(status)),
        healthy,
        busy,
        capacity: slots,
        pending_job_count: pending.then(|| count),
    }
}

fn start(handle: *mut ffi::Opaque, payload: &Payload) -> Result<String> {
    let mut words = [0u64; 4];
    let (tag, texts, places): (c_int, Vec<CString>, &[usize]) = match payload {
        Payload::QiskitPrimitive { input, program_id } => {
            (0, vec![text(input)?, text(program_id)?], &[0, 1])
        }
        Payload::PasqalCloud { sequence, job_runs } => {
            put_number(&mut words[1], *job_runs);
            (1, vec![text(sequence)?], &[0])
        }
        Payload::AliceBobFelis { human_qir, input_params } => {
            (2, vec![text(human_qir)?, text(input_params)?], &[0, 1])
        }
        Payload::IQMServer { iqmjson, job_type, use_timeslot, tag } => {
            put_number(&mut words[2], i32::from(use_timeslot.unwrap_or(false)));
            let mut texts = vec![text(iqmjson)?, text(job_type)?];
            if let Some(tag) = tag {
                texts.push(text(tag)?);
            }
            (3, texts, &[0, 1, 3])
        }
        Payload::Oqtopus { job_spec } => (4, vec![text(job_spec)?], &[0]),
    };
    for (text, place) in texts.iter().zip(places) {
        words[*place] = text.as_ptr() as u64;
    }
    let mut id = null_mut();
    let payload = ffi::Payload { tag, words };
    checked(unsafe { ffi::qrmi_resource_task_start(handle, &payload, &mut id) }, "")?;
    Ok(unsafe { taken(id) }.unwrap_or_default())
}

/// Put a C int into the first bytes of a word.
fn put_number(word: &mut u64, number: i32) {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_ne_bytes());
    *word = u64::from_ne_bytes(bytes);
}
