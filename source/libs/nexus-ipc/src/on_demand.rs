//! A connection that outlives the server: made at the first question, and again after a failure.

use nexus_abi::Sys;

use crate::{CallError, ConnectError, Connection, Deadline, call::discard, connect};

/// How long making a connection may take, in nanoseconds: the supervisor may be starting a
/// service meanwhile.
pub const CONNECT_NS: u64 = 500_000_000;

/// What a failed question says about the connection it went over.
pub trait Verdict {
    /// Whether the connection is as good as before: the service answered, or was not asked.
    fn keeps_connection(&self) -> bool;
}

impl<S> Verdict for CallError<S> {
    fn keeps_connection(&self) -> bool {
        matches!(self, CallError::Refused(_) | CallError::Argument)
    }
}

/// A connection to the service of one name. Nothing is asked of the supervisor before the first
/// question, so that a service can start before those it depends on.
#[derive(Debug)]
pub struct OnDemand<P> {
    name: &'static str,
    open: Option<Connection<P>>,
}

impl<P> OnDemand<P> {
    /// To the service called `name`, for which the caller needs the route.
    #[must_use]
    pub const fn to(name: &'static str) -> Self {
        OnDemand { name, open: None }
    }

    /// Puts `question`, which has `wait_ns` nanoseconds from when there is a connection; making
    /// one takes at most [`CONNECT_NS`] more. The connection is kept as long as the service
    /// answers. Otherwise it is given up, whatever is wrong with it: the question is not
    /// repeated, the next one goes over a new connection.
    ///
    /// # Errors
    /// Why there is no connection; then nothing was asked.
    pub fn ask<S: Sys, T, E: Verdict>(
        &mut self,
        sys: &mut S,
        wait_ns: u64,
        question: impl FnOnce(&mut Connection<P>, &mut S, Deadline) -> Result<T, E>,
    ) -> Result<Result<T, E>, ConnectError> {
        let mut connection = match self.open.take() {
            Some(connection) => connection,
            None => {
                let deadline = Deadline::after_ns(sys, CONNECT_NS);
                let ep = connect(sys, self.name, deadline)?;
                Connection::new(ep, sys.now_ns() as u32)
            }
        };
        let deadline = Deadline::after_ns(sys, wait_ns);
        let outcome = question(&mut connection, sys, deadline);
        if outcome.as_ref().err().is_none_or(Verdict::keeps_connection) {
            self.open = Some(connection);
        } else {
            discard(sys, connection.endpoint());
        }
        Ok(outcome)
    }
}
