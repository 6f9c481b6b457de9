//! What the ACS writes, adds and deletes, and what would come of a controller's Set, Add and Delete that say the
//! same: by the very plans, which are asked for their first RPC and not carried on.

use crate::cwmp::rpc::{ParameterValueStruct, Request, Response, SetParameterValues};
use crate::datamodel::path;
use crate::policy::Class;
use crate::usp::ErrorCode;
use crate::usp::message::{self, add, set};

use super::super::add::Add;
use super::super::delete::Delete;
use super::super::diagnostics::Diagnostic;
use super::super::fault;
use super::super::plan::{Outcome, Plan, Step};
use super::super::set::Set;
use super::comparer::{Answer, Comparer, Place, Why, class_of, is_like};
use super::reads::same;

/// One setting of the Set that says what the ACS said: of which of its parameters it is, and what is set.
struct Setting {
    of: usize,
    /// In TR-181 terms.
    one: ParameterValueStruct<'static>,
}

/// What the agent would have refused, by path, and how.
type Refusals = Vec<(String, ErrorCode, String)>;

/// What the agent would say to the CPE, or how it would refuse.
type Planned = Result<Option<Request<'static>>, Refusals>;

impl Comparer<'_, '_> {
    /// SetParameterValues as one Set without allow_partial, whose atomicity is the same.
    pub fn sets(&mut self, list: &[ParameterValueStruct<'_>], answer: Answer<'_>) {
        // What has no room is not planned either.
        let (list, rest) = list.split_at(list.len().min(usize::try_from(self.room).unwrap_or(usize::MAX)));
        self.findings.tally.skipped += rest.len() as u64;
        let mut settings: Vec<Setting> =
            (0..list.len()).flat_map(|of| self.settings(of, &list[of])).collect();
        let mut refused = Refusals::new();
        let mut said = None;
        // What is refused is left out of the second try, so that the rest is compared as well.
        for _ in 0..2 {
            match self.planned_set(&settings) {
                Ok(request) => {
                    said = request;
                    break;
                }
                Err(refusals) => {
                    let hit = |it: &Setting| refusals.iter().any(|(at, ..)| is_about(at, &it.one.name));
                    settings.retain(|it| !hit(it));
                    refused.extend(refusals);
                }
            }
        }
        let said = match said {
            Some(Request::SetParameterValues(SetParameterValues { parameter_list, .. })) => parameter_list.0,
            _ => Vec::new(),
        };
        for (of, one) in list.iter().enumerate() {
            let settings: Vec<&Setting> = settings.iter().filter(|it| it.of == of).collect();
            self.item(&one.name, |it, paths| {
                let refusal = refused.iter().find(|(at, ..)| paths.iter().any(|path| is_about(at, path)));
                match answer {
                    Answer::Response(_) => match refusal {
                        Some((_, code, why)) => Some(refused_alone(*code, why)),
                        None => it.says_otherwise(one, paths, &settings, &said),
                    },
                    Answer::Fault(fault) => {
                        let blamed = &fault.set_parameter_values_fault;
                        let ours = blamed.iter().find(|blamed| blamed.parameter_name == one.name);
                        let told = ours.map(|blamed| fault::code(blamed.fault_code));
                        let tells = !blamed.is_empty();
                        refusal.and_then(|(_, code, why)| blames_otherwise(told, tells, *code, why))
                    }
                }
            });
        }
    }

    /// What says one of the ACS's parameters in TR-181 terms. Of several counterparts those that the agent shows.
    fn settings(&self, of: usize, one: &ParameterValueStruct<'_>) -> Vec<Setting> {
        if !matches!(self.place(&one.name), Place::At(_)) {
            return Vec::new();
        }
        let all = self.in_usp_terms(one);
        let mut shown: Vec<_> =
            all.iter().filter(|it| self.view.cpe.param(&it.name).is_some()).cloned().collect();
        if shown.is_empty() {
            shown = all.into_iter().take(1).collect();
        }
        shown.into_iter().map(|one| Setting { of, one }).collect()
    }

    fn planned_set(&mut self, settings: &[Setting]) -> Planned {
        let mut update_objs: Vec<set::UpdateObject> = Vec::new();
        for Setting { one, .. } in settings {
            let Some(object) = path::parent(&one.name) else { continue };
            let param = path::name(&one.name).to_owned();
            let setting = set::UpdateParamSetting { param, value: one.value.to_string(), required: true };
            match update_objs.iter_mut().find(|known| known.obj_path == object) {
                Some(known) => known.param_settings.push(setting),
                None => update_objs
                    .push(set::UpdateObject { obj_path: object.to_owned(), param_settings: vec![setting] }),
            }
        }
        if update_objs.is_empty() {
            return Ok(None);
        }
        self.plan(Set::new(message::Set { allow_partial: false, update_objs }))
    }

    /// What a plan says first.
    fn plan(&mut self, mut plan: impl Plan) -> Planned {
        match plan.next(self.view) {
            Step::Call(request) => Ok(Some(request)),
            Step::Done(Outcome::Error(error)) => {
                let blamed = error.param_errs.into_iter();
                let mut refusals: Refusals =
                    blamed.map(|one| (one.param_path, ErrorCode(one.err_code), one.err_msg)).collect();
                if refusals.is_empty() {
                    refusals.push((String::new(), ErrorCode(error.err_code), error.err_msg));
                }
                Err(refusals)
            }
            Step::Done(_) => Ok(None),
        }
    }

    /// The SetParameterValues that the agent would send, against the ACS's.
    fn says_otherwise(
        &self,
        one: &ParameterValueStruct<'_>,
        paths: &[String],
        settings: &[&Setting],
        said: &[ParameterValueStruct<'static>],
    ) -> Option<Why> {
        let Some(setting) = settings.first() else {
            let why = "the value is none that could be said in TR-181 terms";
            return Some(Why { cwmp: Some(one.value.to_string()), ..Why::new(Class::Value, why) });
        };
        let diagnostic =
            path::name(&setting.one.name) == "DiagnosticsState" && &*setting.one.value == "Requested";
        if diagnostic && !paths.iter().any(|path| is_command(path)) {
            return Some(Why::new(Class::Unmapped, "the agent has no command for this diagnostic"));
        }
        let Some(ours) = said.iter().find(|said| said.name == setting.one.name).cloned() else {
            return Some(Why::new(Class::Fault, "the agent would not set it"));
        };
        let shown = ours.value.to_string();
        let back = match self.in_cpe_terms(ours) {
            Ok(back) => back,
            Err(why) => return Some(Why::new(Class::RoundTrip, why).sides(&one.value, &shown)),
        };
        if back.name != one.name {
            let why = format!("the agent would set {} in its place", back.name);
            return Some(Why::new(Class::RoundTrip, why));
        }
        if !same(one.value_type, &back.value, &one.value) {
            let why = "the agent would set another value";
            return Some(Why::new(Class::RoundTrip, why).sides(&one.value, &back.value));
        }
        let (theirs, ours) = one.value_type.zip(back.value_type).filter(|(theirs, ours)| theirs != ours)?;
        Some(Why::new(Class::Type, "the agent would state another type").sides(theirs.xsd(), ours.xsd()))
    }

    /// AddObject as an Add without settings.
    pub fn adds(&mut self, table: &str, answer: Answer<'_>) {
        self.item(table, |it, paths| {
            // Of several tables the one that can be added to, as the shadow follows it.
            let creatable = it.known.mapping.and_then(|it| it.names(table, true).find(|(_, can)| *can));
            let usp = creatable.map(|(usp, _)| usp).or_else(|| paths.first().cloned())?;
            let create_objs = vec![add::CreateObject { obj_path: usp.clone(), param_settings: Vec::new() }];
            let planned = it.plan(Add::new(message::Add { allow_partial: false, create_objs }));
            let refusal = planned.err().and_then(|refusals| refusals.into_iter().next());
            let added = match answer {
                Answer::Fault(fault) => return refused_both(refusal, fault.fault_code),
                Answer::Response(Response::AddObjectResponse(added)) => added,
                Answer::Response(_) => return None,
            };
            if let Some((_, code, why)) = refusal {
                return Some(refused_alone(code, &why));
            }
            let instance = format!("{table}{}.", added.instance_number);
            if added.instance_number == 0 {
                return Some(Why::new(Class::Instance, "0 is no instance number"));
            }
            if it.view.cpe.has_object(&format!("{usp}{}.", added.instance_number)) {
                return Some(Why::new(
                    Class::Instance,
                    format!("the agent has an instance {instance} already"),
                ));
            }
            if (it.known.was_deleted)(&instance) {
                let why = format!("the number of {instance} was another instance's, which was deleted");
                return Some(Why::new(Class::Instance, why));
            }
            let back = it.cpe_name(&usp).filter(|back| back == table);
            back.is_none().then(|| Why::new(Class::RoundTrip, "the agent would add to another table"))
        });
    }

    /// DeleteObject as a Delete.
    pub fn deletes(&mut self, instance: &str, answer: Answer<'_>) {
        self.item(instance, |it, paths| {
            let usp = paths.first()?.clone();
            let delete = message::Delete { allow_partial: false, obj_paths: vec![usp.clone()] };
            let planned = it.plan(Delete::new(delete));
            match (planned, answer) {
                (Err(refusals), Answer::Response(_)) => {
                    refusals.first().map(|(_, code, why)| refused_alone(*code, why))
                }
                (Err(refusals), Answer::Fault(fault)) => {
                    refused_both(refusals.into_iter().next(), fault.fault_code)
                }
                (Ok(None), Answer::Response(_)) => {
                    Some(Why::new(Class::Instance, format!("the agent has no instance {usp}")))
                }
                (Ok(Some(_)), Answer::Fault(fault)) if fault.fault_code == NO_SUCH_NAME => {
                    let why = format!("the agent shows {usp}, which the CPE has not");
                    Some(Why::new(Class::Instance, why))
                }
                (Ok(Some(_)), Answer::Response(_)) if it.cpe_name(&usp).as_deref() != Some(instance) => {
                    Some(Why::new(Class::RoundTrip, "the agent would delete another instance"))
                }
                _ => None,
            }
        });
    }
}

/// Whether what is blamed is this parameter, an object around it, or the request as a whole.
fn is_about(blamed: &str, param: &str) -> bool {
    blamed.is_empty() || blamed == param || (path::is_object(blamed) && param.starts_with(blamed))
}

/// The agent would have refused what the CPE has carried out.
fn refused_alone(code: ErrorCode, why: &str) -> Why {
    Why::new(class_of(code), format!("the agent would have refused it: {code} ({why})"))
}

/// Both refuse: whether they say the same.
fn refused_both(refusal: Option<(String, ErrorCode, String)>, fault_code: u32) -> Option<Why> {
    let (_, code, why) = refusal?;
    blames_otherwise(Some(fault::code(fault_code)), true, code, &why)
}

/// What the CPE refuses the agent passes on; where it refuses by itself, it may say something else. `tells`: the
/// CPE says what it blames.
fn blames_otherwise(told: Option<ErrorCode>, tells: bool, code: ErrorCode, why: &str) -> Option<Why> {
    let differs = match told {
        Some(told) => !is_like(told, code),
        None => tells,
    };
    let theirs = told.map_or("no error of this parameter".to_owned(), |told| told.to_string());
    differs.then(|| {
        let why = format!("the agent would have refused it otherwise ({why})");
        Why::new(Class::Fault, why).sides(&theirs, &code.to_string())
    })
}

/// Whether the object of a parameter is a diagnostic that the agent has a command for.
fn is_command(param: &str) -> bool {
    let object = path::parent(param).unwrap_or("").trim_end_matches('.');
    Diagnostic::of(&format!("{object}()")).is_some()
}

/// CWMP fault 9005, invalid parameter name: here, an instance that is not there.
const NO_SUCH_NAME: u32 = 9005;
