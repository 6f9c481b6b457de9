//! Take-over by a new URL: an ACS that has its CPEs already sends them to the gateway, and goes on as before.

use std::sync::Arc;

use dragoman::cwmp::rpc::{
    Array, GetParameterValues, ParameterValueStruct, Request as Rpc, SetParameterValues,
};
use dragoman::datamodel::ValueType;
use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig, Seen};
use dragoman::sim::controller::requests;
use dragoman::sim::cpe::{Fleet, FleetConfig, Model};
use dragoman::transport::mqtt::Version;

use super::gateway::{Setup, acs_and_mqtt};
use super::mosquitto::{Mosquitto, folder, free_port};
use super::usp::{PATIENCE, TR_181, controller};

const URL: &str = "Device.ManagementServer.URL";

fn set_url(url: &str, key: &str) -> Rpc<'static> {
    let value = ParameterValueStruct::new(URL, url.to_owned(), ValueType::String);
    let parameter_key = key.to_owned().into();
    Rpc::SetParameterValues(SetParameterValues { parameter_list: Array(vec![value]), parameter_key })
}

fn read() -> Rpc<'static> {
    let parameter_names = Array(vec!["Device.ManagementServer.".into()]);
    Rpc::GetParameterValues(GetParameterValues { parameter_names })
}

fn answers(seen: &[Seen], name: &str) -> usize {
    seen.iter().filter(|it| matches!(it, Seen::Response { rpc, .. } if rpc == name)).count()
}

/// What the ACS reads of the URL, newest last.
fn urls(seen: &[Seen]) -> Vec<String> {
    let read = seen.iter().filter(|it| matches!(it, Seen::Response { .. }));
    read.filter_map(|it| it.value(URL)).map(str::to_owned).collect()
}

/// The ACS asks this, the CPE calls, and so many answers of that name have come then.
async fn asks(acs: &Acs, fleet: &Fleet, agent: &EndpointId, rpc: Rpc<'static>, count: usize) {
    let name = rpc.name().to_owned();
    acs.enqueue(agent, rpc);
    fleet.inform_now(0);
    assert!(acs.until(agent, PATIENCE, |seen| answers(seen, &name) >= count).await, "{:?}", acs.seen(agent));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acs_that_sends_its_cpe_to_the_gateway_goes_on_reading_and_writing_its_own_url() {
    let broker = Mosquitto::start();
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let model = Arc::new(Model::parse(TR_181).unwrap());
    let fleet = Fleet::start(FleetConfig::new(acs.url(), model, 1)).await.unwrap();
    let device = fleet.device_ids().remove(0);
    let agent = device.endpoint_id();
    assert!(acs.until(&agent, PATIENCE, |seen| seen.contains(&Seen::End)).await, "it is the ACS's alone");

    let (port, known) = (free_port(), folder("takeover").join("known"));
    std::fs::write(&known, format!("{}-{}\n", device.oui, device.serial_number)).unwrap();
    let gateway_url = format!("http://127.0.0.1:{port}/");
    let takeover = format!("[takeover]\nurl = \"{gateway_url}\"\nhide_bootstrap = '{}'\n", known.display());
    let setup = Setup::new(port, &(acs_and_mqtt(&acs.url(), broker.port, "") + &takeover));
    let _gateway = setup.start();
    let controller = controller(broker.port, Version::V5).await;

    // The way back for this test is the ACS's: it moves the CPE, which calls its new ACS with 0 BOOTSTRAP.
    asks(&acs, &fleet, &agent, set_url(&gateway_url, "moved"), 1).await;
    assert!(controller.wait_for_agents(1, PATIENCE).await, "the CPE comes to the gateway");
    asks(&acs, &fleet, &agent, read(), 1).await;
    let seen = acs.seen(&agent);
    assert_eq!(urls(&seen), [acs.url()], "the ACS reads its own");
    let bootstraps = seen.iter().filter(|it| it.is_inform_with("0 BOOTSTRAP")).count();
    assert_eq!(bootstraps, 1, "that of its factory: {seen:?}");
    assert!(seen.iter().filter(|it| it.is_inform_with("1 BOOT")).count() >= 2, "{seen:?}");

    asks(&acs, &fleet, &agent, set_url(&acs.url(), "again"), 2).await;
    asks(&acs, &fleet, &agent, read(), 2).await;
    assert_eq!(urls(&acs.seen(&agent)), [acs.url(), acs.url()]);
    assert_eq!(fleet.value(0, URL).as_deref(), Some(gateway_url.as_str()), "the CPE stays");
    assert_eq!(fleet.value(0, "Device.ManagementServer.ParameterKey").as_deref(), Some("again"));

    let reset = requests::operate("Device.FactoryReset()", "k", &[]);
    let refused = format!("{:?}", controller.request(&agent, reset, PATIENCE).await);
    assert!(refused.contains("7022") && refused.contains("reset_leads_back"), "{refused}");
    fleet.stop().await;
    controller.stop().await;
    acs.stop().await;
}
