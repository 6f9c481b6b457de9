//! `dragoman usp`: a USP controller for people.

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::identity::EndpointId;
use crate::sim::controller::{Controller, Notification, RequestError, requests};
use crate::usp::message::{self, Request, Response, notify};

use super::meeting::{self, Meeting, endpoint};
use super::output;
use report::Report;
use words::{Assignment, pairs, texts};

mod report;
mod words;

/// Where agents are met, and what to do.
#[derive(Debug, Args)]
pub struct UspArgs {
    #[command(flatten)]
    meeting: Meeting,
    /// How long to wait for an answer.
    #[arg(long, global = true, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_seconds: u64,
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(subcommand)]
    command: UspCommand,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
enum UspCommand {
    /// List the agents that show up within a moment.
    #[command(after_help = "Example: dragoman usp agents --seconds 10")]
    Agents {
        /// How long to listen.
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
    /// Read parameters.
    #[command(after_help = "Example: dragoman usp get os::00256D-1 Device.DeviceInfo. --max-depth 1")]
    Get {
        #[arg(value_parser = endpoint)]
        agent: EndpointId,
        /// Parameters, objects (ending in a dot), with wildcards or search expressions.
        #[arg(required = true)]
        paths: Vec<String>,
        /// Levels below the path; 0 is all.
        #[arg(long, default_value_t = 0)]
        max_depth: u32,
    },
    /// Write parameters; all of them or none.
    #[command(after_help = "Example: dragoman usp set os::00256D-1 Device.WiFi.Radio.1.Channel=11")]
    Set {
        #[arg(value_parser = endpoint)]
        agent: EndpointId,
        #[arg(required = true, value_name = "PATH=VALUE", value_parser = words::parameter)]
        params: Vec<Assignment>,
        /// Keep what could be written if something could not.
        #[arg(long)]
        allow_partial: bool,
    },
    /// Add an object to a table.
    #[command(after_help = "Example: dragoman usp add os::00256D-1 Device.NAT.PortMapping. Enable=true")]
    Add {
        #[arg(value_parser = endpoint)]
        agent: EndpointId,
        table: String,
        #[arg(value_name = "PARAM=VALUE", value_parser = words::assignment)]
        params: Vec<Assignment>,
    },
    /// Delete objects.
    #[command(after_help = "Example: dragoman usp delete os::00256D-1 Device.NAT.PortMapping.2.")]
    Delete {
        #[arg(value_parser = endpoint)]
        agent: EndpointId,
        #[arg(required = true)]
        paths: Vec<String>,
        /// Delete what can be deleted if something cannot.
        #[arg(long)]
        allow_partial: bool,
    },
    /// Run a command.
    #[command(after_help = "Example: dragoman usp operate os::00256D-1 'Device.IP.Diagnostics.IPPing()' \
                            Host=192.0.2.1 --wait")]
    Operate {
        #[arg(value_parser = endpoint)]
        agent: EndpointId,
        #[arg(value_parser = words::command)]
        command: String,
        #[arg(value_name = "ARG=VALUE", value_parser = words::assignment)]
        arguments: Vec<Assignment>,
        #[arg(long, default_value = "")]
        command_key: String,
        /// Wait for the result of a command that takes its time; subscribes to it for as long.
        #[arg(long)]
        wait: bool,
    },
    /// List the objects in tables.
    #[command(after_help = "Example: dragoman usp instances os::00256D-1 Device.WiFi. --first-level")]
    Instances {
        #[arg(value_parser = endpoint)]
        agent: EndpointId,
        #[arg(required = true)]
        paths: Vec<String>,
        /// Not the tables within these.
        #[arg(long)]
        first_level: bool,
    },
    /// List what an agent supports: objects, parameters, commands, events.
    #[command(after_help = "Example: dragoman usp supported os::00256D-1 Device.WiFi.")]
    Supported {
        #[arg(value_parser = endpoint)]
        agent: EndpointId,
        #[arg(required = true)]
        paths: Vec<String>,
        /// Not the objects within these.
        #[arg(long)]
        first_level: bool,
    },
    /// Subscribe to notifications; 'watch' shows them.
    #[command(after_help = "Example: dragoman usp subscribe os::00256D-1 ValueChange Device.WiFi.Radio.1.")]
    Subscribe {
        #[arg(value_parser = endpoint)]
        agent: EndpointId,
        notif_type: NotifType,
        #[arg(required = true)]
        paths: Vec<String>,
        /// Name of the subscription; without it one is made up.
        #[arg(long)]
        id: Option<String>,
        /// Keep it over restarts of the agent.
        #[arg(long)]
        persistent: bool,
        /// Repeat notifications until they are answered.
        #[arg(long)]
        retry: bool,
    },
    /// Print notifications as they come, until Ctrl-C.
    #[command(after_help = "Example: dragoman usp watch --format json")]
    Watch {
        /// Ends after this time; without it at Ctrl-C.
        #[arg(long)]
        duration_seconds: Option<u64>,
    },
}

/// What one can subscribe to (Device.LocalAgent.Subscription.{i}.NotifType).
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum NotifType {
    ValueChange,
    ObjectCreation,
    ObjectDeletion,
    OperationComplete,
    Event,
}

/// Runs a command and prints what came of it; an error if the agent reported one.
pub async fn run(args: UspArgs) -> anyhow::Result<()> {
    let console = Console {
        patience: Duration::from_secs(args.timeout_seconds),
        format: args.format,
        controller: args.meeting.start().await?,
    };
    let result = console.obey(args.command).await;
    console.controller.stop().await;
    result
}

/// A controller with somebody in front of it.
struct Console {
    controller: Controller,
    patience: Duration,
    format: Format,
}

impl Console {
    async fn obey(&self, command: UspCommand) -> anyhow::Result<()> {
        let (agent, request) = match command {
            UspCommand::Agents { seconds } => return self.agents(Duration::from_secs(seconds)).await,
            UspCommand::Watch { duration_seconds } => return self.watch(duration_seconds).await,
            UspCommand::Operate { agent, command, arguments, command_key, wait } => {
                let request = requests::operate(&command, &command_key, &pairs(&arguments));
                if wait {
                    return self.operate_and_wait(&agent, request, &command).await;
                }
                (agent, request)
            }
            UspCommand::Get { agent, paths, max_depth } => (agent, requests::get(&texts(&paths), max_depth)),
            UspCommand::Set { agent, params, allow_partial } => {
                (agent, requests::set(&pairs(&params), allow_partial))
            }
            UspCommand::Add { agent, table, params } => (agent, requests::add(&table, &pairs(&params))),
            UspCommand::Delete { agent, paths, allow_partial } => {
                (agent, requests::delete(&texts(&paths), allow_partial))
            }
            UspCommand::Instances { agent, paths, first_level } => {
                (agent, requests::get_instances(&texts(&paths), first_level))
            }
            UspCommand::Supported { agent, paths, first_level } => {
                (agent, requests::get_supported_dm(&texts(&paths), first_level))
            }
            UspCommand::Subscribe { agent, notif_type, paths, id, persistent, retry } => {
                let id = id.unwrap_or_else(fresh_id);
                let notif_type = notif_type.to_possible_value();
                let notif_type = notif_type.as_ref().map_or("", |value| value.get_name());
                let mut request = requests::subscribe(&id, notif_type, &texts(&paths), retry);
                if persistent {
                    make_persistent(&mut request);
                }
                (agent, request)
            }
        };
        let report = self.ask(&agent, request).await?.1;
        self.print(&report)
    }

    /// The response, unless the whole request failed, and what to print.
    async fn ask(&self, agent: &EndpointId, request: Request) -> anyhow::Result<(Option<Response>, Report)> {
        self.meet(agent).await;
        match self.controller.request(agent, request, self.patience).await {
            Ok(response) => {
                let report = Report::response(&response);
                Ok((Some(response), report))
            }
            Err(RequestError::Error(error)) => Ok((None, Report::error(&error))),
            Err(error) => Err(anyhow!("{agent}: {error}")),
        }
    }

    /// Gives an agent that connects to us time to do so.
    async fn meet(&self, agent: &EndpointId) {
        meeting::await_agent(&self.controller, agent, self.patience).await;
    }

    async fn agents(&self, listening: Duration) -> anyhow::Result<()> {
        tokio::select! {
            () = tokio::time::sleep(listening) => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        let mut report = Report::of(&["agent"]);
        for agent in self.controller.agents() {
            report.row([agent.as_str()]);
        }
        if report.rows.is_empty() {
            output::tell("no agent showed up; agents do when they connect, notify or answer");
        }
        self.print(&report)
    }

    async fn watch(&self, duration_seconds: Option<u64>) -> anyhow::Result<()> {
        let mut notifications = self.controller.notifications();
        let over = async {
            match duration_seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                notification = notifications.recv() => match notification {
                    Ok(notification) => self.show(&notification)?,
                    Err(RecvError::Lagged(missed)) => output::tell(format_args!("{missed} notifications left out")),
                    Err(RecvError::Closed) => return Ok(()),
                },
                () = &mut over => return Ok(()),
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    }

    /// Subscribes to the end of the command, runs it, and unsubscribes.
    async fn operate_and_wait(
        &self,
        agent: &EndpointId,
        request: Request,
        command: &str,
    ) -> anyhow::Result<()> {
        let mut notifications = self.controller.notifications();
        let id = fresh_id();
        let subscribe = requests::subscribe(&id, "OperationComplete", &[command], false);
        let (subscribed, report) = self.ask(agent, subscribe).await?;
        if !report.failures.is_empty() {
            return self.print(&report);
        }
        let outcome = self.outcome(agent, request, &id, &mut notifications).await;
        let subscription = subscribed.as_ref().and_then(created);
        if let Some(path) = subscription {
            self.ask(agent, requests::delete(&[path], false)).await?;
        }
        self.print(&outcome?)
    }

    async fn outcome(
        &self,
        agent: &EndpointId,
        request: Request,
        id: &str,
        notifications: &mut broadcast::Receiver<Notification>,
    ) -> anyhow::Result<Report> {
        let (response, report) = self.ask(agent, request).await?;
        if !response.as_ref().is_some_and(is_at_work) {
            return Ok(report);
        }
        let waiting = async {
            loop {
                match notifications.recv().await {
                    Ok(it) if it.agent == *agent && it.notify.subscription_id == id => {
                        if let Some(notify::Notification::OperComplete(complete)) = it.notify.notification {
                            return Some(Report::complete(&complete));
                        }
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        };
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(Some(report)) => Ok(report),
            Ok(None) | Err(_) => {
                bail!("{agent}: the command did not end within {} s", self.patience.as_secs())
            }
        }
    }

    fn show(&self, notification: &Notification) -> anyhow::Result<()> {
        match self.format {
            Format::Table => output::line(report::line(notification)),
            Format::Json => output::line(report::notification_json(notification)),
        }
    }

    /// Prints results and errors; an error if there are any.
    fn print(&self, report: &Report) -> anyhow::Result<()> {
        match self.format {
            Format::Table => {
                output::say(report.table())?;
                for failure in &report.failures {
                    output::tell(failure.line());
                }
            }
            Format::Json => output::line(format_args!("{:#}", report.json()))?,
        }
        match report.failures.len() {
            0 => Ok(()),
            1 => Err(anyhow!("the agent reports an error")),
            many => Err(anyhow!("the agent reports {many} errors")),
        }
    }
}

/// A name for a subscription that is not used yet.
fn fresh_id() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("cli-{:x}", since.as_millis())
}

fn make_persistent(request: &mut Request) {
    if let Request::Add(add) = request {
        for object in &mut add.create_objs {
            object.param_settings.push(message::add::CreateParamSetting {
                param: "Persistent".into(),
                value: "true".into(),
                required: true,
            });
        }
    }
}

/// The object that an Add made.
fn created(response: &Response) -> Option<&str> {
    use message::add_resp::created_object_result::operation_status::OperStatus;
    let Response::AddResp(response) = response else { return None };
    match response.created_obj_results.first()?.oper_status.as_ref()?.oper_status.as_ref()? {
        OperStatus::OperSuccess(success) => Some(&success.instantiated_path),
        OperStatus::OperFailure(_) => None,
    }
}

/// Whether a command goes on after its response.
fn is_at_work(response: &Response) -> bool {
    use message::operate_resp::operation_result::OperationResp;
    let Response::OperateResp(response) = response else { return false };
    response
        .operation_results
        .iter()
        .any(|result| matches!(result.operation_resp, Some(OperationResp::ReqObjPath(_))))
}
