//! Comparisons, logic, choice.

use crate::builder::{Call, GraphBuilder};
use crate::element::{Bool, Element, Float, Numeric};
use crate::value::Value;

macro_rules! comparison {
    ($($(#[$doc:meta])* $method:ident<$group:ident> = $op:literal;)*) => {
        /// Comparisons of two values of one type, broadcast against each other.
        impl GraphBuilder {$(
            $(#[$doc])*
            pub fn $method<T: $group>(&mut self, a: Value<T>, b: Value<T>) -> Value<Bool> {
                let shape = self.shape(a).broadcast(self.shape(b));
                self.apply_one(Call::new($op).input(a).input(b), shape)
            }
        )*}
    };
}

comparison! {
    /// `Less`: a < b.
    less<Numeric> = "Less";
    /// `LessOrEqual`: a <= b.
    less_or_equal<Numeric> = "LessOrEqual";
    /// `Greater`: a > b.
    greater<Numeric> = "Greater";
    /// `GreaterOrEqual`: a >= b.
    greater_or_equal<Numeric> = "GreaterOrEqual";
    /// `Equal`: a = b.
    equal<Element> = "Equal";
}

macro_rules! logic {
    ($($(#[$doc:meta])* $method:ident = $op:literal;)*) => {
        /// Logic of two truth values, broadcast against each other.
        impl GraphBuilder {$(
            $(#[$doc])*
            pub fn $method(&mut self, a: Value<Bool>, b: Value<Bool>) -> Value<Bool> {
                let shape = self.shape(a).broadcast(self.shape(b));
                self.apply_one(Call::new($op).input(a).input(b), shape)
            }
        )*}
    };
}

logic! {
    /// `And`.
    and = "And";
    /// `Or`.
    or = "Or";
    /// `Xor`.
    xor = "Xor";
}

impl GraphBuilder {
    /// `Not`.
    pub fn not(&mut self, x: Value<Bool>) -> Value<Bool> {
        let shape = self.shape(x).clone();
        self.apply_one(Call::new("Not").input(x), Ok(shape))
    }

    /// `IsNaN`.
    pub fn is_nan<T: Float>(&mut self, x: Value<T>) -> Value<Bool> {
        let shape = self.shape(x).clone();
        self.apply_one(Call::new("IsNaN").input(x), Ok(shape))
    }

    /// `Where`: `yes` where the condition holds, `no` elsewhere; all three broadcast against each other.
    pub fn where_<T: Element>(&mut self, condition: Value<Bool>, yes: Value<T>, no: Value<T>) -> Value<T> {
        let shape = self
            .shape(yes)
            .broadcast(self.shape(no))
            .and_then(|shape| shape.broadcast(self.shape(condition)));
        self.apply_one(Call::new("Where").input(condition).input(yes).input(no), shape)
    }
}
