//! Who may act (nsqadmin spec 5).

use nsq_service::http::{Failure, Request, StatusCode};

/// The rule. The header is believed as it is: the proxy in front has to strip and set it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Names who asks.
    pub header: String,
    /// Who may act; empty for everybody.
    pub admins: Vec<String>,
}

impl Access {
    /// Who the header says it is.
    pub(crate) fn user<'a>(&self, request: &'a Request) -> Option<&'a str> {
        request.header(&self.header).filter(|user| !user.is_empty())
    }

    /// Lets admins through. Called before the body is read.
    ///
    /// # Errors
    /// 403 `FORBIDDEN`.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Failure> {
        let user = request.header(&self.header);
        if self.admins.is_empty() || user.is_some_and(|user| self.admins.iter().any(|admin| admin == user)) {
            return Ok(());
        }
        Err(forbidden())
    }
}

/// The refusal.
pub(crate) fn forbidden() -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "FORBIDDEN")
}
