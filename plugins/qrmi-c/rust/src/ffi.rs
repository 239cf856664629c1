//! The functions of `qrmi.h` that the crate uses.

use std::os::raw::{c_char, c_int};

#[repr(C)]
pub struct Opaque {
    _private: [u8; 0],
}

#[repr(C)]
pub struct KeyValue {
    pub key: *mut c_char,
    pub value: *mut c_char,
}

#[repr(C)]
pub struct Variables {
    pub variables: *mut KeyValue,
    pub length: usize,
}

#[repr(C)]
pub struct Def {
    pub name: *mut c_char,
    pub kind: c_int,
    pub is_dynamic: bool,
    pub environments: Variables,
}

#[repr(C)]
pub struct Capacity {
    pub available_slots: u64,
    pub max_slots: u64,
}

#[repr(C)]
pub struct Resources {
    pub resources: *mut *mut Opaque,
    pub length: usize,
}

/// The four words of the largest member of the union.
#[repr(C)]
pub struct Payload {
    pub tag: c_int,
    pub words: [u64; 4],
}

extern "C" {
    pub fn qrmi_get_last_error() -> *mut c_char;
    pub fn qrmi_get_last_error_kind() -> c_int;
    pub fn qrmi_string_free(text: *mut c_char) -> c_int;
    pub fn qrmi_string_array_free(size: usize, array: *mut *mut c_char) -> c_int;
    pub fn qrmi_config_load(path: *const c_char) -> *mut Opaque;
    pub fn qrmi_config_free(config: *mut Opaque) -> c_int;
    pub fn qrmi_config_resource_def_get(config: *mut Opaque, name: *const c_char) -> *mut Def;
    pub fn qrmi_config_resource_def_free(def: *mut Def) -> c_int;
    pub fn qrmi_config_resource_names_get(
        config: *mut Opaque,
        size: *mut usize,
        names: *mut *mut *mut c_char,
    ) -> c_int;
    pub fn qrmi_config_resource_type_to_str(kind: c_int) -> *mut c_char;
    pub fn qrmi_config_resource_type_from_str(text: *const c_char, kind: *mut c_int) -> c_int;
    pub fn qrmi_resource_new(id: *const c_char, kind: c_int) -> *mut Opaque;
    pub fn qrmi_resource_new_from_config(
        id: *const c_char,
        kind: c_int,
        config: *const Variables,
    ) -> *mut Opaque;
    pub fn qrmi_resource_free(resource: *mut Opaque) -> c_int;
    pub fn qrmi_resource_is_accessible(resource: *mut Opaque, value: *mut bool) -> c_int;
    pub fn qrmi_resource_id(resource: *mut Opaque, text: *mut *mut c_char) -> c_int;
    pub fn qrmi_resource_type(resource: *mut Opaque, kind: *mut c_int) -> c_int;
    pub fn qrmi_resource_status(resource: *mut Opaque, status: *mut *mut Opaque) -> c_int;
    pub fn qrmi_resource_acquire(resource: *mut Opaque, token: *mut *mut c_char) -> c_int;
    pub fn qrmi_resource_release(resource: *mut Opaque, token: *const c_char) -> c_int;
    pub fn qrmi_resource_target(resource: *mut Opaque, text: *mut *mut c_char) -> c_int;
    pub fn qrmi_resource_metadata(resource: *mut Opaque, metadata: *mut *mut Opaque) -> c_int;
    pub fn qrmi_resource_metadata_free(metadata: *mut Opaque) -> c_int;
    pub fn qrmi_resource_metadata_value(metadata: *mut Opaque, key: *const c_char) -> *mut c_char;
    pub fn qrmi_resource_metadata_keys(
        metadata: *mut Opaque,
        size: *mut usize,
        keys: *mut *mut *mut c_char,
    ) -> c_int;
    pub fn qrmi_resource_status_free(status: *mut Opaque) -> c_int;
    pub fn qrmi_resource_status_code(status: *mut Opaque, code: *mut c_int) -> c_int;
    pub fn qrmi_resource_status_reason(status: *mut Opaque) -> *mut c_char;
    pub fn qrmi_resource_status_healthy(status: *mut Opaque, value: *mut bool) -> c_int;
    pub fn qrmi_resource_status_busy(status: *mut Opaque, value: *mut bool) -> c_int;
    pub fn qrmi_resource_status_pending_job_count(status: *mut Opaque, value: *mut u64) -> c_int;
    pub fn qrmi_resource_status_capacity(status: *mut Opaque, value: *mut *mut Capacity) -> c_int;
    pub fn qrmi_resource_capacity_free(capacity: *mut Capacity) -> c_int;
    pub fn qrmi_resource_task_start(
        resource: *mut Opaque,
        payload: *const Payload,
        id: *mut *mut c_char,
    ) -> c_int;
    pub fn qrmi_resource_task_stop(resource: *mut Opaque, task: *const c_char) -> c_int;
    pub fn qrmi_resource_task_status(
        resource: *mut Opaque,
        task: *const c_char,
        status: *mut c_int,
    ) -> c_int;
    pub fn qrmi_resource_task_result(
        resource: *mut Opaque,
        task: *const c_char,
        text: *mut *mut c_char,
    ) -> c_int;
    pub fn qrmi_resource_task_logs(
        resource: *mut Opaque,
        task: *const c_char,
        text: *mut *mut c_char,
    ) -> c_int;
    pub fn qrmi_provider_new(kind: c_int, environments: *const Variables) -> *mut Opaque;
    pub fn qrmi_provider_free(provider: *mut Opaque) -> c_int;
    pub fn qrmi_provider_resources(
        provider: *mut Opaque,
        filters: *const c_char,
        resources: *mut Resources,
    ) -> c_int;
    pub fn qrmi_service_resources(resources: *mut Resources) -> c_int;
}
