//! GetInstances (TR-369 6.1.4.3), from the instance index.

use crate::datamodel::{Instantiated, path};
use crate::usp::ErrorCode;
use crate::usp::message::{self, get_instances_resp};

use super::access::{Rights, Sort};
use super::get::is_hidden;
use super::keys::unique_keys;
use super::plan::View;
use super::resolve::{self, Unresolved};

/// Answers from the index, which follows every AddObject and DeleteObject of both masters.
pub fn get_instances(request: &message::GetInstances, view: &View<'_>) -> message::Response {
    let results = request.obj_paths.iter().map(|text| {
        let mut result =
            get_instances_resp::RequestedPathResult { requested_path: text.clone(), ..Default::default() };
        match instances_of(text, request.first_level_only, view) {
            Ok(found) => result.curr_insts = found,
            Err(unresolved) => {
                result.err_code = unresolved.code.0;
                result.err_msg = unresolved.why;
            }
        }
        result
    });
    let resp = message::GetInstancesResp { req_path_results: results.collect() };
    message::Response::GetInstancesResp(resp)
}

fn instances_of(
    text: &str,
    first_level_only: bool,
    view: &View<'_>,
) -> Result<Vec<get_instances_resp::CurrInstance>, Unresolved> {
    let expr = resolve::parse(text)?;
    if expr.param.is_some() {
        let why = "GetInstances takes object paths, which end in a dot".to_owned();
        return Err(Unresolved { code: ErrorCode::INVALID_PATH, why });
    }
    // The gateway's own tables stand for the CPE's of the same name, which are hidden.
    let own = resolve::objects(&expr, view.local_sight());
    let cpe = resolve::objects(&expr, view.cpe_sight()).map(|objects| {
        let shown = objects.into_iter().filter(|object| !is_hidden(object));
        shown.collect::<Vec<_>>()
    });
    let mut found = Vec::new();
    for object in own.as_ref().unwrap_or(&Vec::new()) {
        found.extend(below(object, first_level_only, view.local.model()));
    }
    for object in cpe.as_ref().unwrap_or(&Vec::new()) {
        let all = below(object, first_level_only, view.cpe);
        found.extend(all.filter(|instance| !is_hidden(&instance.instantiated_obj_path)));
    }
    match (own, cpe) {
        // Who lacks only the instance knows the table: that is the better answer.
        (Err(own), Err(cpe)) => Err(if own.code == ErrorCode::OBJECT_DOES_NOT_EXIST { own } else { cpe }),
        _ => Ok(permitted(found, view)),
    }
}

/// R-GIN.0, R-GIN.1: instances and keys that the one who asked may not read are not there.
fn permitted(
    mut found: Vec<get_instances_resp::CurrInstance>,
    view: &View<'_>,
) -> Vec<get_instances_resp::CurrInstance> {
    if view.access.is_unlimited() {
        return found;
    }
    found.retain(|it| view.may(Rights::READ, Sort::InstantiatedObj, &it.instantiated_obj_path));
    for instance in &mut found {
        let object = &instance.instantiated_obj_path;
        instance
            .unique_keys
            .retain(|name, _| view.may(Rights::READ, Sort::Param, &format!("{object}{name}")));
    }
    found
}

/// The instances below an object; of a table only its own where the first level alone is asked for.
fn below<'v>(
    object: &'v str,
    first_level_only: bool,
    model: &'v Instantiated,
) -> impl Iterator<Item = get_instances_resp::CurrInstance> {
    let instances = model.objects_below(object).filter(|below| path::instance(below).is_some());
    let wanted = instances.filter(move |below| !first_level_only || path::parent(below) == Some(object));
    wanted.map(|below| get_instances_resp::CurrInstance {
        instantiated_obj_path: below.to_owned(),
        unique_keys: unique_keys(below, model),
    })
}

#[cfg(test)]
mod tests {
    use super::super::access::Access;
    use super::super::local::Fixed;
    use super::*;
    use crate::datamodel::{Source, Value, WallTime};

    fn instances(path: &str, first_level_only: bool) -> Vec<get_instances_resp::CurrInstance> {
        let mut cpe = Instantiated::default();
        for (name, text) in [
            ("Device.Bridging.Bridge.1.Alias", "lan"),
            ("Device.Bridging.Bridge.1.VLANPort.3.VLAN", "Device.Bridging.Bridge.1.VLAN.1."),
            ("Device.Bridging.Bridge.1.VLAN.2.VLANID", "7"),
            ("Device.Bridging.Bridge.1.VLAN.2.Name", "guest"),
        ] {
            let value = Value { text: text.into(), value_type: None, at: WallTime(0), source: Source::Read };
            cpe.set_value(name, value);
        }
        let mut local = Fixed::default();
        let access = &Access::unlimited();
        let view = View::new(&mut cpe, &mut local, access, WallTime(0));
        instances_of(path, first_level_only, &view).unwrap()
    }

    #[test]
    fn tp469_1_66_1_67_first_level_only_leaves_out_what_is_below_an_instance() {
        let paths = |first_level_only| {
            let found = instances("Device.Bridging.Bridge.", first_level_only).into_iter();
            found.map(|instance| instance.instantiated_obj_path).collect::<Vec<_>>()
        };
        assert_eq!(paths(true), ["Device.Bridging.Bridge.1."]);
        let all = ["Bridge.1.", "Bridge.1.VLAN.2.", "Bridge.1.VLANPort.3."];
        assert_eq!(paths(false), all.map(|path| format!("Device.Bridging.{path}")));
    }

    #[test]
    fn tp469_1_66_the_gateways_own_tables_are_told_and_not_the_cpes_of_that_name() {
        let (mut cpe, mut local) = (Instantiated::default(), Fixed::default());
        cpe.put_object("Device.LocalAgent.Controller.5.", true);
        cpe.put_object("Device.WiFi.SSID.1.", true);
        local.0.put_object("Device.LocalAgent.Controller.1.", false);
        let access = &Access::unlimited();
        let view = View::new(&mut cpe, &mut local, access, WallTime(0));
        let paths = |path| {
            let found = instances_of(path, false, &view);
            let paths = found.map(|all| all.into_iter().map(|instance| instance.instantiated_obj_path));
            paths.map(Vec::from_iter).map_err(|unresolved| unresolved.code)
        };
        let controller = "Device.LocalAgent.Controller.1.".to_owned();
        assert_eq!(paths("Device.LocalAgent.Controller."), Ok(vec![controller.clone()]));
        assert_eq!(paths("Device."), Ok(vec![controller, "Device.WiFi.SSID.1.".to_owned()]));
        assert_eq!(paths("Device.LocalAgent.Controller.9."), Err(ErrorCode::OBJECT_DOES_NOT_EXIST));
        assert_eq!(paths("Device.LocalAgent.Nope."), Err(ErrorCode::INVALID_PATH));
        assert_eq!(paths("Device.WiFi.SSID.2."), Err(ErrorCode::OBJECT_DOES_NOT_EXIST));
    }

    #[test]
    fn unique_keys_are_told_only_where_all_their_values_are_known() {
        let known = |path| instances(path, true).remove(0).unique_keys.into_iter().collect::<Vec<_>>();
        assert_eq!(known("Device.Bridging.Bridge."), [("Alias".to_owned(), "lan".to_owned())]);
        let vlan = known("Device.Bridging.Bridge.1.VLAN.");
        assert_eq!(vlan, [("VLANID".to_owned(), "7".to_owned())], "a name is no key");
        assert!(known("Device.Bridging.Bridge.1.VLANPort.").is_empty(), "half a key is none");
    }
}
