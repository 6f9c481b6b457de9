//! Requests that wait for their device, one at a time in its session, each with a deadline.

use std::collections::VecDeque;

use crate::cwmp::rpc::{ParameterValueStruct, Request};
use crate::identity::EndpointId;
use crate::translation::{Denied, Plan};

use super::exchange::Way;
use super::io::RpcId;
use super::settling::Unsettled;

/// A request on its way.
pub(super) struct Job {
    /// Whom to answer; none for work of our own.
    pub asker: Option<Asker>,
    pub plan: Box<dyn Plan>,
    pub deadline: u64,
    /// Whether an RPC was sent for it.
    pub begun: bool,
    /// Whether one of them changes the CPE.
    pub has_written: bool,
    /// What it wants next of the device, where the session was over before that could be sent.
    pub waiting: Option<Request<'static>>,
    /// The RPC under way.
    pub rpc: Option<RpcId>,
    /// What else changes when the SetParameterValues under way is taken: the CPE has one parameter for it
    /// and for what is set.
    pub twins: Vec<ParameterValueStruct<'static>>,
    /// What the SetParameterValues under way sets, in the CPE's words.
    pub written: Vec<ParameterValueStruct<'static>>,
    /// What the RPC under way asks for, in TR-181 terms, where writes are judged.
    pub asked_for: Option<Request<'static>>,
    /// Whether the RPC under way changes the CPE.
    pub writes: bool,
    /// The answer to such an RPC was lost: whether the CPE has carried it out is being read back.
    pub unsettled: Option<Unsettled>,
    /// What was refused since another master owns it.
    pub denied: Vec<Denied>,
    pub work: Work,
}

impl Job {
    /// Work that has not begun; `deadline` in monotonic milliseconds.
    pub fn new(asker: Option<Asker>, plan: Box<dyn Plan>, deadline: u64, work: Work) -> Self {
        Self {
            asker,
            plan,
            deadline,
            begun: false,
            has_written: false,
            waiting: None,
            rpc: None,
            twins: Vec::new(),
            written: Vec::new(),
            asked_for: None,
            writes: false,
            unsettled: None,
            denied: Vec::new(),
            work,
        }
    }
}

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// A controller waits for the answer.
    Asked,
    /// It gives its rest back when it is through.
    Discovery,
    /// Reads or sets notification attributes.
    Attributes,
    /// Reads whether the device still has what the gateway has set.
    Marker,
    /// Reads what subscriptions watch.
    Sample,
    /// Reads the parameters of a Boot!.
    Boot,
    /// Reads what the bulk data profile in this row collects.
    Collect(u32),
    /// Sets what a subscription's row says; so many triggers led to it.
    Trigger { subscription: u32, depth: u8 },
    /// Reads, sets or gives back the credentials for connection requests.
    Credentials,
    /// Reads what the operation of this Request row will change.
    Note(u32),
    /// Writes back what an operation has changed.
    GiveBack,
    /// Starts the operation of this Request row.
    Start(u32),
    /// Reads the results of the operation of this Request row.
    Finish(u32),
}

impl Work {
    /// Whether it cannot wait for the CPE's next session: discovery can, and samples are taken in each.
    pub fn is_worth_a_call(self) -> bool {
        !matches!(self, Self::Discovery | Self::Sample)
    }

    /// Whether what it sets is the ACS's, or of no concern to it.
    pub fn is_unseen(self) -> bool {
        matches!(self, Self::GiveBack | Self::Credentials)
    }

    /// Whether its RPCs are in the CPE's own words; all others speak of TR-181.
    pub fn is_in_cpe_words(self) -> bool {
        matches!(self, Self::Discovery | Self::Attributes | Self::Marker | Self::Credentials)
    }
}

pub(super) struct Asker {
    pub controller: EndpointId,
    pub msg_id: String,
    /// False for an Operate with send_resp=false.
    pub wants_answer: bool,
    /// Of an Operate.
    pub command_key: String,
    /// How the answer travels.
    pub way: Way,
}

impl Asker {
    /// One by whose rights something is done, and who gets no answer.
    pub fn silent(controller: EndpointId) -> Self {
        Self {
            controller,
            msg_id: String::new(),
            wants_answer: false,
            command_key: String::new(),
            way: Way::Either,
        }
    }
}

/// First come, first served. The job at the front is the one that is being worked on.
#[derive(Default)]
pub(super) struct Queue {
    jobs: VecDeque<Job>,
}

impl Queue {
    pub fn push(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    /// Goes before all others, but for one that is under way.
    pub fn push_first(&mut self, job: Job) {
        let busy = self.jobs.front().is_some_and(|first| first.rpc.is_some());
        self.jobs.insert(usize::from(busy), job);
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub fn front(&mut self) -> Option<&mut Job> {
        self.jobs.front_mut()
    }

    pub fn pop(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// The job that waits for this RPC.
    pub fn of(&mut self, rpc: RpcId) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.rpc == Some(rpc))
    }

    /// When the first job is overdue. One whose RPC is under way waits for its answer, however long the
    /// session lets it.
    pub fn next_deadline(&self) -> Option<u64> {
        self.jobs.iter().filter(|job| job.rpc.is_none()).map(|job| job.deadline).min()
    }

    /// Takes out what has waited too long. A job whose RPC is under way is left to its answer.
    pub fn take_overdue(&mut self, now: u64) -> Vec<Job> {
        let (overdue, rest) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition::<Vec<Job>, _>(|job| job.deadline <= now && job.rpc.is_none());
        self.jobs = rest.into();
        overdue
    }

    /// Forgets what was to be set of attributes: the ACS may set others before it is USP's turn.
    pub fn forget_attributes(&mut self) {
        self.jobs.retain(|job| job.work != Work::Attributes || job.rpc.is_some());
    }

    /// Takes out what has no RPC under way.
    pub fn take_unbegun(&mut self) -> Vec<Job> {
        let (rest, unbegun) =
            std::mem::take(&mut self.jobs).into_iter().partition::<Vec<Job>, _>(|job| job.rpc.is_some());
        self.jobs = rest.into();
        unbegun
    }

    /// Takes out what an operation still has to do; `false` if it is under way and was left.
    pub fn cancel(&mut self, instance: u32) -> bool {
        let of = |job: &Job| matches!(job.work, Work::Note(it) | Work::Start(it) | Work::Finish(it) if it == instance);
        let busy = self.jobs.iter().any(|job| of(job) && job.rpc.is_some());
        if !busy {
            self.jobs.retain(|job| !of(job));
        }
        !busy
    }

    pub fn has(&self, work: Work) -> bool {
        self.jobs.iter().any(|job| job.work == work)
    }

    /// Whether anything waits for which the CPE is worth calling.
    pub fn is_worth_a_call(&self) -> bool {
        self.jobs.iter().any(|job| job.work.is_worth_a_call())
    }
}
