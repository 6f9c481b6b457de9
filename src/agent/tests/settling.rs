//! Sessions that break while the device works on a write: whether it was carried out is read back, and no write is
//! carried out twice.

use super::*;

const SSID: &str = "Device.WiFi.SSID.1.SSID";
const TABLE: &str = "Device.NAT.PortMapping.";

/// What the device made of the RPC whose answer is lost.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    CarriedOut,
    NeverHeard,
}

impl Story {
    /// A session that breaks at the first RPC of this name.
    fn breaks_at(&mut self, name: &str, fate: Fate) {
        self.wanted = false;
        let inform = self.cpe.open();
        self.handle(Input::Informed { inform: &inform, first_contact: false });
        loop {
            let mut out = Vec::new();
            let rpc = self.agent.next_rpc(&self.env(), &mut self.shadow, &mut out).expect("it never comes");
            self.carry_out(out);
            let lost = rpc.request.name() == name;
            if lost && fate == Fate::NeverHeard {
                self.handle(Input::Lost { rpc: rpc.id });
                break;
            }
            let answer = self.cpe.handle(&rpc.request);
            if lost {
                self.handle(Input::Lost { rpc: rpc.id });
                break;
            }
            match answer {
                Ok(response) => self.handle(Input::Answer { rpc: rpc.id, response: &response }),
                Err(fault) => self.handle(Input::Faulted { rpc: rpc.id, fault: &fault }),
            }
        }
        self.handle(Input::SessionEnded);
        self.cpe.close();
    }

    fn answer(&mut self, msg_id: &str) -> Option<MessageBody> {
        let at = self.said.iter().position(|(_, message)| message.msg_id == msg_id)?;
        Some(self.said.remove(at).1.body)
    }

    /// Asks, loses the answer to the first RPC of this name, and gives the device one more session, whose RPCs are
    /// told beside the answer.
    fn asks_and_loses(
        &mut self,
        request: Request,
        name: &str,
        fate: Fate,
    ) -> (Option<MessageBody>, Vec<String>) {
        let msg_id = self.send(&controller(), request);
        self.breaks_at(name, fate);
        assert!(self.answer(&msg_id).is_none(), "an answer although nothing is known");
        assert!(self.wanted, "the device is not called again");
        let rpcs = self.session();
        (self.answer(&msg_id), rpcs)
    }

    fn mappings(&self) -> Vec<u32> {
        (1..20).filter(|number| self.cpe.value(&format!("{TABLE}{number}.Enable")).is_some()).collect()
    }
}

fn unknown(answer: Option<MessageBody>) {
    let Some(MessageBody::Error(error)) = answer else { panic!("{answer:?}") };
    assert_eq!(ErrorCode(error.err_code), ErrorCode::INTERNAL_ERROR);
    assert!(error.err_msg.contains("outcome unknown"), "{}", error.err_msg);
}

#[test]
fn a_set_whose_answer_is_lost_is_read_back_and_never_written_twice() {
    for fate in [Fate::CarriedOut, Fate::NeverHeard] {
        let mut story = Story::begin();
        let request = set("Device.WiFi.SSID.1.", &[("SSID", "mine"), ("Enable", "1")]);
        let (answer, rpcs) = story.asks_and_loses(request, "SetParameterValues", fate);
        assert!(!rpcs.iter().any(|rpc| rpc == "SetParameterValues"), "written twice: {rpcs:?}");
        match fate {
            Fate::CarriedOut => {
                assert!(matches!(answer, Some(MessageBody::Response(Response::SetResp(_)))), "{answer:?}");
                assert_eq!(story.get(SSID).unwrap()[SSID], "mine");
            }
            Fate::NeverHeard => unknown(answer),
        }
    }
}

#[test]
fn what_the_acs_has_made_of_a_value_since_is_not_taken_for_what_was_lost() {
    let mut story = Story::begin();
    let msg_id = story.send(&controller(), set("Device.WiFi.SSID.1.", &[("SSID", "mine")]));
    story.breaks_at("SetParameterValues", Fate::CarriedOut);
    story.cpe.change(SSID, "the ACS's");
    story.session();
    unknown(story.answer(&msg_id));
    assert_eq!(story.cpe.value(SSID), Some("the ACS's"));
}

#[test]
fn a_password_that_no_device_tells_leaves_the_outcome_unknown_at_once() {
    let mut story = Story::begin();
    let object = "Device.WiFi.AccessPoint.1.Security.";
    let msg_id = story.send(&controller(), set(object, &[("KeyPassphrase", "secret secret")]));
    story.breaks_at("SetParameterValues", Fate::CarriedOut);
    unknown(story.answer(&msg_id));
}

#[test]
fn an_unsettled_set_is_of_unknown_outcome_when_its_time_is_up() {
    let mut story = Story::begin();
    let msg_id = story.send(&controller(), set("Device.WiFi.SSID.1.", &[("SSID", "mine")]));
    story.breaks_at("SetParameterValues", Fate::CarriedOut);
    story.pass(story.config.request_timeout_ms + 1);
    unknown(story.answer(&msg_id));
}

#[test]
fn an_object_whose_addition_was_not_answered_is_found_again_and_is_not_added_twice() {
    for (name, added) in [("AddObject", 1), ("SetParameterValues", 1), ("GetParameterNames", 1)] {
        for fate in [Fate::CarriedOut, Fate::NeverHeard] {
            let mut story = Story::begin();
            let before = story.mappings();
            let request = add(TABLE, &[("ExternalPort", "8080")]);
            let (answer, rpcs) = story.asks_and_loses(request, name, fate);
            let never_added = name == "AddObject" && fate == Fate::NeverHeard;
            if never_added {
                unknown(answer);
                assert_eq!(story.mappings(), before);
                continue;
            }
            let Some(MessageBody::Response(response)) = answer else { panic!("{name}: {answer:?}") };
            let path = created(&response);
            assert_eq!(story.mappings().len(), before.len() + added, "{name}: {rpcs:?}");
            assert_eq!(story.cpe.value(&format!("{path}ExternalPort")), Some("8080"));
        }
    }
}

#[test]
fn a_delete_whose_answer_is_lost_is_looked_up_and_hits_nobody_else_s_object() {
    for fate in [Fate::CarriedOut, Fate::NeverHeard] {
        let mut story = Story::begin();
        let delete = message::Delete { allow_partial: false, obj_paths: vec![format!("{TABLE}1.")] };
        let (answer, rpcs) = story.asks_and_loses(Request::Delete(delete), "DeleteObject", fate);
        assert!(!rpcs.iter().any(|rpc| rpc == "DeleteObject"), "deleted twice: {rpcs:?}");
        match fate {
            Fate::CarriedOut => {
                assert!(matches!(answer, Some(MessageBody::Response(Response::DeleteResp(_)))), "{answer:?}");
            }
            Fate::NeverHeard => unknown(answer),
        }
    }
}
