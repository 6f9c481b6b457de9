//! Devices of one firmware: what one of them showed, the next is not asked for.

use std::collections::BTreeSet;

use super::*;

const TR_098: &str = include_str!("../../../fixtures/models/tr098-small.csv");

type Firmwares = HashMap<FirmwareId, Firmware>;

/// A device with this model that knows these firmwares and has been discovered.
fn sister(model: &str, firmwares: &Firmwares) -> Story {
    numbered(model, "S0", firmwares)
}

/// What is known when some devices with this model have been discovered.
fn known(model: &str) -> Firmwares {
    let numbers = ["S1", "S2", "S3"].into_iter();
    numbers.fold(Firmwares::new(), |known, number| numbered(model, number, &known).firmwares)
}

fn numbered(model: &str, number: &str, firmwares: &Firmwares) -> Story {
    let mut story = Story::of(AgentConfig::default(), Bench::numbered(model, number));
    story.firmwares.clone_from(firmwares);
    story.session();
    story.session();
    assert!(story.agent.is_discovered());
    story
}

/// What the shadow says there is: names, and what can be written.
fn structure(story: &Story) -> BTreeSet<(String, bool)> {
    let cpe = &story.shadow.cpe;
    let objects = cpe.objects_below("").map(|name| (name.to_owned(), cpe.is_writable_object(name)));
    objects.chain(cpe.params_below("").map(|(name, param)| (name.to_owned(), param.writable))).collect()
}

fn without(model: &str, part: &str) -> String {
    let lines = model.lines().filter(|line| !line.starts_with(part));
    lines.map(|line| format!("{line}\n")).collect()
}

fn renamed(model: &str, from: &str, to: &str) -> String {
    let more = model.lines().filter(|line| line.starts_with(from)).map(|line| line.replace(from, to));
    more.fold(model.to_owned(), |all, line| format!("{all}{line}\n"))
}

#[test]
fn a_sister_is_asked_for_its_tables_and_not_walked() {
    for model in [MODEL, TR_098] {
        let known = known(model);
        assert_eq!(known.len(), 1);
        let (first, second) = (sister(model, &HashMap::new()), sister(model, &known));
        assert_eq!(structure(&first), structure(&second));
        let walked = |story: &Story| {
            let whole = story.asked.iter().filter(|path| path.matches('.').count() == 2);
            whole.filter(|path| !path.ends_with('+')).count()
        };
        assert!(walked(&first) >= 4 && walked(&second) <= 1, "{:?}", second.asked);
    }
}

/// Whatever a sister has more, less or other than those before it, it is known as if it had been walked.
#[test]
fn what_differs_between_sisters_is_found() {
    let cases = [
        (MODEL, renamed(MODEL, "Device.Hosts.Host.1.", "Device.Hosts.Host.77.")),
        (MODEL, without(MODEL, "Device.Hosts.Host.2.")),
        (MODEL, without(MODEL, "Device.Hosts.")),
        (MODEL, without(MODEL, "Device.NAT.")),
        (MODEL, format!("{MODEL}Device.X_ACME.Box.4.Thing,1,a,string\n")),
        (TR_098, renamed(TR_098, "InternetGatewayDevice.LANDevice.1.Hosts.Host.1.", HOST_9)),
        (TR_098, without(TR_098, "InternetGatewayDevice.LANDevice.1.Hosts.Host.2.")),
        (TR_098, without(TR_098, "InternetGatewayDevice.Time.")),
    ];
    for (model, other) in cases {
        for (first, second) in [(model, other.as_str()), (other.as_str(), model)] {
            let known = known(first);
            let truth = structure(&sister(second, &HashMap::new()));
            let learnt = sister(second, &known);
            assert_eq!(structure(&learnt), truth, "{:?}", learnt.asked);
        }
    }
}

#[test]
fn what_only_some_instances_have_is_asked_of_each_sister() {
    let odd = without(MODEL, "Device.Hosts.Host.2.HostName");
    let known = known(&odd);
    let other = without(MODEL, "Device.Hosts.Host.1.HostName");
    let learnt = sister(&other, &known);
    assert_eq!(structure(&learnt), structure(&sister(&other, &HashMap::new())));
    assert!(learnt.asked.contains(&"Device.Hosts.Host.2.".to_owned()), "{:?}", learnt.asked);
}

#[test]
fn a_name_that_this_device_has_not_is_dropped_for_it_alone_and_the_others_are_warned() {
    let known = known(MODEL);
    let poor = without(MODEL, "Device.DeviceInfo.ModelName");
    let mut story = sister(&poor, &known);
    let all = story.get("Device.DeviceInfo.").unwrap();
    assert!(all.len() > 3 && !all.contains_key("Device.DeviceInfo.ModelName"), "{all:?}");
    assert_eq!(story.get("Device.DeviceInfo.ModelName"), Err(ErrorCode::INVALID_PATH));
    story.session();
    assert_eq!(structure(&story), structure(&sister(&poor, &HashMap::new())));
    let third = sister(&poor, &story.firmwares);
    assert_eq!(structure(&third), structure(&story), "nobody asked it: {:?}", third.asked);
    assert_eq!(structure(&sister(MODEL, &story.firmwares)), structure(&sister(MODEL, &HashMap::new())));
}

#[test]
fn an_instance_that_went_on_the_device_is_noticed_when_it_is_read() {
    let mut story = Story::begin();
    story.cpe.delete("Device.Hosts.Host.2.");
    let hosts = story.get("Device.Hosts.").unwrap();
    assert!(hosts.contains_key("Device.Hosts.Host.1.HostName"));
    assert!(!hosts.keys().any(|name| name.starts_with("Device.Hosts.Host.2.")), "{hosts:?}");
    story.settle();
    story.session();
    assert!(!story.shadow.cpe.has_object("Device.Hosts.Host.2."));
}

#[test]
fn another_firmware_has_another_model_and_what_it_has_not_is_forgotten() {
    let later = without(MODEL, "Device.NAT.").replace("SoftwareVersion,0,", "SoftwareVersion,0,9.");
    let mut updated = sister(MODEL, &known(MODEL));
    updated.subscribe("ObjectDeletion", "Device.Hosts.", &[]);
    updated.cpe.flash(&later);
    updated.session();
    updated.session();
    assert_eq!(updated.firmwares.len(), 2);
    assert_eq!(structure(&updated), structure(&sister(&later, &HashMap::new())));
    assert_eq!(updated.agent.local.subscriptions().len(), 0, "not persistent, and the device has booted");
}

#[test]
fn the_types_that_a_device_states_are_expected_of_its_sisters() {
    let known = {
        let mut first = sister(MODEL, &known(MODEL));
        first.get("Device.WiFi.").unwrap();
        first.get("Device.WiFi.").unwrap();
        first.firmwares
    };
    let second = sister(MODEL, &known);
    let param = second.shadow.cpe.param("Device.WiFi.SSID.1.SSID").unwrap();
    assert_eq!(param.value_type(), Some(crate::datamodel::ValueType::String));
}

const HOST_9: &str = "InternetGatewayDevice.LANDevice.1.Hosts.Host.9.";

/// What none of the first devices had within an object that has no tables is found by the sisters that walk
/// its branch all the same; from then on all are asked.
#[test]
fn what_the_first_devices_had_not_is_found_in_time() {
    let poor = without(MODEL, "Device.DeviceInfo.ProcessStatus.");
    let mut firmwares = known(&poor);
    for number in 0..100 {
        firmwares = numbered(MODEL, &format!("T{number}"), &firmwares).firmwares;
    }
    assert_eq!(structure(&sister(MODEL, &firmwares)), structure(&sister(MODEL, &HashMap::new())));
}
