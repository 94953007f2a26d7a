//! What a scalar means to kubectl, which decides what the API server gets to see.
//!
//! kubectl reads YAML 1.1 as `go.yaml.in/yaml/v2` does, and turns it into JSON: `no` is false, `0x1f` is 31, a date is a text. A
//! key becomes a text again after it was read, so that a parameter called `on` is called `true`.

use granit_parser::Tag;
use serde_json::{Number, Value};

/// What a scalar is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    /// A value of JSON, but for a number with a point or an exponent.
    Value(Value),
    /// A number with a point or an exponent.
    Float(f64),
    /// A number that JSON does not have: infinite, or none at all.
    NotJson(&'static str),
}

impl Scalar {
    /// The value that kubectl sends. `None` where JSON has none.
    pub(super) fn json(&self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Float(float) => whole(*float).or_else(|| Number::from_f64(*float)).map(Value::Number),
            Self::NotJson(_) => None,
        }
    }

    /// The text that it is as a key. `None` where kubectl refuses it: a null, or an integer beyond 63 bits.
    pub(super) fn key(&self) -> Option<String> {
        match self {
            Self::Value(Value::String(text)) => Some(text.clone()),
            Self::Value(Value::Bool(value)) => Some(value.to_string()),
            Self::Value(Value::Number(number)) => number.as_i64().map(|integer| integer.to_string()),
            Self::Float(float) => Some(short(*float)),
            Self::NotJson(text) => Some((*text).to_owned()),
            Self::Value(Value::Null | Value::Array(_) | Value::Object(_)) => None,
        }
    }
}

/// Reads a scalar. `plain` says that it stands without quotes.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&Tag>) -> Scalar {
    let by_its_looks = match tag {
        None => plain,
        Some(tag) => matches!(tag.core_suffix(), Some("null" | "bool" | "int" | "float")),
    };
    if by_its_looks { implicit(text) } else { Scalar::Value(Value::String(text.to_owned())) }
}

fn implicit(text: &str) -> Scalar {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::NotJson(".nan"),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::NotJson(".inf"),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::NotJson("-.inf"),
        _ => return number(text).unwrap_or_else(|| Scalar::Value(Value::String(text.to_owned()))),
    };
    Scalar::Value(value)
}

/// Whether other readers take a text without quotes for a date or a number of base 60, which kubectl leaves a text.
pub(in crate::cli) fn reads_differently(text: &str) -> bool {
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_date = text.split_once('-').is_some_and(|(year, rest)| {
        year.len() == 4 && all_digits(year) && rest.split(['-', 'T', 't', ' ']).take(2).all(all_digits) && rest.contains('-')
    });
    let is_base_60 = text.contains(':') && text.split(':').all(all_digits);
    is_date || is_base_60
}

fn number(text: &str) -> Option<Scalar> {
    if text.starts_with('.') {
        return float(text);
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-') {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).map(|number| Scalar::Value(Value::Number(number))).or_else(|| float(&plain))
}

/// An integer with the prefixes that Go knows: 0x, 0o, 0b, and a bare 0 for octal.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find_map(|(prefix, radix)| Some((lower.strip_prefix(prefix)?, radix)));
    let octal = || lower.strip_prefix('0').filter(|rest| !rest.is_empty()).map(|rest| (rest, 8));
    let (digits, radix) = prefixed.or_else(octal).unwrap_or((&lower, 10));
    // A second sign would be read as one.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let whole = u64::from_str_radix(digits, radix).ok()?;
    if negative { 0i64.checked_sub_unsigned(whole).map(Number::from) } else { Some(Number::from(whole)) }
}

fn float(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(mantissa, rest)| (mantissa, Some(rest)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_is_one = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && digits(text)
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !exponent_is_one || !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    text.parse().ok().filter(|float: &f64| float.is_finite()).map(Scalar::Float)
}

/// A number without a fraction, which JSON writes as an integer.
fn whole(float: f64) -> Option<Number> {
    // Display of a whole number has no fraction, so only whole numbers parse.
    let text = if float == 0.0 { "0".to_owned() } else { float.to_string() };
    text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from)).ok()
}

/// A number as Go's `FormatFloat(x, 'g', -1, 32)` writes it, which is how kubectl makes a key of it.
fn short(float: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "kubectl cuts it to 32 bits too")]
    let single = float as f32;
    let scientific = format!("{single:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(power) if !(-4..6).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", power.unsigned_abs())
        }
        Ok(_) | Err(_) => format!("{single}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `sigs.k8s.io/yaml` makes of each as a value (`None`: it refuses it) and as a key: it was asked.
    #[test]
    fn a_plain_scalar_is_what_kubectl_takes_it_for() {
        for (text, value, key) in [
            ("5", Some(json!(5)), Some("5")),
            ("+5", Some(json!(5)), Some("5")),
            ("-5", Some(json!(-5)), Some("-5")),
            ("-0", Some(json!(0)), Some("0")),
            ("1_000", Some(json!(1000)), Some("1000")),
            ("0x1f", Some(json!(31)), Some("31")),
            ("0X1F", Some(json!(31)), Some("31")),
            ("0o17", Some(json!(15)), Some("15")),
            ("017", Some(json!(15)), Some("15")),
            ("-017", Some(json!(-15)), Some("-15")),
            ("08", Some(json!(8)), Some("8")),
            ("09.5", Some(json!(9.5)), Some("9.5")),
            ("0b101", Some(json!(5)), Some("5")),
            ("-0b101", Some(json!(-5)), Some("-5")),
            ("1e3", Some(json!(1000)), Some("1000")),
            ("1e5", Some(json!(100_000)), Some("100000")),
            ("1e6", Some(json!(1_000_000)), Some("1e+06")),
            ("1234567.5", Some(json!(1_234_567.5)), Some("1.2345675e+06")),
            ("1e-5", Some(json!(0.00001)), Some("1e-05")),
            ("0.0001", Some(json!(0.0001)), Some("0.0001")),
            ("1.10", Some(json!(1.1)), Some("1.1")),
            ("1e21", Some(json!(1e21)), Some("1e+21")),
            (".5", Some(json!(0.5)), Some("0.5")),
            (".5e1", Some(json!(5)), Some("5")),
            ("+.5", Some(json!(0.5)), Some("0.5")),
            ("5.", Some(json!(5)), Some("5")),
            ("18446744073709551615", Some(json!(u64::MAX)), None),
            ("-9223372036854775809", Some(json!(-9_223_372_036_854_775_809.0)), Some("-9.223372e+18")),
            (".inf", None, Some(".inf")),
            ("true", Some(json!(true)), Some("true")),
            ("no", Some(json!(false)), Some("false")),
            ("On", Some(json!(true)), Some("true")),
            ("y", Some(json!(true)), Some("true")),
            ("~", Some(json!(null)), None),
            ("", Some(json!(null)), None),
            ("Null", Some(json!(null)), None),
        ] {
            let scalar = resolve(text, true, None);
            assert_eq!((scalar.json(), scalar.key().as_deref()), (value, key), "{text}");
        }
        for text in [
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "12:30:45",
            "1.2.3",
            "0x",
            "0b",
            "-",
            "1e",
            "1e+",
            "1e400",
            "yEs",
            "0xfg",
            "--5",
            "._5",
            "_5",
            ".",
            "=",
            "con_1",
        ] {
            let scalar = resolve(text, true, None);
            assert_eq!((scalar.json(), scalar.key().as_deref()), (Some(json!(text)), Some(text)));
        }
    }

    #[test]
    fn dates_and_times_are_texts_to_kubectl_and_not_to_others() {
        for text in ["2026-01-01", "2026-1-1", "2026-01-01T00:00:00Z", "12:30:45", "1:00"] {
            assert!(reads_differently(text), "{text}");
        }
        for text in ["2026", "2026-x-1", "2026-01", "con_1", "a:1", ":", "1.2.3", "555-1234-1", ""] {
            assert!(!reads_differently(text), "{text}");
        }
    }

    #[test]
    fn in_quotes_everything_is_a_text() {
        for text in ["5", "no", "null", "", ".inf"] {
            assert_eq!(resolve(text, false, None), Scalar::Value(json!(text)));
        }
    }

    #[test]
    fn a_tag_says_what_a_scalar_is() {
        let tag = |suffix: &str| Tag::new("tag:yaml.org,2002:", suffix);
        assert_eq!(resolve("5", true, Some(&tag("str"))), Scalar::Value(json!("5")));
        assert_eq!(resolve("5", false, Some(&tag("int"))), Scalar::Value(json!(5)));
        assert_eq!(resolve("5", true, Some(&Tag::new("!", "own"))), Scalar::Value(json!("5")));
    }
}
