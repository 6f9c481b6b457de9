//! Bulk data collection, from profiles to reports (TR-369 Annex A).

use super::*;
use crate::agent::{HttpUpload, LinkState, Publication, Undelivered, UploadId, UploadWay};

const PROFILES: &str = "Device.BulkData.Profile.";
const UP_TIME: &str = "Device.DeviceInfo.UpTime";
const INTERVAL: u64 = 60_000;

/// A device that has been onboarded and discovered, and a collector that the operator allows.
fn begin() -> Story {
    let egress = Arc::new(crate::policy::Egress::of(["http://127.0.0.1:9/bulk"]).unwrap());
    let mut story = Story::with(AgentConfig { egress, ..AgentConfig::default() });
    story.session();
    story.session();
    story.said.clear();
    story
}

/// A profile that collects every minute, with one parameter, and is enabled.
fn profile(story: &mut Story, settings: &[(&str, &str)], name: &str, reference: &str) -> String {
    let mut all = vec![("ReportingInterval", "60"), ("TimeReference", "2020-01-01T00:00:00Z")];
    all.extend(settings);
    let row = created(&story.ask(add(PROFILES, &all)).unwrap());
    let parameter = [("Name", name), ("Reference", reference)];
    story.ask(add(&format!("{row}Parameter."), &parameter)).unwrap();
    story.ask(set("Device.BulkData.", &[("Enable", "true")])).unwrap();
    story.ask(set(&row, &[("Enable", "true")])).unwrap();
    row
}

fn over_http(story: &mut Story, more: &[(&str, &str)], name: &str, reference: &str) -> String {
    let mut all = vec![("Protocol", "HTTP"), ("HTTP.URL", "http://127.0.0.1:9/bulk?x=1")];
    all.extend(more);
    profile(story, &all, name, reference)
}

/// Time goes on to the next collection, and the device has its session.
fn interval(story: &mut Story) {
    story.pass(INTERVAL);
    if story.wanted {
        story.session();
    }
}

fn report(upload: &Upload) -> serde_json::Value {
    serde_json::from_slice(&upload.body).unwrap()
}

fn end(story: &mut Story, id: UploadId, result: Result<(), &str>) {
    let result = result.map_err(|why| Undelivered::Failed(why.to_owned()));
    story.handle(Input::Uploaded { id, result });
}

fn request(upload: &Upload) -> &HttpUpload {
    let UploadWay::Http(request) = &upload.way else { panic!("{upload:?}") };
    request
}

#[test]
fn tp469_10_1_r_bulk_1_a_report_goes_to_the_collector_each_interval_and_names_the_device() {
    let mut story = begin();
    over_http(&mut story, &[("EncodingType", "JSON")], "UpTime", UP_TIME);
    for reports in 1..=2 {
        interval(&mut story);
        assert_eq!(story.uploads.len(), reports, "{:?}", story.log);
        let upload = story.uploads.last().unwrap().clone();
        let request = request(&upload);
        assert_eq!((request.method, request.media_type), ("POST", "application/json; charset=UTF-8"));
        let said = &report(&upload)["Report"][0];
        assert!(said["UpTime"].is_u64() && said["CollectionTime"].is_u64(), "{said}");
        let id = story.cpe.id();
        assert!(request.url.starts_with(&format!("http://127.0.0.1:9/bulk?x=1&oui={}&pc=", id.oui)));
        assert!(request.url.contains("&eid="), "{}", request.url);
        end(&mut story, upload.id, Ok(()));
    }
    assert!(story.agent.is_idle(), "a report that was taken is held on to");
    assert!(story.alarm().is_some(), "nothing wakes a device at rest for its next report");
}

#[test]
fn tp469_10_5_uri_parameters_tell_what_the_profile_adds() {
    let mut story = begin();
    let row = over_http(&mut story, &[], "UpTime", UP_TIME);
    let more = [("Name", "id"), ("Reference", "Device.LocalAgent.EndpointID")];
    story.ask(add(&format!("{row}HTTP.RequestURIParameter."), &more)).unwrap();
    interval(&mut story);
    let endpoint = story.cpe.id().endpoint_id().to_string().replace(':', "%3A").replace('%', "%25");
    let url = &request(&story.uploads[0]).url;
    assert!(url.contains("&id=") && !url.contains(' '), "{url} {endpoint}");
}

#[test]
fn tp469_10_7_r_bulk_2_what_was_not_taken_is_sent_again_and_kept_for_the_next_interval() {
    let mut story = begin();
    let retry = [("HTTP.RetryEnable", "true"), ("NumberOfRetainedFailedReports", "2")];
    over_http(&mut story, &retry, "UpTime", UP_TIME);
    interval(&mut story);
    for (tries, wait) in [(1, 10_000), (2, 20_000)] {
        let id = story.uploads.last().unwrap().id;
        end(&mut story, id, Err("the collector answered with HTTP status 500"));
        story.pass(wait / 2 - 1);
        assert_eq!(story.uploads.len(), tries, "tried again too soon");
        story.pass(wait / 2 + 1);
        assert_eq!(story.uploads.len(), tries + 1, "not tried again");
    }
    assert!(story.log.iter().any(|line| line.contains("HTTP status 500")));
    let id = story.uploads.last().unwrap().id;
    end(&mut story, id, Err("gone"));
    story.uploads.clear();
    interval(&mut story);
    let reports = report(story.uploads.last().unwrap())["Report"].as_array().unwrap().len();
    assert_eq!(reports, 2, "the report of the interval before is lost");
}

#[test]
fn a_collector_that_is_down_is_left_alone_without_retries() {
    let mut story = begin();
    over_http(&mut story, &[], "UpTime", UP_TIME);
    interval(&mut story);
    let id = story.uploads[0].id;
    end(&mut story, id, Err("refused"));
    story.pass(INTERVAL / 2);
    assert_eq!(story.uploads.len(), 1);
    assert!(story.agent.is_idle());
}

#[test]
fn tp469_10_8_10_9_wildcards_and_objects_select_with_names_of_their_own() {
    let mut story = begin();
    let row = over_http(
        &mut story,
        &[("JSONEncoding.ReportFormat", "NameValuePair")],
        "S",
        "Device.WiFi.SSID.*.SSID",
    );
    let me = [("Name", "Me"), ("Reference", "Device.LocalAgent.Controller.1.")];
    story.ask(add(&format!("{row}Parameter."), &me)).unwrap();
    let without = [("Reference", "Device.LocalAgent.Controller.1.E2ESession."), ("Exclude", "true")];
    story.ask(add(&format!("{row}Parameter."), &without)).unwrap();
    interval(&mut story);
    let said = report(&story.uploads[0]);
    let names: Vec<&String> = said["Report"][0].as_object().unwrap().keys().collect();
    assert!(names.iter().any(|name| *name == "S.1"), "{names:?}");
    assert!(names.iter().any(|name| *name == "Me.EndpointID"), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("E2ESession")), "R-BULK.10a: {names:?}");
}

#[test]
fn tp469_10_10_a_push_event_carries_the_report() {
    let mut story = begin();
    let row =
        profile(&mut story, &[("Protocol", "USPEventNotif"), ("EncodingType", "CSV")], "UpTime", UP_TIME);
    story.subscribe("Event", &format!("{row}Push!"), &[]);
    interval(&mut story);
    let events = story.events();
    let (name, params) = events.first().expect("no event");
    assert_eq!(name, "Push!");
    assert!(params["Data"].starts_with("ReportTimestamp,UpTime\r\n"), "{params:?}");
}

#[test]
fn a_profile_collects_what_its_controller_may_read_and_goes_with_it() {
    let mut story = begin();
    let role = "Device.LocalAgent.ControllerTrust.Role.1.Permission.";
    let none = [("Enable", "true"), ("Targets", UP_TIME), ("Param", "----"), ("Obj", "rwxn")];
    over_http(&mut story, &[], "UpTime", UP_TIME);
    story.ask(add(role, &none)).unwrap();
    interval(&mut story);
    let said = report(&story.uploads[0]);
    assert!(said["Report"][0].get("UpTime").is_none(), "{said}");
    let obj_paths = vec!["Device.LocalAgent.Controller.1.".to_owned()];
    let delete = Request::Delete(message::Delete { allow_partial: false, obj_paths });
    story.send(&controller(), delete);
    story.pass(INTERVAL);
    assert_eq!(story.uploads.len(), 1, "a profile outlived its controller");
}

#[test]
fn a_device_that_is_not_reached_gives_no_values_of_an_earlier_interval() {
    let mut story = begin();
    over_http(&mut story, &[], "UpTime", UP_TIME);
    interval(&mut story);
    let id = story.uploads[0].id;
    end(&mut story, id, Ok(()));
    // Nobody answers for two intervals: what is overdue is dropped, and nothing is made up.
    story.pass(INTERVAL);
    story.pass(INTERVAL);
    for upload in &story.uploads[1..] {
        assert!(report(upload)["Report"][0].get("UpTime").is_none());
    }
}

#[test]
fn a_collector_that_the_operator_does_not_allow_is_refused_when_it_is_written() {
    let mut story = begin();
    let row = over_http(&mut story, &[], "UpTime", UP_TIME);
    for url in ["http://127.0.0.1:9/other", "http://10.0.0.1/", "https://127.0.0.1:9/bulk", "file:///etc"] {
        let refused = story.ask(set(&row, &[("HTTP.URL", url)]));
        let error = refused.expect_err(url);
        assert!(error.err_msg.contains("egress policy"), "{}", error.err_msg);
    }
}

const CLIENTS: &str = "Device.MQTT.Client.";

/// A profile over MQTT, with a client of its own at a broker that the operator allows.
fn over_mqtt(more: &[(&str, &str)]) -> (Story, LinkKey) {
    let egress = Arc::new(crate::policy::Egress::of(["mqtt://broker.example"]).unwrap());
    let mut story = Story::with(AgentConfig { egress, ..AgentConfig::default() });
    story.session();
    story.session();
    story.said.clear();
    let client = [("Enable", "true"), ("BrokerAddress", "broker.example"), ("BrokerPort", "1883")];
    let client = created(&story.ask(add(CLIENTS, &client)).unwrap());
    let number = crate::datamodel::path::instance(&client).unwrap();
    let topic = [("Protocol", "MQTT"), ("MQTT.Reference", &client[..]), ("MQTT.PublishTopic", "reports/x")];
    let mut all = topic.to_vec();
    all.extend(more);
    profile(&mut story, &all, "UpTime", UP_TIME);
    (story, LinkKey::Mqtt(number))
}

fn links(story: &mut Story, key: LinkKey, phase: Phase) {
    story.handle(Input::Links { links: [(key, LinkState { phase, ..LinkState::default() })].into() });
}

/// The collection times in what was said last.
fn times(story: &Story) -> usize {
    report(story.uploads.last().unwrap())["Report"].as_array().unwrap().len()
}

#[test]
fn tp469_10_13_r_bulk_8a_a_report_is_published_with_the_profile_s_topic_qos_and_content_type() {
    let (mut story, link) = over_mqtt(&[("MQTT.PublishQoS", "2"), ("MQTT.PublishRetain", "true")]);
    let ways = story.met.last().unwrap().clone().unwrap();
    let way = ways.mqtt.iter().find(|way| way.key == link).expect("no connection is made for the profile");
    assert!(way.met.is_empty() && way.has_reports, "{way:?}");
    links(&mut story, link, Phase::Up);
    for reports in 1..=2 {
        interval(&mut story);
        assert_eq!(story.uploads.len(), reports, "{:?}", story.log);
        let upload = story.uploads.last().unwrap().clone();
        let media_type = "application/json; charset=UTF-8";
        let wanted = Publication { link, topic: "reports/x".into(), qos: 2, retain: true, media_type };
        assert_eq!(upload.way, UploadWay::Mqtt(wanted));
        assert!(report(&upload)["Report"][0]["UpTime"].is_u64());
        end(&mut story, upload.id, Ok(()));
    }
    assert!(story.agent.is_idle(), "a report that was delivered is held on to");
    // Without the profile nobody needs the connection.
    story.ask(set("Device.BulkData.", &[("Enable", "false")])).unwrap();
    assert!(story.met.last().unwrap().as_ref().is_none_or(|ways| ways.mqtt.iter().all(|it| it.key != link)));
}

#[test]
fn over_mqtt_a_report_waits_for_the_connection_and_for_the_next_interval_as_the_profile_wants() {
    for (retained, wanted) in [("0", 1), ("1", 2), ("-1", 3)] {
        let (mut story, link) = over_mqtt(&[("NumberOfRetainedFailedReports", retained)]);
        for _ in 0..3 {
            interval(&mut story);
            let id = story.uploads.last().unwrap().id;
            end(&mut story, id, Err("there is no connection to the broker"));
        }
        assert_eq!(times(&story), wanted, "retained: {retained}");
        let before = story.uploads.len();
        story.pass(INTERVAL / 4);
        assert_eq!(story.uploads.len(), before, "it is tried without a connection");
        links(&mut story, link, Phase::Up);
        assert_eq!((story.uploads.len(), times(&story)), (before + 1, wanted), "it does not wait to be up");
        let id = story.uploads.last().unwrap().id;
        end(&mut story, id, Ok(()));
        assert!(story.agent.is_idle());
    }
}

#[test]
fn over_mqtt_what_is_with_the_broker_is_not_sent_twice_and_a_failure_heard_late_is_made_good() {
    let (mut story, link) = over_mqtt(&[("NumberOfRetainedFailedReports", "-1")]);
    links(&mut story, link, Phase::Up);
    interval(&mut story);
    let first = story.uploads[0].id;
    interval(&mut story);
    interval(&mut story);
    assert_eq!(story.uploads.len(), 1, "a report in flight is sent again");
    end(&mut story, first, Ok(()));
    story.pass(1);
    assert_eq!((story.uploads.len(), times(&story)), (2, 2), "what was collected meanwhile is lost");
    let second = story.uploads[1].id;
    links(&mut story, link, Phase::Connecting);
    links(&mut story, link, Phase::Up);
    end(&mut story, second, Err("the connection to the broker was lost"));
    story.pass(1);
    assert_eq!((story.uploads.len(), times(&story)), (3, 2));
    // What is too large goes without the oldest.
    let third = story.uploads[2].id;
    story.handle(Input::Uploaded { id: third, result: Err(Undelivered::TooLarge("too large".into())) });
    story.pass(1);
    assert_eq!((story.uploads.len(), times(&story)), (4, 1));
}

#[test]
fn reports_that_failed_are_given_up_when_the_encoding_changes() {
    let mut story = begin();
    let row = over_http(&mut story, &[("NumberOfRetainedFailedReports", "-1")], "UpTime", UP_TIME);
    for encoding in ["JSON", "CSV"] {
        story.ask(set(&row, &[("EncodingType", encoding)])).unwrap();
        interval(&mut story);
        let id = story.uploads.last().unwrap().id;
        end(&mut story, id, Err("refused"));
    }
    let body = String::from_utf8(story.uploads.last().unwrap().body.to_vec()).unwrap();
    assert_eq!(body.lines().count(), 2, "a header and the row of this interval: {body}");
}

#[test]
fn reports_over_mqtt_go_to_topics_and_clients_that_are_there() {
    let (mut story, _) = over_mqtt(&[]);
    let row = "Device.BulkData.Profile.1.";
    for (name, value) in
        [("MQTT.PublishTopic", "a/#"), ("MQTT.PublishQoS", "3"), ("MQTT.Reference", "Device.MQTT.Client.77")]
    {
        story.ask(set(row, &[(name, value)])).expect_err(value);
    }
    let protocols = story.get("Device.BulkData.Protocols").unwrap();
    assert_eq!(protocols["Device.BulkData.Protocols"], "HTTP,MQTT,USPEventNotif");
}

#[test]
fn tp469_2_27_secrets_are_in_the_reports_of_secured_roles_alone() {
    let (mut story, link) = over_mqtt(&[]);
    let LinkKey::Mqtt(number) = link else { panic!() };
    let password = format!("{CLIENTS}{number}.Password");
    story.ask(set(&format!("{CLIENTS}{number}."), &[("Password", "secret")])).unwrap();
    let parameter = [("Name", "P"), ("Reference", &*password)];
    story.ask(add("Device.BulkData.Profile.1.Parameter.", &parameter)).unwrap();
    let said = |story: &mut Story| {
        interval(story);
        let upload = story.uploads.last().unwrap().clone();
        end(story, upload.id, Ok(()));
        report(&upload)["Report"][0]["P"].clone()
    };
    assert_eq!(said(&mut story), "secret");
    story.ask(set("Device.LocalAgent.ControllerTrust.", &[("SecuredRoles", "")])).unwrap();
    assert_eq!(said(&mut story), "");
}

#[test]
fn the_status_of_bulk_data_follows_its_enable_and_is_told() {
    let mut story = begin();
    let status = "Device.BulkData.Status";
    story.subscribe("ValueChange", status, &[]);
    assert_eq!(story.get(status).unwrap()[status], "Disabled");
    story.ask(set("Device.BulkData.", &[("Enable", "true")])).unwrap();
    assert_eq!(story.get(status).unwrap()[status], "Enabled");
    assert_eq!(story.notifications().len(), 1, "the change is not told");
    story.restart();
    assert_eq!(story.get(status).unwrap()[status], "Enabled", "after a restart");
}
