//! A Get of a controller on its way through a virtual agent: record, RPC, the CPE's answer, record.

use std::sync::Arc;

use bytes::Bytes;
use dragoman::agent::{
    Agent, AgentConfig, ControllerConfig, ControllerMtp, Env, FULL_ACCESS, Input, Output, Shadow,
};
use dragoman::cwmp::rpc::{Array, Inform, ParameterValueStruct, Request, Response};
use dragoman::cwmp::soap::{self, Envelope, Header, Limits, Message as Soap};
use dragoman::datamodel::{Source, Value, ValueType, WallTime};
use dragoman::durable::Token;
use dragoman::identity::{DeviceId, EndpointId};
use dragoman::usp::Shown;
use dragoman::usp::message::{Get, Message, Request as UspRequest};
use dragoman::usp::record::{Integrity, Record};

/// An agent that knows its device, and what is said to it.
pub struct Turn {
    agent: Agent,
    shadow: Shadow,
    /// The controller's record with the Get.
    pub request: Bytes,
    /// The CPE's GetParameterValuesResponse.
    answer: Vec<u8>,
}

impl Turn {
    /// Of a device with these parameters under `Device.Hosts.Host.`.
    ///
    /// # Panics
    ///
    /// If the device cannot be set up.
    pub fn new(values: &[(String, ValueType, String)], answer: Vec<u8>) -> Self {
        let controller = EndpointId::parse("self::controller").expect("an endpoint id");
        let mtp = ControllerMtp::Mqtt { client: 0, topic: "t".into() };
        let known = ControllerConfig {
            instance: 1,
            pinned: true,
            endpoint_id: controller.clone(),
            roles: vec![FULL_ACCESS.into()],
            onboard: false,
            certificates: Vec::new(),
            mtp,
        };
        let config = AgentConfig { controllers: vec![known], discovery: false, ..AgentConfig::default() };
        let device = DeviceId { oui: "00256D".into(), serial_number: "1".into(), ..DeviceId::default() };
        let (mut agent, mut shadow) = Agent::restore(&device, Arc::new(config), &[]).expect("an agent");
        let version = ParameterValueStruct::new("Device.RootDataModelVersion", "2.19", ValueType::String);
        let inform =
            Inform { device_id: device.clone(), parameter_list: Array(vec![version]), ..Inform::default() };
        let informed = Input::Informed { inform: &inform, first_contact: true };
        agent.handle(&ENV, &mut shadow, informed, &mut Vec::new());
        for (name, value_type, text) in values {
            let value = Value {
                text: text.as_str().into(),
                value_type: Some(*value_type),
                at: ENV.wall,
                source: Source::Read,
            };
            shadow.cpe.set_value(name, value);
        }
        let get = Get { param_paths: vec!["Device.Hosts.Host.*.".into()], max_depth: 0 };
        let message = Message::request("17", UspRequest::Get(get)).encode();
        let request = Record::plain(&controller, &device.endpoint_id(), message).encode();
        let mut turn = Self { agent, shadow, request, answer };
        // What is learnt the first time is not learnt again.
        turn.take();
        turn
    }

    /// Everything between the controller's record and the answer to it, but for the CPE and the sockets.
    ///
    /// # Panics
    ///
    /// If the agent asks for anything but one RPC, or gives no answer.
    pub fn take(&mut self) -> Bytes {
        let mut out = Vec::new();
        let record = Input::Record {
            bytes: self.request.clone(),
            integrity: Integrity::Trusted,
            shown: Shown::Untold,
        };
        self.agent.handle(&ENV, &mut self.shadow, record, &mut out);
        let rpc = self.agent.next_rpc(&ENV, &mut self.shadow, &mut out).expect("an RPC");
        assert!(matches!(rpc.request, Request::GetParameterValues(_)), "{}", rpc.request.name());
        let mut asked = Vec::new();
        let envelope =
            Envelope::of("urn:dslforum-org:cwmp-1-2", Header::default(), Soap::Request(rpc.request));
        soap::encode(&mut asked, &envelope);
        let text = soap::decode_charset(&self.answer, Some("text/xml; charset=utf-8")).expect("text");
        let envelope = soap::decode(&text, &Limits::default()).expect("an envelope");
        let Soap::Response(response @ Response::GetParameterValuesResponse(_)) = &envelope.message else {
            panic!("the answer is of another kind")
        };
        let answer = Input::Answer { rpc: rpc.id, response };
        self.agent.handle(&ENV, &mut self.shadow, answer, &mut out);
        assert!(self.agent.next_rpc(&ENV, &mut self.shadow, &mut out).is_none(), "it asks again");
        // What is told must be durable first: here it is at once.
        let kept: Vec<Token> = out
            .iter()
            .filter_map(|output| match output {
                Output::Persist { token, .. } => Some(*token),
                _ => None,
            })
            .collect();
        for token in kept {
            self.agent.handle(&ENV, &mut self.shadow, Input::Persisted(token), &mut out);
        }
        let sent = out.into_iter().find_map(|output| match output {
            Output::Send { record, .. } => Some(record),
            _ => None,
        });
        sent.expect("an answer to the controller")
    }
}

const ENV: Env = Env { now: 1_000, wall: WallTime(1_700_000_000_000), seed: 7 };
