//! Errors.

use std::fmt;

/// What can go wrong. The text of each says what happened and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum QrmiError {
    /// Environment variables are not set.
    EnvVarNotSet(String),
    /// A setting is malformed.
    ParseError {
        /// The setting, empty where the source names it.
        name: String,
        /// Its value, empty where the source names it.
        value: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync + 'static>,
    },
    /// No installed plugin has this type, or it cannot discover resources.
    UnsupportedResourceType(String),
    /// The resource does not accept this kind of payload.
    UnsupportedPayload(String),
    /// The resource does not have this function.
    UnsupportedFunction(String),
    /// The task has no result: not yet, or it failed or was cancelled.
    TaskNotReady {
        /// The task.
        task_id: String,
        /// The reason.
        reason: String,
    },
    /// Settings are missing in a mapping.
    MissingConfigKey(String),
    /// A configuration file, or settings taken together, are wrong.
    InvalidConfig(String),
    /// The vendor has no such resource.
    ResourceNotFound(String),
    /// The vendor has no such task.
    TaskNotFound(String),
    /// The vendor refused the credential.
    AuthenticationFailed(String),
    /// An argument, a payload or a filter is wrong.
    InvalidInput(String),
    /// A text is not UTF-8.
    InvalidUtf8(std::str::Utf8Error),
    /// An error of IBM's resources.
    Ibm(crate::ibm::error::IbmError),
    /// An error of Pasqal's resources.
    Pasqal(crate::pasqal::error::PasqalError),
    /// Any other error.
    Other(Box<dyn std::error::Error + Send + Sync + 'static>),
}

/// The kinds of error, for comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QrmiErrorKind {
    EnvVarNotSet,
    ParseError,
    UnsupportedResourceType,
    UnsupportedPayload,
    UnsupportedFunction,
    TaskNotReady,
    MissingConfigKey,
    InvalidConfig,
    ResourceNotFound,
    TaskNotFound,
    AuthenticationFailed,
    InvalidInput,
    Other,
}

impl QrmiError {
    /// Return the kind of the error.
    pub fn kind(&self) -> QrmiErrorKind {
        match self {
            QrmiError::EnvVarNotSet(_) => QrmiErrorKind::EnvVarNotSet,
            QrmiError::ParseError { .. } => QrmiErrorKind::ParseError,
            QrmiError::UnsupportedResourceType(_) => QrmiErrorKind::UnsupportedResourceType,
            QrmiError::UnsupportedPayload(_) => QrmiErrorKind::UnsupportedPayload,
            QrmiError::UnsupportedFunction(_) => QrmiErrorKind::UnsupportedFunction,
            QrmiError::TaskNotReady { .. } => QrmiErrorKind::TaskNotReady,
            QrmiError::MissingConfigKey(_) => QrmiErrorKind::MissingConfigKey,
            QrmiError::InvalidConfig(_) => QrmiErrorKind::InvalidConfig,
            QrmiError::ResourceNotFound(_) => QrmiErrorKind::ResourceNotFound,
            QrmiError::TaskNotFound(_) => QrmiErrorKind::TaskNotFound,
            QrmiError::AuthenticationFailed(_) => QrmiErrorKind::AuthenticationFailed,
            QrmiError::InvalidInput(_) | QrmiError::InvalidUtf8(_) | QrmiError::Ibm(_)
            | QrmiError::Pasqal(_) => QrmiErrorKind::InvalidInput,
            QrmiError::Other(_) => QrmiErrorKind::Other,
        }
    }

    /// Make the error of a return code of the C library.
    pub(crate) fn of(code: i32, text: String, task: &str) -> QrmiError {
        match code {
            102 => QrmiError::EnvVarNotSet(text),
            103 => QrmiError::ParseError {
                name: String::new(),
                value: String::new(),
                source: text.into(),
            },
            104 => QrmiError::UnsupportedResourceType(text),
            105 => QrmiError::UnsupportedFunction(text),
            106 => QrmiError::UnsupportedPayload(text),
            107 => QrmiError::TaskNotReady { task_id: task.into(), reason: text },
            108 => QrmiError::MissingConfigKey(text),
            109 => QrmiError::InvalidInput(text),
            111 => QrmiError::ResourceNotFound(text),
            112 => QrmiError::TaskNotFound(text),
            113 => QrmiError::AuthenticationFailed(text),
            114 => QrmiError::InvalidConfig(text),
            _ => QrmiError::Other(text.into()),
        }
    }

    /// Return the same error once more, for a resource that could not be made.
    pub(crate) fn again(&self) -> QrmiError {
        let code = match self.kind() {
            QrmiErrorKind::EnvVarNotSet => 102,
            QrmiErrorKind::ParseError => 103,
            QrmiErrorKind::UnsupportedResourceType => 104,
            QrmiErrorKind::UnsupportedFunction => 105,
            QrmiErrorKind::UnsupportedPayload => 106,
            QrmiErrorKind::TaskNotReady => 107,
            QrmiErrorKind::MissingConfigKey => 108,
            QrmiErrorKind::InvalidInput => 109,
            QrmiErrorKind::ResourceNotFound => 111,
            QrmiErrorKind::TaskNotFound => 112,
            QrmiErrorKind::AuthenticationFailed => 113,
            QrmiErrorKind::InvalidConfig => 114,
            QrmiErrorKind::Other => 100,
        };
        QrmiError::of(code, self.to_string(), "")
    }
}

impl fmt::Display for QrmiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QrmiError::EnvVarNotSet(text)
            | QrmiError::UnsupportedResourceType(text)
            | QrmiError::UnsupportedPayload(text)
            | QrmiError::UnsupportedFunction(text)
            | QrmiError::MissingConfigKey(text)
            | QrmiError::InvalidConfig(text)
            | QrmiError::ResourceNotFound(text)
            | QrmiError::TaskNotFound(text)
            | QrmiError::AuthenticationFailed(text)
            | QrmiError::InvalidInput(text)
            | QrmiError::TaskNotReady { reason: text, .. } => out.write_str(text),
            QrmiError::ParseError { source, .. } => source.fmt(out),
            QrmiError::InvalidUtf8(error) => error.fmt(out),
            QrmiError::Ibm(error) => error.fmt(out),
            QrmiError::Pasqal(error) => error.fmt(out),
            QrmiError::Other(error) => error.fmt(out),
        }
    }
}

impl std::error::Error for QrmiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            QrmiError::ParseError { source, .. } | QrmiError::Other(source) => source.source(),
            _ => None,
        }
    }
}

impl From<std::str::Utf8Error> for QrmiError {
    fn from(error: std::str::Utf8Error) -> Self {
        QrmiError::InvalidUtf8(error)
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for QrmiError {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        QrmiError::Other(error)
    }
}
