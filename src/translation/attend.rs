//! Reads and sets notification attributes (TR-069 A.3.2.4, A.3.2.5), in the CPE's own words. A list that the CPE
//! refuses is said in halves until the parameter to blame is found (9009).

use std::collections::VecDeque;

use compact_str::CompactString;

use crate::cwmp::rpc::{
    Array, Fault, GetParameterAttributes, Request, Response, SetParameterAttributes,
    SetParameterAttributesStruct,
};

use super::plan::{Outcome, Plan, Step, View};

/// What came of it, one line for each parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attended {
    /// It has this Notification; `None`: the CPE would not say.
    Read(CompactString, Option<u8>),
    /// It has been set to this.
    Set(CompactString, u8),
    /// It would not be set.
    Refused(CompactString),
    /// The CPE could not do it now: it is asked again in a later session.
    PutOff(CompactString),
}

/// One parameter that is asked about (`None`) or set.
type Item = (CompactString, Option<u8>);

/// Asks for the attributes of parameters, or sets them.
pub struct Attend {
    waiting: VecDeque<Vec<Item>>,
    asked: Vec<Item>,
    attended: Vec<Attended>,
    faults: usize,
}

impl Attend {
    pub fn read(names: Vec<CompactString>) -> Self {
        Self::of(names.into_iter().map(|name| (name, None)).collect())
    }

    pub fn set(list: Vec<(CompactString, u8)>) -> Self {
        Self::of(list.into_iter().map(|(name, notification)| (name, Some(notification))).collect())
    }

    fn of(items: Vec<Item>) -> Self {
        let waiting = items.chunks(MAX_NAMES).map(<[Item]>::to_vec).collect();
        Self { waiting, asked: Vec::new(), attended: Vec::new(), faults: 0 }
    }

    fn blame(&mut self, items: Vec<Item>) {
        self.attended.extend(items.into_iter().map(|(name, value)| match value {
            None => Attended::Read(name, None),
            Some(_) => Attended::Refused(name),
        }));
    }
}

impl Plan for Attend {
    fn next(&mut self, _: &mut View<'_>) -> Step {
        let Some(items) = self.waiting.pop_front() else { return Step::Done(Outcome::Silent) };
        self.asked = items;
        let reads = self.asked.iter().all(|(_, value)| value.is_none());
        Step::Call(if reads {
            let names = self.asked.iter().map(|(name, _)| name.to_string().into()).collect();
            Request::GetParameterAttributes(GetParameterAttributes { parameter_names: Array(names) })
        } else {
            let of = |(name, value): &Item| SetParameterAttributesStruct {
                name: name.to_string().into(),
                notification_change: true,
                notification: value.unwrap_or(0).into(),
                access_list_change: false,
                access_list: Array(Vec::new()),
            };
            let list = self.asked.iter().map(of).collect();
            Request::SetParameterAttributes(SetParameterAttributes { parameter_list: Array(list) })
        })
    }

    fn answered(&mut self, _: &mut View<'_>, response: &Response<'_>) {
        let asked = std::mem::take(&mut self.asked);
        let response = match response {
            Response::GetParameterAttributesResponse(response) => response,
            Response::SetParameterAttributesResponse(_) => {
                let set = asked.into_iter().filter_map(|(name, value)| Some(Attended::Set(name, value?)));
                return self.attended.extend(set);
            }
            _ => return self.blame(asked),
        };
        for (name, _) in asked {
            let found = response.parameter_list.iter().find(|it| it.name == name.as_str());
            let notification = found.and_then(|it| u8::try_from(it.notification).ok());
            self.attended.push(Attended::Read(name, notification));
        }
    }

    fn faulted(&mut self, _: &mut View<'_>, fault: &Fault<'_>) {
        let mut asked = std::mem::take(&mut self.asked);
        self.faults += 1;
        if matches!(fault.fault_code, METHOD_NOT_SUPPORTED | REQUEST_DENIED) || self.faults > MAX_FAULTS {
            // It is not about single parameters.
            asked.extend(std::mem::take(&mut self.waiting).into_iter().flatten());
            return self.blame(asked);
        }
        if matches!(fault.fault_code, INTERNAL_ERROR | RESOURCES_EXCEEDED) && asked.len() == 1 {
            return self.attended.extend(asked.into_iter().map(|(name, _)| Attended::PutOff(name)));
        }
        if asked.len() > 1 {
            let second = asked.split_off(asked.len() / 2);
            self.waiting.push_front(second);
            self.waiting.push_front(asked);
        } else {
            self.blame(asked);
        }
    }

    /// Setting what is set already does no harm.
    fn is_repeatable(&self) -> bool {
        true
    }

    fn repeat(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        if !asked.is_empty() {
            self.waiting.push_front(asked);
        }
    }

    fn take_attended(&mut self) -> Vec<Attended> {
        std::mem::take(&mut self.attended)
    }
}

/// Parameters in one RPC.
const MAX_NAMES: usize = 64;
/// Faults of one run that are looked into; a CPE with more is left alone with what is left.
const MAX_FAULTS: usize = 24;
/// Of TR-069 A.5.1.
const INTERNAL_ERROR: u32 = 9002;
const RESOURCES_EXCEEDED: u32 = 9004;
const METHOD_NOT_SUPPORTED: u32 = 9000;
const REQUEST_DENIED: u32 = 9001;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datamodel::{Instantiated, WallTime};
    use crate::translation::{Access, Fixed};

    /// Plays it against a CPE that answers each request so; returns what came of it, and how many RPCs it took.
    fn played(
        mut plan: Attend,
        mut answer: impl FnMut(&[Item]) -> Result<(), u32>,
    ) -> (Vec<Attended>, usize) {
        let (mut cpe, mut local, access) = (Instantiated::default(), Fixed::default(), Access::for_us());
        let mut view = View::new(&mut cpe, &mut local, &access, WallTime(0));
        for rpcs in 0.. {
            match plan.next(&mut view) {
                Step::Done(_) => return (plan.attended.clone(), rpcs),
                Step::Call(_) => match answer(&plan.asked.clone()) {
                    Ok(()) => plan
                        .answered(&mut view, &Response::SetParameterAttributesResponse(Default::default())),
                    Err(code) => plan.faulted(&mut view, &Fault::of(code)),
                },
            }
        }
        unreachable!()
    }

    fn names(count: usize) -> Vec<(CompactString, u8)> {
        (0..count).map(|number| (format!("Device.P{number}").into(), 2)).collect()
    }

    #[test]
    fn a_cpe_that_refuses_one_parameter_is_asked_for_the_others() {
        let bad = |items: &[Item]| items.iter().any(|(name, _)| name == "Device.P5");
        let (attended, rpcs) =
            played(Attend::set(names(8)), |items| if bad(items) { Err(9009) } else { Ok(()) });
        assert_eq!(attended.iter().filter(|it| matches!(it, Attended::Set(_, 2))).count(), 7);
        assert!(attended.contains(&Attended::Refused("Device.P5".into())));
        assert_eq!(rpcs, 7);
    }

    #[test]
    fn a_cpe_that_does_not_know_the_method_or_fails_throughout_is_left_alone() {
        let (attended, rpcs) = played(Attend::set(names(200)), |_| Err(9000));
        assert_eq!((attended.len(), rpcs), (200, 1));
        let (attended, rpcs) = played(Attend::set(names(200)), |_| Err(9002));
        assert_eq!(attended.len(), 200);
        assert!(rpcs <= MAX_FAULTS + 1, "{rpcs} RPCs");
        let read = Attend::read(names(3).into_iter().map(|(name, _)| name).collect());
        let (attended, _) = played(read, |_| Err(9001));
        assert_eq!(attended[2], Attended::Read("Device.P2".into(), None));
    }
}
