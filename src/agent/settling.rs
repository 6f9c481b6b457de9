//! Answers that were lost. What only reads is asked again; what writes is not carried out twice: the next session
//! reads back what has become of it, and until then its outcome is unknown.

use crate::cwmp::rpc::{ParameterValueStruct, Request, Response, SetParameterValuesResponse};
use crate::datamodel::ValueType;
use crate::translation::Outcome;
use crate::usp::ErrorCode;

use super::core::Agent;
use super::io::{Env, Output, RpcId, Shadow};
use super::queue::Job;

/// What an RPC whose answer was lost may have done; as in [`Job`].
pub(super) struct Unsettled {
    twins: Vec<ParameterValueStruct<'static>>,
    written: Vec<ParameterValueStruct<'static>>,
    asked_for: Option<Request<'static>>,
    /// How many of the values that were to be written have been read back.
    seen: usize,
}

impl Unsettled {
    fn of(job: &mut Job) -> Self {
        let (twins, written) = (std::mem::take(&mut job.twins), std::mem::take(&mut job.written));
        Self { twins, written, asked_for: job.asked_for.take(), seen: 0 }
    }

    /// Takes in values read back, in the CPE's words; whether all are now known to be as they were written.
    fn is_settled_by(&mut self, response: &Response<'_>) -> bool {
        let Response::GetParameterValuesResponse(read) = response else { return false };
        let is = |wanted: &&ParameterValueStruct<'static>| {
            read.parameter_list.iter().any(|it| {
                let of_type = it.value_type.or(wanted.value_type).unwrap_or(ValueType::String);
                it.name == wanted.name && of_type.same(&it.value, &wanted.value)
            })
        };
        self.seen += self.written.iter().filter(is).count();
        !self.written.is_empty() && self.seen >= self.written.len()
    }
}

/// The answer that was lost, where this one shows that the CPE has carried its RPC out; what the RPC changed is then
/// the job's again.
pub(super) fn settled(job: &mut Job, response: &Response<'_>) -> Option<Response<'static>> {
    if !job.unsettled.as_mut()?.is_settled_by(response) {
        return None;
    }
    let unsettled = job.unsettled.take()?;
    (job.twins, job.written, job.asked_for) = (unsettled.twins, unsettled.written, unsettled.asked_for);
    Some(Response::SetParameterValuesResponse(SetParameterValuesResponse { status: 0 }))
}

/// What is said of a request that has changed the CPE, or may have, and is not carried on.
pub(super) fn cut_short(job: &Job) -> Option<Outcome> {
    let why = match (&job.unsettled, job.has_written) {
        (Some(_), _) => {
            "the session broke before the device answered, and it was not asked since: outcome unknown"
        }
        (None, true) => "it was carried out in part before it was cut short: outcome unknown",
        (None, false) => return None,
    };
    Some(Outcome::error(ErrorCode::INTERNAL_ERROR, why))
}

/// Whether a request changes the CPE, so that it must not be carried out twice unasked.
pub(super) fn is_write(request: &Request<'static>) -> bool {
    let adds = matches!(request, Request::AddObject(_) | Request::DeleteObject(_));
    adds || matches!(request, Request::SetParameterValues(_))
}

impl Agent {
    pub(super) fn lost(&mut self, env: &Env, shadow: &Shadow, rpc: RpcId, out: &mut Vec<Output>) {
        let Some(job) = self.queue.of(rpc) else { return };
        job.rpc = None;
        if job.plan.is_repeatable() {
            if job.writes {
                job.unsettled = Some(Unsettled::of(job));
            }
            // The next session goes on from where it stood.
            return job.plan.repeat();
        }
        if let Some(job) = self.queue.pop() {
            let why = "the session broke before the device answered: outcome unknown";
            self.finish(env, shadow, job, Outcome::error(ErrorCode::INTERNAL_ERROR, why), None, out);
        }
    }

    /// What is said of a request whose time is up.
    pub(super) fn overdue(&self, env: &Env, job: &Job) -> Outcome {
        if let Some(unknown) = cut_short(job) {
            return unknown;
        }
        let seen = match self.last_seen {
            Some(at) => format!("last heard of {} s ago", env.wall.0.saturating_sub(at.0) / 1_000),
            None => "not heard of since the gateway woke its agent".to_owned(),
        };
        let why = format!("the device could not be reached in time ({seen})");
        Outcome::error(ErrorCode::REQUEST_DENIED, why)
    }
}
