//! The rows that send an agent to the tap, where it meets a controller that only the check knows; and what it
//! does there. They are taken away with all else that a check adds.

use std::marker::PhantomData;
use std::time::Duration;

use tokio::time::Instant;

use crate::conformance::check::{Stop, Verdict};
use crate::conformance::expect::{self, fail};
use crate::conformance::messages::{self, Row};
use crate::conformance::session::{CONTROLLERS, Session};
use crate::identity::EndpointId;
use crate::usp::message::{Message, MessageBody, Request, Response};
use crate::usp::record::{Payload, Record};

use super::line::{Dialect, Heard, Line};
use super::place::Door;

/// A way to the tap over one protocol.
pub struct Way<D> {
    pub(super) door: Door,
    /// The row of the connection: an MQTT client or a STOMP connection.
    pub link: String,
    /// The row in the agent's own table of MTPs.
    pub mtp: String,
    /// The row of the controller that is met here.
    pub controller: String,
    pub endpoint_id: EndpointId,
    /// What the agent logs in with.
    pub login: (String, String),
    /// Where the agent listens, and where the controller does.
    pub places: (String, String),
    pub(super) dialect: PhantomData<fn() -> D>,
}

impl<D: Dialect> Way<D> {
    /// A way without rows yet.
    pub(super) async fn to_tap(session: &Session, secure: bool, separator: &str) -> Result<Self, Stop> {
        let config = &session.setup.config;
        let (tap, lack) = match secure {
            false => (&config.tap, "it takes --tap, an address where this run plays a broker"),
            true => (&config.secure_tap, "it takes --tap-tls, and a certificate that the agent trusts"),
        };
        let Some(tap) = tap else { return Err(Stop::NotApplicable(lack.to_owned())) };
        let name = session.name("tap");
        let endpoint_id = EndpointId::parse(&format!("self::{name}"));
        let endpoint_id = endpoint_id.map_err(|error| Stop::Fail(error.to_string()))?;
        let at = |who: &str| ["usp", &name, who].join(separator);
        Ok(Self {
            door: tap.enter().await,
            link: String::new(),
            mtp: String::new(),
            controller: String::new(),
            endpoint_id,
            login: (name.clone(), format!("{name}-secret")),
            places: (at("agent"), at("controller")),
            dialect: PhantomData,
        })
    }

    /// Adds the row that leads to the address of the tap. An agent that will not be sent there is not judged.
    pub(super) async fn add_link(
        &mut self,
        session: &mut Session,
        table: &str,
        settings: &[(&str, &str)],
    ) -> Verdict {
        let known = format!("{table}{{i}}.");
        for table in [known.as_str(), "Device.LocalAgent.MTP.{i}.", "Device.LocalAgent.Controller.{i}."] {
            if !session.setup.supported.is_writable(table) {
                return Err(Stop::NotApplicable(format!("no rows can be added to {table}")));
            }
        }
        let row = row(session, table, &known, settings);
        self.link = match session.ask(messages::add(false, [row])).await? {
            Ok(Response::AddResp(response)) => {
                session.note_created(&Response::AddResp(response.clone()));
                let result = expect::one(&response.created_obj_results, "CreatedObjectResult")?;
                expect::created(result)?.instantiated_path.clone()
            }
            Ok(_) => return fail("the answer to the Add is no AddResp"),
            Err(error) => {
                let told = error.param_errs.first().map_or(&error.err_msg, |it| &it.err_msg);
                let why = format!("the agent lets itself not be sent to {}: {told}", self.door.address);
                return Err(Stop::NotApplicable(why));
            }
        };
        Ok(())
    }

    /// Adds the agent's own MTP, and the controller with its MTP. `ours` and `theirs` are the parameters of the
    /// protocol's object below each.
    pub(super) async fn add_meeting(
        &mut self,
        session: &mut Session,
        protocol: &str,
        ours: &[(&str, &str)],
        theirs: &[(&str, &str)],
    ) -> Verdict {
        let kind = [("Enable", "true"), ("Protocol", protocol)];
        self.mtp = add(session, "Device.LocalAgent.MTP.", "Device.LocalAgent.MTP.{i}.", &kind).await?;
        let (object, known) =
            (format!("{}{protocol}.", self.mtp), format!("Device.LocalAgent.MTP.{{i}}.{protocol}."));
        settle(session, &object, &known, ours).await?;
        let me = session.me().await?;
        let mine = session.read(&me).await?;
        let role = mine.get(&format!("{me}AssignedRole")).cloned().unwrap_or_default();
        let controller =
            [("EndpointID", self.endpoint_id.as_str()), ("Enable", "true"), ("AssignedRole", &role)];
        self.controller = add(session, CONTROLLERS, "Device.LocalAgent.Controller.{i}.", &controller).await?;
        let known = "Device.LocalAgent.Controller.{i}.MTP.{i}.";
        let met = add(session, &format!("{}MTP.", self.controller), known, &kind).await?;
        // Where a row names the other by this parameter it is the agent's MTP that is named.
        let mtp = self.mtp.trim_end_matches('.').to_owned();
        let mut theirs = theirs.to_vec();
        theirs.push(("AgentMTPReference", &mtp));
        settle(session, &format!("{met}{protocol}."), &format!("{known}{protocol}."), &theirs).await
    }

    /// Lets the agent come.
    pub async fn begin(&self, session: &mut Session) -> Verdict {
        session.write(&format!("{}Enable", self.link), "true").await
    }

    /// The next connection, with its first unit, where the agent may wait so many seconds before it comes. What
    /// came for an earlier check is passed over.
    pub async fn came(&mut self, session: &mut Session, wait: f64) -> Result<(Line<D>, D::Unit), Stop> {
        let end = Instant::now() + session.patience() + Duration::from_secs_f64(wait);
        let mut wrong = None;
        loop {
            let incoming = self.door.next(end).await;
            let incoming = incoming.map_err(|why| wrong.take().unwrap_or(Stop::Fail(why)))?;
            session.exchange.note(OPENED);
            let mut line = Line::new(incoming.stream);
            match line.hear(&mut session.exchange, end).await {
                Ok(Heard::Said(first)) => {
                    let user = D::user(&first);
                    if user.is_none_or(|user| user == self.login.0 || !user.starts_with("tap-")) {
                        return Ok((line, first));
                    }
                }
                Ok(Heard::End) => {}
                Ok(Heard::Silence) => return fail("the agent opens a connection and says nothing on it"),
                // It may be another protocol's.
                Err(stop) => wrong = Some(stop),
            }
        }
    }

    /// Awaits a connection that comes to nothing. Gives the seconds that it took to come.
    pub async fn turn_away(&mut self, session: &mut Session, within: f64) -> Result<f64, Stop> {
        let began = Instant::now();
        let end = began + Duration::from_secs_f64(within);
        drop(self.door.next(end).await.map_err(Stop::Fail)?);
        let took = began.elapsed().as_secs_f64();
        session.exchange.note(format!("{OPENED} after {took:.1} s, and is turned away"));
        Ok(took)
    }

    /// The number that a parameter of the connection holds.
    pub async fn number(&self, session: &mut Session, name: &str) -> Result<f64, Stop> {
        let path = format!("{}{name}", self.link);
        let value = session.value(&path).await?;
        value.parse().or_else(|_| fail(format!("{path} is {value:?}, which is no number")))
    }

    /// Asks as the controller that is met here, at one of the agent's places. Gives the unit of the answer,
    /// the response, and where the agent wants further answers.
    pub async fn ask(
        &self,
        session: &mut Session,
        line: &mut Line<D>,
        at: &str,
        request: Request,
    ) -> Result<(D::Unit, Response, Option<String>), Stop> {
        session.exchange.sent(&request);
        let id = session.name("tap-request");
        let message = Message::request(&id, request).encode();
        let record = Record::plain(&self.endpoint_id, session.agent(), message).encode();
        let delivery = line.dialect.delivery(at, &self.places.1, record);
        line.say(&mut session.exchange, delivery).await?;
        let end = Instant::now() + session.patience();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let (unit, message, reply_to) = self.message(session, line, left).await?;
            if message.msg_id != id {
                continue;
            }
            return match message.body {
                MessageBody::Response(response) => Ok((unit, response, reply_to)),
                other => fail(format!("the answer is no response: {other:?}")),
            };
        }
    }

    /// Answers a request of the agent's.
    pub async fn respond(
        &self,
        session: &mut Session,
        line: &mut Line<D>,
        at: &str,
        msg_id: &str,
        response: Response,
    ) -> Verdict {
        session.exchange.sent(&response);
        let message = Message::response(msg_id, response).encode();
        let record = Record::plain(&self.endpoint_id, session.agent(), message).encode();
        let delivery = line.dialect.delivery(at, &self.places.1, record);
        line.say(&mut session.exchange, delivery).await
    }

    /// The Connect record that a connection begins with.
    pub async fn connect_record(&self, session: &mut Session, line: &mut Line<D>) -> Result<Payload, Stop> {
        let read = |unit: &D::Unit| {
            let record = Record::decode(D::carried(unit)?.0).ok()?;
            let is_connect = matches!(
                record.payload,
                Payload::MqttConnect { .. } | Payload::StompConnect { .. } | Payload::WebSocketConnect
            );
            Some(record).filter(|record| is_connect && record.to_id == self.endpoint_id.as_str())
        };
        let wanted = |unit: &D::Unit| read(unit).is_some();
        let within = Duration::from_secs(30);
        let unit = line.wait_for(&mut session.exchange, "a Connect record", within, wanted).await?;
        let Some(record) = read(&unit) else { return fail("the record cannot be read") };
        session.exchange.received(&record);
        Ok(record.payload)
    }

    /// The next message to the controller that is met here.
    pub async fn message(
        &self,
        session: &mut Session,
        line: &mut Line<D>,
        within: Duration,
    ) -> Result<(D::Unit, Message, Option<String>), Stop> {
        let to = self.endpoint_id.as_str().to_owned();
        let read = |unit: &D::Unit| {
            let (record, reply_to) = D::carried(unit)?;
            let record = Record::decode(record).ok().filter(|record| record.to_id == to)?;
            let Payload::NoSession(message) = record.payload else { return None };
            Message::decode(message).ok().map(|message| (message, reply_to))
        };
        let wanted = |unit: &D::Unit| read(unit).is_some();
        let unit = line.wait_for(&mut session.exchange, "a message of the agent", within, wanted).await?;
        let Some((message, reply_to)) = read(&unit) else { return fail("the message cannot be read") };
        session.exchange.received(&message);
        Ok((unit, message, reply_to))
    }
}

const OPENED: &str = "the agent opens a connection";

/// A row with those of the settings that the agent knows.
fn row(session: &Session, table: &str, known: &str, settings: &[(&str, &str)]) -> Row {
    let supported = settings.iter().filter(|(name, _)| session.has(&format!("{known}{name}")));
    supported.fold(Row::at(table), |row, (name, value)| row.must(name, *value))
}

async fn add(
    session: &mut Session,
    table: &str,
    known: &str,
    settings: &[(&str, &str)],
) -> Result<String, Stop> {
    let row = row(session, table, known, settings);
    session.row(row).await
}

/// Sets what the agent knows of these.
async fn settle(session: &mut Session, object: &str, known: &str, settings: &[(&str, &str)]) -> Verdict {
    let row = row(session, object, known, settings);
    let response = session.set(false, vec![row]).await?;
    expect::updated(expect::one(&response.updated_obj_results, "UpdatedObjectResult")?).map(|_| ())
}
