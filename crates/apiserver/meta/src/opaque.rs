//! Values of a type that only their maker and their readers know: how a product's own words travel through the library.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A value of any type, or none. Equal to another of the same type and value. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Opaque(Option<Arc<dyn Value>>);

impl Opaque {
    pub(crate) fn new(value: impl Any + fmt::Debug + PartialEq + Hash + Send + Sync) -> Self {
        Self(Some(Arc::new(value)))
    }

    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.as_deref().and_then(|value| value.as_any().downcast_ref())
    }
}

impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => one.equals(&**other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Hash for Opaque {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|value| value.hash_into(state));
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

trait Value: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Value) -> bool;
    fn hash_into(&self, state: &mut dyn Hasher);
}

impl<T: Any + fmt::Debug + PartialEq + Hash + Send + Sync> Value for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Value) -> bool {
        other.as_any().downcast_ref() == Some(self)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_value_decide() {
        let (one, same, other, kind) = (Opaque::new(1_u8), Opaque::new(1_u8), Opaque::new(2_u8), Opaque::new(1_u16));
        assert!(one == same && one != other && one != kind && one != Opaque::default() && Opaque::default() == Opaque::default());
        assert_eq!((one.get::<u8>(), one.get::<u16>()), (Some(&1), None));
    }
}
