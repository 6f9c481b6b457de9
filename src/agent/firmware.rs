//! What this device shares with its sisters: the model of its firmware, asked for when discovery needs it,
//! and what the device itself adds to it.

use std::sync::Arc;

use crate::cwmp::rpc::Response;
use crate::datamodel::supported::generic;
use crate::datamodel::{Firmware, FirmwareId};

use super::core::Agent;
use super::io::Output;

/// The model of the device's firmware, as far as it has been asked for.
#[derive(Debug, Default)]
pub(super) enum Model {
    #[default]
    Unasked,
    Asked(FirmwareId),
    /// None: nobody has walked a device of it yet.
    Known(FirmwareId, Option<Arc<Firmware>>),
}

impl Agent {
    /// The firmware that the device said it has; none before it is known.
    pub(super) fn firmware_id(&self) -> Option<FirmwareId> {
        let stored = &self.stored;
        let known = !stored.root.is_empty() && !stored.software_version.is_empty();
        known.then(|| FirmwareId {
            oui: stored.device.oui.clone(),
            product_class: stored.device.product_class.clone(),
            software_version: stored.software_version.clone(),
            root: stored.root.clone(),
        })
    }

    /// A number that stands for the device among its sisters: FNV-1a of its serial number.
    pub(super) fn walker(&self) -> u64 {
        let serial = self.stored.device.serial_number.bytes();
        serial.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// Asks for the model where a discovery is due, or types were seen that may be new.
    pub(super) fn ask_for_model(&mut self, out: &mut Vec<Output>) {
        if !self.wants_discovery() && !self.saw_types {
            return;
        }
        let Some(id) = self.firmware_id() else { return };
        match &self.model {
            Model::Asked(known) | Model::Known(known, _) if *known == id => {}
            _ => {
                self.model = Model::Asked(id.clone());
                out.push(Output::LoadFirmware(id));
            }
        }
    }

    pub(super) fn loaded_model(&mut self, id: FirmwareId, model: Option<Arc<Firmware>>) {
        if matches!(&self.model, Model::Asked(asked) if *asked == id) {
            self.model = Model::Known(id, model);
        }
    }

    /// The model for a discovery that is to begin; `Err` while it is on its way.
    pub(super) fn model_at_hand(&self) -> Result<Option<Arc<Firmware>>, ()> {
        match &self.model {
            Model::Asked(_) => Err(()),
            Model::Known(id, model) if Some(id) == self.firmware_id().as_ref() => Ok(model.clone()),
            Model::Unasked | Model::Known(..) => Ok(None),
        }
    }

    /// Hands on what a discovery found, if it is news for the firmware.
    pub(super) fn share_walk(&mut self, learnt: Option<&Firmware>, out: &mut Vec<Output>) {
        if let Some(learnt) = learnt {
            self.share(learnt.clone(), out);
        }
    }

    /// Notes the types of values that the device told in its own terms, where the firmware's are not known.
    pub(super) fn note_types(&mut self, response: &Response<'_>) {
        let Response::GetParameterValuesResponse(response) = response else { return };
        let id = self.firmware_id();
        let known = match &self.model {
            Model::Known(known, model) if Some(known) == id.as_ref() => model,
            // What is news is told from the model, which comes soon.
            _ => {
                self.saw_types = id.is_some();
                return;
            }
        };
        let Some(known) = known else { return };
        for parameter in response.parameter_list.iter() {
            let Some(stated) = parameter.value_type else { continue };
            let general = generic(&parameter.name);
            if known.has(&general) && known.value_type(&general).is_none_or(|known| known < stated) {
                self.own.note_type(&general, stated);
            }
        }
    }

    /// Hands on what the session showed.
    pub(super) fn share_own(&mut self, out: &mut Vec<Output>) {
        let own = std::mem::take(&mut self.own);
        self.share(own, out);
    }

    fn share(&mut self, learnt: Firmware, out: &mut Vec<Output>) {
        let Some(id) = self.firmware_id().filter(|_| !learnt.is_empty()) else { return };
        if let Model::Known(known, model) = &mut self.model
            && *known == id
        {
            let mut merged = model.as_deref().cloned().unwrap_or_default();
            if !merged.merge(&learnt) {
                return;
            }
            *model = Some(Arc::new(merged));
        }
        out.push(Output::Learnt { id, firmware: learnt });
    }
}
