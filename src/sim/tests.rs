//! A simulated CPE against the stub ACS, over the loopback.

use std::sync::Arc;
use std::time::Duration;

use crate::cwmp::rpc::*;
use crate::datamodel::ValueType;
use crate::identity::EndpointId;

use super::acs::{Acs, AcsConfig, Seen};
use super::cpe::{Fleet, FleetConfig, Model, Quirk, Quirks};

const TR181: &str = include_str!("../../fixtures/models/tr181-small.csv");
const TR098: &str = include_str!("../../fixtures/models/tr098-small.csv");
const CHANNEL: &str = "Device.WiFi.Radio.1.Channel";
const PATIENCE: Duration = Duration::from_secs(5);

/// The CPE of a fleet with that serial number.
fn cpe(serial: u32) -> EndpointId {
    EndpointId::parse(&format!("ops::00256D-SimGateway-{serial:08}")).unwrap()
}

async fn acs() -> Acs {
    Acs::start(AcsConfig::default()).await.unwrap()
}

fn config(acs: &Acs) -> FleetConfig {
    let model = Arc::new(Model::parse(TR181).unwrap());
    FleetConfig { retry_ms: 20, ..FleetConfig::new(acs.url(), model, 1) }
}

/// Waits for as many ended sessions.
async fn sessions(acs: &Acs, wanted: usize) {
    let ended = |seen: &[Seen]| seen.iter().filter(|it| **it == Seen::End).count() >= wanted;
    assert!(acs.until(&cpe(1), PATIENCE, ended).await, "{:#?}", acs.seen(&cpe(1)));
}

/// A CPE whose first session has ended.
async fn booted(acs: &Acs, config: FleetConfig) -> Fleet {
    let fleet = Fleet::start(config).await.unwrap();
    sessions(acs, 1).await;
    // The ACS knows of the end before the CPE does.
    while fleet.statistics().open > 0 || fleet.statistics().sessions_ok == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fleet
}

fn read(names: &[&'static str]) -> Request<'static> {
    let parameter_names = Array(names.iter().map(|name| Text::Borrowed(*name)).collect());
    Request::GetParameterValues(GetParameterValues { parameter_names })
}

fn write(name: &'static str, value: &'static str, value_type: ValueType) -> Request<'static> {
    let parameter_list = Array(vec![ParameterValueStruct::new(name, value, value_type)]);
    Request::SetParameterValues(SetParameterValues { parameter_list, parameter_key: "k1".into() })
}

fn violations(acs: &Acs) -> Vec<Seen> {
    acs.seen(&cpe(1)).into_iter().filter(|it| matches!(it, Seen::Violation(_))).collect()
}

fn informs(acs: &Acs) -> Vec<Seen> {
    acs.seen(&cpe(1)).into_iter().filter(|it| matches!(it, Seen::Inform { .. })).collect()
}

#[tokio::test]
async fn the_first_session_bootstraps_and_carries_the_acs_rpcs_in_order() {
    let acs = acs().await;
    acs.on_every_session(vec![read(&["Device.DeviceInfo.UpTime"])]);
    acs.enqueue(&cpe(1), write(CHANNEL, "11", ValueType::UnsignedInt));
    acs.enqueue(&cpe(1), read(&[CHANNEL]));
    acs.enqueue(&cpe(1), read(&["Device.Nope"]));
    let fleet = booted(&acs, config(&acs)).await;
    let seen = acs.seen(&cpe(1));
    assert!(seen[0].is_inform_with("0 BOOTSTRAP") && seen[0].is_inform_with("1 BOOT"));
    assert!(seen[1].value("Device.DeviceInfo.UpTime").is_some());
    assert!(matches!(&seen[2], Seen::Response { rpc, .. } if rpc == "SetParameterValues"));
    assert_eq!(seen[3].value(CHANNEL), Some("11"));
    assert!(matches!(&seen[4], Seen::Fault { fault, .. } if fault.fault_code == 9005));
    assert_eq!(seen[5], Seen::End);
    assert_eq!(fleet.value(0, CHANNEL).as_deref(), Some("11"));
    assert_eq!(fleet.value(0, "Device.ManagementServer.ParameterKey").as_deref(), Some("k1"));
    let statistics = fleet.statistics();
    assert_eq!((statistics.sessions_ok, statistics.rpcs, &statistics.per_cpe[..]), (1, 4, &[1][..]));
    fleet.stop().await;
}

#[tokio::test]
async fn a_connection_request_wakes_the_cpe_only_with_the_password() {
    let acs = acs().await;
    let credentials = Some(("acs".to_owned(), "secret".to_owned()));
    let fleet = booted(&acs, FleetConfig { credentials, ..config(&acs) }).await;
    assert_eq!(acs.connection_request(&cpe(1), None).await, Ok(401));
    assert_eq!(acs.connection_request(&cpe(1), Some(("acs", "wrong"))).await, Ok(401));
    assert_eq!(acs.connection_request(&cpe(1), Some(("acs", "secret"))).await, Ok(200));
    sessions(&acs, 2).await;
    let informs = informs(&acs);
    assert_eq!(informs.len(), 2);
    assert!(informs[1].is_inform_with("6 CONNECTION REQUEST"));
    fleet.stop().await;
}

#[tokio::test]
async fn a_change_on_the_device_reaches_the_acs_that_asked_for_it() {
    let acs = acs().await;
    let parameter = SetParameterAttributesStruct {
        name: CHANNEL.into(),
        notification_change: true,
        notification: 2,
        ..SetParameterAttributesStruct::default()
    };
    let parameter_list = Array(vec![parameter]);
    acs.enqueue(&cpe(1), Request::SetParameterAttributes(SetParameterAttributes { parameter_list }));
    let fleet = booted(&acs, config(&acs)).await;
    assert!(fleet.set(0, CHANNEL, "3"));
    sessions(&acs, 2).await;
    let inform = informs(&acs).remove(1);
    assert!(inform.is_inform_with("4 VALUE CHANGE"));
    assert_eq!(inform.value(CHANNEL), Some("3"));
    fleet.stop().await;
}

#[tokio::test]
async fn reboots_by_rpc_and_by_power_and_diagnostics_come_back_with_their_events() {
    let acs = acs().await;
    acs.enqueue(&cpe(1), Request::Reboot(Reboot { command_key: "again".into() }));
    let fleet = booted(&acs, config(&acs)).await;
    sessions(&acs, 2).await;
    fleet.reboot(0);
    sessions(&acs, 3).await;
    let state = "Device.IP.Diagnostics.IPPing.DiagnosticsState";
    acs.enqueue(&cpe(1), write(state, "Requested", ValueType::String));
    fleet.inform_now(0);
    sessions(&acs, 5).await;
    let informs = informs(&acs);
    assert!(informs[1].is_inform_with("1 BOOT") && informs[1].is_inform_with("M Reboot"));
    assert!(informs[2].is_inform_with("1 BOOT") && !informs[2].is_inform_with("M Reboot"));
    assert!(informs[3].is_inform_with("2 PERIODIC"));
    assert!(informs[4].is_inform_with("8 DIAGNOSTICS COMPLETE"));
    assert_eq!(violations(&acs), []);
    fleet.stop().await;
}

#[tokio::test]
async fn a_download_ends_in_a_transfer_complete_before_the_acs_has_its_turn() {
    let acs = acs().await;
    let download = Download {
        command_key: "fw".into(),
        file_type: "1 Firmware Upgrade Image".into(),
        url: "http://files/2.0.0".into(),
        ..Download::default()
    };
    acs.enqueue(&cpe(1), Request::Download(download));
    let fleet = booted(&acs, config(&acs)).await;
    sessions(&acs, 2).await;
    let seen = acs.seen(&cpe(1));
    let at = seen.iter().position(|it| it.is_inform_with("7 TRANSFER COMPLETE")).unwrap();
    assert!(seen[at].is_inform_with("M Download"));
    assert_eq!(seen[at].value("Device.DeviceInfo.SoftwareVersion"), Some("2.0.0"));
    assert!(matches!(&seen[at + 1], Seen::Request(Request::TransferComplete(it)) if it.command_key == "fw"));
    fleet.stop().await;
}

#[tokio::test]
async fn an_outage_of_the_acs_is_ridden_out_with_retry_counts() {
    let acs = acs().await;
    acs.refuse(Some(503));
    let fleet = Fleet::start(config(&acs)).await.unwrap();
    while fleet.statistics().sessions_failed < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fleet.statistics().last_failure.as_deref(), Some("the ACS answered status 503"));
    acs.refuse(None);
    sessions(&acs, 1).await;
    let Seen::Inform { retry_count, .. } = informs(&acs).remove(0) else { panic!() };
    assert!(retry_count >= 2);
    fleet.stop().await;
}

#[tokio::test]
async fn quirks_change_the_way_and_not_the_outcome() {
    let acs = acs().await;
    acs.bodies(true);
    acs.enqueue(&cpe(1), read(&[CHANNEL]));
    let close = Quirks { slow_ms: 1, ..Quirks::of(&[Quirk::NewConnection]) };
    let fleet = booted(&acs, FleetConfig { quirks: close, ..config(&acs) }).await;
    assert_eq!(acs.exchanges(&cpe(1)).len(), 3);
    fleet.stop().await;
    let no_cookies = Quirks::of(&[Quirk::NoCookies]);
    acs.enqueue(&cpe(1), read(&[CHANNEL]));
    let fleet = Fleet::start(FleetConfig { quirks: no_cookies, ..config(&acs) }).await.unwrap();
    sessions(&acs, 2).await;
    assert_eq!(violations(&acs), []);
    fleet.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_cut_off_fails_the_session_once() {
    let acs = acs().await;
    acs.enqueue(&cpe(1), write(CHANNEL, "11", ValueType::UnsignedInt));
    let cut = Quirks { drop_before_answer_to: Some("SetParameterValues".into()), ..Quirks::default() };
    let fleet = booted(&acs, FleetConfig { quirks: cut, ..config(&acs) }).await;
    assert_eq!(fleet.statistics().sessions_failed, 1);
    assert_eq!(fleet.value(0, CHANNEL).as_deref(), Some("11"));
    assert!(matches!(informs(&acs)[1], Seen::Inform { retry_count: 1, .. }));
    fleet.stop().await;
}

#[tokio::test]
async fn many_cpes_with_periodic_informs_share_one_process() {
    let acs = acs().await;
    let model = Arc::new(Model::parse(TR098).unwrap());
    let config = FleetConfig {
        periodic_ms: Some(200),
        start_spread_ms: 100,
        first_serial: 1_000,
        ..FleetConfig::new(acs.url(), model, 200)
    };
    let fleet = Fleet::start(config).await.unwrap();
    let begin = std::time::Instant::now();
    while fleet.statistics().per_cpe.iter().any(|sessions| *sessions < 2) {
        assert!(begin.elapsed() < PATIENCE, "{:?}", fleet.statistics());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(fleet.statistics().sessions_failed, 0);
    assert_eq!(acs.cpes().len(), 200);
    assert!(acs.seen(&cpe(1_199)).iter().any(|it| it.is_inform_with("2 PERIODIC")));
    fleet.stop().await;
}

#[tokio::test]
async fn fleets_with_the_same_serial_numbers_are_not_mixed_up() {
    let acs = acs().await;
    let (one, other) = (cpe(1), EndpointId::parse("ops::00256D-Other-00000001").unwrap());
    acs.enqueue(&other, read(&[CHANNEL]));
    let fleet = booted(&acs, config(&acs)).await;
    let second = FleetConfig { product_class: "Other".into(), ..config(&acs) };
    let second = Fleet::start(second).await.unwrap();
    let ended = |seen: &[Seen]| seen.contains(&Seen::End);
    assert!(acs.until(&other, PATIENCE, ended).await, "{:?}", acs.seen(&other));
    let reads = |cpe| acs.seen(cpe).iter().filter(|it| matches!(it, Seen::Response { .. })).count();
    assert_eq!((reads(&one), reads(&other), acs.cpes().len()), (0, 1, 2));
    fleet.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn an_acs_that_asks_for_a_password_lets_in_only_who_knows_it() {
    let credentials = Some(("cpe".to_owned(), "secret".to_owned()));
    let acs =
        Acs::start(AcsConfig { credentials: credentials.clone(), ..AcsConfig::default() }).await.unwrap();
    let stranger = Fleet::start(FleetConfig { first_serial: 9, ..config(&acs) }).await.unwrap();
    while stranger.statistics().sessions_failed == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(stranger.statistics().last_failure.as_deref(), Some("the ACS answered status 401"));
    stranger.stop().await;
    acs.enqueue(&cpe(1), read(&[CHANNEL]));
    let fleet = booted(&acs, FleetConfig { acs_credentials: credentials, ..config(&acs) }).await;
    assert_eq!(fleet.statistics().sessions_failed, 0);
    assert_eq!(acs.cpes(), [cpe(1)]);
    fleet.stop().await;
}
