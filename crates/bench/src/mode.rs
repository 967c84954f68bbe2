//! How much is traced.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No telemetry at all.
    Off,
    /// Every tenth trace; all metrics and logs.
    Tenth,
    /// Every trace.
    Full,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Off => "telemetry off",
            Self::Tenth => "10 % of traces",
            Self::Full => "every trace",
        }
    }

    /// The environment variables that set the mode.
    pub(crate) const fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Off => &[("OTEL_SDK_DISABLED", "true")],
            Self::Tenth => &[
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
            ],
            Self::Full => &[],
        }
    }

    /// The change from `off` to `value`; empty for the mode that is the base.
    pub(crate) fn change(self, value: f64, off: f64) -> String {
        if self == Self::Off {
            String::new()
        } else {
            format!("{:+.0} %", (value / off - 1.0) * 100.0)
        }
    }
}
