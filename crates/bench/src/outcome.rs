//! What a step answers.

/// A value, or one line for the person who called it.
pub(crate) type Outcome<T = ()> = Result<T, String>;
