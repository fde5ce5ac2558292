//! Time stamps out of columns of any type that holds them.

use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Date64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_schema::{DataType, Field, TimeUnit};
use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::read::error::Problem;
use crate::read::parquet::cells::{Scalars, integers};
use crate::read::parquet::wrong_type;
use crate::time::{Instant, Stamp, TimeColumnBuilder, TimeError};
use crate::time_format::{self, TimeFormat};

/// The time zone of a column.
#[derive(Debug, Clone)]
pub(super) enum Zone {
    Fixed(Offset),
    Named(TimeZone),
}

impl Zone {
    /// The zone of a column of time stamps; `None` when it holds local times, or no time stamps.
    pub(super) fn of(field: &Field) -> Result<Option<Self>, Problem> {
        let DataType::Timestamp(_, Some(name)) = field.data_type() else { return Ok(None) };
        if ["UTC", "Etc/UTC", "GMT", "Z"].contains(&name.as_ref()) {
            return Ok(Some(Self::Fixed(Offset::UTC)));
        }
        let offset = time_format::parse(&format!("2000-01-01T00:00{name}")).and_then(|stamp| stamp.offset);
        match offset.map(Self::Fixed).or_else(|| TimeZone::get(name).ok().map(Self::Named)) {
            Some(zone) => Ok(Some(zone)),
            None => Err(Problem::UnknownZone { column: field.name().clone(), zone: name.to_string() }),
        }
    }

    fn place(&self, timestamp: Timestamp) -> Instant {
        let offset = match self {
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => zone.to_offset(timestamp),
        };
        Instant { timestamp, offset }
    }

    /// An empty axis in this zone.
    pub(super) fn axis(zone: Option<&Self>, name: &str) -> TimeColumnBuilder {
        let mut axis = TimeColumnBuilder::unordered(name);
        axis.set_zone(match zone {
            Some(Self::Named(zone)) => Some(zone.clone()),
            _ => None,
        });
        axis
    }
}

/// A column of time stamps, to be read row by row.
pub(super) struct Times<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
    text: String,
}

enum Kind<'a> {
    Integers(Vec<i64>),
    /// Days since 1970.
    Days(&'a [i32]),
    /// Seconds since 1970 and nanoseconds, by way of units per second.
    Units {
        values: &'a [i64],
        per_second: i64,
        decimals: u8,
        zone: Option<Zone>,
        is_date: bool,
    },
    Texts(Scalars<'a>),
}

impl<'a> Times<'a> {
    /// Looks at a column.
    pub(super) fn new(array: &'a dyn Array, field: &Field, zone: Option<&Zone>) -> Result<Self, Problem> {
        let units = |values, per_second, decimals| Kind::Units {
            values,
            per_second,
            decimals,
            zone: zone.cloned(),
            is_date: false,
        };
        let kind = match array.data_type() {
            DataType::Date32 => Kind::Days(array.as_primitive::<Date32Type>().values()),
            DataType::Date64 => Kind::Units {
                values: array.as_primitive::<Date64Type>().values(),
                per_second: 1_000,
                decimals: 3,
                zone: None,
                is_date: true,
            },
            DataType::Timestamp(TimeUnit::Second, _) => {
                units(array.as_primitive::<TimestampSecondType>().values().as_ref(), 1, 0)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                units(array.as_primitive::<TimestampMillisecondType>().values().as_ref(), 1_000, 3)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                units(array.as_primitive::<TimestampMicrosecondType>().values().as_ref(), 1_000_000, 6)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                units(array.as_primitive::<TimestampNanosecondType>().values().as_ref(), 1_000_000_000, 9)
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
                Kind::Texts(Scalars::new(array, field)?)
            }
            _ => Kind::Integers(
                integers(array).ok_or_else(|| wrong_type(field, "time stamps, dates or whole numbers"))?,
            ),
        };
        Ok(Self { array, kind, text: String::new() })
    }

    /// Appends a row's time stamp to an axis.
    pub(super) fn push(&mut self, row: usize, axis: &mut TimeColumnBuilder) -> Result<(), TimeError> {
        if self.array.is_null(row) {
            return Err(TimeError::Missing);
        }
        let stamp = match &self.kind {
            Kind::Texts(texts) => {
                texts.write(row, &mut self.text);
                return axis.push(&self.text);
            }
            Kind::Integers(values) => Stamp::Integer(values.get(row).copied().unwrap_or_default()),
            Kind::Days(values) => {
                let days = values.get(row).copied().unwrap_or_default();
                let hours = SignedDuration::from_hours(i64::from(days) * 24);
                let civil = DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(hours).ok();
                let civil = civil.filter(|civil| (1..9999).contains(&civil.year()));
                let civil = civil.ok_or_else(|| not_a_stamp(days.into()))?;
                Stamp::Civil(civil, TimeFormat::DATE)
            }
            Kind::Units { values, per_second, decimals, zone, is_date } => {
                let value = values.get(row).copied().unwrap_or_default();
                let nanoseconds = value.rem_euclid(*per_second) * (1_000_000_000 / per_second);
                let timestamp = i32::try_from(nanoseconds)
                    .ok()
                    .and_then(|rest| {
                        let seconds = SignedDuration::new(value.div_euclid(*per_second), rest);
                        Timestamp::from_duration(seconds).ok()
                    })
                    .ok_or_else(|| not_a_stamp(value))?;
                let decimals = if nanoseconds == 0 { 0 } else { *decimals };
                let utc = Offset::UTC.to_datetime(timestamp);
                if !(1..9999).contains(&utc.year()) {
                    return Err(not_a_stamp(value));
                }
                match zone {
                    _ if *is_date => Stamp::Civil(utc.date().to_datetime(Time::midnight()), TimeFormat::DATE),
                    None => Stamp::Civil(utc, TimeFormat::of_stamps(decimals, None)),
                    Some(zone) => {
                        let instant = zone.place(timestamp);
                        let written = match zone {
                            Zone::Fixed(offset) => *offset,
                            // One form for summer and winter.
                            Zone::Named(_) => Offset::constant(1),
                        };
                        Stamp::Instant(instant, TimeFormat::of_stamps(decimals, Some(written)))
                    }
                }
            }
        };
        axis.push_stamp(stamp);
        Ok(())
    }
}

fn not_a_stamp(value: i64) -> TimeError {
    TimeError::NotATimeStamp { text: value.to_string() }
}
