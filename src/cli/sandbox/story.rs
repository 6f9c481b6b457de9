//! What the sandbox shows: one device under two masters. Every step checks what it says.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::sync::broadcast::Receiver;

use crate::cwmp::rpc::{Array, GetParameterValues, ParameterValueStruct, Request, SetParameterValues};
use crate::datamodel::ValueType;
use crate::identity::{DeviceId, EndpointId};
use crate::sim::acs::Seen;
use crate::sim::controller::{Notification, requests};
use crate::usp::message::Response;
use crate::usp::message::notify::Notification as Notified;

use super::voice::Voice;
use super::world::{PATIENCE, World};

/// The device that the story is about.
struct Hero {
    serial: String,
    agent: EndpointId,
}

/// Tells the story; the first thing that is not as it should be ends it.
pub(super) async fn tell(world: &World, voice: &Voice) -> anyhow::Result<()> {
    arrive(world, voice).await?;
    let device = world.modern().device_ids().into_iter().next().context("there is no CPE")?;
    let hero = Hero { serial: device.serial_number.clone(), agent: device.endpoint_id() };
    let mut notices = world.controller.notifications();
    acs_reads(world, voice, &hero).await?;
    controller_reads(world, voice, &hero, &device).await?;
    controller_sets(world, voice, &hero).await?;
    subscription_fires(world, voice, &hero, &mut notices).await?;
    old_model(world, voice).await?;
    diagnosis(world, voice, &hero, &mut notices).await?;
    reboot(world, voice, &hero, &mut notices).await?;
    voice.chapter("The end");
    let sessions: u64 = world.fleets.iter().map(|fleet| fleet.statistics().sessions_failed).sum();
    ensure!(sessions == 0, "{sessions} CWMP session(s) failed on the way");
    voice.say("dragoman", "every step was checked; no CWMP session failed");
    Ok(())
}

async fn arrive(world: &World, voice: &Voice) -> anyhow::Result<()> {
    voice.chapter("1  The CPEs call, the ACS answers, and USP learns of them");
    let devices = world.devices();
    for device in &devices {
        let informed = |seen: &[Seen]| seen.iter().any(|it| it.is_inform_with("1 BOOT"));
        let came = world.acs.until(&device.endpoint_id(), PATIENCE, informed).await;
        ensure!(came, "the ACS heard nothing of {}", device.serial_number);
    }
    voice.say(
        "ACS",
        &format!("all {} CPEs have sent their Inform, as if nobody stood between", devices.len()),
    );
    let onboarded = world.controller.wait_for_agents(devices.len(), PATIENCE).await;
    ensure!(onboarded, "only {} agents onboarded", world.controller.agents().len());
    voice.say(
        "controller",
        &format!("received an OnBoardRequest from each of {} virtual agents", devices.len()),
    );
    Ok(())
}

async fn acs_reads(world: &World, voice: &Voice, hero: &Hero) -> anyhow::Result<()> {
    voice.chapter("2  The ACS works as ever");
    let name = "Device.DeviceInfo.UpTime";
    let parameter_names = Array(vec![name.into()]);
    world.acs.enqueue(&hero.agent, Request::GetParameterValues(GetParameterValues { parameter_names }));
    wake(world, hero).await?;
    let answered = |seen: &[Seen]| seen.iter().any(|it| it.value(name).is_some());
    ensure!(world.acs.until(&hero.agent, PATIENCE, answered).await, "the ACS got no answer");
    voice.say("ACS", &format!("sends {} a connection request, then reads {name}", hero.serial));
    Ok(())
}

async fn controller_reads(
    world: &World,
    voice: &Voice,
    hero: &Hero,
    device: &DeviceId,
) -> anyhow::Result<()> {
    voice.chapter("3  The controller reads the same CPE over USP");
    let paths = ["Device.DeviceInfo.SerialNumber", "Device.WiFi.SSID.*.SSID"];
    let values = get(world, &hero.agent, &paths).await?;
    voice.say("controller", &format!("Get {} of {}:\n{}", paths.join(" and "), hero.agent, lines(&values)));
    let serial = values.get("Device.DeviceInfo.SerialNumber");
    ensure!(serial == Some(&device.serial_number), "that is another serial number: {serial:?}");
    voice.say(
        "dragoman",
        "woke the CPE, let the ACS go first, then sent GetParameterValues in the same session",
    );
    let request = requests::get_supported_dm(&["Device."], false);
    let Response::GetSupportedDmResp(resp) = ask(world, &hero.agent, request).await? else {
        bail!("another response came")
    };
    let objects: usize = resp.req_obj_results.iter().map(|result| result.supported_objs.len()).sum();
    voice.say("controller", &format!("GetSupportedDM: the agent supports {objects} objects"));
    Ok(())
}

async fn controller_sets(world: &World, voice: &Voice, hero: &Hero) -> anyhow::Result<()> {
    voice.chapter("4  The controller changes something, and the ACS sees it");
    ask(world, &hero.agent, requests::set(&[(SSID, "Set by USP")], false)).await?;
    voice.say("controller", &format!("Set {SSID} = \"Set by USP\""));
    ensure!(world.modern().value(0, SSID).as_deref() == Some("Set by USP"), "the CPE does not have it");
    let parameter_names = Array(vec![SSID.into()]);
    world.acs.enqueue(&hero.agent, Request::GetParameterValues(GetParameterValues { parameter_names }));
    wake(world, hero).await?;
    let sees = |seen: &[Seen]| seen.iter().any(|it| it.value(SSID) == Some("Set by USP"));
    ensure!(world.acs.until(&hero.agent, PATIENCE, sees).await, "the ACS does not see it");
    voice.say("ACS", &format!("reads {SSID}: \"Set by USP\""));
    Ok(())
}

async fn subscription_fires(
    world: &World,
    voice: &Voice,
    hero: &Hero,
    notices: &mut Receiver<Notification>,
) -> anyhow::Result<()> {
    voice.chapter("5  The ACS changes something, and the controller is told");
    ask(world, &hero.agent, requests::subscribe("ssid", "ValueChange", &[SSID], true)).await?;
    voice.say("controller", &format!("subscribes to ValueChange of {SSID}"));
    let value = ParameterValueStruct::new(SSID.to_owned(), "Set by the ACS".to_owned(), ValueType::String);
    let request = SetParameterValues { parameter_list: Array(vec![value]), parameter_key: "acs-1".into() };
    world.acs.enqueue(&hero.agent, Request::SetParameterValues(request));
    wake(world, hero).await?;
    voice.say("ACS", &format!("sets {SSID} = \"Set by the ACS\""));
    let told = until(notices, &hero.agent, |it| match it {
        Notified::ValueChange(change) => Some(change.param_value.clone()),
        _ => None,
    });
    let value = told.await?;
    ensure!(value == "Set by the ACS", "the notification says {value}");
    voice.say("controller", &format!("Notify ValueChange: {SSID} = \"{value}\""));
    Ok(())
}

async fn old_model(world: &World, voice: &Voice) -> anyhow::Result<()> {
    let Some(device) = world.fleets.get(1).and_then(|fleet| fleet.device_ids().into_iter().next()) else {
        return Ok(());
    };
    voice.chapter("6  A TR-098 device speaks TR-181");
    let agent = device.endpoint_id();
    let paths = ["Device.DeviceInfo.SerialNumber", "Device.DeviceInfo.SoftwareVersion"];
    let values = get(world, &agent, &paths).await?;
    voice.say("controller", &format!("Get of {agent}:\n{}", lines(&values)));
    let serial = values.get("Device.DeviceInfo.SerialNumber");
    ensure!(serial == Some(&device.serial_number), "that is another serial number: {serial:?}");
    voice.say("dragoman", "asked the CPE for InternetGatewayDevice.DeviceInfo.*");
    Ok(())
}

async fn diagnosis(
    world: &World,
    voice: &Voice,
    hero: &Hero,
    notices: &mut Receiver<Notification>,
) -> anyhow::Result<()> {
    voice.chapter("7  A command that takes its time");
    let command = "Device.IP.Diagnostics.IPPing()";
    ask(world, &hero.agent, requests::subscribe("ping", "OperationComplete", &[command], true)).await?;
    ask(world, &hero.agent, requests::operate(command, "ping-1", &[("Host", "127.0.0.1")])).await?;
    voice.say("controller", &format!("Operate {command}: accepted, a Request row stands for it"));
    let told = until(notices, &hero.agent, |it| match it {
        Notified::OperComplete(complete) => Some(format!("{:?}", complete.operation_resp)),
        _ => None,
    });
    let outputs = told.await?;
    ensure!(outputs.contains("SuccessCount"), "the operation has no results: {outputs}");
    voice.say(
        "controller",
        "Notify OperationComplete: the CPE has pinged, and said so by 8 DIAGNOSTICS COMPLETE",
    );
    Ok(())
}

async fn reboot(
    world: &World,
    voice: &Voice,
    hero: &Hero,
    notices: &mut Receiver<Notification>,
) -> anyhow::Result<()> {
    voice.chapter("8  The controller reboots the CPE");
    let mut request = requests::subscribe("boot", "Event", &["Device.Boot!"], true);
    if let crate::usp::message::Request::Add(add) = &mut request {
        let persistent = crate::usp::message::add::CreateParamSetting {
            param: "Persistent".into(),
            value: "true".into(),
            required: true,
        };
        add.create_objs.iter_mut().for_each(|it| it.param_settings.push(persistent.clone()));
    }
    ask(world, &hero.agent, request).await?;
    ask(world, &hero.agent, requests::operate("Device.Reboot()", "reboot-1", &[])).await?;
    voice.say("controller", "Operate Device.Reboot(): the CPE goes down");
    let told = until(notices, &hero.agent, |it| match it {
        Notified::Event(event) if event.event_name == "Boot!" => Some(event.params.clone()),
        _ => None,
    });
    let params = told.await?;
    let cause = params.get("Cause").map_or("", String::as_str);
    ensure!(cause == "RemoteReboot", "Boot! has another cause: {cause}");
    voice.say("controller", &format!("Notify Device.Boot! with Cause {cause}"));
    let seen = |seen: &[Seen]| seen.iter().filter(|it| it.is_inform_with("1 BOOT")).count() >= 2;
    ensure!(world.acs.until(&hero.agent, PATIENCE, seen).await, "the ACS was not told of the reboot");
    voice.say("ACS", "sees the Inform with 1 BOOT, as after any reboot");
    Ok(())
}

async fn wake(world: &World, hero: &Hero) -> anyhow::Result<()> {
    // A CPE that is in a session at the moment answers 503, and an ACS tries again.
    for _ in 0..40 {
        let status = world.acs.connection_request(&hero.agent, None).await;
        match status {
            Ok(200 | 204) => return Ok(()),
            Ok(503) => tokio::time::sleep(Duration::from_millis(250)).await,
            Ok(status) => bail!("the CPE answered the ACS's connection request with {status}"),
            Err(error) => bail!("the ACS's connection request failed: {error}"),
        }
    }
    bail!("the CPE stayed in its session")
}

async fn ask(
    world: &World,
    agent: &EndpointId,
    request: crate::usp::message::Request,
) -> anyhow::Result<Response> {
    world.controller.request(agent, request, PATIENCE).await.with_context(|| format!("a request to {agent}"))
}

async fn get(world: &World, agent: &EndpointId, paths: &[&str]) -> anyhow::Result<BTreeMap<String, String>> {
    let Response::GetResp(resp) = ask(world, agent, requests::get(paths, 0)).await? else {
        bail!("another response came")
    };
    let mut values = BTreeMap::new();
    for result in resp.req_path_results {
        ensure!(result.err_code == 0, "{}: {} {}", result.requested_path, result.err_code, result.err_msg);
        for object in result.resolved_path_results {
            let path = object.resolved_path;
            values.extend(
                object.result_params.into_iter().map(|(name, value)| (format!("{path}{name}"), value)),
            );
        }
    }
    Ok(values)
}

fn lines(values: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    lines.join("\n")
}

/// Waits for a notification of this agent's that is of interest.
async fn until<T>(
    notices: &mut Receiver<Notification>,
    agent: &EndpointId,
    pick: impl Fn(&Notified) -> Option<T>,
) -> anyhow::Result<T> {
    let waiting = async {
        loop {
            let notice = notices.recv().await.context("the controller has stopped")?;
            let wanted = notice.notify.notification.as_ref().filter(|_| notice.agent == *agent);
            if let Some(found) = wanted.and_then(&pick) {
                return Ok(found);
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.context("the notification did not come")?
}

const SSID: &str = "Device.WiFi.SSID.1.SSID";
