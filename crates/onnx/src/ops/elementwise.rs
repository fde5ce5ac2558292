//! Operators that work on each element by itself.

use super::exactly;
use crate::builder::{Call, GraphBuilder};
use crate::element::{Element, Float, Numeric, Wide};
use crate::value::{AnyValue, Value};

macro_rules! unary {
    ($($(#[$doc:meta])* $method:ident<$group:ident> = $op:literal;)*) => {
        /// Functions of one value; the shape stays.
        impl GraphBuilder {$(
            $(#[$doc])*
            pub fn $method<T: $group>(&mut self, x: Value<T>) -> Value<T> {
                let shape = self.shape(x).clone();
                self.apply_one(Call::new($op).input(x), Ok(shape))
            }
        )*}
    };
}

unary! {
    /// `Neg`: -x.
    neg<Wide> = "Neg";
    /// `Abs`: |x|.
    abs<Numeric> = "Abs";
    /// `Sign`: -1, 0 or 1.
    sign<Numeric> = "Sign";
    /// `Relu`: max(x, 0).
    relu<Float> = "Relu";
    /// `Sqrt`.
    sqrt<Float> = "Sqrt";
    /// `Reciprocal`: 1 / x.
    reciprocal<Float> = "Reciprocal";
    /// `Sin`, of radians.
    sin<Float> = "Sin";
    /// `Cos`, of radians.
    cos<Float> = "Cos";
    /// `Exp`.
    exp<Float> = "Exp";
    /// `Log`, natural.
    log<Float> = "Log";
    /// `Erf`, the Gauss error function.
    erf<Float> = "Erf";
    /// `Sigmoid`: 1 / (1 + exp(-x)).
    sigmoid<Float> = "Sigmoid";
    /// `Tanh`.
    tanh<Float> = "Tanh";
    /// `Floor`.
    floor<Float> = "Floor";
    /// `Ceil`.
    ceil<Float> = "Ceil";
    /// `Round`, halves to even.
    round<Float> = "Round";
}

macro_rules! binary {
    ($($(#[$doc:meta])* $method:ident<$group:ident> = $op:literal;)*) => {
        /// Functions of two values of one type, broadcast against each other.
        impl GraphBuilder {$(
            $(#[$doc])*
            pub fn $method<T: $group>(&mut self, a: Value<T>, b: Value<T>) -> Value<T> {
                let shape = self.shape(a).broadcast(self.shape(b));
                self.apply_one(Call::new($op).input(a).input(b), shape)
            }
        )*}
    };
}

binary! {
    /// `Add`: a + b.
    add<Numeric> = "Add";
    /// `Sub`: a - b.
    sub<Numeric> = "Sub";
    /// `Mul`: a * b.
    mul<Numeric> = "Mul";
    /// `Div`: a / b; integers round towards zero.
    div<Numeric> = "Div";
    /// `Min` of two values.
    min<Numeric> = "Min";
    /// `Max` of two values.
    max<Numeric> = "Max";
}

impl GraphBuilder {
    /// `Pow`: base ^ exponent, in the type of the base.
    pub fn pow<T: Wide, E: Numeric>(&mut self, base: Value<T>, exponent: Value<E>) -> Value<T> {
        let shape = self.shape(base).broadcast(self.shape(exponent));
        self.apply_one(Call::new("Pow").input(base).input(exponent), shape)
    }

    /// `Mod` of integers, with the sign of the divisor.
    pub fn modulo<T: crate::element::Index>(&mut self, a: Value<T>, b: Value<T>) -> Value<T> {
        let shape = self.shape(a).broadcast(self.shape(b));
        self.apply_one(Call::new("Mod").input(a).input(b), shape)
    }

    /// `Clip`: max(low, min(x, high)), each bound a scalar.
    pub fn clip<T: Numeric>(&mut self, x: Value<T>, low: Value<T>, high: Value<T>) -> Value<T> {
        let scalar = crate::Shape::scalar();
        let shape = exactly("low", self.shape(low), &scalar)
            .and_then(|()| exactly("high", self.shape(high), &scalar))
            .map(|()| self.shape(x).clone());
        self.apply_one(Call::new("Clip").input(x).input(low).input(high), shape)
    }

    /// `Identity`.
    pub fn identity<T: Element>(&mut self, x: Value<T>) -> Value<T> {
        Value::from_any_unchecked(self.identity_any(x.any()))
    }

    pub(crate) fn identity_any(&mut self, x: AnyValue) -> AnyValue {
        let shape = self.shape(x).clone();
        self.apply_any(Call::new("Identity").input(x), x.data_type(), Ok(shape))
    }

    /// `Cast` to another element type; a value that has it already is returned as it is.
    ///
    /// Floats become integers by dropping the fraction; numbers become truth values by comparison with 0.
    pub fn cast<U: Element>(&mut self, x: impl Into<AnyValue>) -> Value<U> {
        let x = x.into();
        if let Ok(same) = x.typed() {
            return same;
        }
        let shape = self.shape(x).clone();
        let call = Call::new("Cast").input(x).attribute("to", i64::from(U::TYPE.code()));
        self.apply_one(call, Ok(shape))
    }
}
