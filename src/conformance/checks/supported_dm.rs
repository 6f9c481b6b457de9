//! GetSupportedDM and GetSupportedProtocol: TP-469 1.72 to 1.77, 1.80, 1.97 to 1.99, 1.105 to 1.107.

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{code, ensure, equal, fail, one};
use crate::conformance::messages::Lists;
use crate::conformance::session::Session;
use crate::usp::SUPPORTED_VERSIONS;
use crate::usp::message::get_supported_dm_resp as resp;
use crate::usp::message::{GetSupportedDmResp, GetSupportedProtocol, Request, Response};

pub(super) const CHECKS: &[Check] = &[
    Check::mandatory(1, 72, "GetSupportedDM of an object and all below it", |s| Box::pin(object(s))),
    Check::mandatory(1, 73, "GetSupportedDM of the first level", |s| Box::pin(first_level(s, Lists::ALL))),
    Check::mandatory(1, 74, "GetSupportedDM of the first level, without lists", |s| {
        Box::pin(first_level(s, Lists::NONE))
    }),
    Check::mandatory(1, 75, "GetSupportedDM of two tables, first level", |s| Box::pin(two_tables(s))),
    Check::mandatory(1, 76, "GetSupportedDM of everything", |s| Box::pin(root(s))),
    Check::mandatory(1, 77, "GetSupportedDM of an unknown object", |s| Box::pin(unknown(s))),
    Check::mandatory(1, 80, "GetSupportedProtocol", |s| Box::pin(protocol(s))),
    Check::conditional(1, 97, "GetSupportedDM of all commands", &[], |s| Box::pin(commands(s))),
    Check::conditional(1, 98, "GetSupportedDM of all events", &[], |s| Box::pin(events(s))),
    Check::mandatory(1, 99, "GetSupportedDM of unique keys", |s| Box::pin(unique_keys(s))),
    Check::conditional(1, 105, "GetSupportedDM of a command", &["Device.Reboot()"], |s| {
        Box::pin(element(s, "Device.Reboot()", [1, 0, 0]))
    }),
    Check::conditional(1, 106, "GetSupportedDM of an event", &["Device.Boot!"], |s| {
        Box::pin(element(s, "Device.Boot!", [0, 1, 0]))
    }),
    Check::mandatory(1, 107, "GetSupportedDM of a parameter", |s| {
        Box::pin(element(s, "Device.LocalAgent.EndpointID", [0, 0, 1]))
    }),
];

const AGENT: &str = "Device.LocalAgent.";

type Object = resp::SupportedObjectResult;

/// The objects told for one requested path, which must be no error.
fn objects<'r>(response: &'r GetSupportedDmResp, path: &str) -> Result<&'r [Object], Stop> {
    let result = response.req_obj_results.iter().find(|result| result.req_obj_path == path);
    let result = result.ok_or_else(|| Stop::Fail(format!("there is no result for {path}")))?;
    ensure(result.err_code == 0, || format!("{path} has the error {} {}", result.err_code, result.err_msg))?;
    ensure(!result.supported_objs.is_empty(), || format!("{path} has no objects"))?;
    Ok(&result.supported_objs)
}

/// Everything that is told of an object is such as the standard has it.
fn valid(object: &Object) -> Verdict {
    let path = &object.supported_obj_path;
    ensure(path.starts_with("Device.") && path.ends_with('.'), || {
        format!("{path:?} is no path of an object")
    })?;
    equal(&format!("is_multi_instance of {path}"), &object.is_multi_instance, &path.ends_with(".{i}."))?;
    for param in &object.supported_params {
        let name = &param.param_name;
        ensure(!name.is_empty() && !name.contains('.'), || format!("{path} has the parameter {name:?}"))?;
        let known = resp::ParamAccessType::try_from(param.access).is_ok()
            && param.value_type() != resp::ParamValueType::ParamUnknown
            && param.value_change() != resp::ValueChangeType::ValueChangeUnknown;
        ensure(known, || format!("{path}{name} is told without access, type or value change: {param:?}"))?;
    }
    for command in &object.supported_commands {
        let name = &command.command_name;
        ensure(name.ends_with("()"), || format!("{path} has the command {name:?}"))?;
        let known = command.command_type() != resp::CmdType::CmdUnknown;
        ensure(known, || format!("{path}{name} is told without its type"))?;
        relative(command.input_arg_names.iter().chain(&command.output_arg_names))?;
    }
    for event in &object.supported_events {
        ensure(event.event_name.ends_with('!'), || format!("{path} has the event {:?}", event.event_name))?;
        relative(event.arg_names.iter())?;
    }
    valid_keys(object)
}

/// Arguments are told by paths below their command or event.
fn relative<'n>(mut names: impl Iterator<Item = &'n String>) -> Verdict {
    match names.find(|name| name.is_empty() || name.starts_with("Device.") || name.starts_with('.')) {
        Some(name) => fail(format!("{name:?} is no relative path of an argument")),
        None => Ok(()),
    }
}

/// Keys are of tables, and of parameters that are there, if parameters are told.
fn valid_keys(object: &Object) -> Verdict {
    let path = &object.supported_obj_path;
    let there = |name: &String| {
        object.supported_params.is_empty() || object.supported_params.iter().any(|it| it.param_name == *name)
    };
    ensure(object.is_multi_instance || object.unique_key_sets.is_empty(), || {
        format!("{path} is no table and has unique keys")
    })?;
    let wrong = object
        .unique_key_sets
        .iter()
        .find(|set| set.key_names.is_empty() || !set.key_names.iter().all(there));
    wrong.map_or(Ok(()), |set| fail(format!("{path} has a unique key of {:?}", set.key_names)))
}

fn is_bare(object: &Object) -> bool {
    object.supported_params.is_empty()
        && object.supported_commands.is_empty()
        && object.supported_events.is_empty()
        && object.unique_key_sets.is_empty()
}

/// Whether an object stands directly below another, tables counted without their `{i}.`.
fn is_child(path: &str, of: &str) -> bool {
    let below = path.strip_prefix(of).unwrap_or("").trim_end_matches("{i}.").trim_end_matches('.');
    !below.is_empty() && !below.contains('.')
}

async fn object(session: &mut Session) -> Verdict {
    let response = session.supported_dm(&[AGENT], false, Lists::ALL).await?;
    let found = objects(&response, AGENT)?;
    found.iter().try_for_each(valid)?;
    for wanted in [AGENT, "Device.LocalAgent.Controller.{i}.", "Device.LocalAgent.Subscription.{i}."] {
        let there = found.iter().find(|it| it.supported_obj_path == wanted);
        ensure(there.is_some_and(|it| !it.supported_params.is_empty()), || {
            format!("{wanted} is not in the answer with its parameters")
        })?;
    }
    let keyless = found.iter().find(|it| {
        it.supported_obj_path == "Device.LocalAgent.Subscription.{i}." && it.unique_key_sets.is_empty()
    });
    ensure(keyless.is_none(), || "the table of subscriptions is told without unique keys".to_owned())
}

async fn first_level(session: &mut Session, lists: Lists) -> Verdict {
    let response = session.supported_dm(&[AGENT], true, lists).await?;
    let found = objects(&response, AGENT)?;
    found.iter().try_for_each(valid)?;
    let all = found.iter().any(|it| it.supported_obj_path == AGENT)
        && found.iter().any(|it| it.supported_obj_path == "Device.LocalAgent.Controller.{i}.");
    ensure(all, || "the object or one of its children is not in the answer".to_owned())?;
    for object in found {
        let path = &object.supported_obj_path;
        let itself = path == AGENT;
        ensure(itself || is_child(path, AGENT), || format!("{path} is deeper than the first level"))?;
        ensure(is_bare(object) || (itself && lists.params), || format!("{path} is told with what is in it"))?;
        ensure(!itself || is_bare(object) != lists.params, || {
            format!("{path} is told without what is in it")
        })?;
    }
    Ok(())
}

async fn two_tables(session: &mut Session) -> Verdict {
    let tables = ["Device.LocalAgent.Controller.", "Device.LocalAgent.MTP."];
    let response = session.supported_dm(&tables, true, Lists::ALL).await?;
    equal("the number of results", &response.req_obj_results.len(), &2)?;
    for table in tables {
        let found = objects(&response, table)?;
        found.iter().try_for_each(valid)?;
        let row = format!("{table}{{i}}.");
        for object in found {
            let path = &object.supported_obj_path;
            ensure(*path == row || is_child(path, &row), || {
                format!("{path} is deeper than the first level")
            })?;
            let told = !object.supported_params.is_empty();
            equal(&format!("whether {path} is told with its parameters"), &told, &(*path == row))?;
        }
        let keyed = found.iter().any(|it| it.supported_obj_path == row && !it.unique_key_sets.is_empty());
        ensure(keyed, || format!("{row} is told without unique keys"))?;
    }
    Ok(())
}

async fn root(session: &mut Session) -> Verdict {
    let response = session.supported_dm(&["Device."], false, Lists::ALL).await?;
    let found = objects(&response, "Device.")?;
    found.iter().try_for_each(valid)?;
    let there = found.iter().any(|it| it.supported_obj_path == AGENT);
    ensure(there, || format!("{AGENT} is not in the answer"))
}

async fn unknown(session: &mut Session) -> Verdict {
    let path = "Device.LocalAgent.UnsupportedObject.";
    let response = session.supported_dm(&[path], false, Lists::ALL).await?;
    let result = one(&response.req_obj_results, "RequestedObjectResult")?;
    ensure(result.supported_objs.is_empty(), || "the unknown object is told of".to_owned())?;
    code("the result", result.err_code, super::add::UNKNOWN_PATH)
}

async fn protocol(session: &mut Session) -> Verdict {
    let controller_supported_protocol_versions = SUPPORTED_VERSIONS.to_owned();
    let request =
        Request::GetSupportedProtocol(GetSupportedProtocol { controller_supported_protocol_versions });
    let Response::GetSupportedProtocolResp(response) = session.plain(request).await? else {
        return fail("the answer is no GetSupportedProtocolResp");
    };
    let versions = &response.agent_supported_protocol_versions;
    let is_version = |text: &str| {
        text.split_once('.')
            .is_some_and(|(major, minor)| major.parse::<u8>().is_ok() && minor.parse::<u8>().is_ok())
    };
    ensure(versions.split(',').all(|text| is_version(text.trim())), || {
        format!("{versions:?} is no list of versions")
    })
}

async fn commands(session: &mut Session) -> Verdict {
    let lists = Lists { commands: true, ..Lists::NONE };
    let response = session.supported_dm(&["Device."], false, lists).await?;
    let found = objects(&response, "Device.")?;
    found.iter().try_for_each(valid)?;
    let others = |it: &&Object| {
        !it.supported_params.is_empty() || !it.supported_events.is_empty() || !it.unique_key_sets.is_empty()
    };
    if let Some(object) = found.iter().find(others) {
        return fail(format!("{} is told with more than its commands", object.supported_obj_path));
    }
    let mut commands = found.iter().flat_map(|it| &it.supported_commands);
    match commands.any(|command| !command.input_arg_names.is_empty()) {
        true => Ok(()),
        false => Err(Stop::NotApplicable("the agent supports no command with arguments".to_owned())),
    }
}

async fn events(session: &mut Session) -> Verdict {
    let lists = Lists { events: true, ..Lists::NONE };
    let response = session.supported_dm(&["Device."], false, lists).await?;
    let found = objects(&response, "Device.")?;
    found.iter().try_for_each(valid)?;
    let others = |it: &&Object| {
        !it.supported_params.is_empty() || !it.supported_commands.is_empty() || !it.unique_key_sets.is_empty()
    };
    if let Some(object) = found.iter().find(others) {
        return fail(format!("{} is told with more than its events", object.supported_obj_path));
    }
    match found.iter().flat_map(|it| &it.supported_events).any(|event| !event.arg_names.is_empty()) {
        true => Ok(()),
        false => Err(Stop::NotApplicable("the agent supports no event with arguments".to_owned())),
    }
}

async fn unique_keys(session: &mut Session) -> Verdict {
    let path = "Device.LocalAgent.Subscription";
    let lists = Lists { keys: true, ..Lists::NONE };
    let response = session.supported_dm(&[path], false, lists).await?;
    one(&response.req_obj_results, "RequestedObjectResult")?;
    let object = one(objects(&response, path)?, "SupportedObjectResult")?;
    let bare = object.supported_params.is_empty()
        && object.supported_commands.is_empty()
        && object.supported_events.is_empty();
    ensure(bare, || "more than unique keys is told".to_owned())?;
    let mut wanted: Vec<Vec<&str>> = vec![vec!["ID", "Recipient"]];
    if session.has("Device.LocalAgent.Subscription.{i}.Alias") {
        wanted.push(vec!["Alias"]);
    }
    let mut told: Vec<Vec<&str>> = object
        .unique_key_sets
        .iter()
        .map(|set| {
            let mut names: Vec<&str> = set.key_names.iter().map(String::as_str).collect();
            names.sort_unstable();
            names
        })
        .collect();
    told.sort();
    wanted.sort();
    equal("the list of unique keys", &told, &wanted)
}

/// One element of an object, and nothing but it: so many commands, events and parameters.
async fn element(session: &mut Session, path: &str, wanted: [usize; 3]) -> Verdict {
    let response = session.supported_dm(&[path], false, Lists::ALL).await?;
    one(&response.req_obj_results, "RequestedObjectResult")?;
    let object = one(objects(&response, path)?, "SupportedObjectResult")?;
    valid(&Object { unique_key_sets: Vec::new(), ..object.clone() })?;
    let told =
        [object.supported_commands.len(), object.supported_events.len(), object.supported_params.len()];
    equal("the number of commands, events and parameters", &told, &wanted)?;
    ensure(object.unique_key_sets.is_empty(), || "unique keys are told".to_owned())?;
    let commands = object.supported_commands.iter().map(|it| &it.command_name);
    let events = object.supported_events.iter().map(|it| &it.event_name);
    let params = object.supported_params.iter().map(|it| &it.param_name);
    let name = commands.chain(events).chain(params).next();
    let whole = format!("{}{}", object.supported_obj_path, name.map_or("", String::as_str));
    equal("what is told", whole.as_str(), path)
}
