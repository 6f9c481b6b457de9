//! What a check speaks with the agent through: requests with their answers, and the clean-up at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::identity::EndpointId;
use crate::sim::controller::{Arrival, Controller, Notification, RequestError, requests};
use crate::usp::message::{
    self, AddResp, DeleteResp, GetInstancesResp, GetResp, GetSupportedDmResp, OperateResp, Request, Response,
    SetResp,
};

use super::check::{Stop, Verdict};
use super::exchange::Exchange;
use super::expect::{self, fail};
use super::messages::{self, Row};
use super::setup::Setup;

/// One check at work. What it adds and changes is noted, and undone by [`Session::clean_up`].
#[derive(Debug)]
pub struct Session {
    pub(super) setup: Arc<Setup>,
    pub(super) exchange: Exchange,
    pub(super) notices: broadcast::Receiver<Notification>,
    pub(super) arrivals: broadcast::Receiver<Arrival>,
    /// Rows that are the check's, in the order of their coming.
    created: Vec<String>,
    /// Parameters with what they held before.
    changed: Vec<(String, String)>,
}

impl Session {
    pub(super) fn new(setup: Arc<Setup>) -> Self {
        let (notices, arrivals) =
            (setup.config.controller.notifications(), setup.config.controller.arrivals());
        let exchange = Exchange::default();
        Self { setup, exchange, notices, arrivals, created: Vec::new(), changed: Vec::new() }
    }

    pub(super) fn agent(&self) -> &EndpointId {
        &self.setup.config.agent
    }

    pub(super) fn controller(&self) -> &Controller {
        &self.setup.config.controller
    }

    pub(super) fn patience(&self) -> Duration {
        self.setup.config.patience
    }

    pub(super) fn quiet(&self) -> Duration {
        self.setup.config.quiet
    }

    /// Whether the agent supports a path (`Device.LocalAgent.Subscription.{i}.Alias`).
    pub(super) fn has(&self, path: &str) -> bool {
        self.setup.supported.has(path)
    }

    /// A name that no other run uses.
    pub(super) fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.setup.nonce)
    }

    /// The answer, be it a response or an Error.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Result<Response, message::Error>, Stop> {
        let controller = self.controller().clone();
        self.ask_as(&controller, request).await
    }

    /// As another controller.
    pub(super) async fn ask_as(
        &mut self,
        controller: &Controller,
        request: Request,
    ) -> Result<Result<Response, message::Error>, Stop> {
        self.exchange.sent(&request);
        let answer = match controller.request(self.agent(), request, self.patience()).await {
            Ok(response) => Ok(response),
            Err(RequestError::Error(error)) => Err(error),
            Err(error) => return fail(format!("the request has no answer: {error}")),
        };
        match &answer {
            Ok(response) => self.exchange.received(response),
            Err(error) => self.exchange.received(error),
        }
        Ok(answer)
    }

    async fn response(&mut self, request: Request) -> Result<Response, Stop> {
        match self.ask(request).await? {
            Ok(response) => Ok(response),
            Err(error) => {
                fail(format!("an Error {} ({}) came in place of a response", error.err_code, error.err_msg))
            }
        }
    }

    /// The Error that a request must be answered with.
    pub(super) async fn refused(&mut self, request: Request) -> Result<message::Error, Stop> {
        match self.ask(request).await? {
            Err(error) => {
                expect::code("the Error", error.err_code, &[])?;
                Ok(error)
            }
            Ok(response) => {
                self.note_created(&response);
                fail("a response came in place of an Error")
            }
        }
    }

    pub(super) async fn get(&mut self, paths: &[&str], max_depth: u32) -> Result<GetResp, Stop> {
        match self.response(requests::get(paths, max_depth)).await? {
            Response::GetResp(response) => Ok(response),
            _ => fail("the answer to the Get is no GetResp"),
        }
    }

    pub(super) async fn add(&mut self, allow_partial: bool, rows: Vec<Row>) -> Result<AddResp, Stop> {
        let response = self.response(messages::add(allow_partial, rows)).await?;
        self.note_created(&response);
        match response {
            Response::AddResp(response) => Ok(response),
            _ => fail("the answer to the Add is no AddResp"),
        }
    }

    pub(super) async fn set(&mut self, allow_partial: bool, rows: Vec<Row>) -> Result<SetResp, Stop> {
        match self.response(messages::set(allow_partial, rows)).await? {
            Response::SetResp(response) => Ok(response),
            _ => fail("the answer to the Set is no SetResp"),
        }
    }

    pub(super) async fn delete(&mut self, allow_partial: bool, paths: &[&str]) -> Result<DeleteResp, Stop> {
        match self.response(messages::delete(allow_partial, paths)).await? {
            Response::DeleteResp(response) => Ok(response),
            _ => fail("the answer to the Delete is no DeleteResp"),
        }
    }

    pub(super) async fn operate(
        &mut self,
        command: &str,
        key: &str,
        arguments: &[(&str, &str)],
    ) -> Result<OperateResp, Stop> {
        match self.response(messages::operate(command, key, true, arguments)).await? {
            Response::OperateResp(response) => Ok(response),
            _ => fail("the answer to the Operate is no OperateResp"),
        }
    }

    /// Sends a request that must have no answer within the quiet time.
    pub(super) async fn unanswered(&mut self, request: Request) -> Verdict {
        self.exchange.sent(&request);
        match self.controller().request(self.agent(), request, self.quiet()).await {
            Err(RequestError::Timeout(_)) => Ok(()),
            Ok(response) => {
                self.exchange.received(&response);
                fail("the agent answers")
            }
            Err(RequestError::Error(error)) => {
                self.exchange.received(&error);
                fail("the agent answers")
            }
            Err(error) => fail(format!("the request was not sent: {error}")),
        }
    }

    pub(super) async fn instances(
        &mut self,
        paths: &[&str],
        first_level_only: bool,
    ) -> Result<GetInstancesResp, Stop> {
        match self.response(requests::get_instances(paths, first_level_only)).await? {
            Response::GetInstancesResp(response) => Ok(response),
            _ => fail("the answer to the GetInstances is no GetInstancesResp"),
        }
    }

    pub(super) async fn supported_dm(
        &mut self,
        paths: &[&str],
        first_level_only: bool,
        lists: messages::Lists,
    ) -> Result<GetSupportedDmResp, Stop> {
        match self.response(messages::supported_dm(paths, first_level_only, lists)).await? {
            Response::GetSupportedDmResp(response) => Ok(response),
            _ => fail("the answer to the GetSupportedDM is no GetSupportedDMResp"),
        }
    }

    pub(super) async fn plain(&mut self, request: Request) -> Result<Response, Stop> {
        self.response(request).await
    }

    /// Parameters with their values, by whole path.
    pub(super) async fn read(&mut self, path: &str) -> Result<BTreeMap<String, String>, Stop> {
        let response = self.get(&[path], 0).await?;
        for result in &response.req_path_results {
            if result.err_code != 0 {
                return fail(format!("{path} cannot be read: {} {}", result.err_code, result.err_msg));
            }
        }
        Ok(expect::values(&response))
    }

    /// The value of one parameter.
    pub(super) async fn value(&mut self, path: &str) -> Result<String, Stop> {
        let mut values = self.read(path).await?;
        values.remove(path).ok_or_else(|| Stop::Fail(format!("{path} is not in the answer")))
    }

    /// The row of this controller.
    pub(super) async fn me(&mut self) -> Result<String, Stop> {
        self.row_of(&self.setup.config.endpoint_id.clone()).await
    }

    /// The row of a controller.
    pub(super) async fn row_of(&mut self, controller: &EndpointId) -> Result<String, Stop> {
        let known = self.read("Device.LocalAgent.Controller.*.EndpointID").await?;
        let row = known.into_iter().find(|(_, id)| id == controller.as_str());
        match row {
            Some((path, _)) => Ok(path.trim_end_matches("EndpointID").to_owned()),
            None => fail(format!("the agent has no row for {controller} in its table of controllers")),
        }
    }

    /// Adds a subscription as part of the test setup, and gives its row. Settings that it is not told are
    /// those of TP-469 1.1.
    pub(super) async fn subscription(&mut self, settings: &[(&str, &str)]) -> Result<String, Stop> {
        let usual = [("Enable", "true"), ("NotifType", "ValueChange"), ("ReferenceList", SOFTWARE_VERSION)];
        let mut row = Row::at(SUBSCRIPTIONS);
        for (name, value) in usual {
            if settings.iter().all(|(given, _)| *given != name) {
                row = row.with(name, value);
            }
        }
        for (name, value) in settings {
            row = row.must(name, *value);
        }
        self.row(row).await
    }

    /// Adds one object as part of the test setup, and gives its path.
    pub(super) async fn row(&mut self, row: Row) -> Result<String, Stop> {
        let response = self.add(false, vec![row]).await?;
        let result = expect::one(&response.created_obj_results, "CreatedObjectResult")?;
        Ok(expect::created(result)?.instantiated_path.clone())
    }

    /// Notes what parameters hold, so that it is set back at the end.
    pub(super) async fn keep(&mut self, path: &str) -> Result<BTreeMap<String, String>, Stop> {
        let values = self.read(path).await?;
        self.changed.extend(values.clone());
        Ok(values)
    }

    /// Sets one parameter, whose value is set back at the end.
    pub(super) async fn put(&mut self, path: &str, value: &str) -> Verdict {
        self.keep(path).await?;
        self.write(path, value).await
    }

    /// Sets one parameter for good: of an object that goes anyway.
    pub(super) async fn write(&mut self, path: &str, value: &str) -> Verdict {
        let (object, name) = path.rsplit_once('.').unwrap_or(("", path));
        let response = self.set(false, vec![Row::at(format!("{object}.")).must(name, value)]).await?;
        expect::updated(expect::one(&response.updated_obj_results, "UpdatedObjectResult")?).map(|_| ())
    }

    /// Makes the table of subscriptions empty, if this run may.
    pub(super) async fn clear_subscriptions(&mut self) -> Verdict {
        let there = self.instances(&[SUBSCRIPTIONS], true).await?;
        let there = there.req_path_results.into_iter().flat_map(|result| result.curr_insts);
        let there: Vec<String> = there.map(|instance| instance.instantiated_obj_path).collect();
        if there.is_empty() {
            return Ok(());
        }
        if !self.setup.config.may_clear {
            let why = format!("{} subscriptions are there that this run may not remove", there.len());
            return Err(Stop::NotApplicable(why));
        }
        self.delete(true, &there.iter().map(String::as_str).collect::<Vec<_>>()).await.map(|_| ())
    }

    /// Takes note of rows that the clean-up has to remove.
    pub(super) fn note_created(&mut self, response: &Response) {
        let Response::AddResp(response) = response else { return };
        let created = response.created_obj_results.iter().filter_map(|result| expect::created(result).ok());
        self.created.extend(created.map(|success| success.instantiated_path.clone()));
    }

    async fn is_removed(&mut self, row: &str) -> bool {
        let answer = self.delete(false, &[row]).await;
        answer.is_ok_and(|it| it.deleted_obj_results.iter().all(|it| expect::deleted(it).is_ok()))
    }

    async fn is_there(&mut self, row: &str) -> bool {
        match self.get(&[row], 1).await {
            Ok(response) => !expect::values(&response).is_empty(),
            Err(_) => true,
        }
    }

    /// Removes what the check added, the newest first, and sets back what it changed. Says what is left.
    pub(super) async fn clean_up(&mut self) -> Vec<String> {
        self.exchange.note("clean-up");
        let mut left = Vec::new();
        for row in std::mem::take(&mut self.created).into_iter().rev() {
            if !self.is_removed(&row).await && self.is_there(&row).await {
                left.push(row);
            }
        }
        for (param, value) in std::mem::take(&mut self.changed).into_iter().rev() {
            let holder = param.rsplit_once('.').map_or("", |(object, _)| object).to_owned();
            let there = self.get(&[&format!("{holder}.")], 1).await;
            let there = there.is_ok_and(|response| !expect::values(&response).is_empty());
            if there && self.write(&param, &value).await.is_err() {
                left.push(param);
            }
        }
        left
    }
}

/// The table that most checks use.
pub(super) const SUBSCRIPTIONS: &str = "Device.LocalAgent.Subscription.";
pub(super) const CONTROLLERS: &str = "Device.LocalAgent.Controller.";
pub(super) const SOFTWARE_VERSION: &str = "Device.LocalAgent.SoftwareVersion";
