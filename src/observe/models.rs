//! Names of device models as labels: the first of them by name, all that come later as one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The models that have a label of their own.
#[derive(Debug, Default)]
pub(super) struct Models(Mutex<BTreeSet<String>>);

impl Models {
    /// The label of a model: CPEs say what they are, so that there could be any number of them.
    pub fn label(&self, model: &str) -> String {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(model) {
            return model.to_owned();
        }
        if known.len() >= MAX_MODELS || model.len() > MAX_LABEL {
            return OTHERS.to_owned();
        }
        known.insert(model.to_owned());
        model.to_owned()
    }
}

const MAX_MODELS: usize = 64;
/// In bytes.
const MAX_LABEL: usize = 128;
const OTHERS: &str = "others";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_nobody_knows_by_name_are_one_label() {
        let models = Models::default();
        let labels: BTreeSet<String> = (0..1_000).map(|it| models.label(&format!("m{it}"))).collect();
        assert_eq!((labels.len(), models.label("m5").as_str()), (MAX_MODELS + 1, "m5"));
        assert_eq!(models.label(&"x".repeat(1_000)), OTHERS);
    }
}
