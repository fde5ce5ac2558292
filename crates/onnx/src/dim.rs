//! Dimensions: fixed sizes, named sizes, and integer polynomials of names such as `past + sequence`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;

/// A product of symbols, sorted; never empty.
type Monomial = Vec<Arc<str>>;

/// The size of one axis.
///
/// Kept in normal form, so that two dimensions are equal exactly when they are the same polynomial. Arithmetic saturates
/// at the ends of `i64`, far beyond any size that a tensor can have.
///
/// ```
/// use tmoe_onnx::Dim;
///
/// let (past, sequence) = (Dim::symbol("past"), Dim::symbol("sequence"));
/// assert_eq!((sequence.clone() + past.clone()).to_string(), "past + sequence");
/// assert_eq!(past.clone() + sequence.clone() - past, sequence);
/// assert_eq!((sequence * 2 + Dim::fixed(1)).to_string(), "2*sequence + 1");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim {
    /// Coefficients that are not zero.
    terms: BTreeMap<Monomial, i64>,
    constant: i64,
}

impl Dim {
    /// A known size.
    pub const fn fixed(size: i64) -> Self {
        Self { terms: BTreeMap::new(), constant: size }
    }

    /// A size known only when the graph runs. Equal names are equal sizes.
    pub fn symbol(name: impl AsRef<str>) -> Self {
        Self { terms: BTreeMap::from([(vec![Arc::from(name.as_ref())], 1)]), constant: 0 }
    }

    /// The size, when it does not depend on any symbol.
    pub fn as_fixed(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.constant)
    }

    /// Whether the size is known and equal to `size`.
    pub fn is(&self, size: i64) -> bool {
        self.as_fixed() == Some(size)
    }

    /// The name, when the dimension is exactly one symbol.
    pub fn as_symbol(&self) -> Option<&str> {
        match self.terms.first_key_value() {
            Some((monomial, 1)) if self.terms.len() == 1 && self.constant == 0 => match monomial.as_slice() {
                [name] => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// The symbols that the size depends on; a symbol may come more than once.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.terms.keys().flatten().map(AsRef::as_ref)
    }

    /// The size for given sizes of the symbols, or `None` when one is not given or the result overflows.
    pub fn eval(&self, size_of: impl Fn(&str) -> Option<i64>) -> Option<i64> {
        self.terms.iter().try_fold(self.constant, |sum, (monomial, &coefficient)| {
            let term = monomial
                .iter()
                .try_fold(coefficient, |product, symbol| product.checked_mul(size_of(symbol)?))?;
            sum.checked_add(term)
        })
    }

    /// Whether this can be the size of an axis: not negative, its symbols named.
    pub(crate) fn is_size(&self) -> bool {
        self.as_fixed().is_none_or(|size| size >= 0) && self.symbols().all(|name| !name.is_empty())
    }

    /// The quotient by a divisor of one term, or `None` when it does not divide every term.
    pub(crate) fn exact_div(&self, divisor: &Self) -> Option<Self> {
        let (monomial, coefficient) = match (divisor.constant, divisor.terms.first_key_value()) {
            (0, Some((monomial, &coefficient))) if divisor.terms.len() == 1 => {
                (monomial.as_slice(), coefficient)
            }
            (constant, None) => (&[][..], constant),
            _ => return None,
        };
        let divide = |value: i64| (value.checked_rem(coefficient)? == 0).then(|| value / coefficient);
        let mut quotient = Self::fixed(0);
        if self.constant != 0 {
            if !monomial.is_empty() {
                return None;
            }
            quotient.constant = divide(self.constant)?;
        }
        for (term, &value) in &self.terms {
            let mut rest = term.clone();
            for symbol in monomial {
                let position = rest.iter().position(|other| other == symbol)?;
                rest.remove(position);
            }
            quotient.add_term(rest, divide(value)?);
        }
        Some(quotient)
    }

    fn add_term(&mut self, monomial: Monomial, coefficient: i64) {
        if monomial.is_empty() {
            self.constant = self.constant.saturating_add(coefficient);
            return;
        }
        let sum =
            self.terms.get(&monomial).map_or(coefficient, |&present| present.saturating_add(coefficient));
        if sum == 0 {
            self.terms.remove(&monomial);
        } else {
            self.terms.insert(monomial, sum);
        }
    }
}

impl From<i64> for Dim {
    fn from(size: i64) -> Self {
        Self::fixed(size)
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Self::symbol(name)
    }
}

impl From<&Dim> for Dim {
    fn from(dim: &Dim) -> Self {
        dim.clone()
    }
}

impl Add for Dim {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.constant = self.constant.saturating_add(other.constant);
        for (monomial, coefficient) in other.terms {
            self.add_term(monomial, coefficient);
        }
        self
    }
}

impl Add<i64> for Dim {
    type Output = Self;

    fn add(self, other: i64) -> Self {
        self + Self::fixed(other)
    }
}

impl Sub for Dim {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + other * -1
    }
}

impl Sub<i64> for Dim {
    type Output = Self;

    fn sub(self, other: i64) -> Self {
        self - Self::fixed(other)
    }
}

impl Mul<i64> for Dim {
    type Output = Self;

    fn mul(self, factor: i64) -> Self {
        self * Self::fixed(factor)
    }
}

impl Mul for Dim {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let constant = |dim: &Self| (dim.constant != 0).then(|| (Vec::new(), dim.constant));
        let terms = |dim: &Self| -> Vec<(Monomial, i64)> {
            let terms = dim.terms.iter().map(|(monomial, &value)| (monomial.clone(), value));
            terms.chain(constant(dim)).collect()
        };
        let mut product = Self::fixed(0);
        for (left, a) in terms(&self) {
            for (right, b) in terms(&other) {
                let mut monomial: Monomial = left.iter().chain(&right).cloned().collect();
                monomial.sort();
                product.add_term(monomial, a.saturating_mul(b));
            }
        }
        product
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let symbolic = self.terms.iter().map(|(monomial, &coefficient)| (coefficient, monomial.join("*")));
        let constant = (self.constant != 0 || self.terms.is_empty()).then(|| (self.constant, String::new()));
        for (coefficient, product) in symbolic.chain(constant) {
            let sign = match (first, coefficient < 0) {
                (true, false) => "",
                (true, true) => "-",
                (false, false) => " + ",
                (false, true) => " - ",
            };
            first = false;
            f.write_str(sign)?;
            match (coefficient.unsigned_abs(), product.as_str()) {
                (size, "") => write!(f, "{size}")?,
                (1, product) => f.write_str(product)?,
                (size, product) => write!(f, "{size}*{product}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
